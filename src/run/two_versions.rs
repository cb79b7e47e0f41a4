//! Results that a status has under a name of another API version, and those that it has under the names of both.
//!
//! v1 calls them `results`; v1beta1 `taskResults` and `pipelineResults`. The API server drops a name that its version doesn't have, so
//! that such an object is not as a cluster had it. What is read of it must not depend on which name the reader knows.

use serde_json::Value;

use super::{Gap, GapReason, RunError, RunKind, RunObject, RunResult, field, object};

/// The names of v1beta1.
const V1BETA1: [&str; 2] = ["taskResults", "pipelineResults"];

/// The name of a run's results in v1beta1.
pub(super) fn name_in_v1beta1(kind: RunKind) -> &'static str {
    let [task_run, pipeline_run] = V1BETA1;
    match kind {
        RunKind::TaskRun => task_run,
        RunKind::PipelineRun => pipeline_run,
    }
}

/// Whether the field `of` has a value: null and an empty list don't count.
pub(super) fn is_filled(status: &Value, of: &str) -> bool {
    match field(status, of) {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// Whether a status of v1beta1 has the same results where it has both names.
///
/// # Errors
///
/// It has others.
pub(super) fn check_v1beta1(kind: RunKind, name: &str, status: &Value) -> Result<(), RunError> {
    let of_version = name_in_v1beta1(kind);
    let both = is_filled(status, of_version) && is_filled(status, "results");
    match both && field(status, of_version) != field(status, "results") {
        true => Err(RunError::TwoResults { kind, name: name.into(), field: of_version }),
        false => Ok(()),
    }
}

/// The results of a run that are not read, as v1 has no such name; those of a v1beta1 object were given their name in v1.
pub(super) fn not_of_v1(run: &RunObject) -> impl Iterator<Item = Gap> + use<'_> {
    unread(run).map(|(name, _)| run.gap(GapReason::ResultsNotOfVersion(name)))
}

/// These results with the name of their field.
pub(super) fn unread(run: &RunObject) -> impl Iterator<Item = (&'static str, Vec<RunResult<'_>>)> {
    let filled = V1BETA1.into_iter().filter(|name| is_filled(run.status(), name));
    filled.map(|name| (name, object::results(run.status(), name)))
}
