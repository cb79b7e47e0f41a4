//! A request to the agent: whoever reaches the socket writes it, and what is understood of it decides what is signed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::agent::{Asked, Kind, Refusal, request};
use stepseal::payload::Envelope;

fuzz_target!(|bytes: &[u8]| {
    for read in [request::sign, request::sign_image] {
        match read(bytes) {
            Ok(asked) => holds(&asked),
            Err(refusal) => told(&refusal),
        }
    }
});

/// What is signed as it is can't be read as the bytes that DSSE signs, and an image is always looked up.
fn holds(asked: &Asked) {
    if asked.kind != Kind::Run {
        assert!(!asked.images.is_empty());
    }
    if asked.payload.envelope == Envelope::Bare {
        assert!(!asked.payload.bytes.starts_with(b"DSSEv1"));
    }
}

/// A refusal is short, whatever was sent, and can't move the cursor.
fn told(refusal: &Refusal) {
    let problem = refusal.problem().error;
    for text in problem.causes.iter().chain([&problem.message]) {
        assert!(text.len() < 4096 && !text.chars().any(char::is_control), "{text:?}");
    }
}
