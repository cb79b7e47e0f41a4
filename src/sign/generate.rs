//! A new key pair, as `cosign generate-key-pair` makes it.

use p256::pkcs8::EncodePrivateKey as _;
use zeroize::Zeroizing;

use super::sealed::{Cost, SealedKey};
use super::{KeyError, MemoryKey, Signer as _};
use crate::secret::Secret;

/// A new key pair, as the two files hold it.
#[derive(Debug)]
pub struct KeyPair {
    /// `cosign.key`: `ENCRYPTED SIGSTORE PRIVATE KEY`.
    pub private_pem: Secret,
    /// `cosign.pub`.
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
    let public = MemoryKey::from_pkcs8(der.as_bytes()).map_err(|_| KeyError::Encode)?;
    Ok(KeyPair {
        private_pem: SealedKey::seal(der.as_bytes(), password, Cost::New)?.into(),
        public_pem: public.public_key().to_pem(),
    })
}
