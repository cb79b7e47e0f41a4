//! Checks a finished run against its Pod.
//!
//! Whoever may patch a TaskRun's status can make a signer sign results that no step wrote. The Pod is written by the kubelet: each
//! step's container has the image that ran and, as its termination message, what Tekton's entrypoint reported. Compared are
//!
//! - each step's image, with the container's `imageID`;
//! - the Task's and the steps' results, with the termination messages (a JSON array of `{key, value, type}`; the last of a key counts, and a
//!   later step's replaces an earlier one's, as Tekton's controller does it);
//! - who has written the status, by `managedFields`.
//!
//! What can't be compared is told, and is never taken for checked: results that came through a sidecar's log or a compressed message, and all of it when the
//! Pod is gone. Sidecars are not compared, since Tekton replaces their images at the end. `managedFields` are a trace and no proof: a writer can choose
//! the name of the step.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::kind::Kind;
use super::runs::owner;
use super::so_far::{STEP, containers};
use super::text_at;
use crate::explain::explain;
use crate::foreign;

/// Under which names Tekton's controller writes: that of its program's file. It is `/ko-app/controller` in Tekton's releases and in OpenShift
/// Pipelines' from 1.14; older ones of the latter (runs of 2022 and 2023 show it) have a name of their own.
const WRITERS: [&str; 2] = ["controller", "openshift-pipelines-controller"];

/// The container that hands results on where `results-from` is `sidecar-logs`.
const LOG_SIDECAR: &str = "sidecar-tekton-log-results";

/// What a compressed termination message begins with.
const COMPRESSED: &str = "tknz:";

/// How much of a value is shown, in bytes.
const SHOWN_BYTES: usize = 160;

/// What the comparison showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// The run, for people.
    pub run: String,
    /// What the run says and its Pod doesn't, or the other way round.
    pub differences: Vec<String>,
    /// What could not be compared, and why.
    pub unchecked: Vec<String>,
}

/// Why a run is not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TruthError {
    /// The run and its Pod say different things.
    #[error("{run} does not say what its Pod says")]
    Differs {
        /// The run as kind and name.
        run: String,
        /// The part that differs or can't be compared.
        #[source]
        differences: Differences,
    },
    /// It had to be checked, and can't be.
    #[error("{run} cannot be checked against its Pod, as --require-pod asks")]
    Unchecked {
        /// The run as kind and name.
        run: String,
        /// The part that differs or can't be compared.
        #[source]
        unchecked: Differences,
    },
}

/// Several findings, as one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differences(pub Vec<String>);

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Differences {}

explain! { TruthError,
    Self::Differs { .. } => ["pod-differs", Failed,
        "nothing was signed; find out who may patch the status of TaskRuns here: kubectl auth can-i patch taskruns/status, \
         kubectl get taskrun -o yaml --show-managed-fields"],
    Self::Unchecked { .. } => ["pod-unchecked", Failed,
        "sign within the run, or before its Pod is taken away; without --require-pod the report says that it was not checked"],
}

impl Truth {
    /// Whether the run may be signed: what wasn't checked, if so.
    ///
    /// # Errors
    ///
    /// If anything differs, and with `require_pod` if anything could not be compared.
    pub fn verdict(self, require_pod: bool) -> Result<Vec<String>, TruthError> {
        let Self { run, differences, unchecked } = self;
        if !differences.is_empty() {
            return Err(TruthError::Differs { run, differences: Differences(differences) });
        }
        if require_pod && !unchecked.is_empty() {
            return Err(TruthError::Unchecked { run, unchecked: Differences(unchecked) });
        }
        Ok(unchecked)
    }
}

/// Holds a TaskRun against its Pod; `None`: the Pod is gone. A PipelineRun has none, only its TaskRuns do: of it, who wrote the status is looked at.
pub fn check(run: &Value, pod: Option<&Value>) -> Truth {
    let kind = text_at(run, "/kind");
    let name = format!("{}/{}", text_at(run, "/metadata/namespace"), text_at(run, "/metadata/name"));
    let mut truth = Truth { run: foreign::escape(&format!("{kind} {name}"), 200), ..Truth::default() };
    writers(run, &mut truth);
    if kind == Kind::PipelineRun.name() {
        return truth;
    }
    if !run.pointer("/status/completionTime").is_some_and(Value::is_string) {
        let what = match text_at(run, "/status/podName") {
            "" => "it has no Pod yet: it has not started, and no step has run",
            _ => "it goes on still: results and step images were not compared with its Pod",
        };
        truth.unchecked.push(what.into());
        return truth;
    }
    let Some(pod) = pod else {
        truth.unchecked.push(without_pod(run));
        return truth;
    };
    let uid = text_at(run, "/metadata/uid");
    if !owner(pod, Kind::TaskRun).is_some_and(|owner| owner.uid == uid && !uid.is_empty()) {
        truth.differences.push(format!(
            "Pod {} belongs to another run",
            foreign::escape(text_at(pod, "/metadata/name"), 120)
        ));
        return truth;
    }
    images(run, pod, &mut truth);
    results(run, pod, &mut truth);
    truth
}

/// Why a TaskRun that is over is not compared with a Pod.
fn without_pod(run: &Value) -> String {
    match text_at(run, "/status/podName") {
        "" if steps(run).is_empty() && list(run, "/status/results").is_empty() => {
            "it never had a Pod: it was refused, cancelled or timed out before it got one, so no step ran"
                .into()
        }
        "" => "its status names no Pod: its results and step images were not compared".into(),
        name => {
            foreign::escape(&format!("Pod {name:?} is gone: results and step images were not compared"), 300)
        }
    }
}

/// The manager that wrote the status, by `managedFields`.
fn writers(run: &Value, truth: &mut Truth) {
    let Some(managed) = run.pointer("/metadata/managedFields").and_then(Value::as_array) else {
        truth.unchecked.push("there are no managedFields: who wrote the status is not known".into());
        return;
    };
    for entry in managed {
        let Some(fields) = entry.pointer("/fieldsV1/f:status").and_then(Value::as_object) else { continue };
        let manager = text_at(entry, "/manager");
        if WRITERS.contains(&manager) {
            continue;
        }
        let fields: Vec<&str> = fields.keys().filter_map(|key| key.strip_prefix("f:")).take(8).collect();
        let fields = if fields.is_empty() { String::new() } else { format!(" ({})", fields.join(", ")) };
        let time = text_at(entry, "/time");
        let what = format!(
            "its status{fields} was written by {manager:?} at {time}, which is not Tekton's controller"
        );
        truth.differences.push(foreign::escape(&what, 400));
    }
}

fn steps(run: &Value) -> &[Value] {
    run.pointer("/status/steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The step containers of the Pod, with their names.
fn step_containers(pod: &Value) -> Vec<(&str, &Value)> {
    let named = containers(pod).into_iter().map(|status| (text_at(status, "/name"), status));
    named.filter(|(name, _)| name.starts_with(STEP)).collect()
}

fn images(run: &Value, pod: &Value, truth: &mut Truth) {
    let there = step_containers(pod);
    for step in steps(run) {
        let (container, says) = (text_at(step, "/container"), text_at(step, "/imageID"));
        let shown = foreign::escape(container, 80);
        match there.iter().find(|(name, _)| *name == container) {
            None => {
                truth.differences.push(format!("the run has a step {shown:?}, the Pod has no such container"))
            }
            Some((_, status)) if text_at(status, "/imageID") != says => truth.differences.push(format!(
                "step {shown}: the run says image {}, the Pod ran {}",
                quoted(says),
                quoted(text_at(status, "/imageID"))
            )),
            Some(_) => {}
        }
    }
    for (name, _) in there {
        if !steps(run).iter().any(|step| text_at(step, "/container") == name) {
            let name = foreign::escape(name, 80);
            truth.differences.push(format!("the Pod has a step {name:?}, of which the run says nothing"));
        }
    }
}

/// What the steps reported.
#[derive(Default)]
struct Reported {
    task: BTreeMap<String, String>,
    /// The results by container and name.
    steps: BTreeMap<String, BTreeMap<String, String>>,
}

fn results(run: &Value, pod: &Value, truth: &mut Truth) {
    let named = ["/spec/containers", "/spec/initContainers"]
        .into_iter()
        .filter_map(|part| pod.pointer(part)?.as_array());
    if named.flatten().any(|container| text_at(container, "/name") == LOG_SIDECAR) {
        truth.unchecked.push(
            "results came through a sidecar's log (results-from: sidecar-logs) and were not compared".into(),
        );
        return;
    }
    let mut reported = Reported::default();
    for (name, status) in step_containers(pod) {
        let message = text_at(status, "/state/terminated/message");
        if message.starts_with(COMPRESSED) {
            truth
                .unchecked
                .push("results came in a compressed termination message and were not compared".into());
            return;
        }
        match entries(message) {
            Some(entries) => reported.add(run, name, entries),
            None => {
                let name = foreign::escape(name, 80);
                truth.differences.push(format!("the termination message of {name} is not Tekton's"));
            }
        }
    }
    compare("result", list(run, "/status/results"), &reported.task, truth);
    for step in steps(run) {
        let container = text_at(step, "/container");
        let empty = BTreeMap::new();
        let of_step = reported.steps.get(container).unwrap_or(&empty);
        let what = format!("{}'s result", foreign::escape(container, 80));
        compare(&what, list(step, "/results"), of_step, truth);
    }
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// An entry of a termination message.
struct Entry {
    key: String,
    value: String,
    of_step: bool,
}

/// The results in a termination message, the last of a key; `None` if it is something else. What isn't a result is left out.
fn entries(message: &str) -> Option<Vec<Entry>> {
    if message.is_empty() {
        return Some(Vec::new());
    }
    let parsed: Vec<Value> = serde_json::from_str(message).ok()?;
    let mut last = BTreeMap::new();
    for entry in parsed {
        let kind = match entry.get("type") {
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) if text == "TaskRunResult" => Some(1),
            Some(Value::String(text)) if text == "StepResult" => Some(4),
            _ => None,
        };
        last.insert(text_at(&entry, "/key").to_owned(), (kind, text_at(&entry, "/value").to_owned()));
    }
    let results = last.into_iter().filter_map(|(key, (kind, value))| match kind {
        Some(1) => Some(Entry { key, value, of_step: false }),
        Some(4) => Some(Entry { key, value, of_step: true }),
        _ => None,
    });
    Some(results.collect())
}

impl Reported {
    /// Adds what the container `name` reported.
    fn add(&mut self, run: &Value, name: &str, entries: Vec<Entry>) {
        let fetched = fetched(run, name);
        let mut later = Vec::new();
        for Entry { key, value, of_step } in entries {
            if !of_step {
                self.task.insert(key, value);
                continue;
            }
            if let Some(task_result) = fetched.get(&key) {
                later.push((task_result.clone(), value.clone()));
            }
            self.steps.entry(name.to_owned()).or_default().insert(key, value);
        }
        // After the container's own results, as the controller does it.
        self.task.extend(later);
    }
}

/// Which of a step's results are results of the Task, by the step's: `value: $(steps.NAME.results.RESULT)`.
fn fetched(run: &Value, container: &str) -> BTreeMap<String, String> {
    let specs =
        ["/status/taskSpec/results", "/spec/taskSpec/results"].into_iter().flat_map(|part| list(run, part));
    let found = specs.filter_map(|spec| {
        let value = text_at(spec, "/value").strip_prefix("$(steps.")?.strip_suffix(')')?;
        let (step, result) = value.split_once(".results.")?;
        (container.strip_prefix(STEP) == Some(step))
            .then(|| (result.to_owned(), text_at(spec, "/name").to_owned()))
    });
    found.collect()
}

fn compare(what: &str, said: &[Value], reported: &BTreeMap<String, String>, truth: &mut Truth) {
    for result in said {
        let name = text_at(result, "/name");
        let shown = foreign::escape(name, 120);
        let value = result.get("value").unwrap_or(&Value::Null);
        match reported.get(name) {
            None => truth
                .differences
                .push(format!("{what} {shown}: the run says {}, no step reported it", quoted(&plain(value)))),
            Some(found) if !equal(value, found) => truth.differences.push(format!(
                "{what} {shown}: the run says {}, the step reported {}",
                quoted(&plain(value)),
                quoted(found)
            )),
            Some(_) => {}
        }
    }
    for (name, value) in reported {
        if !said.iter().any(|result| text_at(result, "/name") == name) {
            let name = foreign::escape(name, 120);
            truth.differences.push(format!(
                "{what} {name}: a step reported {}, the run says nothing of it",
                quoted(value)
            ));
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "nothing".to_owned() } else { format!("\"{}\"", foreign::escape(text, SHOWN_BYTES)) }
}

/// Whether a result's value is what was reported: a text as it is, anything else as JSON.
fn equal(value: &Value, reported: &str) -> bool {
    value.as_str() == Some(reported)
        || serde_json::from_str::<Value>(reported).is_ok_and(|parsed| &parsed == value)
}

#[cfg(test)]
mod tests;
