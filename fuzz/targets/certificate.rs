//! The certificate of a server that isn't trusted: its issuer's name is looked for in the DER.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::registry::client::issuer::issuer_name;

fuzz_target!(|der: &[u8]| {
    if let Some(name) = issuer_name(der) {
        assert!(!name.chars().any(char::is_control), "{name:?}");
    }
});
