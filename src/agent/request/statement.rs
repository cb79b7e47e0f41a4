//! An in-toto statement that is to be signed: cosign's about one image, or any other about images.
//!
//! A verifier may look for any digest, URI or location in a subject, so a subject has exactly what the agent looks up: one
//! sha256 digest, and the name of the repository. cosign's statement is compared byte for byte instead.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::shape::{AtMost, Given, Object};
use super::{Asked, MAX_IMAGES, Malformed, one, strict};
use crate::agent::Kind;
use crate::blank::is_blank;
use crate::formats::cosign_statement::{PAYLOAD_TYPE, PREDICATE_TYPE, is_signature};
use crate::formats::statement::STATEMENT_TYPES;
use crate::formats::{Claims, Envelope, Payload};
use crate::oci::{Digest, ImageRef};
use crate::payload::CosignStatement;

/// A statement. Unknown fields are refused. The predicate is free; it is checked, and not kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement<'a> {
    #[serde(borrow)]
    _type: Cow<'a, str>,
    subject: Option<AtMost<Object<Subject>, MAX_IMAGES>>,
    #[serde(rename = "predicateType", borrow)]
    predicate_type: Cow<'a, str>,
    // `null` counts as none.
    predicate: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    #[serde(default)]
    name: String,
    #[serde(default)]
    digest: Digests,
    #[serde(default)]
    annotations: Given,
    #[serde(default)]
    content: Given,
    #[serde(default, rename = "downloadLocation")]
    download_location: Given,
    #[serde(default, rename = "mediaType")]
    media_type: Given,
    #[serde(default)]
    uri: Given,
}

impl Subject {
    /// The first field that says more than what can be looked up.
    fn unchecked(&self) -> Option<&'static str> {
        [
            ("annotations", self.annotations),
            ("content", self.content),
            ("downloadLocation", self.download_location),
            ("mediaType", self.media_type),
            ("uri", self.uri),
        ]
        .into_iter()
        .find_map(|(name, given)| given.0.then_some(name))
    }
}

/// The digests of a subject.
#[derive(Default)]
struct Digests {
    sha256: Option<String>,
    /// Whether there are others.
    others: bool,
}

impl Digests {
    /// The digest, if there is only one.
    fn only(&self) -> Result<Digest, Malformed> {
        let hex = self.sha256.as_ref().ok_or(Malformed::NoDigest)?;
        if self.others {
            return Err(Malformed::OtherDigest);
        }
        format!("sha256:{hex}").parse().map_err(|_| Malformed::NoDigest)
    }
}

impl<'de> Deserialize<'de> for Digests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Digests;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object with digests")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Digests, A::Error> {
                let mut digests = Digests::default();
                while let Some(algorithm) = entries.next_key::<String>()? {
                    if algorithm == "sha256" && digests.sha256.is_none() {
                        digests.sha256 = Some(entries.next_value()?);
                    } else {
                        entries.next_value::<IgnoredAny>()?;
                        digests.others = true;
                    }
                }
                Ok(digests)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Reads a statement; `images` are those that the request names.
pub(super) fn read(bytes: Vec<u8>, images: Vec<ImageRef>) -> Result<Asked, Malformed> {
    strict(&bytes)?;
    let Object(statement) = serde_json::from_slice::<Object<Statement<'_>>>(&bytes)?;
    if !STATEMENT_TYPES.contains(&statement._type.as_ref()) {
        return Err(Malformed::NotAStatement);
    }
    if statement.predicate.is_none() {
        return Err(Malformed::NoPredicate);
    }
    if is_blank(&statement.predicate_type) {
        return Err(Malformed::NoPredicateType);
    }
    if is_signature(&statement.predicate_type) {
        if statement.predicate_type != PREDICATE_TYPE {
            return Err(Malformed::NotCanonical);
        }
        return cosigns(&bytes, images);
    }
    let subject = statement.subject.unwrap_or_default();
    let images = subjects(subject, images)?;
    let payload = Payload { bytes: Bytes::from(bytes), media_type: PAYLOAD_TYPE, envelope: Envelope::Dsse };
    Ok(Asked { kind: Kind::Attestation, payload, images, names: Vec::new(), made_here: false })
}

/// What is read of cosign's statement; all the rest is compared.
#[derive(Deserialize)]
struct CosignsSubjects {
    subject: [CosignsSubject; 1],
}

#[derive(Deserialize)]
struct CosignsSubject {
    digest: BTreeMap<String, String>,
    annotations: Option<BTreeMap<String, String>>,
}

/// cosign's statement: what it says is written anew and compared.
fn cosigns(bytes: &[u8], images: Vec<ImageRef>) -> Result<Asked, Malformed> {
    if bytes.len() > Kind::Image.max_payload_bytes() {
        return Err(Malformed::NotCanonical);
    }
    let CosignsSubjects { subject: [subject] } =
        serde_json::from_slice(bytes).map_err(|_| Malformed::NotCanonical)?;
    let image = match &images[..] {
        [image] if subject.digest.get("sha256").is_some_and(|hex| hex == image.digest.hex()) => image.clone(),
        [] => return Err(Malformed::NoRepository),
        _ => return Err(Malformed::OtherImage),
    };
    let annotations = subject.annotations.unwrap_or_default();
    let payload = one(&CosignStatement, &image, &Claims { identities: Vec::new(), annotations })?;
    if payload.bytes != bytes {
        return Err(Malformed::NotCanonical);
    }
    Ok(Asked { kind: Kind::Image, payload, images, names: Vec::new(), made_here: false })
}

/// The images of any other statement: each subject is one, in the repository that the request or the subject's name says.
fn subjects(
    subjects: AtMost<Object<Subject>, MAX_IMAGES>,
    images: Vec<ImageRef>,
) -> Result<Vec<ImageRef>, Malformed> {
    if subjects.items.is_empty() {
        return Err(Malformed::NoSubject);
    }
    if subjects.more {
        return Err(Malformed::ManyImages { limit: MAX_IMAGES });
    }
    let mut digests = Vec::new();
    let mut all = images.clone();
    for Object(subject) in &subjects.items {
        if let Some(field) = subject.unchecked() {
            return Err(Malformed::SubjectField { field });
        }
        let digest = subject.digest.only()?;
        if subject.name.is_empty() {
            if !images.iter().any(|image| image.digest == digest) {
                return Err(Malformed::NoRepository);
            }
        } else {
            // Without a tag: which image that names isn't looked up.
            let repository = subject.name.parse().map_err(Malformed::Name)?;
            all.push(ImageRef { repository, digest: digest.clone() });
        }
        digests.push(digest);
    }
    if images.iter().any(|image| !digests.contains(&image.digest)) {
        return Err(Malformed::OtherImage);
    }
    all.sort();
    all.dedup();
    Ok(all)
}
