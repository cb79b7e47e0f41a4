//! A file that a flag asks for: its place is taken before the work begins, and it is written whole or not at all.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::explain::explain;
use crate::foreign;
use crate::report::{PendingFile, ReportError};

/// A file that will be written.
#[derive(Debug)]
pub(super) struct OutputFile {
    what: &'static str,
    path: PathBuf,
    pending: PendingFile,
}

/// Why a file can't be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputFileError {
    #[error("cannot write the {what} to {}", foreign::escape(&path.display().to_string(), 512))]
    Write { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the {what} would replace {}, which is read", foreign::escape(&path.display().to_string(), 512))]
    Input { what: &'static str, path: PathBuf },
}

explain! { OutputFileError,
    Self::Write { .. } => ["output-unwritable", Usage, "name a file in a directory that this step's user can write to, such as a workspace"],
    Self::Input { .. } => ["output-is-input", Usage, "name another file"],
}

impl OutputFile {
    /// Takes the place of `path`, which gets `what`. It must be none of `inputs`.
    ///
    /// # Errors
    ///
    /// Nothing can be written there, or it is an input.
    pub(super) fn new(what: &'static str, path: &Path, inputs: &[&Path]) -> Result<Self, OutputFileError> {
        if inputs.iter().any(|input| are_same(input, path)) {
            return Err(OutputFileError::Input { what, path: path.to_owned() });
        }
        let pending = PendingFile::new(path).map_err(|error| failure(what, path, error))?;
        Ok(Self { what, path: path.to_owned(), pending })
    }

    /// Writes `bytes`: whole or not at all, in place of what is there.
    ///
    /// # Errors
    ///
    /// It can't be written after all.
    pub(super) fn write(self, bytes: &[u8]) -> Result<(), OutputFileError> {
        let Self { what, path, pending } = self;
        pending.write(bytes).map_err(|error| failure(what, &path, error))
    }

    /// The line for people after the file is written.
    pub(super) fn line(&self) -> String {
        format!("{} written to {}", self.what, self.path.display())
    }
}

fn failure(what: &'static str, path: &Path, error: ReportError) -> OutputFileError {
    let source = match error {
        ReportError::Write { source, .. } | ReportError::File { source, .. } => source,
        ReportError::Json(error) => error.into(),
    };
    OutputFileError::Write { what, path: path.to_owned(), source }
}

/// Whether both name one file that is there.
fn are_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs::canonicalize(path).ok().filter(|path| path.is_file());
    place(one).is_some_and(|one| place(other).is_some_and(|other| one == other))
}
