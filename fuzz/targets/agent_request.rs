//! A request to the agent: whoever reaches the socket writes it, and what is understood of it decides what is signed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::agent::{Asked, Kind, Refusal, request};
use stepseal::formats::Envelope;
use stepseal::json::{self, MemoryLimit};
use stepseal::oci::Repository;

fuzz_target!(|bytes: &[u8]| {
    for read in [request::sign(bytes.to_vec(), &Kind::ALL), request::sign_image(bytes)] {
        match read {
            Ok(asked) => holds(&asked),
            Err(refusal) => told(&refusal),
        }
    }
});

/// What a strict reader needs at most to read a payload again, in memory.
const MEMORY: MemoryLimit = MemoryLimit::memory(1024 * 1024 * 1024);

/// What is signed as it is can't be read as the bytes that DSSE signs, and an image is always looked up.
fn holds(asked: &Asked) {
    if asked.kind != Kind::Run {
        assert!(!asked.images.is_empty());
    }
    if asked.payload.envelope == Envelope::Bare {
        assert!(!asked.payload.bytes.starts_with(b"DSSEv1"));
    } else {
        subjects(asked);
    }
}

/// A strict reader finds one digest in each subject, sha256, of an image that is looked up, where the subject says that it is.
fn subjects(asked: &Asked) {
    let statement = json::value(&asked.payload.bytes, MEMORY).expect("strict JSON");
    for subject in statement["subject"].as_array().expect("a list of subjects") {
        let digest = subject["digest"].as_object().expect("digests");
        assert_eq!(digest.len(), 1);
        let digest = format!("sha256:{}", digest["sha256"].as_str().expect("text"));
        let name = subject.get("name").and_then(|name| name.as_str()).filter(|name| !name.is_empty());
        assert!(asked.images.iter().any(|image| {
            image.digest.to_string() == digest
                && name.is_none_or(|name| {
                    name.parse::<Repository>().is_ok_and(|named| named == image.repository)
                })
        }));
        let known = ["name", "digest", "annotations"];
        let image_signature = asked.kind == Kind::Image;
        for field in subject.as_object().expect("an object").keys() {
            assert!(known.contains(&field.as_str()) && (image_signature || field != "annotations"));
        }
    }
}

/// A refusal is short, whatever was sent, and can't move the cursor.
fn told(refusal: &Refusal) {
    let problem = refusal.problem().error;
    for text in problem.causes.iter().chain([&problem.message]) {
        assert!(text.len() < 4096 && !text.chars().any(char::is_control), "{text:?}");
    }
}
