//! The certificate of a signer: its key, its identity, its issuer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepseal::verify::bundle::SignerCertificate;

fuzz_target!(|der: &[u8]| {
    if let Ok(certificate) = SignerCertificate::parse(der, &[]) {
        let _ = certificate.public_key().key_id();
        let _ = certificate.identity();
    }
});
