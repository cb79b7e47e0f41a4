//! The files with what `attest` says of images: predicates with their types, and whole statements.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::own_flags::OwnFlags;
use crate::config::ConfigError;
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign;
use crate::input::{self, InputError};
use crate::json::{self, Limit};
use crate::payload::predicate_shape::{self, ShapeError};
use crate::payload::{Attestation, Attestations, GivenStatement, cosign_statement, statement};
use crate::verify::statement::{Statement, StatementError};

/// How many bytes of predicates and statements are signed in a run, all files together.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// How many there may be: half of the attestations that are read to see whether they are there.
const MAX_FILES: usize = 32;
/// What the keys of a predicate's objects may take in memory while they are compared; `verify` reads as many.
const PREDICATE_KEYS: Limit = Limit::memory(32 * 1024 * 1024);
/// The type of a predicate without one, as of cosign's.
const DEFAULT_TYPE: &str = "custom";
/// What that stands for: cosign reads any text as a predicate of it, by either name.
const CUSTOM: &str = "https://cosign.sigstore.dev/attestation/v1";

/// Why there is nothing to say.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("there is nothing to attest: no predicate and no statement is given")]
    Nothing,
    #[error("--type is given {types} times and --predicate {predicates} times")]
    Unpaired { types: usize, predicates: usize },
    #[error("more than {MAX_FILES} predicates and statements are given")]
    TooMany,
    #[error("the predicates and statements have more than {MAX_BYTES} bytes together")]
    TooMuch,
    #[error("standard input is named {0} times")]
    StandardInput(usize),
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
    #[error("{place} is not an in-toto statement")]
    Statement { place: String, source: StatementError },
    #[error("{0} has a subject whose digests are not text")]
    Subjects(String),
}

impl Explain for FilesError {
    fn used(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.used(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Config(error) => return error.hint(),
            Self::Nothing => "give --predicate FILE with --type TYPE, or --statement FILE".into(),
            Self::Unpaired { .. } => {
                "give each predicate its type, in the same order: --predicate A --type TYPE-OF-A --predicate B --type TYPE-OF-B".into()
            }
            Self::TooMany | Self::TooMuch => {
                "attest in several runs, or attest to a summary with the digest of the whole".into()
            }
            Self::StandardInput(_) => "it can be read once: name files for the others".into(),
            Self::Type(_) => {
                let names: Vec<&str> = statement::PREDICATE_NAMES.iter().map(|(name, _)| *name).collect();
                format!("give a URI, or one of {}", names.join(", "))
            }
            Self::Signature { .. } => {
                "sign the image with `stepseal sign`, or give the type of what is attested".into()
            }
            Self::Read { source: InputError::TooLarge { .. }, .. } => {
                "attest to a summary with the digest of the whole".into()
            }
            Self::Read { source, .. } => source
                .hint()
                .unwrap_or_else(|| "name a file that this step may read, or - for standard input".into()),
            Self::NotJson { .. } => "give JSON, or --type custom, whose predicate may be any text".into(),
            Self::NotText(_) => "give UTF-8 text".into(),
            Self::Shape { .. } => {
                "give the file that belongs to this type, or the type that belongs to this file".into()
            }
            Self::Statement { .. } | Self::Subjects(_) => {
                "give a statement as https://in-toto.io/Statement/v1 or …/v0.1 describes it; a predicate alone goes to --predicate"
                    .into()
            }
        })
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// The files that the command line names, none of them read yet.
pub(super) struct Files {
    /// Each predicate with its type as it is given.
    predicates: Vec<(PathBuf, String)>,
    statements: Vec<PathBuf>,
}

impl Files {
    /// Pairs the predicates with their types; `lists` are the files of images, of which standard input may be one.
    pub(super) fn named<'l>(
        flags: &OwnFlags<'_>,
        lists: impl Iterator<Item = &'l String>,
    ) -> Result<Self, FilesError> {
        let texts = |flag| -> Result<Vec<String>, ConfigError> {
            Ok(flags.values(flag)?.into_iter().map(|(text, _)| text).collect())
        };
        let (predicates, mut types) = (texts("predicate")?, texts("type")?);
        let statements: Vec<PathBuf> = texts("statement")?.into_iter().map(PathBuf::from).collect();
        if predicates.is_empty() && statements.is_empty() {
            return Err(FilesError::Nothing);
        }
        if types.is_empty() {
            types = vec![DEFAULT_TYPE.to_owned(); predicates.len()];
        }
        // One type for several files is as likely a forgotten one, and a statement of the wrong type would be signed.
        if types.len() != predicates.len() {
            return Err(FilesError::Unpaired { types: types.len(), predicates: predicates.len() });
        }
        if predicates.len() + statements.len() > MAX_FILES {
            return Err(FilesError::TooMany);
        }
        if let Some(wrong) = types.iter().find(|kind| statement::predicate_type(kind).is_none()) {
            return Err(FilesError::Type(foreign::shown(wrong, 120)));
        }
        let files =
            Self { predicates: predicates.into_iter().map(PathBuf::from).zip(types).collect(), statements };
        let is_stdin = |path: &Path| input::is_stdin(path);
        let stdin = files.paths().filter(|path| is_stdin(path)).count()
            + lists.filter(|list| is_stdin(Path::new(list))).count();
        if stdin > 1 {
            return Err(FilesError::StandardInput(stdin));
        }
        Ok(files)
    }

    /// All of them.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let predicates = self.predicates.iter().map(|(path, _)| path.as_path());
        predicates.chain(self.statements.iter().map(PathBuf::as_path))
    }

    /// Reads and checks all of them; `created` is the time that a predicate of the type `custom` carries, if one is known.
    pub(super) fn read(&self, created: Option<SystemTime>) -> Result<Attestations, FilesError> {
        let mut room = MAX_BYTES;
        let mut all = Vec::new();
        for (path, kind) in &self.predicates {
            let place = format!("the predicate {}", shown(path));
            let predicate_type =
                statement::predicate_type(kind).ok_or_else(|| FilesError::Type(foreign::shown(kind, 120)))?;
            // It would count as a signature, whatever the predicate says.
            if cosign_statement::is_signature(predicate_type) {
                return Err(FilesError::Signature { place, kind: foreign::shown(kind, 120) });
            }
            let bytes = read(path, &place, &mut room)?;
            let predicate = predicate(bytes, place, kind, created)?;
            all.push(Attestation::Predicate { predicate_type: predicate_type.to_owned(), predicate });
        }
        for path in &self.statements {
            let place = format!("the statement {}", shown(path));
            let bytes = read(path, &place, &mut room)?;
            all.push(Attestation::Statement(given(bytes, place, shown(path))?));
        }
        Ok(Attestations::new(all))
    }
}

fn shown(path: &Path) -> String {
    foreign::shown(&path.display().to_string(), 512)
}

/// Reads a file, for which `room` bytes are left.
fn read(path: &Path, place: &str, room: &mut u64) -> Result<Vec<u8>, FilesError> {
    let bytes = input::read_or_stdin(path, MAX_BYTES);
    let bytes = bytes.map_err(|source| FilesError::Read { place: place.to_owned(), source })?;
    *room = room.checked_sub(bytes.len() as u64).ok_or(FilesError::TooMuch)?;
    Ok(bytes)
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
fn predicate(
    bytes: Vec<u8>,
    place: String,
    kind: &str,
    created: Option<SystemTime>,
) -> Result<Box<RawValue>, FilesError> {
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => return Err(FilesError::NotText(place)),
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
                return Err(FilesError::NotJson { place, source });
            }
            if let Err(source) = predicate_shape::check(kind, text.as_bytes()) {
                return Err(FilesError::Shape { place, kind: foreign::shown(kind, 120), source });
            }
            RawValue::from_string(text)
        }
    };
    made.map_err(|source| FilesError::NotJson { place, source })
}

/// A statement, which `verify` has to be able to read. `short` names it among what is said of an image.
fn given(bytes: Vec<u8>, place: String, short: String) -> Result<GivenStatement, FilesError> {
    let read = match Statement::read(&bytes) {
        Ok(read) => read,
        Err(source) => return Err(FilesError::Statement { place, source }),
    };
    if cosign_statement::is_signature(&read.predicate_type) {
        return Err(FilesError::Signature { place, kind: foreign::shown(&read.predicate_type, 120) });
    }
    GivenStatement::new(Bytes::from(bytes), short).ok_or(FilesError::Subjects(place))
}
