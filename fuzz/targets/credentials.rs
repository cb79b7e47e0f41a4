//! Credentials files: docker's config.json, .dockerconfigjson, .dockercfg. No error can move the cursor.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::registry::credentials::parse;

fuzz_target!(|bytes: &[u8]| {
    match parse(bytes) {
        Ok(config) => drop(config),
        Err(error) => assert!(!error.to_string().chars().any(char::is_control), "{error:?}"),
    }
});
