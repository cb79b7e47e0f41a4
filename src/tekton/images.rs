//! Images that the user names, on the command line or in a file.
//!
//! They are hints like those of results, so that they are judged by the same rules.

use std::path::Path;

use super::TektonError;
use crate::hint::{
    Discovered, Hint, Looked, MAX_FILE_BYTES, MAX_IDENTITIES, NAME_SHOWN_BYTES, ResultKind, Scope, Value,
};
use crate::{foreign, input};

/// The most names in one list. A list of 1 MiB that names images has fewer; one of commas and single letters
/// would be explained line by line.
pub(super) const MAX_LISTED: usize = 16 * 1024;

/// Takes each argument for an image, `NAME@sha256:…`.
pub fn from_arguments(args: &[String]) -> Discovered {
    let mut found = Discovered::default();
    for (at, text) in args.iter().enumerate() {
        let text = text.trim();
        // One argument is one name: what is wrong in it is shown as the user wrote it, in one piece.
        let value = if text.is_empty() { Value::Blank } else { Value::Text(text.to_owned()) };
        found.hints.push(hint(Scope::Arguments, format!("argument {}", at + 1), value));
    }
    found.looked.push(Looked { place: "the command line".into(), count: args.len(), names: Vec::new() });
    found
}

/// Reads a list of images: `NAME@sha256:…` a line or between commas; `#` begins a comment; `-` is standard input. Behind a name may
/// stand the identities to sign that image under, between blanks: `NAME@sha256:… IDENTITY IDENTITY`.
///
/// # Errors
///
/// When the file can't be read, is not a regular file, is larger than 1 MiB, or is not UTF-8.
pub fn from_file(path: &Path) -> Result<Discovered, TektonError> {
    let bytes = input::read_or_stdin(path, MAX_FILE_BYTES);
    let bytes = bytes.map_err(|source| TektonError::List { path: path.to_owned(), source })?;
    let place = if input::is_stdin(path) {
        "standard input".to_owned()
    } else {
        // The last part of the path is enough before each line's number.
        let name = path.file_name().unwrap_or(path.as_os_str());
        foreign::escape(&name.to_string_lossy(), NAME_SHOWN_BYTES / 2)
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| TektonError::ListNotText { path: path.to_owned() })?;
    from_list(text, &place).ok_or_else(|| TektonError::ListTooLong { path: path.to_owned() })
}

/// The images in the text of a list that people know as `place`; `None` if they are too many.
pub(super) fn from_list(text: &str, place: &str) -> Option<Discovered> {
    let mut found = Discovered::default();
    let mut lines = 0;
    for (at, line) in text.lines().enumerate() {
        lines = at + 1;
        let line = line.split_once('#').map_or(line, |(before, _)| before);
        for name in line.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if found.hints.len() == MAX_LISTED {
                return None;
            }
            found.hints.push(hint(Scope::File, format!("{place} line {}", at + 1), entry(name)));
        }
    }
    found.looked.push(Looked { place: place.to_owned(), count: lines, names: Vec::new() });
    Some(found)
}

/// An entry of a list, which is not blank.
fn entry(text: &str) -> Value {
    let mut words = text.split_whitespace().map(str::to_owned);
    let name = words.next().unwrap_or_default();
    // One more than allowed, so that the check finds too many.
    let identities: Vec<String> = words.take(MAX_IDENTITIES + 1).collect();
    if identities.is_empty() { Value::Text(name) } else { Value::Named { name, identities } }
}

fn hint(scope: Scope, name: String, value: Value) -> Hint {
    Hint { scope, name, kind: ResultKind::Images, value: Ok(value) }
}
