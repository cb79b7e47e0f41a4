//! A Sigstore bundle v0.3, and the manifest that refers a bundle with a DSSE envelope to an image.
//!
//! Spec: <https://github.com/sigstore/protobuf-specs/blob/v0.5.0/protos/sigstore_bundle.proto>,
//! <https://github.com/sigstore/cosign/blob/v3.1.2/specs/BUNDLE_SPEC.md>

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;

use super::{Descriptor, Signed, StoreError, Subject, wanted};
use crate::key::{self, Hash, Signature};
use crate::oci::Digest;

/// The media type of a bundle, and the artifact type of the manifest that carries it.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The media type of the manifest.
pub(crate) const MANIFEST_TYPE: &str = crate::oci::media_type::OCI_IMAGE;
/// The annotation with the predicate type of what the bundle holds.
pub(crate) const PREDICATE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";
/// The config of a manifest that has none.
///
/// Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor>
pub(crate) const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = crate::oci::media_type::OCI_EMPTY;

// What is written is spelled out here instead of with sigstore-types: that crate writes an empty list of log
// entries and empty timestamp data, where cosign writes neither.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    media_type: &'static str,
    verification_material: Material<'a>,
    #[serde(flatten)]
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Content<'a> {
    DsseEnvelope(Envelope<'a>),
    MessageSignature(Message),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_digest: MessageDigest,
    signature: String,
}

#[derive(Serialize)]
struct MessageDigest {
    algorithm: &'static str,
    digest: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Material<'a> {
    public_key: PublicKey<'a>,
}

#[derive(Serialize)]
struct PublicKey<'a> {
    hint: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    payload: String,
    payload_type: &'a str,
    signatures: [Sig; 1],
}

#[derive(Serialize)]
struct Sig {
    sig: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor,
    layers: [Descriptor; 1],
    annotations: BTreeMap<&'static str, String>,
    subject: &'a Descriptor,
    artifact_type: &'static str,
}

/// The entry of a manifest in the list of an image's referrers.
#[derive(Serialize)]
struct Referrer<'a> {
    #[serde(flatten)]
    descriptor: Descriptor,
    annotations: &'a BTreeMap<&'static str, String>,
    #[serde(rename = "artifactType")]
    artifact_type: &'static str,
}

/// A bundle ready to be stored.
pub(super) struct Stored {
    /// The bytes of the Sigstore bundle.
    pub(super) bundle: Bytes,
    /// The manifest with the bundle as its layer.
    pub(super) manifest: Bytes,
    /// The manifest's entry in the fallback index.
    pub(super) referrer: serde_json::Value,
}

impl Stored {
    /// Makes the bundle of `signed` and its manifest. `created` is left out where it isn't known: the same
    /// inputs give the same bytes.
    pub(super) fn new(
        subject: &Subject,
        signed: &Signed,
        created: Option<SystemTime>,
    ) -> Result<Self, StoreError> {
        let bundle = bundle(signed)?;
        let mut annotations = BTreeMap::from([
            ("dev.sigstore.bundle.content", "dsse-envelope".to_owned()),
            (PREDICATE_ANNOTATION, wanted::predicate_type(&signed.payload)),
        ]);
        if let Some(created) = created {
            annotations.insert(
                "org.opencontainers.image.created",
                humantime::format_rfc3339_seconds(created).to_string(),
            );
        }
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST_TYPE,
            config: descriptor(EMPTY_TYPE, EMPTY),
            layers: [descriptor(MEDIA_TYPE, &bundle)],
            annotations: annotations.clone(),
            subject: &subject.descriptor,
            artifact_type: MEDIA_TYPE,
        };
        let manifest = Bytes::from(serde_json::to_vec(&manifest).map_err(StoreError::Json)?);
        let referrer = Referrer {
            descriptor: descriptor(MANIFEST_TYPE, &manifest),
            annotations: &annotations,
            artifact_type: MEDIA_TYPE,
        };
        let referrer = serde_json::to_value(referrer).map_err(StoreError::Json)?;
        Ok(Self { bundle, manifest, referrer })
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        size: bytes.len() as u64,
        digest: Digest::of(bytes).as_str().to_owned(),
    }
}

/// The bundle of a payload's signature with a key.
///
/// # Errors
///
/// If it can't be written as JSON, which would be a bug in Stepseal.
pub fn bundle(signed: &Signed) -> Result<Bytes, StoreError> {
    written(&signed.key_hint, Content::DsseEnvelope(Envelope::new(signed)))
}

/// The bundle of the `signature` with `key` over a file whose digest by `hash` this is. cosign leaves the digest of an Ed25519 signature out,
/// and then refuses its own bundle.
///
/// # Errors
///
/// If it can't be written as JSON, which would be a bug in Stepseal.
pub(crate) fn of_message(
    key: &key::PublicKey,
    hash: Hash,
    digest: &[u8],
    signature: &Signature,
) -> Result<Bytes, StoreError> {
    let algorithm = match hash {
        Hash::Sha256 => "SHA2_256",
        Hash::Sha384 => "SHA2_384",
        Hash::Sha512 => "SHA2_512",
    };
    let message_digest = MessageDigest { algorithm, digest: STANDARD.encode(digest) };
    let message = Message { message_digest, signature: signature.base64() };
    written(&key.hint(), Content::MessageSignature(message))
}

/// The DSSE envelope alone, as cosign writes it into a file: without a `keyid`.
///
/// # Errors
///
/// If it can't be written as JSON, which would be a bug in Stepseal.
pub fn envelope(signed: &Signed) -> Result<Bytes, StoreError> {
    serde_json::to_vec(&Envelope::new(signed)).map(Bytes::from).map_err(StoreError::Json)
}

/// cosign's old bundle of what `key` made, a signature or an [`envelope`]: it has no entry of a log here.
///
/// Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/pkg/cosign/fetch.go> (`LocalSignedPayload`)
///
/// # Errors
///
/// If it can't be written as JSON, which would be a bug in Stepseal.
pub fn old(key: &key::PublicKey, signature: &[u8]) -> Result<Bytes, StoreError> {
    #[derive(Serialize)]
    struct Old {
        #[serde(rename = "base64Signature")]
        signature: String,
        cert: String,
    }
    let old = Old { signature: STANDARD.encode(signature), cert: STANDARD.encode(key.to_pem()) };
    serde_json::to_vec(&old).map(Bytes::from).map_err(StoreError::Json)
}

fn written(hint: &str, content: Content<'_>) -> Result<Bytes, StoreError> {
    let bundle = Written {
        media_type: MEDIA_TYPE,
        verification_material: Material { public_key: PublicKey { hint } },
        content,
    };
    serde_json::to_vec(&bundle).map(Bytes::from).map_err(StoreError::Json)
}

impl<'a> Envelope<'a> {
    fn new(signed: &'a Signed) -> Self {
        Self {
            payload: STANDARD.encode(&signed.payload.bytes),
            payload_type: signed.payload.media_type,
            signatures: [Sig { sig: signed.signature.base64() }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Envelope, Payload};
    use crate::key::Signature;

    fn signed() -> Signed {
        let payload = Payload {
            bytes: Bytes::from_static(b"{\"_type\":1}"),
            media_type: "application/vnd.in-toto+json",
            envelope: Envelope::Dsse,
        };
        let signature = Signature(vec![1, 2, 3]);
        Signed { payload, signature, key_hint: "aGludA==".into(), key_id: "SHA256:x".into() }
    }

    #[test]
    fn a_bundle_is_as_cosign_writes_it_and_can_be_read() {
        let bytes = bundle(&signed()).unwrap();
        let want = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"aGludA=="}},"dsseEnvelope":{"payload":"eyJfdHlwZSI6MX0=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AQID"}]}}"#;
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), want);
        let bundle = crate::verify::bundle::Bundle::parse(&bytes).unwrap();
        assert_eq!(bundle.content.signature(), [1, 2, 3]);
    }

    /// What cosign 3.1.2 wrote with this key, but for the signature.
    #[test]
    fn the_files_of_a_file_are_as_cosign_writes_them() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEUwmTIXieG7FrUDzKg+xzq3pkdy+T\n\
            Vu3MX+rKjUvh4IV9ioahZg0camUjOmi+xKZAjZsLkLzQMu4NgdSd+wDX4A==\n-----END PUBLIC KEY-----\n";
        let key = key::PublicKey::from_pem(pem).unwrap();
        let digest = Hash::Sha256.digest(b"hello\n");
        let bytes = of_message(&key, Hash::Sha256, &digest, &Signature(vec![1, 2, 3])).unwrap();
        let want = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"Fo7YfB6P3MfrtHxk7o8FuhEGf/wAl5lOTXqJYllpy18="}},"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="},"signature":"AQID"}}"#;
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), want);
        let bytes = old(&key, &[1, 2, 3]).unwrap();
        let want = format!(r#"{{"base64Signature":"AQID","cert":"{}"}}"#, STANDARD.encode(pem));
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), want);
        let bytes = envelope(&signed()).unwrap();
        let want = r#"{"payload":"eyJfdHlwZSI6MX0=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AQID"}]}"#;
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), want);
    }

    #[test]
    fn the_manifest_says_when_only_if_it_is_known() {
        let image: crate::oci::ImageRef = format!("r.example/a@sha256:{}", "ab".repeat(32)).parse().unwrap();
        let subject = Subject { descriptor: descriptor("m", b"x"), image };
        let text = |created| {
            let stored = Stored::new(&subject, &signed(), created).unwrap();
            String::from_utf8(stored.manifest.to_vec()).unwrap()
        };
        assert!(!text(None).contains("created"));
        let epoch = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        assert!(text(Some(epoch)).contains(r#""org.opencontainers.image.created":"2023-11-14T22:13:20Z""#));
    }
}
