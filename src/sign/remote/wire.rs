//! What is spoken on the agent's socket: HTTP/1.1 with JSON, described for other clients in `docs/agent-openapi.yaml`.
//!
//! The same types are written by one side and read by the other. A field that a request has too much is refused: it
//! may be one that a later version decides by.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// Signs a payload: `POST`.
pub(crate) const SIGN: &str = "/v1/sign";
/// Makes an image's payload and signs it: `POST`.
pub(crate) const SIGN_IMAGE: &str = "/v1/sign-image";
/// The public key: `GET`.
pub(crate) const PUBLIC_KEY: &str = "/v1/public-key";
/// Whether it is well: `GET`.
pub(crate) const HEALTH: &str = "/v1/health";

/// The longest body of a request, in bytes: a payload of 6 MiB in base64, and the names of 256 images beside it.
pub(crate) const MAX_BODY_BYTES: usize = 8 * 1024 * 1024 + 96 * 1024;

/// What is to be signed, made by the client. The agent reads it before it signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SignRequest {
    /// Its media type; `application/vnd.in-toto+json` is signed as DSSE, every other type as it is.
    pub payload_type: String,
    /// The bytes, in base64.
    pub payload: String,
    /// The images that it is about, each as `REPOSITORY@sha256:…`, where the payload doesn't name them itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

/// An image that is to be signed, for a client that doesn't make payloads itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SignImageRequest {
    /// The image in the form `REPOSITORY@sha256:…`.
    pub image: String,
    /// `simplesigning`, the default, or `cosign-sign-v1`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub format: Option<String>,
    /// The `docker-reference` to sign; absent: the image's repository.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub identity: Option<String>,
    /// Annotations to sign with the image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A text where there is one: `null` is none, and is refused as every other value is.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// A signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignAnswer {
    /// The signature in base64, as the key's scheme encodes it.
    pub signature: String,
    /// The key's OpenSSH fingerprint.
    pub key_id: String,
    /// The payload's media type.
    pub payload_type: String,
    /// The payload in base64, where the agent made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

/// The key that verifies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublicKeyAnswer {
    /// As `cosign.pub` holds it.
    pub pem: String,
    /// What it verifies, for people.
    pub algorithm: String,
    /// The OpenSSH fingerprint of the key.
    pub key_id: String,
    /// Its hint in Sigstore bundles.
    pub hint: String,
}

/// How the agent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HealthAnswer {
    /// The text `ok` of a healthy agent.
    pub status: String,
    /// How many signatures it has given.
    pub signatures: u64,
    /// How many it gives at most.
    pub max_signatures: u64,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The reason of the refusal.
    pub error: ProblemDetail,
}

/// What a refusal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemDetail {
    /// The reason, for programs.
    pub code: String,
    /// The reason, for people.
    pub message: String,
    /// What led to it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What the client can do about it.
    #[serde(rename = "do", default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
