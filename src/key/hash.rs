//! The hash functions of signatures that others made.

use std::fmt;

use rsa::pkcs1v15::Pkcs1v15Sign;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A hash function of the SHA-2 family: what logs, timestamps, certificates and bundles name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// The hash function of FIPS 180-4 with this length.
    Sha256,
    /// The hash function of FIPS 180-4 with this length.
    Sha384,
    /// The hash function of FIPS 180-4 with this length.
    Sha512,
}

impl Hash {
    /// The hash function of FIPS 180-4 with this length.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The hash of that [name](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.name() == name)
    }

    /// The hash that cosign's `--signature-digest-algorithm` names, in either case. cosign knows SHA-224 too, which no Sigstore client signs.
    pub fn asked(text: &str) -> Option<Self> {
        Self::named(&text.trim().to_ascii_lowercase())
    }

    /// How many bytes its digests have.
    pub const fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    /// Its name, as in-toto statements and Rekor entries write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    pub(crate) fn pkcs1v15(self) -> Pkcs1v15Sign {
        match self {
            Self::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
            Self::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
            Self::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
