//! Pairs of results: a name and a digest with the same prefix, in the same place.
//!
//! A pair split over two steps, or over a step and the Task, is no pair: nobody said that the one's digest is
//! the other's image. Half a pair is a problem, never a guess.

use std::collections::HashMap;

use super::artifact::{self, check_uri};
use super::planner::Planner;
use super::reason;
use crate::foreign;
use crate::registry::{Digest, ImageRef, Named};
use crate::tekton::{Hint, ResultKind, Scope, Value};

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
    foreign::shown(&format!("{prefix}{suffix}"), 100)
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

impl Planner<'_> {
    /// Both halves of a pair in one place, or what is there of it.
    pub(super) fn pair(&mut self, scope: &Scope, family: Family, prefix: &str, halves: &Halves<'_>) {
        let find = |half| {
            let all = halves.get(&(family, prefix, half));
            // Of duplicates the last wins, as in Chains.
            all.and_then(|hints| hints.iter().rev().find(|hint| &hint.scope == scope).copied())
        };
        let (name, digest) = (find(Half::Name), find(Half::Digest));
        if let (Some((name, Value::Text(uri))), Some((digest, Value::Text(hex)))) = (good(name), good(digest))
        {
            match family {
                Family::Image => self.image_pair(name, uri, digest, hex),
                Family::Artifact => self.artifact_pair(name, uri, digest, hex),
            }
            return;
        }
        for (this, other, which) in [(name, digest, Half::Name), (digest, name, Half::Digest)] {
            let Some(hint) = this else { continue };
            let other_name = half_name(family, prefix, which.other());
            match (&hint.value, other.map(|other| &other.value)) {
                (Err(error), _) => self.problem(hint.place(), reason::with_cause(error)),
                (Ok(Value::Blank), _) => self.note_blank(hint, "it is blank, so it is no hint"),
                (Ok(_), Some(Err(_))) => {
                    self.problem(hint.place(), format!("half a pair: {other_name} can't be taken"));
                }
                (Ok(_), Some(Ok(_))) => {
                    self.problem(hint.place(), format!("half a pair: {other_name} is blank"));
                }
                (Ok(_), None) => {
                    let elsewhere = halves.get(&(family, prefix, which.other()));
                    let what = lone_half(family, &other_name, elsewhere.map_or(&[], Vec::as_slice));
                    self.problem(hint.place(), what);
                }
            }
        }
    }

    fn image_pair(&mut self, url: &Hint, url_text: &str, digest: &Hint, digest_text: &str) {
        let named = url_text.parse::<Named>();
        let hex = digest_text.parse::<Digest>();
        if let Err(error) = &named {
            self.problem(url.place(), reason::name(&url.scope, url_text, error));
        }
        if let Err(error) = &hex {
            self.problem(digest.place(), reason::digest(&digest.scope, digest_text, *error));
        }
        let (Ok(named), Ok(hex)) = (named, hex) else { return };
        if let Some(own) = named.digest.filter(|own| *own != hex) {
            let other = digest.place();
            self.problem(
                url.place(),
                format!("it holds the digest {own}, and {other} says {hex}; write the name without a digest"),
            );
            return;
        }
        self.image(ImageRef { repository: named.repository, digest: hex }, &[url.place(), digest.place()]);
    }

    fn artifact_pair(&mut self, uri: &Hint, uri_text: &str, digest: &Hint, digest_text: &str) {
        let uri_ok = check_uri(uri_text);
        if let Err(what) = uri_ok {
            self.problem(uri.place(), format!("{} {what}", reason::quoted(&uri.scope, uri_text, "URI")));
        }
        match artifact::digest(digest_text) {
            Err(error) => {
                self.problem(digest.place(), reason::artifact_digest(&digest.scope, digest_text, error));
            }
            Ok(hex) if uri_ok.is_ok() => {
                let what =
                    "an artifact, which gets no image signature (IMAGE_URL and IMAGE_DIGEST name images)";
                self.artifact(uri_text, hex, &[uri.place(), digest.place()], what.to_owned());
            }
            Ok(_) => {}
        }
    }
}

/// A hint with its value, if it has one.
fn good(hint: Option<&Hint>) -> Option<(&Hint, &Value)> {
    hint.and_then(|hint| hint.value.as_ref().ok().map(|value| (hint, value)))
}

/// What to say of a half whose other half is not in the same place.
fn lone_half(family: Family, other: &str, elsewhere: &[&Hint]) -> String {
    let what = match family {
        Family::Image => "an image",
        Family::Artifact => "an artifact",
    };
    match elsewhere.first() {
        Some(hint) => format!(
            "half a pair: {other} stands elsewhere ({}), and a pair must be written by one step, or both as Task results",
            hint.place()
        ),
        None => format!("half a pair: there is no {other} beside it, and {what} is named by both"),
    }
}
