//! The headers of a registry's answer that are taken apart: `WWW-Authenticate`, `Link`, `Retry-After`.

#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use stepseal::net::retry;
use stepseal::registry::client::challenge::{Challenge, parse};
use stepseal::registry::client::link;

fuzz_target!(|bytes: &[u8]| {
    let challenges = parse(bytes);
    assert!(challenges.len() <= 16);
    for challenge in challenges {
        if let Challenge::Bearer(bearer) = challenge {
            // Each byte that isn't UTF-8 is a character of three.
            assert!(bearer.realm.len() <= 3 * bytes.len());
            assert!(bearer.service.is_none_or(|service| service.len() <= bytes.len()));
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(target) = link::next(text) {
        assert!(text.contains(target));
    }
    let _ = retry::retry_after(text, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
});
