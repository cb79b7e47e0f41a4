//! What a request asks to be signed, and what that says.
//!
//! Verifiers read JSON in many ways: some take the last of two equal keys, some the first, some don't mind upper-case.
//! So a signature is given only over bytes that can be read in one way:
//!
//! - An image's payload must be, byte for byte, what this program writes for the image and claims in it.
//! - An in-toto statement has in-toto's fields and no other; each of its subjects has one digest, sha256, of an image that is
//!   looked up, and nothing that isn't; the predicate alone is free.
//! - A run's status has the fields of a TaskRun's or a PipelineRun's, of their types, and no other, so that it is no payload of the other kinds.
//! - Requests and payloads are objects in UTF-8, with each key once at every depth.
//!
//! A payload is decoded only if it isn't longer than one of its [`Kind`] may be, and nothing is kept of what isn't used.
//!
//! Spec: <https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/statement.md>

mod shape;
mod statement;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use self::shape::{AtMost, Object};
use super::{Kind, Malformed, Refusal};
use crate::formats::{Claims, Envelope, Payload, cosign_statement, simple_signing};
use crate::json::{self, MemoryLimit};
use crate::oci::reference::Named;
use crate::oci::{ImageRef, Repository};
use crate::payload::{CosignStatement, Format, SimpleSigning};
use crate::run::{RunKind, check_status};
use crate::sign::remote::wire::SignImageRequest;

/// The media type of a run's status, signed as it is.
pub(crate) const RUN_TYPE: &str = "application/json";

/// A payload is about so many images at most: an index with its manifests has dozens.
const MAX_IMAGES: usize = 256;

/// What the keys of a document may take while they are compared, in memory: an object of 6 MiB with an entry a file has
/// 60,000 of them. One document is read at a time.
pub(super) const KEYS_BYTES: usize = 16 * 1024 * 1024;
const KEYS: MemoryLimit = MemoryLimit::memory(KEYS_BYTES);

/// What a run's status may take in memory while it is checked, as `verify-run` reads it: the API server bounds a run at 1.5 MiB.
const STATUS: MemoryLimit = MemoryLimit::memory(16 * 1024 * 1024);

/// What is asked for, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What a verifier will take it for.
    pub kind: Kind,
    /// The payload that the agent is asked to sign.
    pub payload: Payload,
    /// What it is about; each is looked up.
    pub images: Vec<ImageRef>,
    /// Names that it gives to them besides.
    pub names: Vec<Repository>,
    /// Whether the payload was made here.
    pub made_here: bool,
}

/// The body of a request that brings its payload: a [`SignRequest`](crate::sign::remote::wire::SignRequest), with the text of the
/// payload left where it is, as it may have 8 MiB.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Question<'a> {
    #[serde(borrow)]
    payload_type: Cow<'a, str>,
    #[serde(borrow)]
    payload: Cow<'a, str>,
    #[serde(default)]
    images: AtMost<String, MAX_IMAGES>,
}

/// What a payload is, by its `payloadType`.
#[derive(Clone, Copy)]
enum Type {
    Simple,
    InToto,
    Run,
}

impl Type {
    fn of(text: &str) -> Option<Self> {
        match text {
            simple_signing::MEDIA_TYPE => Some(Self::Simple),
            cosign_statement::PAYLOAD_TYPE => Some(Self::InToto),
            RUN_TYPE => Some(Self::Run),
            _ => None,
        }
    }

    /// The longest payload that can be of an allowed kind, in bytes.
    fn max_bytes(self, kinds: &[Kind]) -> usize {
        match self {
            Self::Run => Kind::Run,
            Self::InToto if kinds.contains(&Kind::Attestation) => Kind::Attestation,
            Self::Simple | Self::InToto => Kind::Image,
        }
        .max_payload_bytes()
    }
}

/// Reads the body of a request that brings its payload, for an agent that signs `kinds`.
///
/// # Errors
///
/// What is wrong with it.
pub fn sign(body: Vec<u8>, kinds: &[Kind]) -> Result<Asked, Refusal> {
    let question: Question<'_> = object(&body).map_err(Refusal::Request)?;
    let payload_type = Type::of(&question.payload_type).ok_or(Refusal::Request(Malformed::PayloadType))?;
    let limit = payload_type.max_bytes(kinds);
    // Four characters are three bytes.
    if question.payload.len() / 4 * 3 > limit + 2 {
        return Err(Refusal::LongPayload { limit });
    }
    let bytes =
        STANDARD.decode(question.payload.as_bytes()).map_err(|_| Refusal::Request(Malformed::Base64))?;
    let images = images(&question.images).map_err(Refusal::Request)?;
    // Its text isn't needed beside its bytes.
    drop(question);
    drop(body);
    let asked = match payload_type {
        Type::Simple => simple(&bytes, &images),
        Type::InToto => statement::read(bytes, images),
        Type::Run => run(bytes, images),
    };
    asked.map_err(Refusal::Payload)
}

/// Reads the body of a request that names an image, and makes its payload.
///
/// # Errors
///
/// What is wrong with it.
pub fn sign_image(body: &[u8]) -> Result<Asked, Refusal> {
    let request: SignImageRequest = object(body).map_err(Refusal::Request)?;
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
    let limit = Kind::Image.max_payload_bytes();
    if payload.bytes.len() > limit {
        return Err(Refusal::LongPayload { limit });
    }
    let names = names.into_iter().collect();
    Ok(Asked { kind: Kind::Image, payload, images: vec![image], names, made_here: true })
}

/// JSON that every reader reads alike: UTF-8, and each key once in its object, at every depth.
fn strict(bytes: &[u8]) -> Result<(), Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)?;
    Ok(json::check(bytes, KEYS)?)
}

/// Strict JSON that is an object.
fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    strict(bytes)?;
    let Object(content) = serde_json::from_slice(bytes)?;
    Ok(content)
}

fn images(texts: &AtMost<String, MAX_IMAGES>) -> Result<Vec<ImageRef>, Malformed> {
    if texts.more {
        return Err(Malformed::ManyImages { limit: MAX_IMAGES });
    }
    texts.items.iter().map(|text| text.parse().map_err(Malformed::Image)).collect()
}

/// A name that is signed, with or without a tag.
fn name(text: &str) -> Result<Repository, Malformed> {
    text.parse::<Named>().map(|named| named.repository).map_err(Malformed::Name)
}

/// The only payload of an image with these claims.
fn one(format: &dyn Format, image: &ImageRef, claims: &Claims) -> Result<Payload, Malformed> {
    let mut payloads = format.payloads(image, claims).map_err(Malformed::Claims)?;
    match (payloads.pop(), payloads.is_empty()) {
        (Some(payload), true) => Ok(payload),
        _ => Err(Malformed::NotCanonical),
    }
}

/// A payload of simple signing: what it says is written anew and compared.
fn simple(bytes: &[u8], images: &[ImageRef]) -> Result<Asked, Malformed> {
    strict(bytes)?;
    let document: Value = serde_json::from_slice(bytes)?;
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let identity = text("/critical/identity/docker-reference").ok_or(Malformed::NotCanonical)?;
    let digest = text("/critical/image/docker-manifest-digest").ok_or(Malformed::NotCanonical)?;
    let digest = digest
        .parse()
        .map_err(|error| Malformed::Image(crate::oci::reference::ReferenceError::Digest(error)))?;
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

/// A run's status. It is signed as it is, so it must be nothing else that is signed as it is: the status of a TaskRun or of a PipelineRun,
/// by the same check that `verify-run` makes of it.
fn run(bytes: Vec<u8>, images: Vec<ImageRef>) -> Result<Asked, Malformed> {
    strict(&bytes)?;
    let status = json::value(&bytes, STATUS)?;
    if ![RunKind::TaskRun, RunKind::PipelineRun].iter().any(|kind| check_status(*kind, &status).is_ok()) {
        return Err(Malformed::NotAStatus);
    }
    let payload = Payload { bytes: Bytes::from(bytes), media_type: RUN_TYPE, envelope: Envelope::Bare };
    Ok(Asked { kind: Kind::Run, payload, images, names: Vec::new(), made_here: false })
}

#[cfg(test)]
mod tests;
