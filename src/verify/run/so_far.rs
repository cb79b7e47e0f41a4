//! A run as it was before it ended, for a payload that was made then.
//!
//! When that was, the payload doesn't say. A TaskRun lacks its end then, and nothing else is allowed for. A PipelineRun
//! lacks its own results too, which Tekton writes at its end, and whatever its last TaskRuns brought: that of its `finally` task,
//! which signs, goes on still. How many they are, trying tells.

use serde_json::{Map, Value};

use crate::tekton::run::{Run, RunError, RunKind, RunObject};

/// More TaskRuns than these did not go on beside the one that signs.
const MOST_LATER: usize = 32;

/// Where provenance says when a run ended.
const ENDS: [&str; 2] = ["/predicate/metadata/buildFinishedOn", "/predicate/runDetails/metadata/finishedOn"];
/// And where the format `tekton` does, which is the run's status.
const TEKTON_ENDS: [&str; 1] = ["/completionTime"];

/// Whether `document` was made before `run` ended.
pub(super) fn is_so_far(document: &Value, run: &Run) -> bool {
    let ends = if document.get("predicate").is_some() { &ENDS[..] } else { &TEKTON_ENDS };
    run.run().completion_time().is_some() && ends.iter().all(|end| document.pointer(end).is_none())
}

/// What `run` may have been like before it ended, the latest first.
pub(super) fn moments(run: &Run) -> impl Iterator<Item = Result<Moment, RunError>> {
    let ended = run.children().iter().filter(|child| child.completion_time().is_some());
    let mut ended: Vec<(usize, &RunObject)> = ended.enumerate().collect();
    // Times are whole seconds: of those that ended in the same, the one that began later, or stands later, goes first.
    ended.sort_by_key(|(at, child)| std::cmp::Reverse((child.completion_time(), child.start_time(), *at)));
    let later: Vec<String> = ended.iter().map(|(_, child)| child.name().to_owned()).collect();
    (0..=later.len().min(MOST_LATER)).map(move |count| {
        let later = later.get(..count).unwrap_or_default().to_vec();
        let children = run.children().iter().map(|child| {
            let is_later = later.iter().any(|name| name == child.name());
            if is_later { without(child.value(), &["completionTime"]) } else { child.value().clone() }
        });
        let own: &[&str] = match run.kind() {
            RunKind::TaskRun => &["completionTime"],
            RunKind::PipelineRun => &["completionTime", "results"],
        };
        let run = Run::from_objects(without(run.object(), own), children.collect())?;
        Ok(Moment { run, later })
    })
}

/// A run at some moment.
pub(super) struct Moment {
    pub(super) run: Run,
    /// The TaskRuns that went on.
    pub(super) later: Vec<String>,
}

/// The object without these fields of its status.
fn without(object: &Value, fields: &[&str]) -> Value {
    let mut object = object.clone();
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        let kept: Map<String, Value> =
            std::mem::take(status).into_iter().filter(|(name, _)| !fields.contains(&name.as_str())).collect();
        *status = kept;
    }
    object
}
