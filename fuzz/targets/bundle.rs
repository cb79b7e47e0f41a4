//! Sigstore bundles: reading and verifying one never panics, and nothing is verified that nobody signed.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use stepseal::explain::Explain as _;
use stepseal::verify::bundle::{
    Artifact, Bundle, Bundles, IdentityPolicy, Match, Policy, Signer, TrustMaterial, Verifier,
};

static TRUST: LazyLock<Arc<TrustMaterial>> = LazyLock::new(|| {
    let json = include_bytes!("../../tests/data/bundles/trusted_root.json");
    TrustMaterial::parse(json).expect("the corpus' own trusted root").shared()
});

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = Bundles::parse(bytes) {
        assert!(!error.reason().is_empty() && error.hint().is_some());
    }
    let Ok(bundle) = Bundle::parse(bytes) else { return };
    let nobody = IdentityPolicy::new(Match::exact("nobody"), Match::exact("nowhere"));
    let verifier = Verifier::new(TRUST.clone(), Policy::new(Signer::Identity(nobody)));
    let artifact = Artifact::of(*b"what the pipeline built\n");
    assert!(verifier.verify(&bundle, &artifact).is_err());
});
