//! The signature itself: over the artifact, or over an envelope's encoding.

use super::artifact::{Artifact, Wanted};
use super::error::{BundleError, ContentError};
use super::format::{Bundle, Content};
use crate::sign::{Algorithm, Hash, PublicKey, VerifyError};

/// The hashes that a kind of key signs: Sigstore's registry of algorithms first, then what older clients did.
fn hashes(algorithm: Algorithm) -> &'static [Hash] {
    match algorithm {
        Algorithm::EcdsaP384 => &[Hash::Sha384, Hash::Sha256],
        Algorithm::EcdsaP521 => &[Hash::Sha512, Hash::Sha256],
        _ => &[Hash::Sha256],
    }
}

/// What must be known of the artifact to verify `bundle` with `key`.
pub(super) fn wanted(bundle: &Bundle, key: &PublicKey) -> Wanted {
    match &bundle.content {
        Content::Dsse(envelope) => {
            let says = |name: &[u8]| envelope.payload().windows(name.len()).any(|window| window == name);
            Wanted { wide: says(b"\"sha384\"") || says(b"\"sha512\""), whole: false }
        }
        Content::Message { digest, .. } => {
            let ed25519 = key.algorithm() == Algorithm::Ed25519;
            let claimed = digest.as_ref().is_some_and(|(hash, _)| *hash != Hash::Sha256);
            Wanted { wide: ed25519 || claimed || hashes(key.algorithm()).len() > 1, whole: ed25519 }
        }
    }
}

/// Checks that `key` made `signature` over the bytes of `artifact`.
///
/// # Errors
///
/// It did not, or not enough is known of the artifact to say.
pub(super) fn verify(key: &PublicKey, artifact: &Artifact, signature: &[u8]) -> Result<(), BundleError> {
    let verified = match key.algorithm() {
        Algorithm::Ed25519 => ed25519(key, artifact, signature),
        algorithm => over_digest(key, hashes(algorithm), artifact, signature),
    };
    verified.map_err(BundleError::Content)
}

fn over_digest(
    key: &PublicKey,
    hashes: &[Hash],
    artifact: &Artifact,
    signature: &[u8],
) -> Result<(), ContentError> {
    let mut failed = None;
    let mut missing = None;
    for hash in hashes {
        match artifact.by(*hash) {
            Some(digest) => match key.verify_digest(*hash, &digest, signature) {
                Ok(()) => return Ok(()),
                Err(error) => failed = Some(error),
            },
            None => missing = Some(*hash),
        }
    }
    Err(match (missing, failed) {
        (Some(hash), _) => ContentError::NeedsFile { algorithm: key.algorithm(), wants: hash.name() },
        (None, failed) => ContentError::Signature(failed.unwrap_or(VerifyError::Mismatch(key.algorithm()))),
    })
}

/// Ed25519ph is what logs keep; the plain algorithm is what everybody else signs.
fn ed25519(key: &PublicKey, artifact: &Artifact, signature: &[u8]) -> Result<(), ContentError> {
    if artifact.sha512().is_some_and(|hasher| key.verify_ed25519ph(hasher, signature).is_ok()) {
        return Ok(());
    }
    match artifact.whole() {
        Some(bytes) => key.verify(bytes, signature).map_err(ContentError::Signature),
        None => Err(ContentError::NeedsFile { algorithm: key.algorithm(), wants: "all of it" }),
    }
}
