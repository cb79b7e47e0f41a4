//! Names that occur twice in a list of a run, where each name has one value.
//!
//! Provenance has the last of two values of one name, as Chains writes it, so an entry before the real one isn't in it: whoever
//! looks at the run, or takes the first value, would read what was not signed. Tekton writes each name once.
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.15.0/docs/pipeline-api.md>

use std::collections::HashSet;

use serde_json::Value;

use super::RunRefusal;
use crate::foreign::UntrustedText;
use crate::run::{Run, RunKind, RunObject, field, list, text};

/// The lists of a status that hold its results: in v1, and in v1beta1 of a TaskRun and of a PipelineRun.
const RESULTS: [&str; 3] = ["results", "taskResults", "pipelineResults"];

/// Checks that each name occurs once in each list of `run` and its known TaskRuns.
///
/// # Errors
///
/// The first name that occurs twice, with its list.
pub(super) fn check(run: &Run) -> Result<(), RunRefusal> {
    std::iter::once(run.run()).chain(run.children()).try_for_each(check_object)
}

fn check_object(object: &RunObject) -> Result<(), RunRefusal> {
    let (spec, status) = (object.spec(), object.status());
    let once = |place: &dyn Fn() -> String, entries: &mut dyn Iterator<Item = &Value>| {
        let mut names = HashSet::new();
        let twice = entries.map(|entry| text(entry, "name")).find(|name| !names.insert(*name));
        twice.map_or(Ok(()), |name| {
            let (kind, run) = (object.kind(), UntrustedText::from(object.name()));
            Err(RunRefusal::Doubled { kind, run, place: place(), name: name.into() })
        })
    };
    // What one reader finds under one of these names, another finds under the next.
    once(&|| "status.results".to_owned(), &mut RESULTS.iter().flat_map(|results| list(status, results)))?;
    for (at, step) in list(status, "steps").iter().enumerate() {
        once(&|| format!("status.steps[{at}].results"), &mut list(step, "results").iter())?;
    }
    once(&|| "spec.params".to_owned(), &mut list(spec, "params").iter())?;
    let as_run = match object.kind() {
        RunKind::TaskRun => "taskSpec",
        RunKind::PipelineRun => "pipelineSpec",
    };
    let defaults = list(field(status, as_run), "params");
    once(&|| format!("status.{as_run}.params"), &mut defaults.iter())
}
