//! What a predicate is: its type, and the JSON that stands in a statement. `attest` and `attest-blob` share it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign;
use crate::input::{self, InputError};
use crate::json::{self, Limit};
use crate::payload::{cosign_statement, statement};

/// The largest predicate that is signed.
pub(super) const MAX_PREDICATE_BYTES: u64 = 64 * 1024 * 1024;
/// What the keys of a predicate's objects may take in memory while they are compared; `verify` reads as many.
const PREDICATE_KEYS: Limit = Limit::memory(32 * 1024 * 1024);

/// Why a predicate can't be attested to.
#[derive(Debug, thiserror::Error)]
pub(super) enum PredicateError {
    #[error("--type: \"{0}\" is no type of a predicate")]
    Type(String),
    #[error("--type: {0} is the type of an image's signature")]
    Signature(String),
    #[error("cannot read the predicate {}", foreign::shown(&path.display().to_string(), 512))]
    Read { path: PathBuf, source: InputError },
    #[error("the predicate {} is not JSON that says each thing once", foreign::shown(&path.display().to_string(), 512))]
    NotJson { path: PathBuf, source: serde_json::Error },
    #[error("the predicate {} is not UTF-8 text", foreign::shown(&path.display().to_string(), 512))]
    NotText { path: PathBuf },
}

impl Explain for PredicateError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Type(_) => {
                let names: Vec<&str> = statement::PREDICATE_NAMES.iter().map(|(name, _)| *name).collect();
                format!("give a URI, or one of {}", names.join(", "))
            }
            Self::Signature(_) => {
                "sign the image with `stepseal sign`, or give the type of what is attested".into()
            }
            Self::Read { source: InputError::TooLarge { .. }, .. } => {
                "attest to a summary with the digest of the whole".into()
            }
            Self::Read { source, .. } => source
                .hint()
                .unwrap_or_else(|| "name a file that this step may read, or - for standard input".into()),
            Self::NotJson { .. } => "give JSON, or --type custom, whose predicate may be any text".into(),
            Self::NotText { .. } => "give UTF-8 text".into(),
        })
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// The predicate type that `--type` names.
///
/// # Errors
///
/// It names none, or that of an image's signature.
pub(super) fn predicate_type(kind: &str) -> Result<&str, PredicateError> {
    let predicate_type =
        statement::predicate_type(kind).ok_or_else(|| PredicateError::Type(foreign::shown(kind, 120)))?;
    // It would count as a signature, whatever the predicate says.
    if cosign_statement::is_signature(predicate_type) {
        return Err(PredicateError::Signature(foreign::shown(kind, 120)));
    }
    Ok(predicate_type)
}

/// What cosign makes of a predicate that may be any text.
#[derive(Serialize)]
struct Custom<'a> {
    #[serde(rename = "Data")]
    data: &'a str,
    #[serde(rename = "Timestamp", skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
}

/// The predicate, as JSON. Of the types that cosign reads as text, the text becomes JSON as cosign makes it; a time stands in it only
/// if it is known, so that the same predicate twice is the same.
///
/// # Errors
///
/// The file can't be read, or isn't what its type takes.
pub(super) fn predicate(
    path: &Path,
    kind: &str,
    created: Option<SystemTime>,
) -> Result<Box<RawValue>, PredicateError> {
    let bytes = input::read_or_stdin(path, MAX_PREDICATE_BYTES);
    let bytes = bytes.map_err(|source| PredicateError::Read { path: path.to_owned(), source })?;
    let text = String::from_utf8(bytes).map_err(|_| PredicateError::NotText { path: path.to_owned() })?;
    let not_json = |source| PredicateError::NotJson { path: path.to_owned(), source };
    match kind {
        "custom" => {
            let timestamp = created.map(|time| humantime::format_rfc3339_seconds(time).to_string());
            serde_json::value::to_raw_value(&Custom { data: &text, timestamp }).map_err(not_json)
        }
        "spdx" => serde_json::value::to_raw_value(&text).map_err(not_json),
        _ => {
            // Readers of a key that appears twice disagree on its value: verifying refuses such a statement.
            json::check(text.as_bytes(), PREDICATE_KEYS).map_err(not_json)?;
            RawValue::from_string(text).map_err(not_json)
        }
    }
}
