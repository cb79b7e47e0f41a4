//! A Sigstore bundle as JSON: read strictly, into types that hold bytes instead of base64.
//!
//! Spec: <https://github.com/sigstore/protobuf-specs/blob/v0.5.1/protos/sigstore_bundle.proto>, in the JSON of
//! <https://protobuf.dev/programming-guides/json/>: base64 in either alphabet, 64-bit numbers as text or number, zero values left out.
//!
//! An unknown field is refused, as protobuf's own readers do: a reader that doesn't understand all of a bundle must not
//! call it verified. What a version demands is checked here as well: a bundle 0.1 needs the log's promise, later ones its proof,
//! and since 0.3 a certificate comes alone: a chain is read there too, and it is the policy that allows it.

use serde::Deserialize;

use super::dsse::Envelope;
use super::error::{BundleError, FormatError};
use super::field::{Bytes, Few, Number};
use crate::formats::dsse;
use crate::json::{self, MemoryLimit};
use crate::json_lines::without_mark;
use crate::key::Hash;
use crate::known_format::{KnownFormat, WantedFormat};

/// The largest bundle that is read: the largest envelope fits.
pub const BUNDLE_BYTES: u64 = dsse::MAX_BYTES;
/// The most log entries, timestamps and certificates of one bundle: each costs signatures to check.
const PARTS: usize = 32;
/// The most hashes of one proof of inclusion: a tree of 2^64 entries needs as many.
const HASHES: usize = 64;
/// The largest certificate, timestamp and checkpoint; they have some kilobytes, and take many times that when they are read.
const PART_BYTES: usize = 64 * 1024;
/// The largest body of a log entry; Rekor's have some kilobytes.
const BODY_BYTES: usize = 1024 * 1024;
/// What the values of a bundle may take in memory beside its texts, which together are no longer than the bundle: it has at most
/// a few thousand values.
const VALUES_BYTES: usize = 4 * 1024 * 1024;

/// A bundle: what signed, where that is logged, and the signature. Well-formed, nothing more.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The version of its media type.
    pub version: Version,
    /// What the signature is checked with.
    pub material: Material,
    /// The entries in transparency logs.
    pub entries: Vec<Entry>,
    /// RFC 3161 timestamps, in DER.
    pub timestamps: Vec<Vec<u8>>,
    /// The signature.
    pub content: Content,
    /// What is known of the envelope's JSON, where the bundle was put together from a stored one.
    pub stored: super::body::Stored,
}

/// The versions of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 0.1
    V0_1,
    /// 0.2
    V0_2,
    /// 0.3
    V0_3,
}

/// What the signature is checked with.
#[derive(Clone, Debug)]
pub enum Material {
    /// A key that the verifier has; the hint says which, unauthenticated.
    PublicKey {
        /// Whatever the signer wrote; base64 of the key's SHA-256 from cosign.
        hint: String,
    },
    /// A certificate, in DER.
    Certificate {
        /// The signer's.
        leaf: Vec<u8>,
        /// What came with it, towards the root.
        others: Vec<Vec<u8>>,
        /// Whether it came as a chain where its version has a certificate alone.
        chained: bool,
    },
}

/// The signature, and what is signed as far as the bundle holds it.
#[derive(Clone, Debug)]
pub enum Content {
    /// A signature over the artifact itself.
    Message {
        /// What the bundle says the artifact's digest is.
        digest: Option<(Hash, Vec<u8>)>,
        /// The signature.
        signature: Vec<u8>,
    },
    /// A DSSE envelope.
    Dsse(Envelope),
}

impl Content {
    /// The one signature.
    pub fn signature(&self) -> &[u8] {
        match self {
            Self::Message { signature, .. } => signature,
            Self::Dsse(envelope) => envelope.signature(),
        }
    }
}

/// An entry in a transparency log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place in the whole log.
    pub log_index: u64,
    /// Which log.
    pub log_id: Vec<u8>,
    /// `hashedrekord`, `dsse`, `intoto`.
    pub kind: String,
    /// The version of the kind.
    pub version: String,
    /// When the log took it, in seconds; only the promise authenticates it.
    pub integrated_time: Option<u64>,
    /// The log's promise to take it: its signature over body, index and time.
    pub promise: Option<Vec<u8>>,
    /// The proof that it is in the log.
    pub proof: Option<Proof>,
    /// What is logged, byte for byte.
    pub body: Vec<u8>,
}

/// A proof of inclusion.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The place in the tree, which may be a shard of the log.
    pub log_index: u64,
    /// The tree's root.
    pub root: Vec<u8>,
    /// The tree's size.
    pub tree_size: u64,
    /// The hashes beside the way to the root.
    pub hashes: Vec<[u8; 32]>,
    /// The signed root; empty in old bundles.
    pub checkpoint: String,
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    ///
    /// [`BundleError::Format`]: not a bundle, of an unknown version, or without something that its version demands.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let other = || KnownFormat::other_than(WantedFormat::Bundle, bytes).map(FormatError::Other);
        Self::read(without_mark(bytes)).map_err(|error| BundleError::Format(other().unwrap_or(error)))
    }

    fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() as u64 > BUNDLE_BYTES {
            return Err(FormatError::TooLarge { limit: BUNDLE_BYTES });
        }
        let limit = MemoryLimit::memory(bytes.len().saturating_add(VALUES_BYTES));
        let wire: WireBundle = json::typed(bytes, limit).map_err(FormatError::Json)?;
        let version = version(&wire.media_type.unwrap_or_default())?;
        let material = wire.verification_material.ok_or(FormatError::Missing("verificationMaterial"))?;
        let content = match (wire.message_signature, wire.dsse_envelope) {
            (Some(message), None) => message.content()?,
            (None, Some(envelope)) => Content::Dsse(envelope.envelope()?),
            (Some(_), Some(_)) => return Err(FormatError::Both("messageSignature", "dsseEnvelope")),
            (None, None) => return Err(FormatError::Missing("messageSignature or dsseEnvelope")),
        };
        if content.signature().is_empty() {
            return Err(FormatError::Missing("signature"));
        }
        let entries = bounded("tlogEntries", material.tlog_entries)?;
        let entries: Vec<Entry> = entries.into_iter().map(WireEntry::entry).collect::<Result<_, _>>()?;
        let timestamps = material.timestamp_verification_data.and_then(|data| data.rfc3161_timestamps);
        let timestamps = bounded("rfc3161Timestamps", timestamps)?;
        let timestamps =
            timestamps.into_iter().map(|stamp| part("signedTimestamp", stamp.signed_timestamp, PART_BYTES));
        let bundle = Self {
            version,
            timestamps: timestamps.collect::<Result<_, _>>()?,
            material: certificates(
                version,
                material.certificate,
                material.x509_certificate_chain,
                material.public_key,
            )?,
            entries,
            content,
            stored: super::body::Stored::Parts,
        };
        bundle.demands_of_version()?;
        Ok(bundle)
    }

    /// What each entry must carry, by the version of the bundle.
    fn demands_of_version(&self) -> Result<(), FormatError> {
        for (number, entry) in self.entries.iter().enumerate() {
            let twice = self.entries.iter().skip(number + 1);
            if twice.clone().any(|other| other.log_id == entry.log_id && other.log_index == entry.log_index) {
                return Err(FormatError::Duplicate("tlogEntries"));
            }
            let proven = entry.proof.as_ref().is_some_and(|proof| !proof.checkpoint.is_empty());
            match self.version {
                Version::V0_1 if entry.promise.is_none() => return Err(FormatError::NoPromise),
                Version::V0_2 | Version::V0_3 if !proven => return Err(FormatError::NoProof),
                _ => {}
            }
        }
        for (number, stamp) in self.timestamps.iter().enumerate() {
            if self.timestamps.iter().skip(number + 1).any(|other| other == stamp) {
                return Err(FormatError::Duplicate("rfc3161Timestamps"));
            }
        }
        Ok(())
    }
}

fn version(media_type: &str) -> Result<Version, FormatError> {
    match media_type {
        "application/vnd.dev.sigstore.bundle+json;version=0.1" => Ok(Version::V0_1),
        "application/vnd.dev.sigstore.bundle+json;version=0.2" => Ok(Version::V0_2),
        "application/vnd.dev.sigstore.bundle+json;version=0.3"
        | "application/vnd.dev.sigstore.bundle.v0.3+json" => Ok(Version::V0_3),
        other => Err(FormatError::MediaType { found: crate::foreign::escape(other, 120) }),
    }
}

fn certificates(
    version: Version,
    certificate: Option<WireCertificate>,
    chain: Option<WireChain>,
    key: Option<WireKey>,
) -> Result<Material, FormatError> {
    match (certificate, chain, key) {
        (Some(certificate), None, None) => Ok(Material::Certificate {
            leaf: part("certificate", certificate.raw_bytes, PART_BYTES)?,
            others: Vec::new(),
            chained: false,
        }),
        (None, Some(chain), None) => {
            let chain = bounded("certificates", chain.certificates)?;
            let mut chain =
                chain.into_iter().map(|certificate| part("certificates", certificate.raw_bytes, PART_BYTES));
            let leaf = chain.next().ok_or(FormatError::Missing("certificates"))??;
            let others = chain.collect::<Result<_, _>>()?;
            Ok(Material::Certificate { leaf, others, chained: version >= Version::V0_3 })
        }
        (None, None, Some(key)) => Ok(Material::PublicKey { hint: key.hint.unwrap_or_default() }),
        (None, None, None) => Err(FormatError::Missing("certificate or publicKey")),
        _ => Err(FormatError::Both("certificate", "publicKey or x509CertificateChain")),
    }
}

fn bounded<T>(field: &'static str, list: Option<Few<T, PARTS>>) -> Result<Vec<T>, FormatError> {
    let list = list.unwrap_or_default();
    if list.more { Err(FormatError::TooMany { field, limit: PARTS }) } else { Ok(list.items) }
}

/// The bytes of a part that is read further.
fn part(field: &'static str, bytes: Option<Bytes>, limit: usize) -> Result<Vec<u8>, FormatError> {
    required(field, bytes).and_then(|bytes| {
        if bytes.len() > limit { Err(FormatError::Part { field, limit }) } else { Ok(bytes) }
    })
}

fn required(field: &'static str, bytes: Option<Bytes>) -> Result<Vec<u8>, FormatError> {
    bytes.map(|bytes| bytes.0).filter(|bytes| !bytes.is_empty()).ok_or(FormatError::Missing(field))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireBundle {
    #[serde(alias = "media_type")]
    media_type: Option<String>,
    #[serde(alias = "verification_material")]
    verification_material: Option<WireMaterial>,
    #[serde(alias = "message_signature")]
    message_signature: Option<WireMessage>,
    #[serde(alias = "dsse_envelope")]
    dsse_envelope: Option<WireEnvelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireMaterial {
    #[serde(alias = "public_key")]
    public_key: Option<WireKey>,
    #[serde(alias = "x509_certificate_chain")]
    x509_certificate_chain: Option<WireChain>,
    certificate: Option<WireCertificate>,
    #[serde(alias = "tlog_entries")]
    tlog_entries: Option<Few<WireEntry, PARTS>>,
    #[serde(alias = "timestamp_verification_data")]
    timestamp_verification_data: Option<WireTimestamps>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKey {
    hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireChain {
    certificates: Option<Few<WireCertificate, PARTS>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireCertificate {
    #[serde(alias = "raw_bytes")]
    raw_bytes: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireTimestamps {
    #[serde(alias = "rfc3161_timestamps")]
    rfc3161_timestamps: Option<Few<WireTimestamp, PARTS>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireTimestamp {
    #[serde(alias = "signed_timestamp")]
    signed_timestamp: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireMessage {
    #[serde(alias = "message_digest")]
    message_digest: Option<WireDigest>,
    signature: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDigest {
    algorithm: Option<String>,
    digest: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireEnvelope {
    payload: Option<Bytes>,
    #[serde(alias = "payload_type")]
    payload_type: Option<String>,
    signatures: Option<Vec<WireSignature>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    sig: Option<Bytes>,
    #[expect(dead_code, reason = "it may be there, and says nothing that is authenticated")]
    keyid: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireEntry {
    #[serde(alias = "log_index")]
    log_index: Option<Number>,
    #[serde(alias = "log_id")]
    log_id: Option<WireLogId>,
    #[serde(alias = "kind_version")]
    kind_version: Option<WireKind>,
    #[serde(alias = "integrated_time")]
    integrated_time: Option<Number>,
    #[serde(alias = "inclusion_promise")]
    inclusion_promise: Option<WirePromise>,
    #[serde(alias = "inclusion_proof")]
    inclusion_proof: Option<WireProof>,
    #[serde(alias = "canonicalized_body")]
    canonicalized_body: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireLogId {
    #[serde(alias = "key_id")]
    key_id: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKind {
    kind: Option<String>,
    version: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WirePromise {
    #[serde(alias = "signed_entry_timestamp")]
    signed_entry_timestamp: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireProof {
    #[serde(alias = "log_index")]
    log_index: Option<Number>,
    #[serde(alias = "root_hash")]
    root_hash: Option<Bytes>,
    #[serde(alias = "tree_size")]
    tree_size: Option<Number>,
    hashes: Option<Few<Bytes, HASHES>>,
    checkpoint: Option<WireCheckpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCheckpoint {
    envelope: Option<String>,
}

impl WireMessage {
    fn content(self) -> Result<Content, FormatError> {
        // cosign writes an empty one for Ed25519, which signs no digest.
        let claim = self.message_digest.filter(|claim| claim.algorithm.is_some() || claim.digest.is_some());
        let digest = claim.map(|claim| {
            let hash = match claim.algorithm.as_deref() {
                Some("SHA2_256") => Hash::Sha256,
                Some("SHA2_384") => Hash::Sha384,
                Some("SHA2_512") => Hash::Sha512,
                other => {
                    let found = crate::foreign::escape(other.unwrap_or("none"), 40);
                    return Err(FormatError::DigestAlgorithm { found });
                }
            };
            Ok((hash, required("messageDigest", claim.digest)?))
        });
        Ok(Content::Message {
            digest: digest.transpose()?,
            signature: required("signature", self.signature)?,
        })
    }
}

impl WireEnvelope {
    fn envelope(self) -> Result<Envelope, FormatError> {
        let signatures = self.signatures.unwrap_or_default();
        let count = signatures.len();
        let signature = signatures.into_iter().next().filter(|_| count == 1);
        let signature = signature.ok_or(FormatError::Signatures { count })?;
        Ok(Envelope::new(
            self.payload_type.ok_or(FormatError::Missing("payloadType"))?.into(),
            required("payload", self.payload)?.into(),
            required("sig", signature.sig)?,
        ))
    }
}

impl WireEntry {
    fn entry(self) -> Result<Entry, FormatError> {
        let kind = self.kind_version.ok_or(FormatError::Missing("kindVersion"))?;
        let promise =
            self.inclusion_promise.map(|p| required("signedEntryTimestamp", p.signed_entry_timestamp));
        Ok(Entry {
            log_index: self.log_index.map_or(0, |number| number.0),
            log_id: required("logId", self.log_id.and_then(|id| id.key_id))?,
            kind: kind.kind.ok_or(FormatError::Missing("kind"))?,
            version: kind.version.ok_or(FormatError::Missing("version"))?,
            // Zero and absent are one in protobuf.
            integrated_time: self.integrated_time.map(|number| number.0).filter(|time| *time != 0),
            promise: promise.transpose()?,
            proof: self.inclusion_proof.map(WireProof::proof).transpose()?,
            body: part("canonicalizedBody", self.canonicalized_body, BODY_BYTES)?,
        })
    }
}

impl WireProof {
    fn proof(self) -> Result<Proof, FormatError> {
        let hashes = self.hashes.unwrap_or_default();
        if hashes.more {
            return Err(FormatError::TooMany { field: "hashes", limit: HASHES });
        }
        let hashes =
            hashes.items.into_iter().map(|hash| hash.0.try_into().map_err(|_| FormatError::HashLength));
        let checkpoint = self.checkpoint.and_then(|checkpoint| checkpoint.envelope).unwrap_or_default();
        if checkpoint.len() > PART_BYTES {
            return Err(FormatError::Part { field: "checkpoint", limit: PART_BYTES });
        }
        Ok(Proof {
            log_index: self.log_index.map_or(0, |number| number.0),
            root: self.root_hash.map(|root| root.0).unwrap_or_default(),
            tree_size: self.tree_size.map_or(0, |number| number.0),
            hashes: hashes.collect::<Result<_, _>>()?,
            checkpoint,
        })
    }
}

#[cfg(test)]
mod tests;
