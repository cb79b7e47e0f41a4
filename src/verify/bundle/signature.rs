//! The signature itself: over the artifact, or over an envelope's encoding.
//!
//! An RSA signature says which hash it is of. An ECDSA signature doesn't, and a key may sign any: the likeliest is tried first, and the others
//! where they are known. Each is of the SHA-2 family and cut to the length of the curve's order, as FIPS 186-5 has it.

use std::fmt;

use super::artifact::{Artifact, Wanted};
use super::body;
use super::error::{BundleError, ContentError};
use super::format::{Bundle, Content};
use crate::key::{Algorithm, Hash, Opened, PublicKey, VerifyError};

/// The hashes that an ECDSA key may sign, the likeliest first: what Sigstore's registry of algorithms has for its curve, then what older
/// clients did.
fn hashes(algorithm: Algorithm) -> [Hash; 3] {
    match algorithm {
        Algorithm::EcdsaP384 => [Hash::Sha384, Hash::Sha256, Hash::Sha512],
        Algorithm::EcdsaP521 => [Hash::Sha512, Hash::Sha256, Hash::Sha384],
        _ => Hash::ALL,
    }
}

/// What must be known of the artifact to verify `bundle` with `key`, in all likelihood.
pub(super) fn wanted(bundle: &Bundle, key: &PublicKey, only: Option<Hash>) -> Wanted {
    match &bundle.content {
        Content::Dsse(envelope) => {
            let says = |name: &[u8]| envelope.payload().windows(name.len()).any(|window| window == name);
            Wanted { sha384: says(b"\"sha384\""), sha512: says(b"\"sha512\""), whole: false }
        }
        Content::Message { digest, signature } => {
            let signed = match key.algorithm() {
                Algorithm::Ed25519 => Wanted { sha512: true, whole: true, sha384: false },
                Algorithm::Rsa { .. } => match key.open(signature) {
                    Some(Opened::Digest(hash)) => Wanted::default().and(hash),
                    _ => Wanted::default(),
                },
                algorithm => {
                    let [likeliest, ..] = hashes(algorithm);
                    Wanted::default().and(only.unwrap_or(likeliest))
                }
            };
            let claimed = digest.iter().map(|(hash, _)| *hash);
            claimed.chain(bundle.entries.iter().filter_map(body::hash)).fold(signed, Wanted::and)
        }
    }
}

/// Checks that `key` made `signature` over the bytes of `artifact`, and over their digest by the hash `only`, if there is one.
///
/// # Errors
///
/// It did not, or not enough is known of the artifact to say.
pub(super) fn verify(
    key: &PublicKey,
    artifact: &Artifact,
    signature: &[u8],
    only: Option<Hash>,
) -> Result<(), BundleError> {
    let verified = match key.algorithm() {
        Algorithm::Ed25519 => ed25519(key, artifact, signature),
        Algorithm::Rsa { .. } => rsa(key, artifact, signature, only),
        algorithm => ecdsa(key, (algorithm, only), artifact, signature),
    };
    verified.map_err(|error| {
        let other = match &error {
            ContentError::Signature {
                error: VerifyError::Malformed(_) | VerifyError::Mismatch(_), ..
            }
            | ContentError::NeedsFile { .. } => other_kind(key.algorithm(), signature),
            _ => None,
        };
        BundleError::Content(other.unwrap_or(error))
    })
}

/// What a signature looks like that a key of `algorithm` can't have made; `None`: it could have, or it looks like nothing that is known.
fn other_kind(algorithm: Algorithm, signature: &[u8]) -> Option<ContentError> {
    let length = signature.len();
    // A SEQUENCE of its own length, which begins with an INTEGER.
    let is_ecdsa = match signature {
        [0x30, rest, 2, ..] => usize::from(*rest) + 2 == length && *rest < 0x80,
        [0x30, 0x81, rest, 2, ..] => usize::from(*rest) + 3 == length,
        _ => false,
    };
    let found = match (algorithm, length) {
        (Algorithm::Rsa { bits }, _) if u32::try_from(length) == Ok(bits.div_ceil(8)) => return None,
        (Algorithm::Rsa { .. } | Algorithm::Ed25519, _) if is_ecdsa => "an ECDSA signature",
        (_, _) if is_ecdsa => return None,
        (Algorithm::Ed25519, 64) => return None,
        (_, 64) => "an Ed25519 signature, or of an ECDSA P-256 signature in IEEE P1363, which is not read",
        (_, 96 | 132) => "an ECDSA signature in IEEE P1363, which is not read",
        (Algorithm::Rsa { .. }, 256 | 384 | 512 | 1024) => "an RSA signature by a key of another size",
        (_, 256 | 384 | 512 | 1024) => "an RSA signature",
        _ => return None,
    };
    Some(ContentError::OtherKind { key: algorithm, found })
}

fn ecdsa(
    key: &PublicKey,
    (algorithm, only): (Algorithm, Option<Hash>),
    artifact: &Artifact,
    signature: &[u8],
) -> Result<(), ContentError> {
    let mut tried = Tried::default();
    let mut unknown = None;
    let mut error = VerifyError::Mismatch(algorithm);
    let allowed = hashes(algorithm).into_iter().filter(|hash| only.is_none_or(|only| only == *hash));
    for (rank, hash) in allowed.enumerate() {
        match artifact.by(hash) {
            Some(digest) => match key.verify_digest(hash, &digest, signature) {
                Ok(()) => return Ok(()),
                Err(VerifyError::Malformed(algorithm)) => {
                    let (error, tried) = (VerifyError::Malformed(algorithm), Tried::default());
                    return Err(ContentError::Signature { error, tried });
                }
                Err(failed) => {
                    tried = tried.and(hash);
                    error = failed;
                }
            },
            None if rank == 0 => unknown = Some(hash),
            None => tried = tried.not_all(),
        }
    }
    Err(match unknown {
        Some(hash) if tried == Tried::default() || only.is_some() => {
            ContentError::NeedsFile { algorithm, wants: hash.name() }
        }
        Some(_) => ContentError::Signature { error, tried: tried.not_all() },
        None => ContentError::Signature { error, tried },
    })
}

fn rsa(
    key: &PublicKey,
    artifact: &Artifact,
    signature: &[u8],
    only: Option<Hash>,
) -> Result<(), ContentError> {
    let algorithm = key.algorithm();
    let failed = |error| Err(ContentError::Signature { error, tried: Tried::default() });
    match (key.open(signature), only) {
        (None, _) => failed(VerifyError::Mismatch(algorithm)),
        (Some(Opened::Unknown(hash)), _) => failed(VerifyError::OtherHash(algorithm, hash)),
        (Some(Opened::Pss), _) => failed(VerifyError::Pss(algorithm)),
        (Some(Opened::Digest(found)), Some(wanted)) if found != wanted => {
            Err(ContentError::Hash { found, wanted })
        }
        (Some(Opened::Digest(hash)), _) => match artifact.by(hash) {
            None => Err(ContentError::NeedsFile { algorithm, wants: hash.name() }),
            Some(digest) => match key.verify_digest(hash, &digest, signature) {
                Ok(()) => Ok(()),
                Err(_) => failed(VerifyError::OtherBytes(algorithm, hash)),
            },
        },
    }
}

/// Ed25519ph is what logs keep; the plain algorithm is what everybody else signs. Neither leaves a choice of the hash.
fn ed25519(key: &PublicKey, artifact: &Artifact, signature: &[u8]) -> Result<(), ContentError> {
    if artifact.sha512().is_some_and(|hasher| key.verify_ed25519ph(hasher, signature).is_ok()) {
        return Ok(());
    }
    let failed = |error| ContentError::Signature { error, tried: Tried::default() };
    match artifact.whole() {
        Some(bytes) => key.verify(bytes, signature).map_err(failed),
        None => Err(ContentError::NeedsFile { algorithm: key.algorithm(), wants: "all of it" }),
    }
}

/// The hashes that were tried with a signature that doesn't say which it is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    hashes: [bool; 3],
    more: bool,
}

impl Tried {
    /// The same and this one.
    #[must_use]
    fn and(mut self, hash: Hash) -> Self {
        for (tried, one) in self.hashes.iter_mut().zip(Hash::ALL) {
            *tried |= one == hash;
        }
        self
    }

    /// Whether others could be tried if more were known of the artifact.
    pub(super) fn more(self) -> bool {
        self.more
    }

    /// The same, where others could be tried if more were known of the artifact.
    #[must_use]
    fn not_all(self) -> Self {
        Self { more: true, ..self }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tried = Hash::ALL.into_iter().zip(self.hashes).filter(|(_, tried)| *tried);
        let names: Vec<&str> = tried.map(|(hash, _)| hash.name()).collect();
        match names.is_empty() {
            true => Ok(()),
            false => write!(f, " (tried: {})", names.join(", ")),
        }
    }
}

impl BundleError {
    /// Whether another verdict is possible once every digest of the artifact is known.
    pub(crate) fn lacks_digest(&self) -> bool {
        match self {
            Self::Content(ContentError::Signature { tried, .. }) => tried.more,
            Self::Content(ContentError::NeedsFile { wants, .. }) => Hash::named(wants).is_some(),
            _ => false,
        }
    }

    /// Whether it is known that the key made the signature, though not of this.
    pub(crate) fn is_by_key(&self) -> bool {
        match self {
            Self::Content(ContentError::Signature { error, .. }) => error.is_by_key(),
            Self::Content(ContentError::Hash { .. }) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
