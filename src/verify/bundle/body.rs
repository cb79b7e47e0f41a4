//! What is logged: that an entry is of this signature, by this certificate or key, of this artifact.
//!
//! Without this check, the entry of something else could be in a bundle and prove a time: CVE-2022-36056. An entry's body is canonical JSON, whose
//! bytes the log proves, so fields that are not read here can be ignored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::artifact::{Artifact, unhex};
use super::error::LogError;
use super::field::{self, Bytes};
use super::format::{Content, Entry};
use crate::key::{Hash, PublicKey};

/// What an entry must be of.
pub(super) struct Logged<'a> {
    pub(super) content: &'a Content,
    /// What is known of the envelope as it is stored.
    pub(super) stored: &'a Stored,
    /// The artifact, or the envelope's encoding: what the signature covers.
    pub(super) signed: &'a Artifact,
    /// The signer's certificate, or the key.
    pub(super) by: By<'a>,
}

/// What is known of the bytes that an envelope was stored as, of which entries of the kind intoto 0.0.1 are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stored {
    /// Nothing: it was read as a bundle, which keeps the parts and not the bytes.
    #[default]
    Parts,
    /// Their SHA-256.
    Sha256(Vec<u8>),
    /// They have several signatures, and such an entry doesn't say of which it is.
    Several,
}

impl Stored {
    /// The bytes of an envelope with that many signatures.
    pub fn of(bytes: &[u8], signatures: usize) -> Self {
        match signatures {
            1 => Self::Sha256(Hash::Sha256.digest(bytes)),
            _ => Self::Several,
        }
    }
}

pub(super) enum By<'a> {
    Certificate(&'a [u8]),
    Key(&'a PublicKey),
}

/// Checks that `entry` is of what is in the bundle.
pub(super) fn matches(entry: &Entry, logged: &Logged<'_>) -> Result<(), LogError> {
    match (entry.kind.as_str(), entry.version.as_str()) {
        ("hashedrekord", "0.0.1") => hashed_v1(read(entry, "hashedrekord")?, logged),
        ("hashedrekord", _) => hashed_v2(read(entry, "hashedrekord")?, logged),
        ("dsse", "0.0.1") => dsse_v1(read(entry, "dsse")?, logged),
        ("dsse", _) => dsse_v2(read(entry, "dsse")?, logged),
        (_, "0.0.1") => intoto_v1(&read(entry, "intoto")?, logged),
        _ => intoto_v2(read(entry, "intoto")?, logged),
    }
}

/// The hash of the digest that `entry` has of an artifact; `None`: it has none, or can't be read.
pub(super) fn hash(entry: &Entry) -> Option<Hash> {
    let name = match (entry.kind.as_str(), entry.version.as_str()) {
        ("hashedrekord", "0.0.1") => read::<HashedV1>(entry, "hashedrekord").ok()?.data.hash.algorithm,
        ("hashedrekord", _) => read::<HashedV2>(entry, "hashedrekord").ok()?.inner.data.algorithm,
        _ => return None,
    };
    named(&name)
}

#[derive(Deserialize)]
struct Body<S> {
    kind: String,
    #[serde(rename = "apiVersion")]
    version: String,
    spec: S,
}

fn read<S: DeserializeOwned>(entry: &Entry, kind: &'static str) -> Result<S, LogError> {
    let body: Body<S> = serde_json::from_slice(&entry.body)
        .map_err(|error| LogError::Body { kind, reason: error.to_string() })?;
    if body.kind != entry.kind || body.version != entry.version {
        return Err(LogError::Mismatch("the kind"));
    }
    Ok(body.spec)
}

impl Logged<'_> {
    fn is_signature(&self, signature: &[u8]) -> Result<(), LogError> {
        if signature == self.content.signature() { Ok(()) } else { Err(LogError::Mismatch("the signature")) }
    }

    fn is_digest(&self, hash: Option<Hash>, digest: Option<&[u8]>) -> Result<(), LogError> {
        let known = hash.and_then(|hash| self.signed.by(hash));
        let same = known.as_deref().is_some_and(|known| digest == Some(known));
        if same { Ok(()) } else { Err(LogError::Mismatch("the digest")) }
    }

    /// The digest of the envelope's payload alone.
    fn is_payload(&self, hash: Option<Hash>, digest: Option<&[u8]>) -> Result<(), LogError> {
        let Content::Dsse(envelope) = self.content else {
            return Err(LogError::Mismatch("an envelope"));
        };
        let same = hash.is_some_and(|hash| digest == Some(hash.digest(envelope.payload()).as_slice()));
        if same { Ok(()) } else { Err(LogError::Mismatch("the payload")) }
    }

    /// A certificate or a key in PEM, as Rekor 1 keeps it.
    fn is_pem(&self, pem: &[u8]) -> Result<(), LogError> {
        let same = match &self.by {
            By::Certificate(der) => decode_pem(pem, "CERTIFICATE").is_some_and(|logged| logged == *der),
            By::Key(key) => decode_pem(pem, "PUBLIC KEY").is_some_and(|logged| is_key(key, &logged)),
        };
        self.verifier(same)
    }

    fn is_der(&self, verifier: &VerifierV2) -> Result<(), LogError> {
        let same = match (&self.by, &verifier.x509_certificate, &verifier.public_key) {
            (By::Certificate(der), Some(logged), None) => *der == logged.raw_bytes.0,
            (By::Key(key), None, Some(logged)) => is_key(key, &logged.raw_bytes.0),
            _ => false,
        };
        self.verifier(same)
    }

    fn verifier(&self, same: bool) -> Result<(), LogError> {
        match (&self.by, same) {
            (_, true) => Ok(()),
            (By::Certificate(_), false) => Err(LogError::Mismatch("the certificate")),
            (By::Key(_), false) => Err(LogError::Mismatch("the key")),
        }
    }
}

/// The DER in PEM with that label. Clients have logged PEM whose base64 is one long line, which RFC 7468 doesn't have.
fn decode_pem(pem: &[u8], label: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?.trim();
    let text = text.strip_prefix("-----BEGIN ")?.strip_prefix(label)?.strip_prefix("-----")?;
    let text = text.strip_suffix("-----")?.strip_suffix(label)?.strip_suffix("-----END ")?;
    field::base64(text)
}

fn is_key(key: &PublicKey, der: &[u8]) -> bool {
    PublicKey::from_der(der).is_ok_and(|logged| logged == *key)
}

/// A hash algorithm, as Rekor 1 and 2 write it.
fn named(name: &str) -> Option<Hash> {
    match name {
        "sha256" | "SHA2_256" => Some(Hash::Sha256),
        "sha384" | "SHA2_384" => Some(Hash::Sha384),
        "sha512" | "SHA2_512" => Some(Hash::Sha512),
        _ => None,
    }
}

#[derive(Deserialize)]
struct HexHash {
    algorithm: String,
    value: String,
}

impl HexHash {
    fn parts(&self) -> (Option<Hash>, Option<Vec<u8>>) {
        (named(&self.algorithm), unhex(&self.value))
    }
}

#[derive(Deserialize)]
struct HashedV1 {
    data: DataV1,
    signature: SignatureV1,
}

#[derive(Deserialize)]
struct DataV1 {
    hash: HexHash,
}

#[derive(Deserialize)]
struct SignatureV1 {
    content: Bytes,
    #[serde(rename = "publicKey")]
    public_key: PemV1,
}

#[derive(Deserialize)]
struct PemV1 {
    content: Bytes,
}

fn hashed_v1(spec: HashedV1, logged: &Logged<'_>) -> Result<(), LogError> {
    logged.is_signature(&spec.signature.content.0)?;
    logged.is_pem(&spec.signature.public_key.content.0)?;
    let (hash, digest) = spec.data.hash.parts();
    logged.is_digest(hash, digest.as_deref())
}

#[derive(Deserialize)]
struct DsseV1 {
    #[serde(rename = "payloadHash")]
    payload_hash: HexHash,
    signatures: Vec<DsseSignatureV1>,
}

#[derive(Deserialize)]
struct DsseSignatureV1 {
    signature: Bytes,
    verifier: Bytes,
}

fn dsse_v1(spec: DsseV1, logged: &Logged<'_>) -> Result<(), LogError> {
    let [signature] = spec.signatures.as_slice() else {
        return Err(LogError::Mismatch("the signature"));
    };
    logged.is_signature(&signature.signature.0)?;
    logged.is_pem(&signature.verifier.0)?;
    let (hash, digest) = spec.payload_hash.parts();
    logged.is_payload(hash, digest.as_deref())
}

#[derive(Deserialize)]
struct IntotoV1 {
    content: IntotoContentV1,
    #[serde(rename = "publicKey")]
    public_key: Bytes,
}

#[derive(Deserialize)]
struct IntotoContentV1 {
    hash: HexHash,
    /// Not in the oldest entries.
    #[serde(rename = "payloadHash")]
    payload_hash: Option<HexHash>,
}

/// The signature itself isn't in the entry: the hash of the stored envelope covers it, and who checks an entry has verified it.
fn intoto_v1(spec: &IntotoV1, logged: &Logged<'_>) -> Result<(), LogError> {
    logged.is_pem(&spec.public_key.0)?;
    if let Some(payload) = &spec.content.payload_hash {
        let (hash, digest) = payload.parts();
        logged.is_payload(hash, digest.as_deref())?;
    }
    let stored = match logged.stored {
        Stored::Sha256(digest) => digest,
        Stored::Parts => return Err(LogError::NotStored),
        Stored::Several => return Err(LogError::SeveralSignatures),
    };
    match spec.content.hash.parts() {
        (Some(Hash::Sha256), Some(digest)) if digest == *stored => Ok(()),
        _ => Err(LogError::Mismatch("the envelope")),
    }
}

#[derive(Deserialize)]
struct Intoto {
    content: IntotoContent,
}

#[derive(Deserialize)]
struct IntotoContent {
    #[serde(rename = "payloadHash")]
    payload_hash: HexHash,
    envelope: IntotoEnvelope,
}

#[derive(Deserialize)]
struct IntotoEnvelope {
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<IntotoSignature>,
}

#[derive(Deserialize)]
struct IntotoSignature {
    sig: Bytes,
    #[serde(rename = "publicKey")]
    public_key: Bytes,
}

fn intoto_v2(spec: Intoto, logged: &Logged<'_>) -> Result<(), LogError> {
    let [signature] = spec.content.envelope.signatures.as_slice() else {
        return Err(LogError::Mismatch("the signature"));
    };
    // Base64 of base64: the envelope's text was encoded once more.
    let decoded = STANDARD.decode(&signature.sig.0).map_err(|_| LogError::Mismatch("the signature"))?;
    logged.is_signature(&decoded)?;
    logged.is_pem(&signature.public_key.0)?;
    let (hash, digest) = spec.content.payload_hash.parts();
    logged.is_payload(hash, digest.as_deref())?;
    match logged.content {
        Content::Dsse(envelope) if envelope.payload_type() == spec.content.envelope.payload_type => Ok(()),
        _ => Err(LogError::Mismatch("the payload type")),
    }
}

#[derive(Deserialize)]
struct Base64Hash {
    algorithm: String,
    digest: Bytes,
}

#[derive(Deserialize)]
struct SignatureV2 {
    content: Bytes,
    verifier: VerifierV2,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifierV2 {
    x509_certificate: Option<DerV2>,
    public_key: Option<DerV2>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DerV2 {
    raw_bytes: Bytes,
}

#[derive(Deserialize)]
struct HashedV2 {
    #[serde(rename = "hashedRekordV002")]
    inner: HashedInner,
}

#[derive(Deserialize)]
struct HashedInner {
    data: Base64Hash,
    signature: SignatureV2,
}

fn hashed_v2(spec: HashedV2, logged: &Logged<'_>) -> Result<(), LogError> {
    let HashedInner { data, signature } = spec.inner;
    logged.is_signature(&signature.content.0)?;
    logged.is_der(&signature.verifier)?;
    logged.is_digest(named(&data.algorithm), Some(&data.digest.0))
}

#[derive(Deserialize)]
struct DsseV2 {
    #[serde(rename = "dsseV002")]
    inner: DsseInner,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DsseInner {
    payload_hash: Base64Hash,
    signatures: Vec<SignatureV2>,
}

fn dsse_v2(spec: DsseV2, logged: &Logged<'_>) -> Result<(), LogError> {
    let [signature] = spec.inner.signatures.as_slice() else {
        return Err(LogError::Mismatch("the signature"));
    };
    logged.is_signature(&signature.content.0)?;
    logged.is_der(&signature.verifier)?;
    let payload = &spec.inner.payload_hash;
    logged.is_payload(named(&payload.algorithm), Some(&payload.digest.0))
}
