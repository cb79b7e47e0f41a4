//! An in-toto statement that is to be signed: cosign's about one image, or any other about images.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Asked, MAX_IMAGES, Malformed, name, one};
use crate::agent::Kind;
use crate::payload::cosign_statement::{PAYLOAD_TYPE, PREDICATE_TYPE};
use crate::payload::{Claims, CosignStatement, Envelope, Payload};
use crate::registry::{Digest, ImageRef};

/// The versions of statements that are signed.
const TYPES: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];

/// Where predicate types of image signatures are, which are cosign's alone.
const COSIGN_PREDICATES: &str = "https://sigstore.dev/cosign/sign/";

/// A statement. Unknown fields are refused, and fields that are there twice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement<'a> {
    _type: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    /// Free, and not read.
    #[serde(borrow)]
    predicate: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    #[serde(default)]
    name: String,
    #[serde(default)]
    digest: BTreeMap<String, String>,
    #[serde(default)]
    annotations: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default, rename = "uri")]
    _uri: Option<String>,
    #[serde(default, rename = "mediaType")]
    _media_type: Option<String>,
    #[serde(default, rename = "downloadLocation")]
    _download_location: Option<String>,
}

/// Reads a statement; `images` are those that the request names.
pub(super) fn read(bytes: &[u8], images: Vec<ImageRef>) -> Result<Asked, Malformed> {
    let statement: Statement<'_> = serde_json::from_slice(bytes)?;
    if !TYPES.contains(&statement._type.as_str()) || statement.predicate.is_none() {
        return Err(Malformed::NotAStatement);
    }
    // Verifiers may compare the type's name in other ways than we do: whatever looks like cosign's is cosign's.
    if statement.predicate_type.to_ascii_lowercase().trim().starts_with(COSIGN_PREDICATES) {
        return cosigns(bytes, statement, images);
    }
    attestation(bytes, &statement, images)
}

/// cosign's statement: what it says is written anew and compared.
fn cosigns(bytes: &[u8], statement: Statement<'_>, images: Vec<ImageRef>) -> Result<Asked, Malformed> {
    let mut subjects = statement.subject.into_iter();
    let (Some(subject), None) = (subjects.next(), subjects.next()) else {
        return Err(Malformed::NotCanonical);
    };
    let image = match &images[..] {
        [image] if subject.digest.get("sha256").is_some_and(|hex| hex == image.digest.hex()) => image.clone(),
        [] => return Err(Malformed::NoRepository),
        _ => return Err(Malformed::OtherImage),
    };
    let annotations = serde_json::from_value(subject.annotations.unwrap_or_default().into())?;
    let payload = one(&CosignStatement, &image, &Claims { identities: Vec::new(), annotations })?;
    if statement.predicate_type != PREDICATE_TYPE || payload.bytes != bytes {
        return Err(Malformed::NotCanonical);
    }
    Ok(Asked { kind: Kind::Image, payload, images, names: Vec::new(), made_here: false })
}

/// Any other statement: each subject is an image, in the repository that the request or the subject's name says.
fn attestation(bytes: &[u8], statement: &Statement<'_>, images: Vec<ImageRef>) -> Result<Asked, Malformed> {
    if statement.subject.is_empty() {
        return Err(Malformed::NoSubject);
    }
    if statement.subject.len() > MAX_IMAGES {
        return Err(Malformed::ManyImages { limit: MAX_IMAGES });
    }
    let mut digests = Vec::new();
    let mut all = images.clone();
    for subject in &statement.subject {
        let hex = subject.digest.get("sha256").ok_or(Malformed::NoDigest)?;
        let digest: Digest = format!("sha256:{hex}").parse().map_err(|_| Malformed::NoDigest)?;
        if subject.name.is_empty() {
            if !images.iter().any(|image| image.digest == digest) {
                return Err(Malformed::NoRepository);
            }
        } else {
            all.push(ImageRef { repository: name(&subject.name)?, digest: digest.clone() });
        }
        digests.push(digest);
    }
    if images.iter().any(|image| !digests.contains(&image.digest)) {
        return Err(Malformed::OtherImage);
    }
    all.sort();
    all.dedup();
    let payload =
        Payload { bytes: Bytes::copy_from_slice(bytes), media_type: PAYLOAD_TYPE, envelope: Envelope::Dsse };
    Ok(Asked { kind: Kind::Attestation, payload, images: all, names: Vec::new(), made_here: false })
}
