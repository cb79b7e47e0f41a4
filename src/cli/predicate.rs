//! A predicate: its type, and its JSON in a statement. `attest` and `attest-blob` share it.

use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::explain::explain;
use crate::foreign;
use crate::formats::{cosign_statement, statement};
use crate::input::{self, InputError};
use crate::json::{self, MemoryLimit};
use crate::payload::predicate_shape::{self, ShapeError};

/// How many bytes of predicates and statements are signed in a run, all files together.
pub(super) const MAX_PREDICATE_BYTES: u64 = 64 * 1024 * 1024;
/// What the keys of a predicate's objects may take in memory while they are compared; `verify` reads as many.
const PREDICATE_KEYS: MemoryLimit = MemoryLimit::memory(32 * 1024 * 1024);
/// The type of a predicate without one, as of cosign's.
pub(super) const DEFAULT_TYPE: &str = "custom";
/// What that stands for: cosign reads any text as a predicate of it, by either name.
const CUSTOM: &str = "https://cosign.sigstore.dev/attestation/v1";

/// Why a predicate can't be attested to. `place` says which it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum PredicateError {
    #[error("--type: \"{0}\" is no type of a predicate")]
    Type(String),
    #[error("{place}: {kind} is the type of an image's signature")]
    Signature { place: String, kind: String },
    #[error("cannot read {place}")]
    Read { place: String, source: InputError },
    #[error("{0} is not UTF-8 text")]
    NotText(String),
    #[error("{place} is not JSON that says each thing once")]
    NotJson { place: String, source: serde_json::Error },
    #[error("{place} is not a predicate of the type {kind}")]
    Shape { place: String, kind: String, source: ShapeError },
}

explain! { PredicateError,
    Self::Type(_) => ["predicate-type", Usage, "give a URI, or one of {names}" with
        (names = statement::PREDICATE_NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "))],
    Self::Signature { .. } => ["predicate-signature", Usage, "sign the image with `stepseal sign`, or give the type of what is attested"],
    Self::Read { source: InputError::TooLarge { .. }, .. } => ["predicate-large", Usage, "attest to a summary with the digest of the whole"],
    Self::Read { source, .. } => [of source, or "predicate-unreadable", Usage,
        "name a file that this step may read, or - for standard input"],
    Self::NotText(_) => ["predicate-form", Usage, "give UTF-8 text"],
    Self::NotJson { .. } => ["predicate-form", Usage, "give JSON, or --type custom, whose predicate may be any text"],
    Self::Shape { .. } => ["predicate-form", Usage, "give the file that belongs to this type, or the type that belongs to this file"],
}

/// The predicate type that `--type` names; `place` says whose it is.
///
/// # Errors
///
/// It names none, or that of an image's signature.
pub(super) fn predicate_type<'a>(kind: &'a str, place: &str) -> Result<&'a str, PredicateError> {
    let predicate_type =
        statement::predicate_type(kind).ok_or_else(|| PredicateError::Type(foreign::escape(kind, 120)))?;
    check_type(predicate_type, place)?;
    Ok(predicate_type)
}

/// Checks that a predicate or statement of this type doesn't count as a signature, whatever it contains.
///
/// # Errors
///
/// It is one.
pub(super) fn check_type(predicate_type: &str, place: &str) -> Result<(), PredicateError> {
    if cosign_statement::is_signature(predicate_type) {
        let kind = foreign::escape(predicate_type, 120);
        return Err(PredicateError::Signature { place: place.to_owned(), kind });
    }
    Ok(())
}

/// What cosign makes of a predicate that may be any text.
#[derive(Serialize)]
struct Custom<'a> {
    #[serde(rename = "Data")]
    data: &'a str,
    #[serde(rename = "Timestamp", skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
}

/// Reads a predicate or a statement from a file, or from standard input.
///
/// # Errors
///
/// It can't be read.
pub(super) fn read(path: &Path, place: &str) -> Result<Vec<u8>, PredicateError> {
    let bytes = input::read_or_stdin(path, MAX_PREDICATE_BYTES);
    bytes.map_err(|source| PredicateError::Read { place: place.to_owned(), source })
}

/// The predicate, as JSON. Of the types that cosign reads as text, the text becomes JSON as cosign makes it; a time stands in it only
/// if it is known, so that the same predicate twice is the same.
///
/// # Errors
///
/// It isn't what its type takes.
pub(super) fn predicate(
    bytes: Vec<u8>,
    place: String,
    kind: &str,
    created: Option<SystemTime>,
) -> Result<Box<RawValue>, PredicateError> {
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => return Err(PredicateError::NotText(place)),
    };
    let made = match kind {
        DEFAULT_TYPE | CUSTOM => {
            let timestamp = created.map(|time| humantime::format_rfc3339_seconds(time).to_string());
            serde_json::value::to_raw_value(&Custom { data: &text, timestamp })
        }
        "spdx" => serde_json::value::to_raw_value(&text),
        _ => {
            // Readers of a key that appears twice disagree on its value: verifying refuses such a statement.
            if let Err(source) = json::check(text.as_bytes(), PREDICATE_KEYS) {
                return Err(PredicateError::NotJson { place, source });
            }
            if let Err(source) = predicate_shape::check(kind, text.as_bytes()) {
                return Err(PredicateError::Shape { place, kind: foreign::escape(kind, 120), source });
            }
            RawValue::from_string(text)
        }
    };
    made.map_err(|source| PredicateError::NotJson { place, source })
}
