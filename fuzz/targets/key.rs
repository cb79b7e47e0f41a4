//! Key files, private and public: no byte of them is in a message, and a public key that is read is written
//! back as itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::key::PublicKey;
use stepseal::sign::{ParsedKey, parse_private};

fuzz_target!(|bytes: &[u8]| {
    match parse_private(bytes) {
        Ok(ParsedKey::Open(key)) => drop(key),
        Ok(ParsedKey::Sealed(key)) => drop(key),
        Err(error) => assert!(error.to_string().len() < 512),
    }
    if let Some(key) = std::str::from_utf8(bytes).ok().and_then(|pem| PublicKey::from_pem(pem).ok()) {
        let again = PublicKey::from_pem(&key.to_pem()).expect("what is written can be read");
        assert_eq!((again.to_der(), again.key_id()), (key.to_der(), key.key_id()));
        let _ = key.verify(b"payload", bytes);
    }
});
