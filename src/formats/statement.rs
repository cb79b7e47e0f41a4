//! in-toto statements: making a statement around any predicate, and reading its subjects.
//!
//! What is made is what `cosign attest` makes of an image, but for the predicate itself: it stays as it was
//! given, byte for byte. cosign reads it into Go's maps and floats, and so sorts its keys and rounds its numbers.
//!
//! Spec: <https://github.com/in-toto/attestation/blob/v0.1.0/spec/README.md#statement>,
//! <https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/statement.md>

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::cosign_statement::PAYLOAD_TYPE;
use super::{Envelope, Payload, PayloadError};
use crate::go_json;
use crate::oci::ImageRef;
#[cfg(test)]
use crate::oci::{Digest, Repository};

/// The statement type that `cosign attest` and Chains' `slsa/v1` write.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v0.1";

/// The statement types that are read, a whole list: of another version nobody knows what its subjects mean. The two differ in
/// nothing that is read here.
pub(crate) const STATEMENT_TYPES: [&str; 2] = ["https://in-toto.io/Statement/v1", STATEMENT_TYPE];

#[derive(Serialize)]
struct Head<'a> {
    _type: &'static str,
    subject: Vec<SubjectOut<'a>>,
    #[serde(rename = "predicateType")]
    predicate_type: &'a str,
}

#[derive(Serialize)]
struct SubjectOut<'a> {
    name: String,
    digest: DigestOut<'a>,
}

#[derive(Serialize)]
struct DigestOut<'a> {
    sha256: &'a str,
}

/// The statement that says `predicate` of `images`. `predicate` is JSON already, and stays as it is.
///
/// # Errors
///
/// If its head can't be written as JSON, which would be a bug in Stepseal.
pub fn of_images(
    images: &[ImageRef],
    predicate_type: &str,
    predicate: &RawValue,
) -> Result<Payload, PayloadError> {
    let subject = |image: &ImageRef| image.repository.to_string();
    let subjects = images
        .iter()
        .map(|image| SubjectOut { name: subject(image), digest: DigestOut { sha256: image.digest.hex() } });
    of(subjects.collect(), predicate_type, predicate)
}

/// The same of a file of that `name`, by its SHA-256, in hexadecimal digits.
///
/// # Errors
///
/// As [`of_images`].
pub(crate) fn of_file(
    name: &str,
    sha256: &str,
    predicate_type: &str,
    predicate: &RawValue,
) -> Result<Payload, PayloadError> {
    let subject = SubjectOut { name: name.to_owned(), digest: DigestOut { sha256 } };
    of(vec![subject], predicate_type, predicate)
}

fn of(
    subject: Vec<SubjectOut<'_>>,
    predicate_type: &str,
    predicate: &RawValue,
) -> Result<Payload, PayloadError> {
    let head = Head { _type: STATEMENT_TYPE, subject, predicate_type };
    let mut head = go_json::to_vec(&head).map_err(|_| PayloadError::Json)?;
    // Its closing brace comes after the predicate.
    head.pop();
    let middle = br#","predicate":"#;
    let predicate = predicate.get().as_bytes();
    // One allocation of the right size: a predicate may have 64 MiB.
    let mut bytes = Vec::with_capacity(head.len() + middle.len() + predicate.len() + 1);
    for part in [&head[..], middle, predicate, b"}"] {
        bytes.extend_from_slice(part);
    }
    Ok(Payload { bytes: Bytes::from(bytes), media_type: PAYLOAD_TYPE, envelope: Envelope::Dsse })
}

/// What a statement says of itself, its predicate aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatementHead {
    /// What kind of predicate it holds; empty where it doesn't say.
    pub predicate_type: String,
    /// What it is about.
    pub subjects: Vec<StatementSubject>,
}

/// Something that a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct StatementSubject {
    /// Its name; empty in cosign's image signatures.
    #[serde(default)]
    pub name: String,
    /// Its digests, by algorithm.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
}

impl StatementSubject {
    /// The image that it names; `None`: its name or digest is not an image's.
    ///
    /// A name without its registry written out may as well be a file's, and is none of an image here.
    #[cfg(test)]
    pub(crate) fn image(&self) -> Option<ImageRef> {
        let repository: Repository = self.name.parse().ok()?;
        if repository.to_string() != self.name {
            return None;
        }
        let digest: Digest = format!("sha256:{}", self.digest.get("sha256")?).parse().ok()?;
        Some(ImageRef { repository, digest })
    }
}

#[derive(Deserialize)]
struct HeadIn<'a> {
    #[serde(rename = "predicateType", default, borrow)]
    predicate_type: Cow<'a, str>,
    #[serde(default)]
    subject: Option<Vec<StatementSubject>>,
}

/// Reads the head of a statement; `None`: the bytes are not a JSON object of that shape. The predicate is skipped, not kept.
pub(crate) fn head(bytes: &[u8]) -> Option<StatementHead> {
    let head: HeadIn<'_> = serde_json::from_slice(bytes).ok()?;
    Some(StatementHead {
        predicate_type: head.predicate_type.into_owned(),
        subjects: head.subject.unwrap_or_default(),
    })
}

/// The short names of predicate types, as cosign 3.1.2 has them.
pub(crate) const PREDICATE_NAMES: &[(&str, &str)] = &[
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("link", "https://in-toto.io/Link/v1"),
    ("openvex", "https://openvex.dev/ns"),
    ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
];

/// The predicate type that `text` names: a short name of cosign's, or a URI as it is; `None`: it is neither.
pub(crate) fn predicate_type(text: &str) -> Option<&str> {
    if let Some((_, uri)) = PREDICATE_NAMES.iter().find(|(name, _)| *name == text) {
        return Some(uri);
    }
    let is_uri = url::Url::parse(text).is_ok() && !text.contains(char::is_whitespace);
    is_uri.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn image(name: &str) -> ImageRef {
        format!("{name}@sha256:{}", "ab".repeat(32)).parse().unwrap()
    }

    /// What cosign 3.1.2 wrote for `cosign attest --type https://example.com/t/v1`.
    #[test]
    fn the_statement_is_cosigns() {
        let payload =
            of_images(&[image("127.0.0.1:5391/app")], "https://example.com/t/v1", &raw(r#"{"z":1}"#));
        let want = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v0.1","subject":[{{"name":"127.0.0.1:5391/app","digest":{{"sha256":"{}"}}}}],"predicateType":"https://example.com/t/v1","predicate":{{"z":1}}}}"#,
            "ab".repeat(32)
        );
        assert_eq!(payload.unwrap().bytes, want.as_bytes());
    }

    #[test]
    fn a_predicate_stays_as_it_is() {
        let text = r#"{ "b": 1.0, "a": 12345678901234567890, "u": "\u00e9" }"#;
        let payload = of_images(&[image("r.example/a")], "https://e.x/t", &raw(text)).unwrap();
        assert!(std::str::from_utf8(&payload.bytes).unwrap().contains(text));
    }

    #[test]
    fn a_head_says_who_it_is_about_and_which_of_them_are_images() {
        let text = format!(
            r#"{{"predicateType":"t","predicate":{{"x":[1]}},"subject":[{{"name":"r.example/a","digest":{{"sha256":"{0}"}}}},{{"name":"r.example/TRUE","digest":{{"sha256":"{0}"}}}},{{"name":"s3://b/x","digest":{{"sha256":"{0}"}}}},{{"name":"r.example/b","digest":{{"sha1":"ab"}}}},{{"name":"app.jar","digest":{{"sha256":"{0}"}}}}]}}"#,
            "cd".repeat(32)
        );
        let head = head(text.as_bytes()).unwrap();
        assert_eq!(head.predicate_type, "t");
        let images: Vec<String> =
            head.subjects.iter().filter_map(|s| Some(s.image()?.repository.to_string())).collect();
        assert_eq!(images, ["r.example/a"]);
        assert_eq!(super::head(b"[1]"), None);
        assert_eq!(super::head(b"{\"subject\":null}").unwrap().subjects, []);
    }

    #[test]
    fn types_have_short_names_or_are_uris() {
        assert_eq!(predicate_type("slsaprovenance1"), Some("https://slsa.dev/provenance/v1"));
        assert_eq!(predicate_type("https://example.com/x"), Some("https://example.com/x"));
        for wrong in ["", "sbom", "slsaprovenance2", "https://a b"] {
            assert_eq!(predicate_type(wrong), None, "{wrong}");
        }
    }
}
