//! The children that a v1beta1 PipelineRun has in its own status.
//!
//! Before Tekton Pipelines 0.45 a PipelineRun kept the status of each TaskRun in `status.taskRuns`, of each Run in `status.runs`, by their
//! names; with `embedded-status: both` beside `childReferences`. Such a TaskRun has a status and nothing else: no UID, labels,
//! annotations or spec. Nothing of these is made up, and a [`Gap`] says so.
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v0.44.0/docs/pipelineruns.md#the-status-field>

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::object::type_name;
use super::{Gap, GapReason, RunError, RunKind, RunObject, field, list, size, text};
use crate::object_name::Name;

/// The fields of the status that hold children, as in the object.
pub(super) struct Embedded {
    task_runs: Map<String, Value>,
    runs: Map<String, Value>,
}

/// The children of a run that were read.
#[derive(Default)]
pub(super) struct EmbeddedChildren {
    /// The TaskRuns, in the order in which the Pipeline lists their tasks.
    pub(super) task_runs: Vec<RunObject>,
    /// Children of other kinds, of which nothing is read.
    pub(super) others: Vec<Gap>,
}

impl Embedded {
    /// Takes the children out of `object`; `None`: it isn't a PipelineRun of v1beta1.
    pub(super) fn take(object: &mut Value) -> Result<Option<Self>, RunError> {
        let kind = RunKind::PipelineRun;
        if text(object, "kind") != kind.name() || text(object, "apiVersion") != "tekton.dev/v1beta1" {
            return Ok(None);
        }
        let name = text(field(object, "metadata"), "name").to_owned();
        size::check(kind, &name, object)?;
        let mut fields = |of: &'static str| {
            let status = object.get_mut("status").and_then(Value::as_object_mut);
            fields_of(status.and_then(|status| status.remove(of)), &name, &|| format!("status.{of}"))
        };
        Ok(Some(Self { task_runs: fields("taskRuns")?, runs: fields("runs")? }))
    }

    /// Reads the children of `parent`.
    pub(super) fn read(self, parent: &RunObject) -> Result<EmbeddedChildren, RunError> {
        let mut found = EmbeddedChildren::default();
        for (name, entry) in self.task_runs {
            found.task_run(parent, &name, entry)?;
        }
        for (name, entry) in self.runs {
            let entry = entry_of(parent, "runs", &name, entry)?;
            let pipeline_task = entry.get("pipelineTaskName").and_then(Value::as_str).unwrap_or_default();
            found.others.push(other(&name, pipeline_task, "Run"));
        }
        let tasks = parent.pipeline_tasks().into_iter().enumerate();
        // Of two tasks of one name, which Tekton refuses, the first.
        let mut places: HashMap<&str, usize> = HashMap::new();
        tasks.for_each(|(at, task)| _ = places.entry(text(task, "name")).or_insert(at));
        let place = |child: &RunObject| {
            places.get(child.pipeline_task().unwrap_or_default()).copied().unwrap_or(usize::MAX)
        };
        found.task_runs.sort_by(|one, two| (place(one), one.name()).cmp(&(place(two), two.name())));
        found.others.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(found)
    }
}

impl EmbeddedChildren {
    /// Adds the TaskRun `name`, of which `entry` is all that is known, and the checks that ran before it.
    fn task_run(&mut self, parent: &RunObject, name: &str, entry: Value) -> Result<(), RunError> {
        let mut entry = entry_of(parent, "taskRuns", name, entry)?;
        let place = |of: &str| {
            format!("status.taskRuns[{}].{of}", crate::foreign::escape(name, super::NAME_SHOWN_BYTES))
        };
        let pipeline_task = match entry.remove("pipelineTaskName") {
            Some(Value::String(task)) => task,
            _ => String::new(),
        };
        let status = fields_of(entry.remove("status"), parent.name(), &|| place("status"))?;
        let checks = fields_of(entry.remove("conditionChecks"), parent.name(), &|| place("conditionChecks"))?;
        self.others.extend(checks.keys().map(|check| other(check, &pipeline_task, "ConditionCheck")));
        self.task_runs.push(RunObject::embedded(parent, name, &pipeline_task, status)?);
        Ok(())
    }
}

fn other(name: &str, pipeline_task: &str, kind: &'static str) -> Gap {
    Gap { name: name.into(), pipeline_task: pipeline_task.into(), why: GapReason::EmbeddedOther(kind) }
}

/// The entry `name` of `status.{of}`; its name becomes a part of what is shown and compared, as those of childReferences do.
fn entry_of(parent: &RunObject, of: &str, name: &str, entry: Value) -> Result<Map<String, Value>, RunError> {
    name.parse::<Name>().map_err(|source| RunError::Field {
        kind: RunKind::PipelineRun,
        name: parent.name().into(),
        field: format!("a name in status.{of}"),
        source,
    })?;
    let shown = || format!("status.{of}[{}]", crate::foreign::escape(name, super::NAME_SHOWN_BYTES));
    fields_of(Some(entry), parent.name(), &shown)
}

/// The fields of an object that may be missing.
fn fields_of(
    value: Option<Value>,
    name: &str,
    place: &dyn Fn() -> String,
) -> Result<Map<String, Value>, RunError> {
    match value {
        Some(Value::Object(fields)) => Ok(fields),
        None | Some(Value::Null) => Ok(Map::new()),
        Some(other) => {
            Err(RunError::Embedded { name: name.into(), field: place(), found: type_name(&other) })
        }
    }
}

/// Whether `given`, an object of its own, and `embedded`, the same TaskRun in the status of its PipelineRun, say the same.
///
/// The object may be newer than the status: a TaskRun that has completed only in its own object is not a contradiction.
///
/// # Errors
///
/// What they differ in, of what is signed.
pub(super) fn agree(given: &RunObject, embedded: &RunObject) -> Result<(), RunError> {
    let differ = |what| Err(RunError::Contradiction { name: given.name().into(), what });
    if given.pipeline_task().is_some_and(|task| embedded.pipeline_task() != Some(task)) {
        return differ("the task of the Pipeline");
    }
    if embedded.completion_time().is_none() {
        return Ok(());
    }
    // What signing reads, and what Tekton doesn't write again once a TaskRun is done, as it does with sidecars.
    let parts = |of: &[Value], parts: &[&str]| -> Vec<Value> {
        of.iter().map(|item| parts.iter().map(|part| field(item, part).clone()).collect()).collect()
    };
    let results = |of: &Value| parts(list(of, "results"), &["name", "value"]);
    let steps = |of: &RunObject| {
        let steps = list(of.status(), "steps");
        let own: Vec<_> = steps.iter().map(results).collect();
        (parts(steps, &["name", "imageID"]), own)
    };
    let specs = |of: &RunObject| {
        let spec = of.resolved_spec().map(|spec| list(spec, "steps")).unwrap_or_default();
        parts(spec, &["name", "image", "script", "command", "args"])
    };
    for (what, same) in [
        ("start time", given.start_time() == embedded.start_time()),
        ("completion time", given.completion_time() == embedded.completion_time()),
        ("outcome", given.succeeded() == embedded.succeeded()),
        ("Pod", text(given.status(), "podName") == text(embedded.status(), "podName")),
        ("taskSpec", specs(given) == specs(embedded)),
        ("results", results(given.status()) == results(embedded.status())),
        ("steps", steps(given) == steps(embedded)),
        ("source", given.ref_source() == embedded.ref_source()),
    ] {
        if !same {
            return differ(what);
        }
    }
    Ok(())
}
