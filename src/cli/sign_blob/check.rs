//! What is about to be written, read as `verify-blob` and `verify-blob-attestation` read it: what they would refuse is never written.

use std::sync::Arc;

use super::error::CheckError;
use crate::key::{PublicKey, Scheme};
use crate::verify::bundle::{Artifact, Policy, Signer, TrustMaterial, Verifier};
use crate::verify::detached::{self, By, OldBundle, Parts};

/// Verifies with one key, by one hash, without a log.
pub(super) struct Check {
    signer: Signer,
    verifier: Verifier,
}

impl Check {
    pub(super) fn new(key: &PublicKey, scheme: Scheme) -> Self {
        let signer = Signer::Key(Box::new(key.clone()));
        let mut policy = Policy::new(signer.clone());
        policy.ignore_tlog = true;
        policy.hash = scheme.hash();
        Self { signer, verifier: Verifier::new(Arc::new(TrustMaterial::none()), policy) }
    }

    /// A Sigstore bundle.
    pub(super) fn bundle(&self, bytes: &[u8], artifact: &Artifact) -> Result<(), CheckError> {
        self.verifier.verify_bundle(bytes, artifact)?;
        Ok(())
    }

    /// A bundle of cosign's old format.
    pub(super) fn old(&self, bytes: &[u8], artifact: &Artifact) -> Result<(), CheckError> {
        let old = OldBundle::parse(bytes)?;
        match (&old.by, &self.signer) {
            (Some(By::Key(key)), Signer::Key(wanted)) if key == wanted => {}
            _ => return Err(CheckError::Key),
        }
        self.detached(&old.signature.ok_or(CheckError::Nothing)?, artifact)
    }

    /// A signature alone, in base64 or as it is, or an envelope.
    pub(super) fn detached(&self, bytes: &[u8], artifact: &Artifact) -> Result<(), CheckError> {
        let bundles = Parts::default().bundles(&self.signer, detached::contents(bytes)?)?;
        if bundles.is_empty() {
            return Err(CheckError::Nothing);
        }
        for bundle in &bundles {
            self.verifier.verify(bundle, artifact)?;
        }
        Ok(())
    }
}
