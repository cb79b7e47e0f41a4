//! The signer whose key is in this process's memory.

use std::fmt;

use ecdsa::hazmat::sign_prehashed_rfc6979;
use ed25519_dalek::pkcs8::KeypairBytes;
use p256::pkcs8::der::{Decode as _, ErrorKind, SecretDocument, Tag};
use p256::pkcs8::{EncodePrivateKey as _, PrivateKeyInfoRef};
use rsa::pkcs1::RsaPrivateKeyRef;
use rsa::signature::{Keypair as _, Signer as _};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{KeyError, Signer};
use crate::key::algorithm::{Curve, Kind, rsa_bits};
use crate::key::public::Verifier;
use crate::key::{Hash, Malformed, PublicKey, Signature};

/// A private key, and its public key. Wiped when dropped.
pub struct MemoryKey {
    key: Key,
    public: PublicKey,
}

enum Key {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Rsa(Box<rsa::pkcs1v15::SigningKey<Sha256>>),
}

impl MemoryKey {
    /// The key in the DER of PKCS#8: <https://www.rfc-editor.org/rfc/rfc5958#section-2>.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, Malformed> {
        let info = PrivateKeyInfoRef::from_der(der)?;
        match Kind::of(&info.algorithm)? {
            Kind::Ecdsa(curve) => Self::from_sec1_on(info.private_key.as_bytes(), Some(curve)),
            Kind::Ed25519 => Self::new(Key::Ed25519(Box::new(info.try_into()?))),
            Kind::Rsa => Self::from_pkcs1(info.private_key.as_bytes()),
        }
    }

    /// The key in the DER of SEC1: <https://www.rfc-editor.org/rfc/rfc5915#section-3>.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn from_sec1(der: &[u8]) -> Result<Self, Malformed> {
        Self::from_sec1_on(der, None)
    }

    /// The key in the DER of PKCS#1: <https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.2>.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self, Malformed> {
        let parts = RsaPrivateKeyRef::from_der(der)?;
        // Before any arithmetic: what follows takes a time that grows with the cube of the size.
        rsa_bits(parts.modulus.as_bytes())?;
        let key = rsa::PrivateKey::try_from(parts).map_err(|_| Malformed::Inconsistent)?;
        Self::new(Key::Rsa(Box::new(rsa::pkcs1v15::SigningKey::new(key))))
    }

    /// A SEC1 key on `named`, the curve of the PKCS#8 header around it, or on the curve that it names itself.
    fn from_sec1_on(der: &[u8], named: Option<Curve>) -> Result<Self, Malformed> {
        let parts = sec1::EcPrivateKey::from_der(der).map_err(|error| match error.kind() {
            // A curve may be spelt out as a SEQUENCE of numbers in its name's place; RFC 5480 forbids it.
            ErrorKind::TagUnexpected { expected: Some(Tag::ObjectIdentifier), .. } => Malformed::NoCurve,
            _ => error.into(),
        })?;
        let own = match parts.parameters.and_then(|parameters| parameters.named_curve()) {
            Some(oid) => Some(Curve::of(oid)?),
            None => None,
        };
        // The conversions below check that the key is in range, on this curve, and belongs to the public key beside it.
        let damaged = |_| Malformed::Inconsistent;
        Self::new(match named.or(own).ok_or(Malformed::NoCurve)? {
            Curve::P256 => Key::P256(p256::SecretKey::try_from(parts).map_err(damaged)?.into()),
            Curve::P384 => Key::P384(p384::SecretKey::try_from(parts).map_err(damaged)?.into()),
            Curve::P521 => Key::P521(p521::SecretKey::try_from(parts).map_err(damaged)?.into()),
        })
    }

    /// The key in the DER of PKCS#8, version 1: without its public key, as Go writes it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Encode`], which no key leads to.
    pub(super) fn to_pkcs8(&self) -> Result<SecretDocument, KeyError> {
        let der = match &self.key {
            Key::P256(key) => key.to_pkcs8_der(),
            Key::P384(key) => key.to_pkcs8_der(),
            Key::P521(key) => key.to_pkcs8_der(),
            Key::Ed25519(key) => KeypairBytes { secret_key: key.to_bytes(), public_key: None }.to_pkcs8_der(),
            Key::Rsa(key) => key.to_pkcs8_der(),
        };
        der.map_err(|_| KeyError::Encode)
    }

    fn new(key: Key) -> Result<Self, Malformed> {
        let public = PublicKey::new(match &key {
            Key::P256(key) => Verifier::P256(*key.verifying_key()),
            Key::P384(key) => Verifier::P384(*key.verifying_key()),
            Key::P521(key) => Verifier::P521(*key.verifying_key()),
            Key::Ed25519(key) => Verifier::Ed25519(key.verifying_key()),
            Key::Rsa(key) => Verifier::Rsa(Box::new(key.verifying_key())),
        })?;
        Ok(Self { key, public })
    }
}

impl Signer for MemoryKey {
    fn sign(&self, message: &[u8]) -> Result<Signature, KeyError> {
        match &self.key {
            Key::Ed25519(key) => Ok(Signature(key.sign(message).to_vec())),
            _ => self.sign_digest(Hash::Sha256, &Sha256::digest(message)),
        }
    }

    fn sign_digest(&self, hash: Hash, digest: &[u8]) -> Result<Signature, KeyError> {
        let refused = || KeyError::Digest(self.public.algorithm());
        if digest.len() != hash.size() {
            return Err(refused());
        }
        // RFC 6979 uses the message's hash in the nonce too. The curves' own `sign_prehash` would take SHA-384 and SHA-512
        // there, for P-384 and P-521: as safe, but not the bytes that the RFC's test vectors give.
        macro_rules! ecdsa {
            ($key:expr, $curve:ty) => {{
                let scalar = $key.as_nonzero_scalar();
                let (signature, _) = match hash {
                    Hash::Sha256 => sign_prehashed_rfc6979::<$curve, Sha256>(scalar, digest, &[]),
                    Hash::Sha384 => sign_prehashed_rfc6979::<$curve, Sha384>(scalar, digest, &[]),
                    Hash::Sha512 => sign_prehashed_rfc6979::<$curve, Sha512>(scalar, digest, &[]),
                };
                signature.to_der().as_bytes().to_vec()
            }};
        }
        Ok(Signature(match &self.key {
            Key::P256(key) => ecdsa!(key, p256::NistP256),
            Key::P384(key) => ecdsa!(key, p384::NistP384),
            Key::P521(key) => ecdsa!(key, p521::NistP521),
            Key::Ed25519(_) => return Err(refused()),
            // The random numbers blind the computation; they don't change its result.
            Key::Rsa(key) => {
                let private: &rsa::PrivateKey = key.as_ref().as_ref();
                let signed = private.sign_with_rng(&mut getrandom::SysRng, hash.pkcs1v15(), digest);
                signed.map_err(|error| KeyError::Sign(error.into()))?
            }
        }))
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

impl fmt::Debug for MemoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKey").field("public", &self.public).finish_non_exhaustive()
    }
}
