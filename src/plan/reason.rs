//! What is wrong with a name or a digest, and what to write instead.

use std::error::Error;

use super::artifact::ArtifactDigestError;
use crate::foreign;
use crate::hint::Scope;
use crate::oci::{DigestError, ReferenceError};

/// The longest part of a foreign value in a problem: a name with its digest, and a little.
const VALUE_SHOWN_BYTES: usize = 200;

/// A value in quotes, or what it is called where it must not be shown.
pub(super) fn quoted(scope: &Scope, value: &str, called: &str) -> String {
    if scope.shows_values() {
        format!("\"{}\"", foreign::escape(value, VALUE_SHOWN_BYTES))
    } else {
        format!("the {called} in it")
    }
}

/// What is wrong with an image's name.
pub(super) fn name(scope: &Scope, value: &str, error: &ReferenceError) -> String {
    let it = quoted(scope, value, "name");
    match error {
        ReferenceError::Scheme(scheme) if scope.shows_values() => {
            format!(
                "{it} is no image name: write it without \"{scheme:.20}://\", as registry.example/team/app"
            )
        }
        ReferenceError::Scheme(_) => {
            format!("{it} is no image name: write it without a scheme, as registry.example/team/app")
        }
        ReferenceError::Digest(error) => format!("{it} is malformed: {}", digest_words(*error, value)),
        ReferenceError::NoDigest => format!("{it} can't be signed: {error}"),
        _ if value.contains(['\n', ',', ';']) || value.split_whitespace().nth(1).is_some() => {
            format!(
                "{it} is no image name: {error}; several images go into IMAGES, between commas or newlines"
            )
        }
        _ => format!("{it} is no image name: {error}"),
    }
}

/// What is wrong with one entry of a list of images.
pub(super) fn listed(scope: &Scope, value: &str, error: &ReferenceError) -> String {
    let separated = value.contains(';') || value.split_whitespace().nth(1).is_some();
    if separated && value.contains("@sha256:") {
        let it = quoted(scope, value, "text");
        return format!(
            "{it} is no image name: commas and newlines separate names, blanks and semicolons don't"
        );
    }
    name(scope, value, error)
}

/// What is said of identities where nothing is done with them.
pub(super) const IDENTITIES_UNUSED: &str =
    "identities behind an image are for stepseal sign alone; give this command a list of images without them";

/// What is said of identities where signatures are bundles.
pub(super) const IDENTITIES_WITHOUT_A_PLACE: &str = "a Sigstore bundle has no place for an identity: leave the identities out, or \
                                                     set storage.oci.encoding-format to dsse";

/// What is wrong with an identity, the `number`th behind an image.
pub(super) fn identity(scope: &Scope, number: usize, value: &str) -> String {
    let it = quoted(scope, value, &format!("identity {number}"));
    let more = if value.contains("@sha256:") { "; between images stand commas or line breaks" } else { "" };
    format!("{it} is not an image name, REGISTRY/REPOSITORY[:TAG], without a digest{more}")
}

/// What is wrong with an image's digest.
pub(super) fn digest(scope: &Scope, value: &str, error: DigestError) -> String {
    let it = quoted(scope, value, "digest");
    format!("{it} is no digest that can be signed: {}", digest_words(error, value))
}

fn digest_words(error: DigestError, value: &str) -> String {
    let more = match error {
        DigestError::NoAlgorithm => "",
        DigestError::Algorithm if value.starts_with('@') => "; leave out the \"@\"",
        DigestError::Algorithm if value.starts_with("SHA256:") => "; write \"sha256:\" in lower case",
        DigestError::Algorithm => "; write the sha256 digest of the manifest, as the registry gives it",
        DigestError::Hex if value.contains(char::is_whitespace) => ", without blanks",
        DigestError::Hex if value.matches("sha256:").count() > 1 => ", and \"sha256:\" stands there twice",
        _ => "",
    };
    format!("{error}{more}")
}

/// What is wrong with an artifact's digest.
pub(super) fn artifact_digest(scope: &Scope, value: &str, error: ArtifactDigestError) -> String {
    let it = quoted(scope, value, "digest");
    format!("{it} is no artifact's digest: {error}")
}

/// An error with its cause, in one line.
pub(super) fn with_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error} ({})", foreign::escape(&cause.to_string(), VALUE_SHOWN_BYTES)),
        None => error.to_string(),
    }
}
