//! What a document is that is not a run, and what to give in its place.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{NAME_SHOWN_BYTES, RunError, RunKind, field, text};
use crate::foreign::escape;
use crate::known_format::{KnownFormat, NO_RUN, WantedFormat};

/// How many kinds, or names, are listed.
const LISTED: usize = 10;
/// How much of a text is shown that is not a run, in bytes.
const TEXT_BYTES: usize = 200;

/// What kind of object a document is.
pub(super) enum Role {
    /// A run that is signed for.
    Run(RunKind),
    /// A custom task's run, of which nothing is used.
    CustomRun,
    /// Another object of Kubernetes'.
    Other,
}

/// The kind of object that `value` is.
///
/// # Errors
///
/// It is not an object of Kubernetes', or could be taken for a run.
pub(super) fn role(value: &Value) -> Result<Role, RunError> {
    let kind = text(value, "kind");
    match kind {
        "TaskRun" => return Ok(Role::Run(RunKind::TaskRun)),
        "PipelineRun" => return Ok(Role::Run(RunKind::PipelineRun)),
        "CustomRun" | "Run" => return Ok(Role::CustomRun),
        _ => {}
    }
    let like_a_run = [RunKind::TaskRun, RunKind::PipelineRun]
        .iter()
        .any(|run| kind.trim().eq_ignore_ascii_case(run.name()));
    match !like_a_run && !kind.is_empty() && !text(value, "apiVersion").is_empty() {
        true => Ok(Role::Other),
        false => Err(no_run(value)),
    }
}

/// Objects of other kinds beside a run, or in its place.
#[derive(Default)]
pub(super) struct Others {
    counts: BTreeMap<String, usize>,
    first: Option<RunError>,
    /// The first child that is not a TaskRun, which is listed without a note.
    child: Option<RunError>,
}

impl Others {
    pub(super) fn add(&mut self, value: &Value) {
        *self.counts.entry(escape(text(value, "kind"), NAME_SHOWN_BYTES)).or_default() += 1;
        self.first.get_or_insert_with(|| no_run(value));
    }

    pub(super) fn add_child(&mut self, value: &Value) {
        self.child.get_or_insert_with(|| no_run(value));
    }

    /// What is passed over beside a run, for people.
    pub(super) fn passed_over(&self) -> Option<String> {
        (!self.counts.is_empty()).then(|| format!("{} in the file: not read", self.listed()))
    }

    /// Why there is no run.
    pub(super) fn no_run(self) -> RunError {
        let listed = self.listed();
        match self.first.or(self.child) {
            Some(RunError::NoRun { instead, .. }) if self.counts.values().sum::<usize>() > 1 => {
                RunError::NoRun { what: listed, instead }
            }
            Some(only) => only,
            None => RunError::Nothing,
        }
    }

    fn listed(&self) -> String {
        let kinds = self.counts.iter().map(|(kind, count)| match count {
            1 => format!("an object of kind {kind}"),
            _ => format!("{count} objects of kind {kind}"),
        });
        listed(kinds, self.counts.len())
    }
}

/// `items`, of which there are `count`, as far as they are listed.
fn listed(items: impl Iterator<Item = String>, count: usize) -> String {
    let items: Vec<String> = items.take(LISTED).collect();
    let more = count.saturating_sub(items.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    items.join(", ") + &more
}

/// That `runs` are several of one kind.
pub(super) fn several(kind: RunKind, runs: &[Value]) -> RunError {
    let name = |run: &Value| {
        let metadata = field(run, "metadata");
        let namespace = text(metadata, "namespace");
        let slash = if namespace.is_empty() { "" } else { "/" };
        escape(&format!("{namespace}{slash}{}", text(metadata, "name")), NAME_SHOWN_BYTES)
    };
    let names = listed(runs.iter().map(name), runs.len());
    RunError::Several { kind, count: runs.len(), names }
}

/// That a document is a text, and no object.
pub(super) fn no_object(words: &str) -> RunError {
    RunError::NoRun { what: format!("the text \"{}\"", escape(words.trim(), TEXT_BYTES)), instead: NO_RUN }
}

/// What a file is, where it is known by more than its documents; `None`: it may hold objects of a cluster.
pub(super) fn known(bytes: &[u8]) -> Option<RunError> {
    let known = KnownFormat::other_than(WantedFormat::Run, bytes).filter(|known| !known.is_kubernetes())?;
    Some(RunError::NoRun { what: known.name(), instead: known.hint(WantedFormat::Run) })
}

/// What `value` is, which is not a run.
fn no_run(value: &Value) -> RunError {
    let (known, kind) = (KnownFormat::of_document(value), text(value, "kind"));
    let instead = known.as_ref().map_or(WantedFormat::Run.hint(), |known| known.hint(WantedFormat::Run));
    let what = match known.filter(|known| !known.is_kubernetes()) {
        Some(known) => known.name(),
        None if kind.is_empty() => {
            match value.as_object().map(|fields| fields.iter().collect::<Vec<_>>()).as_deref() {
                // What a program says of its failure is YAML: "error: …".
                Some([(key, Value::String(words))]) => return no_object(&format!("{key}: {words}")),
                _ => "an object without a kind".to_owned(),
            }
        }
        None => format!("an object of kind {}", escape(kind, NAME_SHOWN_BYTES)),
    };
    RunError::NoRun { what, instead }
}
