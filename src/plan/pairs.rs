//! Pairs of results: a name and a digest with the same prefix, in the same place.
//!
//! A pair split over two steps, or over a step and the Task, is not a pair: nothing says that the digest is
//! the other's image. Half a pair is never a guess. It is a problem where its author can mend it, in the results of the run that
//! is signed and of its steps. In a TaskRun of a PipelineRun it is a note: many public Tasks write a digest without a name.
//!
//! Two arrays are pairs by position, as a matrix gathers them.

use std::collections::HashMap;

use super::artifact::{self, check_uri};
use super::planner::{ENTRIES_TOLD, Planner};
use super::{NoteKind, reason};
use crate::foreign;
use crate::hint::{Hint, ResultKind, Scope, Value};
use crate::oci::{Digest, ImageRef, Named};

/// What a pair names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Family {
    Image,
    Artifact,
}

/// Which half of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Half {
    Name,
    Digest,
}

impl Half {
    fn other(self) -> Self {
        match self {
            Self::Name => Self::Digest,
            Self::Digest => Self::Name,
        }
    }
}

/// The pair a hint is half of, its prefix, and which half it is.
pub(super) fn half(kind: &ResultKind) -> Option<(Family, &str, Half)> {
    match kind {
        ResultKind::ImageUrl(prefix) => Some((Family::Image, prefix, Half::Name)),
        ResultKind::ImageDigest(prefix) => Some((Family::Image, prefix, Half::Digest)),
        ResultKind::ArtifactUri(prefix) => Some((Family::Artifact, prefix, Half::Name)),
        ResultKind::ArtifactDigest(prefix) => Some((Family::Artifact, prefix, Half::Digest)),
        _ => None,
    }
}

fn half_name(family: Family, prefix: &str, half: Half) -> String {
    let suffix = match (family, half) {
        (Family::Image, Half::Name) => "IMAGE_URL",
        (Family::Image, Half::Digest) => "IMAGE_DIGEST",
        (Family::Artifact, Half::Name) => "ARTIFACT_URI",
        (Family::Artifact, Half::Digest) => "ARTIFACT_DIGEST",
    };
    foreign::escape(&format!("{prefix}{suffix}"), 100)
}

/// Every half of a pair, by what it is half of.
pub(super) type Halves<'a> = HashMap<(Family, &'a str, Half), Vec<&'a Hint>>;

/// The halves among `hints`.
pub(super) fn halves(hints: &[Hint]) -> Halves<'_> {
    let mut halves: Halves<'_> = HashMap::new();
    for hint in hints {
        if let Some(key) = half(&hint.kind) {
            halves.entry(key).or_default().push(hint);
        }
    }
    halves
}

/// One name or digest of a pair, and where it is.
struct Part<'a> {
    hint: &'a Hint,
    place: String,
    text: &'a str,
}

impl<'a> Part<'a> {
    fn of(hint: &'a Hint, text: &'a str) -> Self {
        Self { hint, place: hint.place(), text }
    }

    /// The entry of an array at the index `at`.
    fn entry(hint: &'a Hint, at: usize, text: &'a str) -> Self {
        Self { hint, place: format!("{} entry {}", hint.place(), at + 1), text }
    }
}

impl Planner<'_> {
    /// Both halves of a pair in one place, or what is there of it.
    pub(super) fn pair(&mut self, scope: &Scope, family: Family, prefix: &str, halves: &Halves<'_>) {
        let find = |half| {
            let all = halves.get(&(family, prefix, half));
            // Of duplicates the last wins, as in Chains.
            all.and_then(|hints| hints.iter().rev().find(|hint| &hint.scope == scope).copied())
        };
        let (name, digest) = (find(Half::Name), find(Half::Digest));
        match (good(name), good(digest)) {
            (Some((name, Value::Text(uri))), Some((digest, Value::Text(hex)))) => {
                self.begin(name.place());
                self.whole(family, &Part::of(name, uri), &Part::of(digest, hex));
            }
            // An array that is empty, or blank all through, has a length too.
            (Some((name, this @ Value::List(uris))), Some((digest, other @ Value::List(hexes))))
                if !(this.is_blank() && other.is_blank()) =>
            {
                self.lists(family, (name, uris), (digest, hexes));
            }
            (Some((name, this)), Some((digest, other))) if !this.is_blank() && !other.is_blank() => {
                let what = format!(
                    "it is {}, and {} is {}: write two strings, or two arrays with as many entries",
                    form(this),
                    digest.place(),
                    form(other)
                );
                self.problem(name.place(), what);
            }
            _ => {
                self.half((name, digest), (family, prefix, Half::Name), halves);
                self.half((digest, name), (family, prefix, Half::Digest), halves);
            }
        }
    }

    /// The half `which` of a pair that is not whole.
    fn half(
        &mut self,
        (this, other): (Option<&Hint>, Option<&Hint>),
        (family, prefix, which): (Family, &str, Half),
        halves: &Halves<'_>,
    ) {
        let Some(hint) = this else { return };
        let other_name = half_name(family, prefix, which.other());
        let other = other.map(|other| &other.value);
        let other_is_blank = matches!(other, Some(Ok(value)) if value.is_blank());
        match (&hint.value, other) {
            (Ok(value), _) if value.is_blank() => self.note_blank(hint, "it is blank, so it is no hint"),
            (Err(error), _) if other_is_blank => {
                self.lone(&hint.scope, hint.place(), reason::with_cause(error));
            }
            (Err(error), None) => {
                self.lone(&hint.scope, hint.place(), reason::with_cause(error));
            }
            (Err(error), Some(_)) => self.problem(hint.place(), reason::with_cause(error)),
            (Ok(_), Some(Err(_))) => {
                self.problem(hint.place(), format!("half a pair: {other_name} can't be taken"));
            }
            (Ok(_), Some(Ok(_))) => {
                self.lone(&hint.scope, hint.place(), format!("half a pair: {other_name} is blank"));
            }
            (Ok(_), None) => {
                let all = halves.get(&(family, prefix, which.other())).map_or(&[][..], Vec::as_slice);
                let elsewhere = all.iter().find(|other| hint.scope.shares_run_with(&other.scope));
                self.lone(&hint.scope, hint.place(), lone_half(family, &other_name, elsewhere.copied()));
            }
        }
    }

    /// Half of a pair whose other half says nothing: wrong, unless it is in a Task that whoever signs may not be able to change.
    fn lone(&mut self, scope: &Scope, place: String, what: String) {
        if scope.is_of_a_child() {
            self.note(place, format!("{what}; nothing is signed for it"), NoteKind::HalfPair);
        } else {
            self.problem(place, what);
        }
    }

    /// Two arrays: the first name belongs to the first digest, and so on.
    fn lists(&mut self, family: Family, name: (&Hint, &[String]), digest: (&Hint, &[String])) {
        let ((name, uris), (digest, hexes)) = (name, digest);
        if uris.len() != hexes.len() {
            let what = format!(
                "it has {}, and {} has {}: the first name belongs to the first digest, and so on, so both need as many \
                 entries; gather them from the same tasks, each of which writes both",
                entries(uris.len()),
                digest.place(),
                entries(hexes.len())
            );
            self.problem(name.place(), what);
            return;
        }
        let (mut wrong, mut halves, mut blank) = (0, 0, 0);
        self.begin(name.place());
        for (at, (uri, hex)) in uris.iter().zip(hexes).enumerate() {
            let (problems, notes) = (self.plan.problems.len(), self.plan.notes.len());
            self.entry(family, &Part::entry(name, at, uri), &Part::entry(digest, at, hex));
            blank += usize::from(uri.is_empty() && hex.is_empty());
            // A long array is listed in part: the first few problems and the first few notes, so that neither hides the other.
            wrong += usize::from(self.plan.problems.len() > problems);
            if wrong > ENTRIES_TOLD {
                self.plan.problems.truncate(problems);
            }
            halves += usize::from(self.plan.notes.len() > notes);
            if halves > ENTRIES_TOLD {
                self.plan.notes.truncate(notes);
            }
        }
        if wrong > ENTRIES_TOLD {
            self.problem(name.place(), format!("{} more entries are wrong", wrong - ENTRIES_TOLD));
        }
        if halves > ENTRIES_TOLD {
            let what = format!("{} more entries are half a pair", halves - ENTRIES_TOLD);
            self.note(name.place(), what, NoteKind::HalfPair);
        }
        if blank > 0 {
            let what =
                format!("{} of it and of {} are blank, so they name nothing", entries(blank), digest.place());
            self.note(name.place(), what, NoteKind::Result);
        }
    }

    /// One entry of two arrays; two that are blank name nothing.
    fn entry(&mut self, family: Family, uri: &Part<'_>, hex: &Part<'_>) {
        for (this, other) in [(uri, hex), (hex, uri)] {
            if !this.text.is_empty() && other.text.is_empty() {
                self.lone(
                    &this.hint.scope,
                    this.place.clone(),
                    format!("half a pair: {} is blank", other.place),
                );
            }
        }
        if !uri.text.is_empty() && !hex.text.is_empty() {
            self.whole(family, uri, hex);
        }
    }

    fn whole(&mut self, family: Family, name: &Part<'_>, digest: &Part<'_>) {
        match family {
            Family::Image => self.image_pair(name, digest),
            Family::Artifact => self.artifact_pair(name, digest),
        }
    }

    fn image_pair(&mut self, url: &Part<'_>, digest: &Part<'_>) {
        let named = url.text.parse::<Named>();
        let hex = digest.text.parse::<Digest>();
        if let Err(error) = &named {
            self.problem(url.place.clone(), reason::name(&url.hint.scope, url.text, error));
        }
        if let Err(error) = &hex {
            self.problem(digest.place.clone(), reason::digest(&digest.hint.scope, digest.text, *error));
        }
        let (Ok(named), Ok(hex)) = (named, hex) else { return };
        if let Some(own) = named.digest.filter(|own| *own != hex) {
            let what = format!(
                "it holds the digest {own}, and {} says {hex}; write the name without a digest",
                digest.place
            );
            self.problem(url.place.clone(), what);
            return;
        }
        let from = [url.hint.place(), digest.hint.place()];
        self.image(ImageRef { repository: named.repository, digest: hex }, &from);
    }

    fn artifact_pair(&mut self, uri: &Part<'_>, digest: &Part<'_>) {
        let uri_ok = check_uri(uri.text);
        if let Err(what) = uri_ok {
            self.problem(
                uri.place.clone(),
                format!("{} {what}", reason::quoted(&uri.hint.scope, uri.text, "URI")),
            );
        }
        match artifact::digest(digest.text) {
            Err(error) => {
                let what = reason::artifact_digest(&digest.hint.scope, digest.text, error);
                self.problem(digest.place.clone(), what);
            }
            Ok(hex) if uri_ok.is_ok() => {
                let what =
                    "an artifact, which gets no image signature (IMAGE_URL and IMAGE_DIGEST name images)";
                let from = [uri.hint.place(), digest.hint.place()];
                self.artifact(uri.text, hex, &from, uri.place.clone(), what.to_owned());
            }
            Ok(_) => {}
        }
    }
}

/// How many entries, in words.
fn entries(count: usize) -> String {
    format!("{count} {}", if count == 1 { "entry" } else { "entries" })
}

/// What a value is, in words.
fn form(value: &Value) -> String {
    match value {
        Value::List(texts) => format!("an array of {}", texts.len()),
        _ => "a string".to_owned(),
    }
}

/// A hint with its value, if it has one.
fn good(hint: Option<&Hint>) -> Option<(&Hint, &Value)> {
    hint.and_then(|hint| hint.value.as_ref().ok().map(|value| (hint, value)))
}

/// What to say of a half whose other half is not in the same place; `elsewhere` is one in another place of the same run.
fn lone_half(family: Family, other: &str, elsewhere: Option<&Hint>) -> String {
    let what = match family {
        Family::Image => "an image",
        Family::Artifact => "an artifact",
    };
    match elsewhere {
        Some(hint) => format!(
            "half a pair: {other} stands elsewhere ({}), and a pair must be written by one step, or both as Task results",
            hint.place()
        ),
        None => format!("half a pair: there is no {other} beside it, and {what} is named by both"),
    }
}
