//! How a key signs a file: by which hash, or whole.
//!
//! As cosign 3.1.2 signs files and attestations about files: each curve of ECDSA has a hash of its own, RSA signs SHA-256, and Ed25519 the
//! message itself. (An image's signature is over SHA-256 on every curve, because `cosign verify` looks for no other.)
//!
//! The names are those of Sigstore's registry:
//! <https://github.com/sigstore/sigstore/blob/v1.10.0/pkg/signature/algorithm_registry.go>

use super::{Algorithm, Hash};

/// How a key signs a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Its digest by this hash.
    Digest(Hash),
    /// The whole of it, as Ed25519 does.
    Whole,
}

/// Every name that is understood: which key it is for (RSA of exactly that size), and what it signs. cosign itself takes those of them
/// that Fulcio issues certificates for.
const NAMES: [(&str, Algorithm, Scheme); 9] = [
    ("ecdsa-sha2-256-nistp256", Algorithm::EcdsaP256, Scheme::Digest(Hash::Sha256)),
    ("ecdsa-sha2-384-nistp384", Algorithm::EcdsaP384, Scheme::Digest(Hash::Sha384)),
    ("ecdsa-sha2-256-nistp384", Algorithm::EcdsaP384, Scheme::Digest(Hash::Sha256)),
    ("ecdsa-sha2-512-nistp521", Algorithm::EcdsaP521, Scheme::Digest(Hash::Sha512)),
    ("ecdsa-sha2-256-nistp521", Algorithm::EcdsaP521, Scheme::Digest(Hash::Sha256)),
    ("ed25519", Algorithm::Ed25519, Scheme::Whole),
    ("rsa-sign-pkcs1-2048-sha256", Algorithm::Rsa { bits: 2048 }, Scheme::Digest(Hash::Sha256)),
    ("rsa-sign-pkcs1-3072-sha256", Algorithm::Rsa { bits: 3072 }, Scheme::Digest(Hash::Sha256)),
    ("rsa-sign-pkcs1-4096-sha256", Algorithm::Rsa { bits: 4096 }, Scheme::Digest(Hash::Sha256)),
];

/// Why a name of an algorithm is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// No signing algorithm has this name.
    #[error("it is not the name of a signing algorithm that this version has")]
    Unknown,
    /// The name of another key's algorithm.
    #[error("it is for another kind of key: this one is {0}")]
    OtherKey(Algorithm),
}

impl Scheme {
    /// What a key of `algorithm` signs by default.
    pub fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EcdsaP384 => Self::Digest(Hash::Sha384),
            Algorithm::EcdsaP521 => Self::Digest(Hash::Sha512),
            Algorithm::Ed25519 => Self::Whole,
            Algorithm::EcdsaP256 | Algorithm::Rsa { .. } => Self::Digest(Hash::Sha256),
        }
    }

    /// What the algorithm of that `name` signs, with a key of `algorithm`.
    ///
    /// # Errors
    ///
    /// There is no such name, or it is for another key.
    pub fn named(name: &str, algorithm: Algorithm) -> Result<Self, SchemeError> {
        let (_, of, scheme) = NAMES.iter().find(|(known, ..)| *known == name).ok_or(SchemeError::Unknown)?;
        if *of == algorithm { Ok(*scheme) } else { Err(SchemeError::OtherKey(algorithm)) }
    }

    /// Every [name](Self::named), for an error.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, ..)| *name)
    }

    /// The hash; `None`: the whole is signed.
    pub(crate) fn hash(self) -> Option<Hash> {
        match self {
            Self::Digest(hash) => Some(hash),
            Self::Whole => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_fits_one_kind_of_key_and_the_default_has_a_name() {
        let keys = [2048, 3072, 4096].map(|bits| Algorithm::Rsa { bits });
        let keys = keys.into_iter().chain([
            Algorithm::EcdsaP256,
            Algorithm::EcdsaP384,
            Algorithm::EcdsaP521,
            Algorithm::Ed25519,
        ]);
        for key in keys {
            let fitting: Vec<Scheme> =
                Scheme::names().filter_map(|name| Scheme::named(name, key).ok()).collect();
            assert_eq!(fitting.first(), Some(&Scheme::of(key)), "{key}");
        }
        for name in Scheme::names() {
            let other = Scheme::named(name, Algorithm::Rsa { bits: 2056 });
            assert_eq!(other, Err(SchemeError::OtherKey(Algorithm::Rsa { bits: 2056 })), "{name}");
        }
        assert_eq!(Scheme::named("ed25519-ph", Algorithm::Ed25519), Err(SchemeError::Unknown));
    }
}
