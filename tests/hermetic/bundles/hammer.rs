//! Every parser of outside bytes, hammered with mutations of the corpus: none may panic, and nothing that nobody signed is verified.
//!
//! Blind, unlike the fuzz targets, and with overflow checks; `STEPSEAL_HAMMER_SECONDS` (default: 1) says how long for each parser.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use stepseal::verify::bundle::dsse::Envelope;
use stepseal::verify::bundle::{
    Artifact, Bundle, Checkpoint, IdentityPolicy, Match, Policy, Signer, SignerCertificate, Token,
    TrustMaterial, Verifier,
};

use super::cases::{self, Case};
use super::recipe::{ARTIFACT, Recipe};

/// xorshift64*: the same mutations on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % bound.max(1)
    }

    fn mutate(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let (at, other) = (self.below(bytes.len()), self.below(bytes.len()));
            let byte = u8::try_from(self.below(256)).unwrap();
            match self.below(7) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => bytes[at] = byte,
                2 => bytes.insert(at, byte),
                3 if !bytes.is_empty() => drop(bytes.remove(at)),
                4 => bytes.truncate(at),
                5 => {
                    let piece = bytes[at.min(other)..at.max(other)].to_vec();
                    let into = self.below(bytes.len());
                    bytes.splice(into..into, piece.into_iter().take(4096));
                }
                _ => {
                    let donor = &seeds[self.below(seeds.len())];
                    let from = self.below(donor.len());
                    bytes.truncate(at);
                    bytes.extend(&donor[from..]);
                }
            }
        }
        bytes
    }
}

fn hammer(name: &str, seeds: &[Vec<u8>], parse: impl Fn(&[u8])) {
    let seconds =
        std::env::var("STEPSEAL_HAMMER_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut dice, mut count) = (Dice(0x9e37_79b9_7f4a_7c15), 0_u64);
    assert!(!seeds.is_empty(), "{name}");
    while Instant::now() < end {
        parse(&dice.mutate(seeds));
        count += 1;
    }
    println!("{name}: {count} inputs in {seconds} s");
    assert!(count > 0);
}

fn good() -> Vec<Case> {
    super::good::cases()
}

/// The base64 at `path` in every good bundle that has it.
fn decoded(path: &str) -> Vec<Vec<u8>> {
    let bundles = good().into_iter().map(|case| serde_json::from_slice::<Value>(&case.bundle).unwrap());
    bundles.filter_map(|bundle| STANDARD.decode(bundle.pointer(path)?.as_str()?).ok()).collect()
}

#[test]
fn bundles() {
    let recipe = Recipe::rekor2();
    let trust = TrustMaterial::parse(&serde_json::to_vec(&recipe.trusted_root()).unwrap()).unwrap();
    let nobody = IdentityPolicy::new(Match::exact("nobody"), Match::exact("nowhere"));
    let verifier = Verifier::new(trust.shared(), Policy::new(Signer::Identity(nobody)));
    let artifact = Artifact::of(ARTIFACT);
    let seeds: Vec<Vec<u8>> = cases::all().into_iter().map(|case| case.bundle).collect();
    hammer("bundle", &seeds, |bytes| {
        if let Ok(bundle) = Bundle::parse(bytes) {
            let _ = verifier.wanted(&bundle);
            assert!(verifier.verify(&bundle, &artifact).is_err(), "nobody signed that");
        }
    });
}

#[test]
fn envelopes() {
    let bundles = good().into_iter().map(|case| serde_json::from_slice::<Value>(&case.bundle).unwrap());
    let seeds = bundles.filter_map(|bundle| serde_json::to_vec(bundle.get("dsseEnvelope")?).ok());
    hammer("dsse", &seeds.collect::<Vec<_>>(), |bytes| {
        for envelope in Envelope::parse(bytes).unwrap_or_default() {
            assert!(envelope.signed_bytes().ends_with(envelope.payload()));
        }
    });
}

#[test]
fn certificates() {
    hammer("certificate", &decoded("/verificationMaterial/certificate/rawBytes"), |bytes| {
        if let Ok(certificate) = SignerCertificate::parse(bytes, &[]) {
            let _ = certificate.public_key().key_id();
            let _ = certificate.identity();
        }
    });
}

#[test]
fn checkpoints() {
    let bundles = good().into_iter().map(|case| serde_json::from_slice::<Value>(&case.bundle).unwrap());
    let path = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope";
    let seeds = bundles.filter_map(|bundle| Some(bundle.pointer(path)?.as_str()?.as_bytes().to_vec()));
    hammer("checkpoint", &seeds.collect::<Vec<_>>(), |bytes| {
        let Ok(note) = std::str::from_utf8(bytes) else { return };
        if let Ok(checkpoint) = Checkpoint::parse(note) {
            assert!(note.starts_with(checkpoint.text) && checkpoint.origin.starts_with(checkpoint.name()));
        }
    });
}

#[test]
fn timestamps() {
    let path = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";
    hammer("timestamp", &decoded(path), |bytes| {
        if let Ok(token) = Token::parse(bytes) {
            assert!(token.time.as_second() >= 0);
        }
    });
}

#[test]
fn trusted_roots() {
    let own = serde_json::to_vec(&Recipe::rekor1().trusted_root()).unwrap();
    hammer("trusted root", &[own], |bytes| {
        let _ = TrustMaterial::parse(bytes).map(|trust| trust.newest());
    });
}
