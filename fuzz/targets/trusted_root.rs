//! Trusted roots.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::verify::bundle::TrustMaterial;

fuzz_target!(|json: &[u8]| {
    if let Ok(trust) = TrustMaterial::parse(json) {
        let _ = trust.newest();
    }
});
