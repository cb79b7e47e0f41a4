//! Signers' keys of every kind with every hash, the same whenever they are made. What the private Sigstore itself signs with is P-256.

use std::sync::LazyLock;

use ecdsa::hazmat::sign_prehashed_rfc6979;
use p256::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
use rsa::traits::PublicKeyParts as _;
use sha2::{Digest as _, Sha256, Sha512};
use stepseal::key::Hash;

use super::asn1::{octets, oid, seq, tlv};
use super::sigstore::{key, sha256, spki};

/// The kind of the key `signer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    P256,
    P384,
    P521,
    Rsa,
}

static P384: LazyLock<p384::ecdsa::SigningKey> =
    LazyLock::new(|| p384::ecdsa::SigningKey::from_slice(&Hash::Sha384.digest(b"signer")).unwrap());

/// The curve's order has 521 bits, and two bytes of zero stand before 512 of them.
static P521: LazyLock<p521::ecdsa::SigningKey> = LazyLock::new(|| {
    p521::ecdsa::SigningKey::from_slice(&[&[0, 0], &Sha512::digest(b"signer")[..]].concat()).unwrap()
});

/// There is no short way to an RSA key from a name.
static RSA: LazyLock<rsa::PrivateKey> = LazyLock::new(|| {
    rsa::PrivateKey::from_pkcs8_pem(include_str!("../../data/keys/rsa2048.pkcs8.pem")).unwrap()
});

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::P256, Self::P384, Self::P521, Self::Rsa];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::P521 => "p521",
            Self::Rsa => "rsa",
        }
    }

    /// What Sigstore's registry of algorithms calls it with this hash; there are pairs that it doesn't have.
    pub(crate) fn details(self, hash: Hash) -> String {
        let bits = hash.size() * 8;
        match self {
            Self::Rsa => format!("PKIX_RSA_PKCS1V15_2048_SHA{bits}"),
            curve => format!("PKIX_ECDSA_{}_SHA_{bits}", curve.name().to_uppercase()),
        }
    }

    pub(crate) fn spki(self) -> Vec<u8> {
        match self {
            Self::P256 => spki(&key("signer")),
            Self::P384 => P384.verifying_key().to_public_key_der().unwrap().into_vec(),
            Self::P521 => P521.verifying_key().to_public_key_der().unwrap().into_vec(),
            Self::Rsa => RSA.to_public_key().to_public_key_der().unwrap().into_vec(),
        }
    }

    pub(crate) fn sign(self, hash: Hash, message: &[u8]) -> Vec<u8> {
        let digest = hash.digest(message);
        macro_rules! ecdsa {
            ($key:expr, $curve:ty) => {
                sign_prehashed_rfc6979::<$curve, Sha256>($key.as_nonzero_scalar(), &digest, &[])
                    .0
                    .to_der()
                    .as_bytes()
                    .to_vec()
            };
        }
        match self {
            Self::P256 => ecdsa!(key("signer"), p256::NistP256),
            Self::P384 => ecdsa!(P384, p384::NistP384),
            Self::P521 => ecdsa!(P521, p521::NistP521),
            Self::Rsa => {
                let id = match hash {
                    Hash::Sha256 => "2.16.840.1.101.3.4.2.1",
                    Hash::Sha384 => "2.16.840.1.101.3.4.2.2",
                    Hash::Sha512 => "2.16.840.1.101.3.4.2.3",
                };
                rsa_pkcs1(id, &digest)
            }
        }
    }
}

/// RSA's own operation on an encoded message.
fn rsa_raw(encoded: &[u8]) -> Vec<u8> {
    let key = &*RSA;
    let number = rsa::BoxedUint::from_be_slice(encoded, key.n_bits_precision()).unwrap();
    let signed = rsa::hazmat::rsa_decrypt_and_check(key, None::<&mut getrandom::SysRng>, &number).unwrap();
    let bytes = signed.to_be_bytes();
    bytes[bytes.len() - key.size()..].to_vec()
}

/// PKCS#1 v1.5 of a digest by the hash of that id, which may be one that nobody should sign any more.
/// <https://www.rfc-editor.org/rfc/rfc8017#section-9.2>
pub(crate) fn rsa_pkcs1(hash: &str, digest: &[u8]) -> Vec<u8> {
    let info = seq(&[seq(&[oid(hash), tlv(5, &[])]), octets(digest)]);
    let padding = vec![0xff; RSA.size() - info.len() - 3];
    rsa_raw(&[&[0, 1], &padding[..], &[0], &info[..]].concat())
}

/// PSS with SHA-256, MGF1 and a salt that is always the same: <https://www.rfc-editor.org/rfc/rfc8017#section-9.1.1>.
pub(crate) fn rsa_pss(message: &[u8]) -> Vec<u8> {
    let salt = sha256("salt");
    let hash = sha256([&[0; 8], &sha256(message)[..], &salt[..]].concat());
    let length = RSA.size() - hash.len() - 1;
    let mut block = vec![0; length - salt.len() - 1];
    block.push(1);
    block.extend(salt);
    let counters = 0..u32::try_from(length.div_ceil(hash.len())).unwrap();
    let mask: Vec<u8> =
        counters.flat_map(|count| sha256([&hash[..], &count.to_be_bytes()].concat())).collect();
    block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    // The modulus has a multiple of eight bits, of which one is spared.
    block[0] &= 0x7f;
    rsa_raw(&[&block[..], &hash[..], &[0xbc]].concat())
}
