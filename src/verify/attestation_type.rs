//! The short names of predicate types, as cosign 3.1.2 knows them.

use crate::explain::explain;
use crate::foreign;

/// The names and what they stand for.
pub const SHORT_NAMES: [(&str, &str); 10] = [
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
    ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("link", "https://in-toto.io/Link/v1"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
    ("openvex", "https://openvex.dev/ns"),
];

/// A text that is neither a short name nor a URI.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no predicate type")]
pub struct TypeError(String);

explain! { TypeError,
    _ => ["attestation-type", Usage, "write a URI, or one of {names}" with (names = SHORT_NAMES.map(|(name, _)| name).join(", "))],
}

/// The predicate type that `text` names.
///
/// # Errors
///
/// When it is neither a short name nor a URI.
pub fn uri(text: &str) -> Result<String, TypeError> {
    if let Some((_, uri)) = SHORT_NAMES.iter().find(|(name, _)| *name == text) {
        return Ok((*uri).to_owned());
    }
    match url::Url::parse(text) {
        // Kept as it is written: the statement's is compared byte by byte.
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(TypeError(foreign::escape(text, 120))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_and_uris_and_nothing_else() {
        assert_eq!(uri("slsaprovenance").unwrap(), "https://slsa.dev/provenance/v0.2");
        assert_eq!(uri("https://example.com/My?x=1").unwrap(), "https://example.com/My?x=1");
        assert_eq!(uri("urn:x:y").unwrap(), "urn:x:y");
        for text in ["", "SLSAprovenance", "provenance", "a b"] {
            assert!(uri(text).is_err(), "{text}");
        }
    }
}
