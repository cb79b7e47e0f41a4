//! What a simple signing payload says, read strictly.
//!
//! The layout has no room for anything but what is known: another key, a key twice, another type, or anything behind
//! the end is refused, because another reader might see something else in it.
//!
//! Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/specs/SIGNATURE_SPEC.md#simple-signing>

use serde_json::{Map, Value};

use crate::json::{self, MemoryLimit};
use crate::oci::Digest;
use crate::oci::digest::DigestError;

/// The only `type` that exists.
pub(crate) const TYPE: &str = "cosign container image signature";

/// What a payload may take in memory: it has a name, a digest and some annotations.
const PAYLOAD: MemoryLimit = MemoryLimit::memory(8 * 1024 * 1024);

/// What a payload claims of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The name it was signed under.
    pub docker_reference: String,
    /// The manifest's digest.
    pub digest: Digest,
    /// Annotations; their values may be any JSON.
    pub optional: Map<String, Value>,
    /// The whole document.
    pub document: Value,
}

/// Why bytes are not a simple signing payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The bytes are not JSON that can be trusted.
    #[error("the payload is not JSON that says each thing once")]
    Json(#[source] serde_json::Error),
    /// Something is missing, of another kind, or too much.
    #[error("the payload is no simple signing: {0}")]
    Shape(&'static str),
    /// Another type.
    #[error("the payload's type is {0:?}, not an image signature's")]
    Type(String),
    /// What should be a digest is none.
    #[error("the payload's docker-manifest-digest is no sha256 digest")]
    Digest(#[source] DigestError),
}

impl Claim {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// When it is anything else than a simple signing of an image.
    pub fn read(bytes: &[u8]) -> Result<Self, ClaimError> {
        let document = json::value(bytes, PAYLOAD).map_err(ClaimError::Json)?;
        let top = object(&document, &["critical", "optional"], "the document is not {critical, optional}")?;
        let critical = top.get("critical").ok_or(ClaimError::Shape("critical is missing"))?;
        let critical =
            object(critical, &["identity", "image", "type"], "critical is not {identity, image, type}")?;
        let inner = |name: &str, field: &'static str, what| {
            let value = critical.get(name).ok_or(ClaimError::Shape(what))?;
            object(value, &[field], what)?.get(field).and_then(Value::as_str).ok_or(ClaimError::Shape(what))
        };
        let kind =
            critical.get("type").and_then(Value::as_str).ok_or(ClaimError::Shape("type is missing"))?;
        if kind != TYPE {
            return Err(ClaimError::Type(crate::foreign::escape(kind, 80)));
        }
        let reference = inner("identity", "docker-reference", "identity is not {docker-reference}")?;
        let digest = inner("image", "docker-manifest-digest", "image is not {docker-manifest-digest}")?;
        let optional = match top.get("optional") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(optional)) => optional.clone(),
            Some(_) => return Err(ClaimError::Shape("optional is no object")),
        };
        Ok(Self {
            docker_reference: reference.to_owned(),
            digest: digest.parse().map_err(ClaimError::Digest)?,
            optional,
            document: document.clone(),
        })
    }
}

fn object<'a>(
    value: &'a Value,
    known: &[&str],
    what: &'static str,
) -> Result<&'a Map<String, Value>, ClaimError> {
    let object = value.as_object().ok_or(ClaimError::Shape(what))?;
    if object.keys().all(|key| known.contains(&key.as_str())) {
        Ok(object)
    } else {
        Err(ClaimError::Shape(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Claims;
    use crate::payload::{Format as _, SimpleSigning};

    const HEX: &str = "93472adaebf5c6574304b63ba42c22466360efadcc936d0eaae5a5b44de1b6c0";

    fn text(critical: &str, rest: &str) -> String {
        format!(r#"{{"critical":{{{critical}}}{rest}}}"#)
    }

    #[test]
    fn what_we_sign_is_read() {
        let image = format!("registry.example/app@sha256:{HEX}").parse().unwrap();
        let claims = Claims { annotations: [("a".into(), "b".into())].into(), ..Claims::default() };
        let payloads = SimpleSigning.payloads(&image, &claims).unwrap();
        let claim = Claim::read(&payloads[0].bytes).unwrap();
        assert_eq!(claim.docker_reference, "registry.example/app");
        assert_eq!(claim.digest, image.digest);
        assert_eq!(claim.optional["a"], "b");
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        let identity = r#""identity":{"docker-reference":"a"}"#;
        let image = format!(r#""image":{{"docker-manifest-digest":"sha256:{HEX}"}}"#);
        let kind = format!(r#""type":"{TYPE}""#);
        let good = text(&format!("{identity},{image},{kind}"), r#","optional":null"#);
        assert!(Claim::read(good.as_bytes()).is_ok());
        for (bad, want) in [
            (String::new(), "not JSON"),
            (format!("{good} x"), "not JSON"),
            (format!("{good}{good}"), "not JSON"),
            (text(&format!("{identity},{image},{kind},{kind}"), ""), "not JSON"),
            (text(&format!("{identity},{image},{image},{kind}"), ""), "not JSON"),
            ("[]".into(), "the document"),
            ("{}".into(), "critical is missing"),
            (good.replacen("critical", "Critical", 1), "the document"),
            (text(&format!("{identity},{image},{kind}"), r#","x":1"#), "the document"),
            (text(&format!("{identity},{image},{kind}"), r#","optional":[]"#), "optional"),
            (text(&format!("{identity},{image},{kind},\"x\":1"), ""), "critical is not"),
            (text(&format!("{identity},{image}"), ""), "type is missing"),
            (text(&format!("{identity},{kind}"), ""), "image is not"),
            (text(&format!("{image},{kind}"), ""), "identity is not"),
            (good.replacen("cosign container", "atomic container", 1), "type is"),
            (good.replacen("sha256:", "sha512:", 1), "no sha256 digest"),
            (good.replacen(HEX, &HEX.to_uppercase(), 1), "no sha256 digest"),
        ] {
            let error = Claim::read(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(want), "{bad}: {error}");
        }
    }
}
