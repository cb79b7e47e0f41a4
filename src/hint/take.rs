//! Taking the hints among results, wherever those were read.

use super::kind::{Beside, other_half};
use super::{
    Discovered, Hint, Looked, NAME_SHOWN_BYTES, Note, NoteKind, ResultKind, Scope, ValueError, classify,
    parse_value,
};
use crate::foreign;

/// How many names are listed if nothing was found: enough to recognize the Task.
const NAMES_TOLD: usize = 12;
/// How many notes one folder may cause; a step that leaves more names of that kind isn't explained by them.
const MAX_NOTES: usize = 20;

/// Collects the hints among results with these `names`; `read` returns the value at an index.
pub(crate) fn take(
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
            .map(|name| foreign::escape_bytes(name, NAME_SHOWN_BYTES))
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
