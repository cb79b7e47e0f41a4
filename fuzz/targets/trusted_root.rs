//! Trusted roots.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::verify::bundle::{TrustMaterial, Waivers};

fuzz_target!(|json: &[u8]| {
    if let Ok(trust) = TrustMaterial::parse(json) {
        let _ = trust.newest();
        // What is chosen of it never demands less than was said, and goes together again.
        if let Ok(chosen) = trust.clone().chosen(Some("ca.example"), Waivers::default()) {
            let _ = TrustMaterial::together(vec![chosen, trust]);
        }
    }
});
