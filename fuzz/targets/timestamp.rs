//! RFC 3161 timestamps.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::verify::bundle::Token;

fuzz_target!(|der: &[u8]| {
    if let Ok(token) = Token::parse(der) {
        assert!(token.time.as_second() >= 0);
    }
});
