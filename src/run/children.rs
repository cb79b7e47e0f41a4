//! The TaskRuns of a PipelineRun, and what is missing of them.

use std::collections::{HashMap, HashSet};

use super::embedded::{EmbeddedChildren, agree};
use super::{Gap, GapReason, Run, RunError, RunKind, RunObject, field, list, text, two_versions};

/// The TaskRuns that `run` names as its children: in the order of its childReferences, then those that its status alone has. What is
/// missing of them.
pub(super) fn of(
    run: &RunObject,
    given: Vec<RunObject>,
    embedded: EmbeddedChildren,
) -> Result<(Vec<RunObject>, Vec<Gap>), RunError> {
    let (mut known, mut strangers) = (Known::default(), Vec::new());
    for child in given {
        let (own, other) = (run.namespace(), child.namespace());
        match own != other && !own.is_empty() && !other.is_empty() {
            true => strangers.push(child),
            false => known.add(child)?,
        }
    }
    let embedded_names: Vec<String> =
        embedded.task_runs.iter().map(|child| child.name().to_owned()).collect();
    known.embedded = embedded.task_runs.into_iter().map(|child| (child.name().to_owned(), child)).collect();
    let (mut children, mut gaps) = (Vec::new(), Vec::new());
    let mut others = embedded.others;
    let mut named = HashSet::new();
    for reference in list(run.status(), "childReferences") {
        let name = text(reference, "name");
        let pipeline_task = text(reference, "pipelineTaskName");
        let gap = |why| Gap { name: name.into(), pipeline_task: pipeline_task.into(), why };
        match text(reference, "kind") {
            "TaskRun" | "" if !name.is_empty() && !named.insert(name) => {
                gaps.push(gap(GapReason::NamedTwice))
            }
            "TaskRun" | "" => match known.take(name, Some(pipeline_task))? {
                Some(child) => children.push(child),
                None if strangers.iter().any(|stranger| stranger.name() == name) => {
                    return Err(RunError::OtherNamespace { name: name.into() });
                }
                None => gaps.push(gap(GapReason::NotGiven)),
            },
            other => {
                others.retain(|known| known.name.raw() != name);
                gaps.push(gap(GapReason::Other(other.into())));
            }
        }
    }
    for name in embedded_names {
        children.extend(known.take(&name, None)?);
    }
    gaps.extend(others);
    gaps.extend(unread(run));
    gaps.extend(two_versions::not_of_v1(run));
    gaps.extend(children.iter().flat_map(two_versions::not_of_v1));
    let left = known.names.iter().filter_map(|name| known.given.get(name));
    gaps.extend(left.chain(&strangers).map(|child| child.gap(GapReason::NoChild)));
    Ok((children, gaps))
}

/// What an object of v1 has under `status.taskRuns`, where Tekton writes nothing: the children of one of v1beta1 were taken out.
fn unread(run: &RunObject) -> Vec<Gap> {
    let references = list(run.status(), "childReferences").iter().map(|child| text(child, "name"));
    let references: HashSet<&str> = references.collect();
    let entries = field(run.status(), "taskRuns").as_object().into_iter().flatten();
    let left = entries.filter(|(name, _)| !references.contains(name.as_str()));
    left.map(|(name, entry)| {
        let pipeline_task = text(entry, "pipelineTaskName").into();
        Gap { name: name.as_str().into(), pipeline_task, why: GapReason::NotOfVersion }
    })
    .collect()
}

/// The TaskRuns that may be children, by their names.
#[derive(Default)]
struct Known {
    given: HashMap<String, RunObject>,
    /// The names of those that were given, in their order.
    names: Vec<String>,
    embedded: HashMap<String, RunObject>,
}

impl Known {
    fn add(&mut self, child: RunObject) -> Result<(), RunError> {
        let name = child.name().to_owned();
        if self.given.insert(name.clone(), child).is_some() {
            return Err(RunError::Twice { kind: RunKind::TaskRun, name: name.into() });
        }
        self.names.push(name);
        Ok(())
    }

    /// The TaskRun `name`: its own object where there is one. `pipeline_task` is the task that a reference to it names.
    fn take(&mut self, name: &str, pipeline_task: Option<&str>) -> Result<Option<RunObject>, RunError> {
        let (given, embedded) = (self.given.remove(name), self.embedded.remove(name));
        if let (Some(embedded), Some(task)) = (&embedded, pipeline_task.filter(|task| !task.is_empty()))
            && embedded.pipeline_task() != Some(task)
        {
            return Err(RunError::Contradiction { name: name.into(), what: "the task of the Pipeline" });
        }
        if let (Some(given), Some(embedded)) = (&given, &embedded) {
            agree(given, embedded)?;
        }
        Ok(given.or(embedded))
    }
}

/// What of `run`, and of its TaskRuns, is not known.
pub(super) fn gaps(run: &Run) -> Vec<Gap> {
    let own = run.run();
    let tasks: Vec<&str> = own.pipeline_tasks().into_iter().map(|task| text(task, "name")).collect();
    let names: HashSet<&str> = tasks.iter().copied().collect();
    let why = |child: &RunObject| {
        let is_task = child.pipeline_task().is_some_and(|task| names.contains(task));
        match (child.completion_time(), is_task, child.is_embedded()) {
            (None, ..) => Some(GapReason::Running),
            (Some(_), false, false) => Some(GapReason::NoTask),
            (Some(_), false, true) => Some(GapReason::EmbeddedNoTask),
            (Some(_), true, false) => None,
            (Some(_), true, true) => Some(GapReason::Embedded),
        }
    };
    let mut gaps = run.gaps.clone();
    gaps.extend(run.old_sources());
    gaps.extend(run.children.iter().filter_map(|child| Some(child.gap(why(child)?))));
    // Of a run that succeeded, each task was run or skipped.
    if own.succeeded() == Some(true) && own.completion_time().is_some() {
        let skipped = list(own.status(), "skippedTasks").iter().map(|task| text(task, "name"));
        let mut told: HashSet<&str> = skipped.collect();
        told.extend(run.children.iter().filter_map(RunObject::pipeline_task));
        told.extend(run.gaps.iter().map(|gap| gap.pipeline_task.raw()));
        told.extend(
            list(own.status(), "childReferences").iter().map(|child| text(child, "pipelineTaskName")),
        );
        let untold: Vec<Gap> = tasks
            .into_iter()
            .filter(|task| told.insert(task))
            .map(|task| Gap { name: own.name().into(), pipeline_task: task.into(), why: GapReason::Untold })
            .collect();
        gaps.extend(untold);
    }
    gaps
}
