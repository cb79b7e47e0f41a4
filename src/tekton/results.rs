//! One folder of results, the Task's or a step's: a regular file a result, its name the result's.
//!
//! Only the hints among them are opened. Names that are nearly hints get a note, unread.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::TektonError;
use super::folder::Budget;
use crate::foreign;
use crate::hint::{Discovered, NAME_SHOWN_BYTES, Scope, take};
use crate::input::{Folder, InputError};

/// Reads the Task's results.
pub(super) fn read(path: &Path, budget: &mut Budget, found: &mut Discovered) -> Result<(), TektonError> {
    let folder = Folder::open_named(path).map_err(|error| folder_error(path, error))?;
    read_folder(&folder, &Scope::Task, path, budget, found).map_err(|error| folder_error(path, error))
}

/// Every result in the folder at `path` that is text, whatever its name: what a TaskRun will report, hints or not. What can't be
/// read is left out, as Tekton reports nothing of it; a folder that isn't there has none.
///
/// # Errors
///
/// When the folder is there and can't be listed.
pub fn texts(path: &Path) -> Result<Vec<(String, String)>, TektonError> {
    let mut budget = Budget::default();
    let folder = match Folder::open_named(path) {
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        folder => folder.map_err(|error| folder_error(path, error))?,
    };
    let names = budget.names(&folder).map_err(|error| folder_error(path, error))?;
    let mut texts = Vec::new();
    for name in names {
        let read = budget.read(&folder, &name).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        if let (Some(text), Ok(name)) = (read, name.into_string()) {
            texts.push((name, text));
        }
    }
    Ok(texts)
}

/// What a refused folder means when the user named it.
pub(super) fn folder_error(path: &Path, error: InputError) -> TektonError {
    let path = path.to_owned();
    match error {
        missing if missing.is_missing() => TektonError::NoResults { path },
        InputError::Link => TektonError::NotAFolder { path, what: "a symbolic link" },
        InputError::NotAFolder => TektonError::NotAFolder { path, what: "not a folder" },
        InputError::TooManyEntries { .. } => TektonError::TooMany { path },
        source => TektonError::Folder { path, source },
    }
}

/// Reads every hint in `folder`, which people know as `path`.
pub(super) fn read_folder(
    folder: &Folder,
    scope: &Scope,
    path: &Path,
    budget: &mut Budget,
    found: &mut Discovered,
) -> Result<(), InputError> {
    let names = budget.names(folder)?;
    let bytes: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    let mut read = |at: usize| match names.get(at) {
        Some(name) => budget.read(folder, name),
        None => Ok(Vec::new()),
    };
    let place = foreign::escape(&path.to_string_lossy(), 4 * NAME_SHOWN_BYTES);
    take(&bytes, &mut read, scope, place, found);
    Ok(())
}

/// An error in a few words, for a problem's text.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    foreign::escape(&error.to_string(), 2 * NAME_SHOWN_BYTES)
}
