//! The in-toto statement that cosign 3 signs for an image in a Sigstore bundle.
//!
//! Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/specs/BUNDLE_SPEC.md>,
//! <https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/statement.md>

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Claims, Envelope, Payload, PayloadError};
use crate::go_json;
use crate::oci::ImageRef;

/// The `payloadType` of in-toto statements.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The name of this format in configuration, plan and report.
pub(crate) const NAME: &str = "cosign-sign-v1";
/// The predicate type of cosign's image signatures.
pub(crate) const PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";
/// How the predicate types of cosign's signatures begin.
const SIGNATURES: &str = "https://sigstore.dev/cosign/sign/";

/// Whether statements of this predicate type are signatures of images, or look so: verifiers may compare the type's name in other ways than
/// this program does.
pub fn is_signature(predicate_type: &str) -> bool {
    predicate_type.to_ascii_lowercase().trim().starts_with(SIGNATURES)
}

#[derive(Serialize)]
struct Statement<'a> {
    _type: &'static str,
    subject: [Subject<'a>; 1],
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    predicate: BTreeMap<(), ()>,
}

#[derive(Serialize)]
struct Subject<'a> {
    digest: DigestSet<'a>,
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct DigestSet<'a> {
    sha256: &'a str,
}

/// The statement that says `claims` of `image`.
///
/// # Errors
///
/// [`PayloadError::Identity`]: it has no place for one.
pub fn payload(image: &ImageRef, claims: &Claims) -> Result<Payload, PayloadError> {
    if !claims.identities.is_empty() {
        return Err(PayloadError::Identity);
    }
    let statement = Statement {
        _type: "https://in-toto.io/Statement/v1",
        subject: [Subject {
            digest: DigestSet { sha256: image.digest.hex() },
            annotations: &claims.annotations,
        }],
        predicate_type: PREDICATE_TYPE,
        predicate: BTreeMap::new(),
    };
    let bytes = go_json::to_vec(&statement).map_err(|_| PayloadError::Json)?;
    Ok(Payload { bytes: bytes.into(), media_type: PAYLOAD_TYPE, envelope: Envelope::Dsse })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_is_cosigns_without_its_random_blanks() {
        let image = format!("registry.example/app@sha256:{}", "ab".repeat(32)).parse().unwrap();
        let claims = Claims { annotations: [("x".into(), "1".into())].into(), ..Claims::default() };
        let payload = payload(&image, &claims).unwrap();
        let want = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{}"}},"annotations":{{"x":"1"}}}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{{}}}}"#,
            "ab".repeat(32)
        );
        assert_eq!(payload.bytes, want.as_bytes());
        assert!(payload.to_be_signed().starts_with(b"DSSEv1 28 application/vnd.in-toto+json "));
    }

    #[test]
    fn an_identity_is_refused_rather_than_dropped() {
        let image = format!("registry.example/app@sha256:{}", "ab".repeat(32)).parse().unwrap();
        let claims = Claims { identities: vec!["a.example/x".into()], ..Claims::default() };
        assert_eq!(payload(&image, &claims), Err(PayloadError::Identity));
    }
}
