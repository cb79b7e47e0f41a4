//! Every byte of a signed bundle changed in turn: nothing that changes its meaning is accepted, nothing panics.

use serde_json::Value;

use crate::kit::effort::stride;

use super::recipe::{ARTIFACT, Recipe};
use super::sigstore::{IDENTITY, ISSUER, key, pem, spki};
use stepseal::key::PublicKey;
use stepseal::verify::bundle::{
    Artifact, IdentityPolicy, Match, Policy, Signer, TrustMaterial, Verified, Verifier,
};

fn verifier(recipe: &Recipe) -> Verifier {
    let trust = TrustMaterial::parse(&serde_json::to_vec(&recipe.trusted_root()).unwrap()).unwrap();
    let signer = match recipe.with_key {
        true => {
            Signer::Key(Box::new(PublicKey::from_pem(&pem("PUBLIC KEY", &spki(&key("signer")))).unwrap()))
        }
        false => Signer::Identity(IdentityPolicy::new(Match::exact(IDENTITY), Match::exact(ISSUER))),
    };
    Verifier::new(trust.shared(), Policy::new(signer))
}

/// What a bundle proves, as text: two bundles that prove the same say the same.
fn proven(verified: &Verified) -> String {
    format!("{:?} {:?} {:?} {:?}", verified.who, verified.times, verified.log_entries, verified.content)
}

const STAMP: &str = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";

fn every_byte(recipe: &Recipe, name: &str) {
    let bytes = serde_json::to_vec(&recipe.bundle()).unwrap();
    let whole: Value = serde_json::from_slice(&bytes).unwrap();
    let verifier = verifier(recipe);
    let artifact = Artifact::of(ARTIFACT);
    let want = proven(&verifier.verify_bundle(&bytes, &artifact).unwrap());
    let mut accepted = 0;
    for index in (0..bytes.len()).step_by(stride(7)) {
        // The lowest bit, and the bit that tells upper from lower case.
        for bit in [1, 0x20] {
            let mut changed = bytes.clone();
            changed[index] ^= bit;
            let Ok(verified) = verifier.verify_bundle(&changed, &artifact) else { continue };
            accepted += 1;
            assert_eq!(proven(&verified), want, "{name}: byte {index} ^ {bit:#x} proves something else");
            // What may differ says nothing and is authenticated by nobody: a key's hint, and of a timestamp what is around the signed part.
            let other: Value = serde_json::from_slice(&changed).unwrap();
            let meaning = |value: &Value| {
                let mut value = value.clone();
                for path in ["/verificationMaterial/publicKey/hint", STAMP] {
                    if let Some(value) = value.pointer_mut(path) {
                        *value = Value::Null;
                    }
                }
                value
            };
            assert_eq!(meaning(&other), meaning(&whole), "{name}: byte {index} ^ {bit:#x} is accepted");
        }
    }
    assert!(accepted <= 140, "{name}: {accepted} changes are accepted");
}

#[test]
fn every_byte_of_a_bundle_of_rekor_1() {
    every_byte(&Recipe::rekor1(), "rekor1");
}

#[test]
fn every_byte_of_an_attestation() {
    every_byte(&Recipe::rekor1().envelope(), "attestation");
}

#[test]
fn every_byte_of_a_bundle_of_rekor_2() {
    every_byte(&Recipe::rekor2(), "rekor2");
}

#[test]
fn every_byte_of_a_bundle_with_a_key() {
    every_byte(&Recipe::rekor2().envelope().with_key(), "key");
}

#[test]
fn a_bundle_cut_anywhere_is_refused() {
    let recipe = Recipe::rekor2();
    let bytes = serde_json::to_vec(&recipe.bundle()).unwrap();
    let verifier = verifier(&recipe);
    for length in (0..bytes.len()).step_by(stride(7)) {
        assert!(
            verifier.verify_bundle(&bytes[..length], &Artifact::of(ARTIFACT)).is_err(),
            "{length} bytes of it"
        );
    }
}
