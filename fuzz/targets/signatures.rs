//! What other signers left in a registry: lists of descriptors. Merging loses nothing.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use stepseal::oci::{Digest, Manifest};
use stepseal::store::Shelf;

fuzz_target!(|bytes: &[u8]| {
    // Two lists, as two signers wrote them.
    let (one, two) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    let read = |bytes: &[u8], field| {
        let bytes = Bytes::copy_from_slice(bytes);
        let manifest = Manifest { media_type: String::new(), digest: Digest::of(&bytes), bytes };
        Shelf::of(&manifest, field, "here")
    };
    for field in ["layers", "manifests"] {
        let Ok(one) = read(one, field) else { continue };
        let mut merged = one.clone();
        if let Ok(two) = read(two.get(1..).unwrap_or_default(), field) {
            merged.absorb(&two);
            assert!(merged.contains(&two));
        }
        assert!(merged.contains(&one));
        let again = merged.clone();
        merged.absorb(&one);
        assert_eq!(merged, again, "what is there is not added again");
        for entry in &merged.entries {
            let _ = entry.digest();
        }
    }
});
