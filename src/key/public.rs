//! Public keys: what verifies a signature, and the names that formats give a key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::pkcs8::der::Decode as _;
use p256::pkcs8::{EncodePublicKey as _, SubjectPublicKeyInfoRef};
use pem_rfc7468::LineEnding;
use rsa::pkcs1::RsaPublicKeyRef;
use rsa::signature::Verifier as _;
use rsa::traits::PublicKeyParts as _;
use sha2::{Digest as _, Sha256, Sha512};

use super::algorithm::{Algorithm, Curve, Kind, rsa_bits};
use super::armor::Block;
use super::form;
use super::hash::Hash;
use super::malformed::Malformed;

/// The PEM label of PKCS#1: <https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.1>.
const RSA_PUBLIC_KEY: &str = "RSA PUBLIC KEY";

/// A public key that verifies signatures.
#[derive(Clone)]
pub struct PublicKey {
    verifier: Verifier,
    /// DER of SubjectPublicKeyInfo, written anew, so that one key has one form.
    der: Vec<u8>,
}

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Not a signature of this key's algorithm.
    #[error("the signature is malformed: it is not an {0} signature")]
    Malformed(Algorithm),
    /// A signature, but not of these bytes by this key.
    #[error("the signature was not made over these bytes with this {0} key")]
    Mismatch(Algorithm),
    /// An RSA signature by this key, of other bytes.
    #[error("this {0} key made the signature, over other bytes (their {1})")]
    OtherBytes(Algorithm, Hash),
    /// An RSA signature by this key, of a hash that isn't verified.
    #[error("this {0} key made the signature, over {1}; SHA-256, SHA-384 and SHA-512 are verified")]
    OtherHash(Algorithm, &'static str),
    /// An RSA signature that isn't padded as PKCS #1 v1.5 has it, and ends as PSS does.
    #[error(
        "opened with this {0} key, the signature is not of PKCS #1 v1.5; it ends as RSA-PSS does, which is not verified"
    )]
    Pss(Algorithm),
}

impl VerifyError {
    /// Whether the key made the signature all the same: RSA signatures can be opened, others only compared.
    pub(crate) fn is_by_key(self) -> bool {
        matches!(self, Self::OtherBytes(..) | Self::OtherHash(..))
    }
}

/// What an RSA signature says it is of, once the key has opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A digest by this hash.
    Digest(Hash),
    /// Something else, well padded: the hash by its name, or "another hash".
    Unknown(&'static str),
    /// Not padded as PKCS #1 v1.5 has it, but with the last byte of RSA-PSS, which one in 256 other texts has too.
    Pss,
}

#[derive(Clone)]
pub(crate) enum Verifier {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
    Rsa(Box<rsa::pkcs1v15::VerifyingKey<Sha256>>),
}

impl PublicKey {
    /// Reads `-----BEGIN PUBLIC KEY-----`, as cosign.pub holds it: <https://www.rfc-editor.org/rfc/rfc5280#section-4.1>; and, as
    /// cosign does, `-----BEGIN RSA PUBLIC KEY-----`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn from_pem(pem: &str) -> Result<Self, Malformed> {
        Self::parse(pem.as_bytes())
    }

    /// The key in PEM bytes, for callers that know what to call them in an error.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let blocks = Block::all(bytes)?;
        let is_public = |block: &&Block<'_>| matches!(block.label, "PUBLIC KEY" | RSA_PUBLIC_KEY);
        let public: Vec<&Block<'_>> = blocks.iter().filter(is_public).collect();
        match public.as_slice() {
            [block] if block.label == RSA_PUBLIC_KEY => Self::from_pkcs1_der(&block.decode()?),
            [block] => Self::from_der(&block.decode()?),
            [] if form::has_private(&blocks) => Err(Malformed::PrivateKey),
            [] if form::has_certificate(&blocks) => Err(Malformed::PublicCertificate),
            [] => Err(form::unknown(&blocks)),
            several => Err(Malformed::Several { count: several.len(), kind: "public" }),
        }
    }

    /// The key in the DER of a SubjectPublicKeyInfo: <https://www.rfc-editor.org/rfc/rfc5280#section-4.1>.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        let info = SubjectPublicKeyInfoRef::from_der(der)?;
        Self::new(match Kind::of(&info.algorithm)? {
            Kind::Ecdsa(Curve::P256) => Verifier::P256(info.try_into()?),
            Kind::Ecdsa(Curve::P384) => Verifier::P384(info.try_into()?),
            Kind::Ecdsa(Curve::P521) => Verifier::P521(info.try_into()?),
            Kind::Ed25519 => Verifier::Ed25519(info.try_into()?),
            Kind::Rsa => {
                let bits = info.subject_public_key.as_bytes().ok_or(Malformed::Inconsistent)?;
                return Self::from_pkcs1_der(bits);
            }
        })
    }

    /// An RSA key in the DER of an RSAPublicKey: <https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.1>.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn from_pkcs1_der(der: &[u8]) -> Result<Self, Malformed> {
        let parts = RsaPublicKeyRef::from_der(der)?;
        rsa_bits(parts.modulus.as_bytes())?;
        let key = rsa::PublicKey::try_from(parts).map_err(|_| Malformed::Inconsistent)?;
        Self::new(Verifier::Rsa(Box::new(rsa::pkcs1v15::VerifyingKey::new(key))))
    }

    pub(crate) fn new(verifier: Verifier) -> Result<Self, Malformed> {
        let der = match &verifier {
            Verifier::P256(key) => key.to_public_key_der(),
            Verifier::P384(key) => key.to_public_key_der(),
            Verifier::P521(key) => key.to_public_key_der(),
            Verifier::Ed25519(key) => key.to_public_key_der(),
            Verifier::Rsa(key) => key.to_public_key_der(),
        }?;
        Ok(Self { verifier, der: der.into_vec() })
    }

    /// The key as cosign.pub holds it.
    pub fn to_pem(&self) -> String {
        // It fails for a label that isn't one, or a key of gigabytes.
        pem_rfc7468::encode_string("PUBLIC KEY", LineEnding::LF, &self.der).unwrap_or_default()
    }

    /// The DER of its SubjectPublicKeyInfo.
    pub fn to_der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the algorithm that this key verifies.
    pub fn algorithm(&self) -> Algorithm {
        match &self.verifier {
            Verifier::P256(_) => Algorithm::EcdsaP256,
            Verifier::P384(_) => Algorithm::EcdsaP384,
            Verifier::P521(_) => Algorithm::EcdsaP521,
            Verifier::Ed25519(_) => Algorithm::Ed25519,
            Verifier::Rsa(key) => Algorithm::Rsa { bits: rsa(key).n().bit_width() },
        }
    }

    /// Checks that `signature` was made over `message` with the private key of this key.
    ///
    /// # Errors
    ///
    /// If it was not, or if it is not a signature at all.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        let malformed = |_| VerifyError::Malformed(self.algorithm());
        let digest = Sha256::digest(message);
        let verified = match &self.verifier {
            Verifier::P256(key) => {
                key.verify_prehash(&digest, &p256::ecdsa::Signature::from_der(signature).map_err(malformed)?)
            }
            Verifier::P384(key) => {
                key.verify_prehash(&digest, &p384::ecdsa::Signature::from_der(signature).map_err(malformed)?)
            }
            Verifier::P521(key) => {
                key.verify_prehash(&digest, &p521::ecdsa::Signature::from_der(signature).map_err(malformed)?)
            }
            // Strict: a weak key, for which one signature fits many messages, verifies nothing.
            Verifier::Ed25519(key) => key
                .verify_strict(message, &ed25519_dalek::Signature::from_slice(signature).map_err(malformed)?),
            Verifier::Rsa(key) => {
                if signature.len() != rsa(key).size() {
                    return Err(VerifyError::Malformed(self.algorithm()));
                }
                key.verify(message, &signature.try_into().map_err(malformed)?)
            }
        };
        verified.map_err(|_| VerifyError::Mismatch(self.algorithm()))
    }

    /// Checks that `signature` was made, with the private key of this key, over the message whose digest by `hash` this is.
    ///
    /// Other systems sign other hashes than we do ([`Hash`](enum@Hash)); Ed25519 has no digest but SHA-512's, and that in
    /// [`verify_ed25519ph`](Self::verify_ed25519ph).
    ///
    /// # Errors
    ///
    /// If it was not, or if it is not a signature at all.
    pub(crate) fn verify_digest(
        &self,
        hash: Hash,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        let malformed = |_| VerifyError::Malformed(self.algorithm());
        let verified =
            match &self.verifier {
                Verifier::P256(key) => key
                    .verify_prehash(digest, &p256::ecdsa::Signature::from_der(signature).map_err(malformed)?),
                Verifier::P384(key) => key
                    .verify_prehash(digest, &p384::ecdsa::Signature::from_der(signature).map_err(malformed)?),
                Verifier::P521(key) => key
                    .verify_prehash(digest, &p521::ecdsa::Signature::from_der(signature).map_err(malformed)?),
                Verifier::Ed25519(_) => return Err(VerifyError::Mismatch(self.algorithm())),
                Verifier::Rsa(key) => {
                    return rsa(key)
                        .verify(hash.pkcs1v15(), digest, signature)
                        .map_err(|_| VerifyError::Mismatch(self.algorithm()));
                }
            };
        verified.map_err(|_| VerifyError::Mismatch(self.algorithm()))
    }

    /// Opens the RSA PKCS#1 v1.5 `signature`, to see which hash it is of: <https://www.rfc-editor.org/rfc/rfc8017#section-9.2>. `None`: it is not
    /// this key's, or this is no RSA key. What it is of is for [`verify_digest`](Self::verify_digest) to say.
    pub fn open(&self, signature: &[u8]) -> Option<Opened> {
        let Verifier::Rsa(key) = &self.verifier else { return None };
        let key = rsa(key);
        if signature.len() != key.size() {
            return None;
        }
        let number = rsa::BoxedUint::from_be_slice(signature, key.n_bits_precision()).ok()?;
        if number >= **key.n() {
            return None;
        }
        let opened = rsa::hazmat::rsa_encrypt(key, &number).ok()?.to_be_bytes();
        // The number's storage may be longer than the modulus.
        let opened = opened.get(opened.len().checked_sub(key.size())?..)?;
        let Some(info) = unpadded(opened) else { return opened.ends_with(&[0xbc]).then_some(Opened::Pss) };
        let is_of = |hash: &Hash| {
            let digest = info.strip_prefix(&*hash.pkcs1v15().prefix);
            digest.is_some_and(|digest| digest.len() == hash.size())
        };
        let known = Hash::ALL.into_iter().find(is_of).map(Opened::Digest);
        known.or_else(|| Some(Opened::Unknown(other_hash(info))))
    }

    /// Checks an Ed25519ph signature over the message that `hasher` has read: what transparency logs keep of Ed25519 keys,
    /// because they know the digest alone. <https://www.rfc-editor.org/rfc/rfc8032#section-5.1>
    ///
    /// # Errors
    ///
    /// That the key is of another kind, or that the signature is not its signature of that message.
    pub(crate) fn verify_ed25519ph(&self, hasher: Sha512, signature: &[u8]) -> Result<(), VerifyError> {
        let Verifier::Ed25519(key) = &self.verifier else {
            return Err(VerifyError::Mismatch(self.algorithm()));
        };
        let signature = ed25519_dalek::Signature::from_slice(signature)
            .map_err(|_| VerifyError::Malformed(self.algorithm()))?;
        key.verify_prehashed_strict(hasher, None, &signature)
            .map_err(|_| VerifyError::Mismatch(self.algorithm()))
    }

    /// The bare 32 bytes of an Ed25519 key; `None` for the other kinds.
    pub(crate) fn ed25519_bytes(&self) -> Option<&[u8; 32]> {
        match &self.verifier {
            Verifier::Ed25519(key) => Some(key.as_bytes()),
            _ => None,
        }
    }

    /// The key's OpenSSH fingerprint, `SHA256:` and base64 without padding: the `keyid` that Chains writes into DSSE envelopes.
    ///
    /// The same as `ssh-keygen -lf` shows. Wire format: <https://www.rfc-editor.org/rfc/rfc4253#section-6.6>,
    /// <https://www.rfc-editor.org/rfc/rfc5656#section-3.1>, <https://www.rfc-editor.org/rfc/rfc8709#section-4>.
    pub fn key_id(&self) -> String {
        let mut wire = Wire::default();
        match &self.verifier {
            Verifier::P256(key) => wire.ecdsa("nistp256", key.to_sec1_point(false).as_bytes()),
            Verifier::P384(key) => wire.ecdsa("nistp384", key.to_sec1_point(false).as_bytes()),
            Verifier::P521(key) => wire.ecdsa("nistp521", key.to_sec1_point(false).as_bytes()),
            Verifier::Ed25519(key) => wire.string(b"ssh-ed25519").string(key.as_bytes()),
            Verifier::Rsa(key) => {
                wire.string(b"ssh-rsa").mpint(&rsa(key).e_bytes()).mpint(&rsa(key).n_bytes())
            }
        };
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&wire.0)))
    }

    /// Base64 of the SHA-256 of the key's DER: the `hint` of a Sigstore bundle that cosign writes.
    pub fn hint(&self) -> String {
        STANDARD.encode(Sha256::digest(&self.der))
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.algorithm(), self.key_id())
    }
}

/// What PKCS #1 v1.5 pads: <https://www.rfc-editor.org/rfc/rfc8017#section-9.2>.
fn unpadded(opened: &[u8]) -> Option<&[u8]> {
    let padded = opened.strip_prefix(&[0, 1])?;
    let end = padded.iter().position(|byte| *byte != 0xff).filter(|count| *count >= 8)?;
    padded.get(end..)?.strip_prefix(&[0])
}

/// The hash of a DigestInfo that isn't verified, by the DER of its object identifier.
fn other_hash(info: &[u8]) -> &'static str {
    const HASHES: [(&[u8], &str); 4] = [
        (b"\x06\x05\x2b\x0e\x03\x02\x1a", "SHA-1"),
        (b"\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05", "MD5"),
        (b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x04", "SHA-224"),
        (b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x08", "SHA3-256"),
    ];
    let named = info.get(4..).unwrap_or_default();
    HASHES.iter().find(|(oid, _)| named.starts_with(oid)).map_or("another hash", |(_, name)| name)
}

fn rsa(key: &rsa::pkcs1v15::VerifyingKey<Sha256>) -> &rsa::PublicKey {
    key.as_ref()
}

/// SSH's wire format: <https://www.rfc-editor.org/rfc/rfc4251#section-5>.
#[derive(Default)]
struct Wire(Vec<u8>);

impl Wire {
    fn string(&mut self, bytes: &[u8]) -> &mut Self {
        // A key's parts are at most some kilobytes.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.extend(length.to_be_bytes());
        self.0.extend(bytes);
        self
    }

    /// A positive number; a zero goes before a first byte that would make it negative.
    fn mpint(&mut self, bytes: &[u8]) -> &mut Self {
        let sign: &[u8] = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { &[0] } else { &[] };
        self.string(&[sign, bytes].concat())
    }

    fn ecdsa(&mut self, curve: &str, point: &[u8]) -> &mut Self {
        self.string(format!("ecdsa-sha2-{curve}").as_bytes()).string(curve.as_bytes()).string(point)
    }
}
