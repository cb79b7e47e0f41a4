//! DSSE envelopes that stand alone.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stepseal::key::PublicKey;
use stepseal::verify::bundle::dsse::Envelope;

static KEY: LazyLock<PublicKey> = LazyLock::new(|| {
    PublicKey::from_pem(include_str!("../../tests/data/bundles/key-another_fail/key.pub"))
        .expect("a key of the corpus")
});

fuzz_target!(|bytes: &[u8]| {
    for envelope in Envelope::parse(bytes).unwrap_or_default() {
        assert!(envelope.verify(&KEY).is_err(), "nobody signed that");
        assert!(envelope.signed_bytes().ends_with(envelope.payload()));
    }
});
