//! From the API version v1beta1 to v1, as Tekton's webhook converts what it stores.
//!
//! What v1 has under another name is moved, and what it doesn't have is dropped (`bundle`, PipelineResources, cloud
//! events; the webhook keeps the last two in annotations for the way back). `status.provenance.configSource` isn't converted by it, and
//! stays where it is: a [`Gap`](super::Gap) names it.
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.15.0/docs/migrating-v1beta1-to-v1.md>

use serde_json::{Map, Value, json};

use super::RunKind;

type Fields = Map<String, Value>;

/// Makes a v1beta1 object one of v1.
pub(super) fn convert(kind: RunKind, value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    object.insert("apiVersion".to_owned(), Value::String("tekton.dev/v1".to_owned()));
    match kind {
        RunKind::TaskRun => {
            with(object, "spec", task_run_spec);
            with(object, "status", task_run_status);
        }
        RunKind::PipelineRun => {
            with(object, "spec", pipeline_run_spec);
            with(object, "status", pipeline_run_status);
        }
    }
}

fn task_run_spec(spec: &mut Fields) {
    rename(spec, "stepOverrides", "stepSpecs");
    rename(spec, "sidecarOverrides", "sidecarSpecs");
    for name in ["stepSpecs", "sidecarSpecs"] {
        each(spec, name, |entry| rename(entry, "resources", "computeResources"));
    }
    with(spec, "taskSpec", task_spec);
    spec.remove("resources");
}

fn task_run_status(status: &mut Fields) {
    rename_results(status, "taskResults");
    with(status, "taskSpec", task_spec);
    each(status, "retriesStatus", task_run_status);
    for name in ["cloudEvents", "resourcesResult"] {
        status.remove(name);
    }
}

fn pipeline_run_spec(spec: &mut Fields) {
    let mut template = Fields::new();
    for name in ["serviceAccountName", "podTemplate"] {
        if let Some(value) = spec.remove(name) {
            template.insert(name.to_owned(), value);
        }
    }
    if !template.is_empty() {
        spec.insert("taskRunTemplate".to_owned(), Value::Object(template));
    }
    if let Some(timeout) = spec.remove("timeout") {
        let timeouts = spec.entry("timeouts").or_insert_with(|| json!({}));
        if let Some(timeouts) = timeouts.as_object_mut() {
            timeouts.insert("pipeline".to_owned(), timeout);
        }
    }
    each(spec, "taskRunSpecs", |entry| {
        rename(entry, "taskServiceAccountName", "serviceAccountName");
        rename(entry, "taskPodTemplate", "podTemplate");
        rename(entry, "stepOverrides", "stepSpecs");
        rename(entry, "sidecarOverrides", "sidecarSpecs");
        for name in ["stepSpecs", "sidecarSpecs"] {
            each(entry, name, |entry| rename(entry, "resources", "computeResources"));
        }
    });
    with(spec, "pipelineSpec", pipeline_spec);
    spec.remove("resources");
}

fn pipeline_run_status(status: &mut Fields) {
    rename_results(status, "pipelineResults");
    with(status, "pipelineSpec", pipeline_spec);
    for name in ["taskRuns", "runs"] {
        status.remove(name);
    }
}

fn pipeline_spec(spec: &mut Fields) {
    param_specs(spec);
    for name in ["tasks", "finally"] {
        each(spec, name, |task| {
            with(task, "taskSpec", task_spec);
            task.remove("resources");
        });
    }
    spec.remove("resources");
}

fn task_spec(spec: &mut Fields) {
    param_specs(spec);
    for name in ["steps", "sidecars"] {
        each(spec, name, |step| rename(step, "resources", "computeResources"));
    }
    with(spec, "stepTemplate", |template| rename(template, "resources", "computeResources"));
    spec.remove("resources");
}

/// A parameter without a type is a text.
fn param_specs(spec: &mut Fields) {
    each(spec, "params", |param| {
        let untyped = param.get("type").is_none_or(|kind| kind.is_null() || kind == "");
        if untyped {
            param.insert("type".to_owned(), "string".into());
        }
    });
}

fn with(fields: &mut Fields, name: &str, change: impl FnOnce(&mut Fields)) {
    if let Some(inner) = fields.get_mut(name).and_then(Value::as_object_mut) {
        change(inner);
    }
}

fn each(fields: &mut Fields, name: &str, change: impl Fn(&mut Fields)) {
    let entries = fields.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten();
    entries.filter_map(Value::as_object_mut).for_each(change);
}

/// Results under their name in v1. Where a status has both names, one of them is empty or both hold the same: others are refused before.
fn rename_results(status: &mut Fields, from: &str) {
    if let Some(results) = status.remove(from)
        && status
            .get("results")
            .is_none_or(|known| known.is_null() || known.as_array().is_some_and(Vec::is_empty))
    {
        status.insert("results".to_owned(), results);
    }
}

/// Moves the value of `from` to `to`, unless `to` has a value.
fn rename(fields: &mut Fields, from: &str, to: &str) {
    if let Some(value) = fields.remove(from) {
        fields.entry(to).or_insert(value);
    }
}
