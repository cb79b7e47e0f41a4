//! `buildConfig` of provenance v0.2: the steps of a TaskRun, the tasks of a PipelineRun.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::go::{self, GoType};
use super::invocation::invocation;
use super::time::{self, Fraction};
use super::{MAX_REPEATED_BYTES, ProvenanceError, object, references};
use crate::run::{Gap, GapReason, Run, RunObject, Step, field, list, text};

/// The steps of a TaskRun, as its status has them.
pub(super) fn of_task_run(run: &RunObject) -> Value {
    let specs = run.resolved_spec().map(|spec| list(spec, "steps")).unwrap_or_default();
    // Of several of one name, the first.
    let specs: HashMap<&str, &Value> = specs.iter().rev().map(|spec| (text(spec, "name"), spec)).collect();
    let steps = run.steps().into_iter().map(|state| {
        let spec = specs.get(state.name()).copied();
        step(spec.unwrap_or(&Value::Null), state)
    });
    object([("steps", steps.collect())])
}

/// One step: what it ran, and in which image.
fn step(spec: &Value, state: Step<'_>) -> Value {
    let script = text(spec, "script");
    let entry_point = match script.is_empty() {
        true => texts(spec, "command").join(" "),
        false => script.to_owned(),
    };
    let arguments = field(spec, "args").as_array().map(|_| texts(spec, "args"));
    let mut environment = json!({ "container": state.name() });
    let id = state.image_id();
    // A step that never ran was in no image.
    if let Some(fields) = environment.as_object_mut().filter(|_| !id.is_empty()) {
        let id = id.strip_prefix("docker-pullable://").unwrap_or(id);
        fields.insert("image".to_owned(), format!("oci://{id}").into());
    }
    object([
        ("entryPoint", entry_point.into()),
        ("arguments", arguments.map_or(Value::Null, Value::from)),
        ("environment", environment),
        ("annotations", Value::Null),
    ])
}

fn texts<'a>(of: &'a Value, name: &str) -> Vec<&'a str> {
    list(of, name).iter().map(|item| item.as_str().unwrap_or_default()).collect()
}

/// The tasks of a PipelineRun that were done, `finally` last.
pub(super) fn of_pipeline_run(run: &Run, gaps: &mut Vec<Gap>) -> Result<Value, ProvenanceError> {
    let own = run.run();
    let Some(spec) = own.resolved_spec() else { return Ok(json!({ "tasks": null })) };
    let regular = list(spec, "tasks").len();
    let mut tasks = Vec::new();
    let (mut last, mut repeated) = (None, 0_usize);
    // Tekton refuses a Pipeline with two tasks of one name; its children would be repeated for each.
    let mut seen = HashSet::new();
    for (at, task) in own.pipeline_tasks().into_iter().enumerate() {
        let name = text(task, "name");
        if !seen.insert(name) {
            continue;
        }
        let mut after = references::after(task);
        // A task of `finally` without dependencies ran after the last regular task.
        if after.is_empty() && at >= regular {
            after.extend(last);
        }
        let children: Vec<&RunObject> = run.children_of(name).collect();
        if children.is_empty() {
            continue;
        }
        let task = TaskOf { run: own, name, after, reference: reference(own, task)? };
        repeated = repeated.saturating_add(task.bytes().saturating_mul(children.len()));
        if repeated > MAX_REPEATED_BYTES {
            return Err(ProvenanceError::TooBig { name: run.name().to_owned(), most: MAX_REPEATED_BYTES });
        }
        for child in children {
            tasks.extend(task.attested(child, gaps)?);
        }
        if at < regular {
            last = Some(name);
        }
    }
    Ok(object([("tasks", Value::Array(tasks))]))
}

/// The Task that a Pipeline's task refers to; empty for a Task written in the Pipeline.
fn reference(run: &RunObject, task: &Value) -> Result<Value, ProvenanceError> {
    match task.get("taskRef").filter(|reference| !reference.is_null()) {
        Some(reference) => go::written(GoType::TaskRef, reference, run, "taskRef"),
        None => Ok(json!({})),
    }
}

/// A task of a Pipeline, as recorded beside each TaskRun that ran it.
struct TaskOf<'a> {
    run: &'a RunObject,
    name: &'a str,
    after: Vec<&'a str>,
    reference: Value,
}

impl TaskOf<'_> {
    /// About how large it is.
    fn bytes(&self) -> usize {
        let names = self.after.iter().map(|name| name.len() + 3);
        names.sum::<usize>() + self.name.len() + self.reference.to_string().len()
    }

    /// One TaskRun that ran it; `None` if it isn't done, or doesn't fit together.
    fn attested(&self, child: &RunObject, gaps: &mut Vec<Gap>) -> Result<Option<Value>, ProvenanceError> {
        let Some(finished) = time::finished(child, Fraction::Shortest)? else { return Ok(None) };
        let steps = match steps_in_order(child) {
            Ok(steps) => steps,
            Err(what) => {
                gaps.push(child.gap(GapReason::Torn(what)));
                return Ok(None);
            }
        };
        let started = time::started(child, Fraction::Shortest)?;
        if started.is_none() {
            gaps.push(child.gap(GapReason::NoStart));
        }
        let mut attested = Map::new();
        let mut add = |name: &str, value: Value| attested.insert(name.to_owned(), value);
        for (name, text) in [
            ("name", self.name),
            ("serviceAccountName", text(field(self.run.spec(), "taskRunTemplate"), "serviceAccountName")),
            ("status", status(child)),
            ("startedOn", started.as_deref().unwrap_or_default()),
            ("finishedOn", &finished),
        ] {
            if !text.is_empty() {
                add(name, text.into());
            }
        }
        for (name, items) in [
            ("after", self.after.iter().map(|name| Value::from(*name)).collect()),
            ("steps", steps),
            ("results", results(child)),
        ] {
            if !items.is_empty() {
                add(name, Value::Array(items));
            }
        }
        add("ref", self.reference.clone());
        add("invocation", invocation(child));
        Ok(Some(Value::Object(attested)))
    }
}

/// The steps of a child, whose specification and status must have the same ones in the same order.
fn steps_in_order(child: &RunObject) -> Result<Vec<Value>, &'static str> {
    let spec = child.resolved_spec().ok_or("its status has no taskSpec")?;
    let (specs, states) = (list(spec, "steps"), child.steps());
    if specs.len() != states.len() {
        return Err("its status has not as many steps as its taskSpec");
    }
    let mut steps = Vec::new();
    for (spec, state) in specs.iter().zip(states) {
        if state.name().starts_with("unnamed-") && !text(spec, "name").is_empty() {
            return Err("its status names other steps than its taskSpec");
        }
        steps.push(step(spec, state));
    }
    Ok(steps)
}

fn status(child: &RunObject) -> &'static str {
    match list(child.status(), "conditions").first().map(|condition| text(condition, "status")) {
        Some("False") => "Failed",
        Some("True") => "Succeeded",
        Some("Unknown") => "Running",
        _ => "",
    }
}

fn results(child: &RunObject) -> Vec<Value> {
    let results = child.results().into_iter();
    results
        .map(|result| {
            let mut entry = object([("name", result.name.into()), ("value", result.value.into_json())]);
            let kind = text(result.entry, "type");
            if let Some(fields) = entry.as_object_mut().filter(|_| !kind.is_empty()) {
                fields.insert("type".to_owned(), kind.into());
            }
            entry
        })
        .collect()
}
