//! The signature algorithms, and how a key file names them.

use std::fmt;

use p256::pkcs8::ObjectIdentifier as Oid;
use p256::pkcs8::spki::AlgorithmIdentifierRef;

use super::malformed::Malformed;
use super::rsa_size::{RSA_MAX_BITS, RSA_MIN_BITS};

/// What a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// ECDSA on P-256 over SHA-256: what cosign's own keys are.
    EcdsaP256,
    /// ECDSA on P-384 over SHA-256.
    EcdsaP384,
    /// ECDSA on P-521 over SHA-256.
    EcdsaP521,
    /// Ed25519 over the message itself.
    Ed25519,
    /// RSA PKCS#1 v1.5 over SHA-256.
    Rsa {
        /// The size of the modulus in bits.
        bits: u32,
    },
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EcdsaP256 => f.write_str("ECDSA P-256"),
            Self::EcdsaP384 => f.write_str("ECDSA P-384"),
            Self::EcdsaP521 => f.write_str("ECDSA P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
        }
    }
}

/// An elliptic curve that ECDSA works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

/// The kind of a key, from its algorithm identifier; its size is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ecdsa(Curve),
    Ed25519,
    Rsa,
}

const EC: Oid = Oid::new_unwrap("1.2.840.10045.2.1");
const ED25519: Oid = Oid::new_unwrap("1.3.101.112");
const RSA: Oid = Oid::new_unwrap("1.2.840.113549.1.1.1");
const P256: Oid = Oid::new_unwrap("1.2.840.10045.3.1.7");
const P384: Oid = Oid::new_unwrap("1.3.132.0.34");
const P521: Oid = Oid::new_unwrap("1.3.132.0.35");

impl Kind {
    /// The kind that a PKCS#8 or SPKI header names.
    pub(crate) fn of(id: &AlgorithmIdentifierRef<'_>) -> Result<Self, Malformed> {
        match id.oid {
            EC => Curve::of(id.parameters_oid().map_err(|_| Malformed::NoCurve)?).map(Self::Ecdsa),
            ED25519 => Ok(Self::Ed25519),
            // An RSA-PSS key (…1.1.10) may sign with PSS only, so it must not fall in here.
            RSA => Ok(Self::Rsa),
            oid => Err(Malformed::Algorithm { oid: named(oid) }),
        }
    }
}

impl Curve {
    /// The curve of an object identifier.
    pub(crate) fn of(oid: Oid) -> Result<Self, Malformed> {
        match oid {
            P256 => Ok(Self::P256),
            P384 => Ok(Self::P384),
            P521 => Ok(Self::P521),
            oid => Err(Malformed::Curve { oid: named(oid) }),
        }
    }
}

/// Checks the size of an RSA modulus, big-endian without leading zeros, before anything is computed with it.
pub(crate) fn rsa_bits(modulus: &[u8]) -> Result<u32, Malformed> {
    let zeros = modulus.first().map_or(0, |byte| byte.leading_zeros());
    let bits = u32::try_from(modulus.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_sub(zeros);
    if (RSA_MIN_BITS..=RSA_MAX_BITS).contains(&bits) { Ok(bits) } else { Err(Malformed::RsaSize { bits }) }
}

/// An object identifier with the name that people know it by.
fn named(oid: Oid) -> String {
    let text = oid.to_string();
    let name = match text.as_str() {
        "1.3.132.0.10" => "secp256k1",
        "1.3.132.0.33" => "P-224",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        "1.2.840.113549.1.1.10" => "RSA-PSS",
        "1.2.840.10040.4.1" => "DSA",
        "1.3.101.110" => "X25519",
        "1.3.101.113" => "Ed448",
        _ => return text,
    };
    format!("{text} ({name})")
}
