//! The differences that are meant, each with its heading in docs/chains-differences.md.

use serde_json::Value;

use super::generate::Given;
use super::oracle::Answer;

/// Why two answers aren't the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// Chains walks over maps in random order.
    Order,
    /// v0.29.2 names StepActions; the module that is run here doesn't.
    StepActions,
    /// What is a name of an image is another matter in Chains.
    ImageNames,
    /// Chains gives up on a step or sidecar without an image digest.
    NoImage,
    /// Chains panics.
    Panic,
}

impl Reason {
    /// The heading under which the documentation explains it.
    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::Order => "## Order",
            Self::StepActions => "## StepActions",
            Self::ImageNames => "## Names of images",
            Self::NoImage => "## Steps without an image",
            Self::Panic => "## Panics",
        }
    }
}

/// No reason if `ours` and `theirs` are the same, all of them if they differ as is meant.
pub(super) fn judge(given: &Given, ours: &Answer, theirs: &Answer) -> Result<Vec<Reason>, ()> {
    match (ours, theirs) {
        (Answer::Statement(ours), Answer::Statement(theirs)) => statements(given, ours, theirs),
        (Answer::Statement(_), Answer::Refused(why)) if why.starts_with("panic: ") => Ok(vec![Reason::Panic]),
        (Answer::Statement(_), Answer::Refused(why)) if why.contains("imageID") => Ok(vec![Reason::NoImage]),
        (Answer::Refused(_), Answer::Refused(_)) => Ok(Vec::new()),
        _ => Err(()),
    }
}

fn statements(given: &Given, ours: &Value, theirs: &Value) -> Result<Vec<Reason>, ()> {
    let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
    let mut reasons = Vec::new();
    for (reason, even) in EVENED {
        if ours == theirs {
            break;
        }
        if even(&mut ours, &mut theirs, given) {
            reasons.push(reason);
        }
    }
    if ours == theirs { Ok(reasons) } else { Err(()) }
}

/// Takes a difference out of both statements; whether there was one.
type Even = fn(&mut Value, &mut Value, &Given) -> bool;

const EVENED: [(Reason, Even); 3] =
    [(Reason::StepActions, step_actions), (Reason::ImageNames, image_names), (Reason::Order, order)];

fn step_actions(ours: &mut Value, _: &mut Value, _: &Given) -> bool {
    let pointer = "/predicate/buildDefinition/resolvedDependencies";
    let Some(Value::Array(dependencies)) = ours.pointer_mut(pointer) else { return false };
    let before = dependencies.len();
    dependencies.retain(|one| !one["name"].as_str().is_some_and(|name| name.starts_with("stepAction/")));
    let (after, empty) = (dependencies.len(), dependencies.is_empty());
    if empty {
        let definition = ours["predicate"]["buildDefinition"].as_object_mut();
        definition.and_then(|fields| fields.remove("resolvedDependencies"));
    }
    after < before
}

/// Subjects that only one of both takes for images. Chains drops names of one letter and those with a digest of their
/// own; it takes the scheme of a URL for a part of the name.
fn image_names(ours: &mut Value, theirs: &mut Value, given: &Given) -> bool {
    let (known, known_to_us) = (subjects(theirs), subjects(ours));
    let fewer = keep_subjects(ours, |subject| known.contains(subject) || !dropped_by_chains(subject, given));
    let fewer_of_theirs =
        keep_subjects(theirs, |subject| known_to_us.contains(subject) || !named_with_a_scheme(subject));
    fewer || fewer_of_theirs
}

fn subjects(statement: &Value) -> Vec<Value> {
    statement["subject"].as_array().cloned().unwrap_or_default()
}

/// Whether any went.
fn keep_subjects(statement: &mut Value, kept: impl FnMut(&Value) -> bool) -> bool {
    let Some(Value::Array(subjects)) = statement.get_mut("subject") else { return false };
    let before = subjects.len();
    subjects.retain(kept);
    let (after, empty) = (subjects.len(), subjects.is_empty());
    if empty {
        statement.as_object_mut().and_then(|fields| fields.remove("subject"));
    }
    after < before
}

fn named_with_a_scheme(subject: &Value) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    ["https://", "oci://", "docker://"].iter().any(|scheme| name.starts_with(scheme))
}

fn dropped_by_chains(subject: &Value, given: &Given) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    let whole = format!("{name}@sha256:{}", subject["digest"]["sha256"].as_str().unwrap_or_default());
    let one_letter = name.rsplit('/').next().is_some_and(|last| last.len() == 1);
    one_letter || given.task_runs.iter().chain([&given.object]).any(|run| has_text(run, &whole))
}

fn has_text(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text.trim() == wanted,
        Value::Array(items) => items.iter().any(|item| has_text(item, wanted)),
        Value::Object(fields) => fields.values().any(|field| has_text(field, wanted)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn order(ours: &mut Value, theirs: &mut Value, _: &Given) -> bool {
    let (sorted, others) = (unordered(ours), unordered(theirs));
    let changed = sorted == others;
    (*ours, *theirs) = (sorted, others);
    changed
}

/// With every list sorted.
fn unordered(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(unordered).collect();
            items.sort_by_cached_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => {
            let mut fields: Value =
                fields.iter().map(|(name, item)| (name.clone(), unordered(item))).collect();
            fields.sort_all_objects();
            fields
        }
        other => other.clone(),
    }
}
