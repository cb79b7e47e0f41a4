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
    /// For v0.29.2 a build artifact may be an image; for the module that is run here it isn't.
    BuiltImage,
    /// Chains takes the scheme of a URL for a part of an image's name.
    Scheme,
    /// Chains takes `;` for a part of a registry's name.
    Semicolon,
    /// Chains drops an image's name with a digest.
    NameWithDigest,
    /// Chains drops a repository of one letter.
    OneLetter,
    /// Chains takes no arrays for pairs.
    Array,
    /// Chains keeps blanks around the fields of an artifact.
    Blanks,
    /// Chains takes the value before a blank hint of the same name.
    LastBlank,
    /// Chains gives up on a step or sidecar without an image digest.
    NoImage,
    /// Chains panics at a child without its beginning.
    NoStart,
}

impl Reason {
    /// How the line begins in which the documentation explains it.
    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Order => "| several pairs of hints",
            Self::StepActions => "| a step from a StepAction with a source",
            Self::BuiltImage => {
                "| an `*ARTIFACT_OUTPUTS` result with `isBuildArtifact` \"true\" that is an image"
            }
            Self::Scheme => "| an image name with `https://`, `oci://`, `docker://` or any other scheme",
            Self::Semicolon => "| `IMAGES` separated by `;`",
            Self::NameWithDigest => "| an image name that already holds its digest",
            Self::OneLetter => "| a repository of one letter",
            Self::Array => {
                "| `*IMAGE_URL` and `*IMAGE_DIGEST`, or `*ARTIFACT_URI` and `*ARTIFACT_DIGEST`, as arrays"
            }
            Self::Blanks => "| blanks around the fields of an `*ARTIFACT_OUTPUTS`",
            Self::LastBlank => "| a hint that a run names twice, the last of them blank or malformed",
            Self::NoImage => "| a step or sidecar without an image by digest",
            Self::NoStart => "| a child without `startTime`",
        }
    }
}

/// Returns no reason if both are the same, and every reason if they differ as intended.
pub(super) fn judge(given: &Given, stepseal: &Answer, chains: &Answer) -> Result<Vec<Reason>, ()> {
    match (stepseal, chains) {
        (Answer::Statement(stepseal), Answer::Statement(chains)) => statements(given, stepseal, chains),
        (Answer::Statement(_), Answer::Refused(why))
            if why.starts_with("panic: ") && lacks_a_start(given) =>
        {
            Ok(vec![Reason::NoStart])
        }
        (Answer::Statement(_), Answer::Refused(why)) if why.contains("imageID") => Ok(vec![Reason::NoImage]),
        (Answer::Refused(_), Answer::Refused(_)) => Ok(Vec::new()),
        _ => Err(()),
    }
}

fn statements(given: &Given, stepseal: &Value, chains: &Value) -> Result<Vec<Reason>, ()> {
    let (mut stepseal, mut chains) = (stepseal.clone(), chains.clone());
    let mut reasons = Vec::new();
    for (reason, even) in EVENED {
        if stepseal == chains {
            break;
        }
        if even(&mut stepseal, &mut chains, given) {
            reasons.push(reason);
        }
    }
    if stepseal == chains { Ok(reasons) } else { Err(()) }
}

/// Takes a difference out of both statements; whether there was one.
type Even = fn(&mut Value, &mut Value, &Given) -> bool;

const EVENED: [(Reason, Even); 10] = [
    (Reason::Blanks, |_, chains, _| blanks(chains)),
    (Reason::StepActions, step_actions),
    (Reason::Scheme, schemes),
    (Reason::Semicolon, semicolons),
    (Reason::NameWithDigest, |stepseal, chains, given| {
        stepseal_only(stepseal, chains, |subject| has_own_digest(subject, given))
    }),
    (Reason::Array, |stepseal, chains, given| {
        stepseal_only(stepseal, chains, |subject| is_in_an_array(subject, given))
    }),
    (Reason::LastBlank, last_blank),
    (Reason::OneLetter, |stepseal, chains, _| stepseal_only(stepseal, chains, is_one_letter)),
    (Reason::BuiltImage, |stepseal, chains, given| {
        stepseal_only(stepseal, chains, |subject| is_built(subject, given))
    }),
    (Reason::Order, order),
];

fn lacks_a_start(given: &Given) -> bool {
    given.task_runs.iter().any(|child| child["status"]["startTime"].is_null())
}

fn step_actions(stepseal: &mut Value, _: &mut Value, _: &Given) -> bool {
    let pointer = "/predicate/buildDefinition/resolvedDependencies";
    let Some(Value::Array(dependencies)) = stepseal.pointer_mut(pointer) else { return false };
    let before = dependencies.len();
    dependencies.retain(|one| !one["name"].as_str().is_some_and(|name| name.starts_with("stepAction/")));
    let (after, empty) = (dependencies.len(), dependencies.is_empty());
    if empty {
        let definition = stepseal["predicate"]["buildDefinition"].as_object_mut();
        definition.and_then(|fields| fields.remove("resolvedDependencies"));
    }
    after < before
}

/// Drops the blanks around the name and the digests of each subject; whether there were any.
fn blanks(chains: &mut Value) -> bool {
    let Some(Value::Array(subjects)) = chains.get_mut("subject") else { return false };
    let before = subjects.clone();
    for subject in subjects.iter_mut() {
        let name = name(subject).trim().to_owned();
        let trimmed = |(key, hex): (&String, &Value)| {
            (key.trim().to_owned(), Value::from(hex.as_str().unwrap_or_default().trim()))
        };
        let digest = subject["digest"].as_object().into_iter().flatten().map(trimmed).collect();
        subject["name"] = Value::from(name);
        subject["digest"] = Value::Object(digest);
    }
    // What differed in blanks alone is one subject.
    let mut known = Vec::new();
    subjects.retain(|subject| {
        !known.contains(subject) && {
            known.push(subject.clone());
            true
        }
    });
    *subjects != before
}

/// Removes the subjects that only Stepseal has, for the reason `dropped`.
fn stepseal_only(stepseal: &mut Value, chains: &mut Value, dropped: impl Fn(&Value) -> bool) -> bool {
    let known = subjects(chains);
    keep_subjects(stepseal, |subject| known.contains(subject) || !dropped(subject))
}

/// Removes the subjects of Chains that are named with a scheme.
fn schemes(stepseal: &mut Value, chains: &mut Value, _: &Given) -> bool {
    let known = subjects(stepseal);
    let named = |subject: &Value| {
        ["https://", "oci://", "docker://"].iter().any(|scheme| name(subject).starts_with(scheme))
    };
    keep_subjects(chains, |subject| known.contains(subject) || !named(subject))
}

/// Removes the subjects that only Chains has, if an earlier result of the same name has a value and the last is blank.
fn last_blank(stepseal: &mut Value, chains: &mut Value, given: &Given) -> bool {
    let known = subjects(stepseal);
    let is_blank = |result: &Value| result["value"].as_str().is_some_and(|text| text.trim().is_empty());
    let blank_again = |results: &[Value]| {
        let before = |at: usize, name: &Value| results.iter().take(at).any(|result| result["name"] == *name);
        results.iter().enumerate().any(|(at, result)| is_blank(result) && before(at, &result["name"]))
    };
    anywhere(given, &|value| value.as_array().is_some_and(|results| blank_again(results)))
        && keep_subjects(chains, |subject| known.contains(subject))
}

fn semicolons(stepseal: &mut Value, chains: &mut Value, _: &Given) -> bool {
    let known = subjects(stepseal);
    keep_subjects(chains, |subject| known.contains(subject) || !name(subject).starts_with(';'))
}

fn subjects(statement: &Value) -> Vec<Value> {
    statement["subject"].as_array().cloned().unwrap_or_default()
}

/// Returns whether it removed any subject.
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

fn name(subject: &Value) -> &str {
    subject["name"].as_str().unwrap_or_default()
}

fn digest(subject: &Value) -> String {
    format!("sha256:{}", subject["digest"]["sha256"].as_str().unwrap_or_default())
}

fn is_one_letter(subject: &Value) -> bool {
    name(subject).rsplit('/').next().is_some_and(|last| last.len() == 1)
}

/// Whether the run names it together with its digest.
fn has_own_digest(subject: &Value, given: &Given) -> bool {
    let whole = format!("{}@{}", name(subject), digest(subject));
    anywhere(given, &|value| value.as_str().is_some_and(|text| text.trim() == whole))
}

/// Whether a result of the run has its digest in an array.
fn is_in_an_array(subject: &Value, given: &Given) -> bool {
    let digests = subject["digest"].as_object().into_iter().flatten();
    let hexes: Vec<&str> = digests.filter_map(|(_, hex)| hex.as_str()).collect();
    let has =
        |item: &Value| item.as_str().is_some_and(|text| hexes.iter().any(|hex| text.trim().ends_with(hex)));
    anywhere(given, &|value| value["value"].as_array().is_some_and(|items| items.iter().any(has)))
}

/// Whether it is a build artifact of the run under its full name.
fn is_built(subject: &Value, given: &Given) -> bool {
    anywhere(given, &|value| {
        let uri = value["uri"].as_str().unwrap_or_default().trim();
        let last = uri.rsplit('/').next().unwrap_or_default().split([':', '@']).next().unwrap_or_default();
        value["isBuildArtifact"] == "true"
            && value["digest"].as_str().is_some_and(|own| own.trim().eq_ignore_ascii_case(&digest(subject)))
            && name(subject).rsplit('/').next() == Some(last)
    })
}

/// Whether any part of the run is so.
fn anywhere(given: &Given, is: &dyn Fn(&Value) -> bool) -> bool {
    fn within(value: &Value, is: &dyn Fn(&Value) -> bool) -> bool {
        is(value)
            || match value {
                Value::Array(items) => items.iter().any(|item| within(item, is)),
                Value::Object(fields) => fields.values().any(|field| within(field, is)),
                _ => false,
            }
    }
    given.task_runs.iter().chain([&given.object]).any(|run| within(run, is))
}

fn order(stepseal: &mut Value, chains: &mut Value, _: &Given) -> bool {
    let (sorted, others) = (unordered(stepseal), unordered(chains));
    let changed = sorted == others;
    (*stepseal, *chains) = (sorted, others);
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
