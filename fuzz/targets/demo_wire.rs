//! What clients send to the embedded registry: paths, ranges, digests.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::demo::registry::wire::{Address, byte_range, content_range, route};

fuzz_target!(|text: &str| {
    if let Ok(route) = route(text) {
        let repository = route.repository().unwrap_or_default();
        assert!(!repository.contains("//") && !repository.split('/').any(|part| part == ".."));
    }
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.as_str(), text);
    }
    // Total over every header and length.
    let _ = (byte_range(text, 0), byte_range(text, 1000), content_range(text));
});
