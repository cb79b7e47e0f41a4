//! One folder of results, the Task's or a step's: a regular file a result, its name the result's.
//!
//! Only the hints among them are opened. Names that are nearly hints get a note, unread.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::folder::Budget;
use super::hints::{Beside, ResultKind, classify, other_half};
use super::value::{ValueError, parse_value};
use super::{Discovered, Hint, Looked, NAME_SHOWN_BYTES, Note, NoteKind, Scope, TektonError};
use crate::foreign;
use crate::input::{Folder, InputError};

/// How many names are told where nothing was found: enough to recognise one's own Task.
const NAMES_TOLD: usize = 12;
/// How many notes one folder may cause; a step that leaves more names of that kind isn't explained by them.
const MAX_NOTES: usize = 20;

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
    let place = foreign::shown(&path.to_string_lossy(), 4 * NAME_SHOWN_BYTES);
    take(&bytes, &mut read, scope, place, found);
    Ok(())
}

/// Takes the hints among results with these `names`; `read` gives the value of the one at an index.
pub(super) fn take(
    names: &[&[u8]],
    read: &mut dyn FnMut(usize) -> Result<Vec<u8>, ValueError>,
    scope: &Scope,
    place: String,
    found: &mut Discovered,
) {
    found.looked.push(Looked {
        place: place.clone(),
        count: names.len(),
        names: names
            .iter()
            .take(NAMES_TOLD)
            .map(|name| foreign::shown_bytes(name, NAME_SHOWN_BYTES))
            .collect(),
    });
    let kinds: Vec<ResultKind> = names.iter().map(|name| classify(name)).collect();
    let beside = Beside::of(names, &kinds);
    let mut notes = Vec::new();
    for (at, (name, kind)) in names.iter().zip(kinds).enumerate() {
        if let Some(what) = note(&kind, beside) {
            let place = scope.place(&String::from_utf8_lossy(name));
            notes.push(Note { place, what, kind: NoteKind::Result });
        }
        if kind.names_a_subject() {
            let value = read(at).and_then(|bytes| parse_value(&kind, &bytes));
            // A hint's name is ASCII: `classify` saw to it.
            let name = String::from_utf8_lossy(name).into_owned();
            found.hints.push(Hint { scope: scope.clone(), name, kind, value });
        }
    }
    let more = notes.len().saturating_sub(MAX_NOTES);
    notes.truncate(MAX_NOTES);
    if more > 0 {
        let what = format!("{more} more results look like type hints and are none");
        notes.push(Note { place, what, kind: NoteKind::Result });
    }
    found.notes.extend(notes);
}

fn note(kind: &ResultKind, beside: Beside) -> Option<String> {
    match kind {
        ResultKind::NoResultName => Some(
            "it ends like a type hint, but Tekton gives no result such a name (letters, digits, - _ . only, with a \
             letter or digit at both ends)"
                .to_owned(),
        ),
        ResultKind::NearMiss { meant, sign } if beside.makes_likely(*sign) => Some(match other_half(meant) {
            Some(other) => format!(
                "no type hint has this name; if it names what was built, let it end in {meant} (as app-{meant}, with \
                 app-{other} beside it)"
            ),
            None if *meant == "IMAGES" => {
                "no type hint has this name; if it lists images that were built, call it IMAGES, exactly".to_owned()
            }
            None => format!(
                "no type hint has this name; if it names what was built, let it end in {meant} (as app-{meant})"
            ),
        }),
        _ => None,
    }
}

/// An error in a few words, for a problem's text.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    foreign::shown(&error.to_string(), 2 * NAME_SHOWN_BYTES)
}
