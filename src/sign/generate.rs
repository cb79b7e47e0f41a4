//! Key pairs as `cosign generate-key-pair` and `cosign import-key-pair` make them.

use std::path::Path;

use p256::pkcs8::EncodePrivateKey as _;
use zeroize::Zeroizing;

use super::file::{self, KEY_BYTES};
use super::sealed::{Cost, SealedKey};
use super::{KeyError, MemoryKey, ParsedKey, Signer as _, parse_private};
use crate::secret::Secret;

/// A key pair, as the two files hold it.
#[derive(Debug)]
pub struct KeyPair {
    /// `cosign.key`: `ENCRYPTED SIGSTORE PRIVATE KEY`.
    pub private_pem: Secret,
    /// The content of `cosign.pub`, in PEM.
    pub public_pem: String,
}

/// Makes an ECDSA P-256 key, encrypted under `password`, which may be empty. Runs scrypt: about 0.2 s and 64 MiB.
///
/// # Errors
///
/// The system gives no random numbers.
pub fn generate(password: &Secret) -> Result<KeyPair, KeyError> {
    let mut scalar = Zeroizing::new([0_u8; 32]);
    let key = loop {
        getrandom::fill(scalar.as_mut_slice()).map_err(KeyError::Random)?;
        // One in 2^32 numbers is not below the curve's order; trying anew keeps the choice even.
        if let Ok(key) = p256::SecretKey::from_slice(scalar.as_slice()) {
            break key;
        }
    };
    let der = key.to_pkcs8_der().map_err(|_| KeyError::Encode)?;
    // Read back by the same code that will sign with it.
    let key = MemoryKey::from_pkcs8(der.as_bytes()).map_err(|_| KeyError::Encode)?;
    KeyPair::of(&key, password)
}

impl KeyPair {
    /// The pair of `key`, which may be of any kind, encrypted under `password`, which may be empty. Runs scrypt: about 0.2 s and 64 MiB.
    ///
    /// # Errors
    ///
    /// The system gives no random numbers.
    pub fn of(key: &MemoryKey, password: &Secret) -> Result<Self, KeyError> {
        Ok(Self {
            private_pem: SealedKey::seal(key.to_pkcs8()?.as_bytes(), password, Cost::New)?.into(),
            public_pem: key.public_key().to_pem(),
        })
    }
}

/// The key in the file at `path`, in PEM and not encrypted: what a pair is made [of](KeyPair::of).
///
/// # Errors
///
/// The file can't be read, or holds something else.
pub fn read_plain(path: &Path) -> Result<MemoryKey, KeyError> {
    let pem = file::read(path, KEY_BYTES)?;
    let parsed = parse_private(&pem)
        .map_err(|source| KeyError::Unusable { origin: path.display().to_string(), source })?;
    match parsed {
        ParsedKey::Open(key) => Ok(*key),
        ParsedKey::Sealed(_) => Err(KeyError::Sealed { path: path.to_owned() }),
    }
}
