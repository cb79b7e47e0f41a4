//! The type hints in a run's results: what [`discover`](crate::tekton::discover) gives for a step's folders.

use std::collections::HashSet;

use super::{Run, RunKind, RunObject, RunResult, two_versions};
use crate::foreign;
use crate::hint::{Discovered, NAME_SHOWN_BYTES, Problem, Scope, classify, take};

/// The results that count as type hints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HintOptions {
    /// Whether a PipelineRun's TaskRuns count too.
    pub deep: bool,
    /// Whether the results of single steps count too, as they do in `slsa/v2alpha4`.
    pub steps: bool,
}

/// How many places of results are looked at: TaskRuns and steps.
const MAX_PLACES: usize = 8192;

/// The type hints of `run`: its own, then, if asked, its completed children's.
///
/// Nothing is judged yet: values are read as they are read from a results folder, and `plan` says what is wrong.
pub fn hints(run: &Run, options: &HintOptions) -> Discovered {
    let mut found = Discovered::default();
    let own = run.run();
    unread(own, &mut found);
    match run.kind() {
        RunKind::TaskRun => {
            read(&own.results(), &Scope::Task, shown("TaskRun", own), &mut found);
            if options.steps {
                steps(own, &|step| Scope::Step(step.into()), &mut found);
            }
        }
        RunKind::PipelineRun => {
            read(&own.results(), &Scope::Pipeline, shown("PipelineRun", own), &mut found);
            for child in run.executed().into_iter().filter(|_| options.deep) {
                unread(child, &mut found);
                let scope = Scope::TaskRun(child.name().into());
                read(&child.results(), &scope, shown("TaskRun", child), &mut found);
                if options.steps {
                    let name = child.name();
                    steps(child, &|step| Scope::TaskRunStep(name.into(), step.into()), &mut found);
                }
            }
        }
    }
    found
}

fn steps(object: &RunObject, scope: &dyn Fn(&str) -> Scope, found: &mut Discovered) {
    let mut names = HashSet::new();
    for (at, step) in object.steps().into_iter().enumerate() {
        let results = step.results();
        if results.is_empty() {
            continue;
        }
        let mut name = if step.name().is_empty() { at.to_string() } else { step.name().to_owned() };
        // Halves in two steps are not a pair, whatever the steps are called; Tekton refuses two of one name.
        if !names.insert(name.clone()) {
            name = format!("{name} (number {})", at + 1);
        }
        let place =
            format!("step {} of {}", foreign::escape(&name, NAME_SHOWN_BYTES), shown("TaskRun", object));
        read(&results, &scope(&name), place, found);
    }
}

fn shown(kind: &str, object: &RunObject) -> String {
    format!("the results of {kind} {}", foreign::escape(object.name(), NAME_SHOWN_BYTES))
}

/// Names the hints that `object` has where they are not read: without them, a part of what was built would not be signed, in silence.
fn unread(object: &RunObject, found: &mut Discovered) {
    for (field, results) in two_versions::unread(object) {
        let is_hint = |result: &&RunResult<'_>| classify(result.name.as_bytes()).names_a_subject();
        let Some(first) = results.iter().find(is_hint) else { continue };
        let name = foreign::escape(first.name, NAME_SHOWN_BYTES);
        let what = format!(
            "{name} stands in status.{field}, which tekton.dev/v1 does not have, and is not read; give the object as the cluster has it, \
             with the apiVersion tekton.dev/v1beta1 if it is of that version"
        );
        found.problems.push(Problem { place: shown(object.kind().name(), object), what });
    }
}

fn read(results: &[RunResult<'_>], scope: &Scope, place: String, found: &mut Discovered) {
    if found.looked.len() >= MAX_PLACES {
        let what = format!("they are not read: {MAX_PLACES} other places with results stand before them");
        found.problems.push(Problem { place, what });
        return;
    }
    let names: Vec<&[u8]> = results.iter().map(|result| result.name.as_bytes()).collect();
    let mut value =
        |at: usize| Ok(results.get(at).map(|result| result.value.to_file().into_bytes()).unwrap_or_default());
    take(&names, &mut value, scope, place, found);
}
