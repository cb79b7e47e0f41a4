//! A run as it was before it ended, for a payload that was made then.
//!
//! When that was, the payload doesn't say. A TaskRun lacks its end then, and nothing else is allowed for. A PipelineRun
//! lacks its own results too, which Tekton writes at its end, and whatever its last TaskRuns brought: that of its `finally` task,
//! which signs, goes on still. How many they are, trying tells.

use std::collections::HashSet;

use serde_json::Value;

use crate::run::{Run, RunObject};

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

/// What `run` may have been like before it ended, the latest first. Each moment shares the run's JSON.
pub(super) fn moments(run: &Run) -> impl Iterator<Item = Moment> {
    let ended = run.children().iter().filter(|child| child.completion_time().is_some());
    let mut ended: Vec<(usize, &RunObject)> = ended.enumerate().collect();
    // Times are whole seconds: of those that ended in the same, the one that began later, or stands later, goes first.
    ended.sort_by_key(|(at, child)| std::cmp::Reverse((child.completion_time(), child.start_time(), *at)));
    let later: Vec<&str> = ended.iter().take(MOST_LATER).map(|(_, child)| child.name()).collect();
    (0..=later.len()).map(move |count| {
        let later = later.get(..count).unwrap_or_default();
        let names: HashSet<&str> = later.iter().copied().collect();
        let later = later.iter().map(|name| (*name).to_owned()).collect();
        Moment { run: run.before_its_end(&names), later }
    })
}

/// A run at some moment.
pub(super) struct Moment {
    pub(super) run: Run,
    /// The TaskRuns that were still running.
    pub(super) later: Vec<String>,
}
