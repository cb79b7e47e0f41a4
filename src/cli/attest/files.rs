//! The files with what `attest` says of images: predicates with their types, and whole statements.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;

use crate::cli::own_flags::OwnFlags;
use crate::cli::predicate::{self, DEFAULT_TYPE, MAX_PREDICATE_BYTES, PredicateError};
use crate::config::ConfigError;
use crate::explain::explain;
use crate::formats::statement;
use crate::payload::{Attestation, Attestations, GivenStatement};
use crate::verify::statement::{Statement, StatementError};
use crate::{foreign, input};

/// How many there may be: half of the attestations that are read to see whether they are there.
const MAX_FILES: usize = 32;

/// Why there is nothing to say.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Predicate(#[from] PredicateError),
    #[error("there is nothing to attest: no predicate and no statement is given")]
    Nothing,
    #[error("--type is given {types} times and --predicate {predicates} times")]
    Unpaired { types: usize, predicates: usize },
    #[error("more than {MAX_FILES} predicates and statements are given")]
    TooMany,
    #[error("the predicates and statements have more than {MAX_PREDICATE_BYTES} bytes together")]
    TooMuch,
    #[error("standard input is named {0} times")]
    StandardInput(usize),
    #[error("{place} is not an in-toto statement")]
    Statement { place: String, source: StatementError },
    #[error("{0} has a subject whose digests are not text")]
    Subjects(String),
}

explain! { FilesError,
    Self::Config(error) => [of error],
    Self::Predicate(error) => [of error],
    Self::Nothing => ["attest-flags", Usage, "give --predicate FILE with --type TYPE, or --statement FILE"],
    Self::Unpaired { .. } => ["attest-flags", Usage,
        "give each predicate its type, in the same order: --predicate A --type TYPE-OF-A --predicate B --type TYPE-OF-B"],
    Self::TooMany | Self::TooMuch => ["attest-large", Usage, "attest in several runs, or attest to a summary with the digest of the whole"],
    Self::StandardInput(_) => ["attest-flags", Usage, "it can be read once: name files for the others"],
    Self::Statement { .. } | Self::Subjects(_) => ["statement-malformed", Usage,
        "give a statement as https://in-toto.io/Statement/v1 or …/v0.1 describes it; a predicate alone goes to --predicate"],
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
            return Err(PredicateError::Type(foreign::escape(wrong, 120)).into());
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

    /// Reads and checks every file; `created` is the time that a predicate of the type `custom` carries, if one is known.
    pub(super) fn read(&self, created: Option<SystemTime>) -> Result<Attestations, FilesError> {
        let mut room = MAX_PREDICATE_BYTES;
        let mut all = Vec::new();
        for (path, kind) in &self.predicates {
            let place = format!("the predicate {}", shown(path));
            let predicate_type = predicate::predicate_type(kind, &place)?;
            let bytes = read(path, &place, &mut room)?;
            let predicate = predicate::predicate(bytes, place, kind, created)?;
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
    foreign::escape(&path.display().to_string(), 512)
}

/// Reads a file, for which `room` bytes are left.
fn read(path: &Path, place: &str, room: &mut u64) -> Result<Vec<u8>, FilesError> {
    let bytes = predicate::read(path, place)?;
    *room = room.checked_sub(bytes.len() as u64).ok_or(FilesError::TooMuch)?;
    Ok(bytes)
}

/// A statement, which `verify` has to be able to read. `short` names it among what is said of an image.
fn given(bytes: Vec<u8>, place: String, short: String) -> Result<GivenStatement, FilesError> {
    let read = match Statement::read(&bytes) {
        Ok(read) => read,
        Err(source) => return Err(FilesError::Statement { place, source }),
    };
    predicate::check_type(&read.predicate_type, &place)?;
    GivenStatement::new(Bytes::from(bytes), short).ok_or(FilesError::Subjects(place))
}
