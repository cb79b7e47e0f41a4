//! Signatures, certificates, timestamps and old bundles that stand alone: none panics, and nothing is verified that nobody signed.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use stepseal::key::PublicKey;
use stepseal::verify::bundle::{Artifact, Policy, Signer, TrustMaterial, Verifier};
use stepseal::verify::detached::{OldBundle, Parts, certificates, contents, signature, timestamp};

static KEY: LazyLock<PublicKey> = LazyLock::new(|| {
    PublicKey::from_pem(include_str!("../../tests/data/bundles/key-another_fail/key.pub"))
        .expect("a key of the corpus")
});

fuzz_target!(|bytes: &[u8]| {
    let _ = (signature(bytes), certificates(bytes), timestamp(bytes));
    let Ok(OldBundle { signature: Some(signed), log, .. }) = OldBundle::parse(bytes) else { return };
    assert!(OldBundle::is_one(bytes), "it is told from Sigstore's");
    let Ok(contents) = contents(&signed) else { return };
    let signer = Signer::Key(Box::new(KEY.clone()));
    let parts = Parts { log, ..Parts::default() };
    let Ok(bundles) = parts.bundles(&signer, contents) else { return };
    let policy = Policy { ignore_tlog: true, ..Policy::new(signer) };
    let verifier = Verifier::new(Arc::new(TrustMaterial::none()), policy);
    for bundle in bundles {
        assert!(verifier.verify(&bundle, &Artifact::of(*b"artifact")).is_err(), "nobody signed that");
    }
});
