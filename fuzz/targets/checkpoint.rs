//! Checkpoints of transparency logs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::verify::bundle::Checkpoint;

fuzz_target!(|note: &str| {
    if let Ok(checkpoint) = Checkpoint::parse(note) {
        assert!(note.starts_with(checkpoint.text) && checkpoint.text.starts_with(checkpoint.origin));
        assert!(checkpoint.origin.starts_with(checkpoint.name()));
        assert!(!checkpoint.signatures.is_empty());
    }
});
