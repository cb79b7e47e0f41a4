//! `simplesigning`: the payload of cosign's `.sig` tags.
//!
//! Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/specs/SIGNATURE_SPEC.md#simple-signing>

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

use super::{Claims, Envelope, Payload, PayloadError};
use crate::go_json;
use crate::oci::ImageRef;

/// The media type of a simple signing payload, as a layer of the `.sig` manifest.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The name of this format in configuration, plan and report.
pub(crate) const NAME: &str = "simplesigning";

#[derive(Serialize)]
struct Document<'a> {
    critical: Critical<'a>,
    // Go writes an absent map as null, and so do cosign and Chains.
    optional: Option<&'a BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct Critical<'a> {
    identity: Identity<'a>,
    image: Image<'a>,
    r#type: &'static str,
}

#[derive(Serialize)]
struct Identity<'a> {
    #[serde(rename = "docker-reference")]
    docker_reference: &'a str,
}

#[derive(Serialize)]
struct Image<'a> {
    #[serde(rename = "docker-manifest-digest")]
    docker_manifest_digest: &'a str,
}

/// The payloads that say `claims` of `image`: one an identity, which is the repository's name where none is given.
///
/// # Errors
///
/// If it can't be written as JSON, which would be a bug in Stepseal.
pub(crate) fn payloads(image: &ImageRef, claims: &Claims) -> Result<Vec<Payload>, PayloadError> {
    let own = [image.repository.to_string()];
    let identities = if claims.identities.is_empty() { &own[..] } else { &claims.identities[..] };
    identities.iter().map(|identity| payload(image, identity, claims)).collect()
}

/// The payloads that we and cosign sign for `image` without annotations and other names: `sign` and `verify` need not fetch these,
/// and both have to read any other.
pub(crate) fn usual(image: &ImageRef) -> Vec<Bytes> {
    let payloads = payloads(image, &Claims::default()).unwrap_or_default();
    payloads.into_iter().map(|payload| payload.bytes).collect()
}

fn payload(image: &ImageRef, identity: &str, claims: &Claims) -> Result<Payload, PayloadError> {
    let document = Document {
        critical: Critical {
            identity: Identity { docker_reference: identity },
            image: Image { docker_manifest_digest: image.digest.as_str() },
            r#type: "cosign container image signature",
        },
        optional: (!claims.annotations.is_empty()).then_some(&claims.annotations),
    };
    let bytes = go_json::to_vec(&document).map_err(|_| PayloadError::Json)?;
    Ok(Payload { bytes: Bytes::from(bytes), media_type: MEDIA_TYPE, envelope: Envelope::Bare })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str =
        "127.0.0.1:5056/app:1@sha256:93472adaebf5c6574304b63ba42c22466360efadcc936d0eaae5a5b44de1b6c0";

    fn text(claims: &Claims) -> Vec<String> {
        let payloads = payloads(&IMAGE.parse().unwrap(), claims).unwrap();
        payloads.iter().map(|payload| String::from_utf8(payload.bytes.to_vec()).unwrap()).collect()
    }

    /// The bytes that cosign 3.1.2 signed for this image.
    #[test]
    fn bytes_are_cosigns() {
        let want = r#"{"critical":{"identity":{"docker-reference":"127.0.0.1:5056/app"},"image":{"docker-manifest-digest":"sha256:93472adaebf5c6574304b63ba42c22466360efadcc936d0eaae5a5b44de1b6c0"},"type":"cosign container image signature"},"optional":null}"#;
        assert_eq!(text(&Claims::default()), [want]);
        assert_eq!(want.len(), 234);
    }

    #[test]
    fn one_payload_an_identity_and_annotations_sorted() {
        let claims = Claims {
            identities: vec!["a.example/x".into(), "b.example/y".into()],
            annotations: [("z", "<1>"), ("a", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        };
        let texts = text(&claims);
        assert_eq!(texts.len(), 2);
        assert!(texts[0].contains(r#""docker-reference":"a.example/x""#), "{}", texts[0]);
        assert!(texts[1].ends_with(r#""optional":{"a":"2","z":"\u003c1\u003e"}}"#), "{}", texts[1]);
    }
}
