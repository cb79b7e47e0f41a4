//! The headers of a registry's answer that are taken apart: `WWW-Authenticate`, `Link`, `Retry-After`.

#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use stepseal::registry::client::challenge::{Challenge, parse};
use stepseal::registry::client::{link, retry};

fuzz_target!(|text: &str| {
    let challenges = parse(text);
    assert!(challenges.len() <= 16);
    for challenge in challenges {
        if let Challenge::Bearer(bearer) = challenge {
            assert!(bearer.realm.len() <= text.len());
        }
    }
    if let Some(target) = link::next(text) {
        assert!(text.contains(target));
    }
    let _ = retry::retry_after(text, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
});
