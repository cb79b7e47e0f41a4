//! What a request asks to be signed, and what that says.
//!
//! Verifiers read JSON in many ways: some take the last of two equal keys, some the first, some don't mind upper-case.
//! So a signature is given only over bytes that can be read in one way:
//!
//! - An image's payload must be, byte for byte, what this program writes for the image and claims in it.
//! - An in-toto statement has in-toto's fields and no other, each once; the predicate alone is free.
//! - A run's status has a status' fields and no other, so that it is no payload of the other kinds.
//!
//! Spec: <https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/statement.md>

mod statement;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Kind, Malformed, Refusal};
use crate::payload::{
    Claims, CosignStatement, Envelope, Format, Payload, SimpleSigning, cosign_statement, simple_signing,
};
use crate::registry::reference::Named;
use crate::registry::{ImageRef, Repository};
use crate::sign::remote::wire::{SignImageRequest, SignRequest};

/// The media type of a run's status, signed as it is.
pub const RUN_TYPE: &str = "application/json";

/// A payload is about so many images at most: an index with its manifests has dozens.
const MAX_IMAGES: usize = 256;

/// The fields of a run's status: <https://tekton.dev/docs/pipelines/pipeline-api/>.
const STATUS_FIELDS: [&str; 26] = [
    "annotations",
    "artifacts",
    "childReferences",
    "cloudEvents",
    "completionTime",
    "conditions",
    "finallyStartTime",
    "observedGeneration",
    "pipelineResults",
    "pipelineSpec",
    "podName",
    "provenance",
    "resourcesResult",
    "results",
    "retriesStatus",
    "runs",
    "sidecars",
    "skippedTasks",
    "spanContext",
    "startTime",
    "steps",
    "taskResults",
    "taskRunStatus",
    "taskRuns",
    "taskSpec",
    "variables",
];

/// What is asked for, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What a verifier will take it for.
    pub kind: Kind,
    /// What is signed.
    pub payload: Payload,
    /// What it is about; each is looked up.
    pub images: Vec<ImageRef>,
    /// Names that it gives to them besides.
    pub names: Vec<Repository>,
    /// Whether the payload was made here.
    pub made_here: bool,
}

/// Reads the body of a request that brings its payload.
///
/// # Errors
///
/// What is wrong with it.
pub fn sign(body: &[u8]) -> Result<Asked, Refusal> {
    let request: SignRequest =
        serde_json::from_slice(body).map_err(|error| Refusal::Request(error.into()))?;
    let bytes = STANDARD.decode(&request.payload).map_err(|_| Refusal::Request(Malformed::Base64))?;
    let images = images(&request.images).map_err(Refusal::Request)?;
    let asked = match request.payload_type.as_str() {
        simple_signing::MEDIA_TYPE => simple(&bytes, &images),
        cosign_statement::PAYLOAD_TYPE => statement::read(&bytes, images),
        RUN_TYPE => run(bytes, images),
        _ => return Err(Refusal::Request(Malformed::PayloadType)),
    };
    asked.map_err(Refusal::Payload)
}

/// Reads the body of a request that names an image, and makes its payload.
///
/// # Errors
///
/// What is wrong with it.
pub fn sign_image(body: &[u8]) -> Result<Asked, Refusal> {
    let request: SignImageRequest =
        serde_json::from_slice(body).map_err(|error| Refusal::Request(error.into()))?;
    let image: ImageRef = request.image.parse().map_err(|error| Refusal::Request(Malformed::Image(error)))?;
    let format: &dyn Format = match request.format.as_deref() {
        None => &SimpleSigning,
        Some(name) if name == SimpleSigning.name() => &SimpleSigning,
        Some(name) if name == CosignStatement.name() => &CosignStatement,
        Some(_) => return Err(Refusal::Request(Malformed::Format)),
    };
    let identity = request.identity.as_deref();
    let names = identity.map(name).transpose().map_err(Refusal::Request)?;
    let claims =
        Claims { identities: request.identity.into_iter().collect(), annotations: request.annotations };
    let payload = one(format, &image, &claims).map_err(Refusal::Request)?;
    let names = names.into_iter().collect();
    Ok(Asked { kind: Kind::Image, payload, images: vec![image], names, made_here: true })
}

fn images(texts: &[String]) -> Result<Vec<ImageRef>, Malformed> {
    if texts.len() > MAX_IMAGES {
        return Err(Malformed::ManyImages { limit: MAX_IMAGES });
    }
    texts.iter().map(|text| text.parse().map_err(Malformed::Image)).collect()
}

/// A name that is signed, with or without a tag.
fn name(text: &str) -> Result<Repository, Malformed> {
    text.parse::<Named>().map(|named| named.repository).map_err(Malformed::Name)
}

/// The one payload of an image with these claims.
fn one(format: &dyn Format, image: &ImageRef, claims: &Claims) -> Result<Payload, Malformed> {
    let mut payloads = format.payloads(image, claims).map_err(Malformed::Claims)?;
    match (payloads.pop(), payloads.is_empty()) {
        (Some(payload), true) => Ok(payload),
        _ => Err(Malformed::NotCanonical),
    }
}

/// A payload of simple signing: what it says is written anew and compared.
fn simple(bytes: &[u8], images: &[ImageRef]) -> Result<Asked, Malformed> {
    let document: Value = serde_json::from_slice(bytes)?;
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let identity = text("/critical/identity/docker-reference").ok_or(Malformed::NotCanonical)?;
    let digest = text("/critical/image/docker-manifest-digest").ok_or(Malformed::NotCanonical)?;
    let digest = digest
        .parse()
        .map_err(|error| Malformed::Image(crate::registry::reference::ReferenceError::Digest(error)))?;
    let name = name(identity)?;
    let image = match images {
        [] => ImageRef { repository: name.clone(), digest },
        [image] if image.digest == digest => image.clone(),
        _ => return Err(Malformed::OtherImage),
    };
    let annotations = match document.get("optional") {
        None | Some(Value::Null) => Default::default(),
        Some(optional) => serde_json::from_value(optional.clone())?,
    };
    let claims = Claims { identities: vec![identity.to_owned()], annotations };
    let payload = one(&SimpleSigning, &image, &claims)?;
    if payload.bytes != bytes {
        return Err(Malformed::NotCanonical);
    }
    Ok(Asked { kind: Kind::Image, payload, images: vec![image], names: vec![name], made_here: false })
}

/// A run's status. It is signed as it is, so it must be nothing else that is signed as it is.
fn run(bytes: Vec<u8>, images: Vec<ImageRef>) -> Result<Asked, Malformed> {
    let status: Map<String, Value> = serde_json::from_slice(&bytes)?;
    let known = |field: &String| STATUS_FIELDS.contains(&field.as_str());
    if !status.keys().all(known) || !status.contains_key("conditions") {
        return Err(Malformed::NotAStatus);
    }
    let payload = Payload { bytes: Bytes::from(bytes), media_type: RUN_TYPE, envelope: Envelope::Bare };
    Ok(Asked { kind: Kind::Run, payload, images, names: Vec::new(), made_here: false })
}

#[cfg(test)]
mod tests;
