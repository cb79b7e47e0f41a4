//! Finds the runs to sign for: in a file, in the cluster, or the run that this Pod belongs to.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use super::access::reach;
use super::job::{JobRuntime, RuntimeError};
use super::process::ProcessEnvironment;
use crate::cluster::truth::{self, TruthError};
use crate::cluster::{Cluster, ClusterError, Pods, RunsError, Told, so_far};
use crate::config::{Config, RunSource};
use crate::explain::{Explanation, explain};
use crate::foreign;
use crate::input::{self, InputError};
use crate::run::{Run, RunError, RunKind};
use crate::tekton::{self, TektonError};

/// The largest file with runs, in bytes. Hundreds of TaskRuns take a few megabytes.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// A run to sign for.
#[derive(Debug)]
pub(crate) struct FoundRun {
    pub(crate) run: Run,
    /// Notes about unchecked facts and missing data.
    pub(crate) notes: Vec<String>,
    /// Why the run must not be signed.
    pub(crate) blocked: Option<Explanation>,
    /// The run's metadata, if it comes from the cluster in this process.
    pub(crate) known: Option<Value>,
}

/// The runs to sign for, and whether their results name the images.
#[derive(Debug, Default)]
pub(crate) struct FoundRuns {
    pub(crate) runs: Vec<FoundRun>,
    /// Whether images come from the first run's results rather than this step's directories.
    pub(crate) outside: bool,
    /// How many requests to the cluster the search took.
    pub(crate) requests: u64,
}

/// Why a run can't be found or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindRunsError {
    #[error("cannot read the run in {}", foreign::escape(&path.display().to_string(), 512))]
    Read { path: PathBuf, source: InputError },
    #[error("{} contains no run that can be signed", foreign::escape(&path.display().to_string(), 512))]
    Run { path: PathBuf, source: RunError },
    #[error("the cluster returned no run that can be signed")]
    Object(#[from] RunError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Runs(#[from] RunsError),
    #[error(transparent)]
    Tekton(#[from] TektonError),
    #[error("{0} does not belong to a PipelineRun, but artifacts.pipelinerun.storage is set")]
    NoPipelineRun(String),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

explain! { FindRunsError,
    Self::Read { source, .. } if source.hint().is_some() => ["run-file-unread", Usage, hint source.hint()],
    Self::Read { .. } => ["run-file-unread", Usage,
        "name a file with a TaskRun, or a PipelineRun and its TaskRuns: kubectl get taskrun NAME -o yaml"],
    Self::Run { source, .. } | Self::Object(source) => [of source],
    Self::Cluster(error) => [of error],
    Self::Runs(error) => [of error],
    Self::Tekton(error) => [of error],
    Self::NoPipelineRun(_) => ["run-no-pipelinerun", Usage, "set artifacts.taskrun.storage instead, or sign in a Task of a Pipeline"],
    Self::Runtime(error) => [of error],
}

/// Finds the runs that the configuration names, if it signs anything for runs.
pub(crate) fn find(
    config: &Config,
    environment: &dyn ProcessEnvironment,
) -> Result<FoundRuns, FindRunsError> {
    if let RunSource::File(path) = &config.run {
        return from_file(path, config.require_pod);
    }
    let asked = !config.runs.task_run.stores.is_empty() || !config.runs.pipeline_run.stores.is_empty();
    if !asked && matches!(config.run, RunSource::Own { .. }) {
        return Ok(FoundRuns::default());
    }
    JobRuntime::start()?.run(from_cluster(config, environment))
}

fn from_file(path: &Path, require_pod: bool) -> Result<FoundRuns, FindRunsError> {
    let bytes = input::read_or_stdin(path, MAX_FILE_BYTES);
    let bytes = bytes.map_err(|source| FindRunsError::Read { path: path.to_owned(), source })?;
    let run = Run::parse(&bytes).map_err(|source| FindRunsError::Run { path: path.to_owned(), source })?;
    let name = format!("{} {}/{}", run.kind(), run.namespace(), run.name());
    let unchecked = "it is from a file: Stepseal did not check that its steps wrote these results".to_owned();
    let blocked = require_pod.then(|| {
        let unchecked = truth::Differences(vec![unchecked.clone()]);
        Explanation::of(&TruthError::Unchecked { run: name, unchecked })
    });
    let passed_over = run.passed_over().map(str::to_owned);
    let notes = std::iter::once(unchecked).chain(passed_over).collect();
    Ok(FoundRuns { runs: vec![FoundRun { run, notes, blocked, known: None }], outside: true, requests: 0 })
}

async fn from_cluster(
    config: &Config,
    environment: &dyn ProcessEnvironment,
) -> Result<FoundRuns, FindRunsError> {
    let env = |name: &str| environment.get(name);
    let reach = reach(config, environment, Instant::now() + config.timeout);
    let cluster = Cluster::connect(&reach, &env).await?;
    match &config.run {
        RunSource::TaskRun(name) => {
            let object = cluster.task_run(name).await?;
            let run = checked_task_run(&cluster, object, config.require_pod).await?;
            Ok(FoundRuns { runs: vec![run], outside: true, requests: cluster.requests() })
        }
        RunSource::PipelineRun(name) => {
            let object = cluster.pipeline_run(name).await?;
            let (run, _, _) = pipeline_run(&cluster, object, config.require_pod).await?;
            Ok(FoundRuns { runs: vec![run], outside: true, requests: cluster.requests() })
        }
        RunSource::Own { uid, name } => {
            let told = Told { task_run: name.clone(), uid: uid.clone() };
            let own = cluster.own_task_run(&told, &env).await?;
            if config.runs.pipeline_run.stores.is_empty() {
                let results = results(config, &own.task_run)?;
                let object = so_far(own.task_run, own.pod.as_ref(), &results);
                let run = Run::from_objects(object, vec![])?;
                let known = Some(metadata(run.object()));
                let run = FoundRun { run, notes: Vec::new(), blocked: None, known };
                return Ok(FoundRuns { runs: vec![run], outside: false, requests: cluster.requests() });
            }
            from_finally(&cluster, &own.task_run, config).await
        }
        RunSource::File(_) => Ok(FoundRuns::default()),
    }
}

/// Within a Pipeline: the PipelineRun so far, and each of its finished TaskRuns.
async fn from_finally(
    cluster: &Cluster,
    task_run: &Value,
    config: &Config,
) -> Result<FoundRuns, FindRunsError> {
    let Some(object) = cluster.pipeline_run_of(task_run).await? else {
        let name = task_run.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        return Err(FindRunsError::NoPipelineRun(foreign::escape(&format!("TaskRun {name}"), 200)));
    };
    let (run, task_runs, pods) = pipeline_run(cluster, object, config.require_pod).await?;
    let mut runs = vec![run];
    if !config.runs.task_run.stores.is_empty() {
        for object in task_runs.into_iter().filter(is_done) {
            let pod = pods.of(&object).cloned();
            runs.push(checked(object, pod.as_ref(), config.require_pod)?);
        }
    }
    Ok(FoundRuns { runs, outside: false, requests: cluster.requests() })
}

/// The part of an object that is needed to write its annotations.
fn metadata(object: &Value) -> Value {
    json!({ "metadata": object.get("metadata") })
}

/// Whether a TaskRun's status is final.
fn is_done(task_run: &Value) -> bool {
    task_run.pointer("/status/completionTime").is_some_and(Value::is_string)
}

/// A TaskRun, checked against its Pod.
async fn checked_task_run(
    cluster: &Cluster,
    object: Value,
    require_pod: bool,
) -> Result<FoundRun, FindRunsError> {
    let pod = cluster.pod_of(&object).await?;
    checked(object, pod.as_ref(), require_pod)
}

fn checked(object: Value, pod: Option<&Value>, require_pod: bool) -> Result<FoundRun, FindRunsError> {
    let verdict = truth::check(&object, pod).verdict(require_pod);
    let run = Run::from_objects(object, vec![])?;
    let (notes, blocked) = match verdict {
        Ok(unchecked) => (unchecked, None),
        Err(error) => (Vec::new(), Some(Explanation::of(&error))),
    };
    let known = Some(metadata(run.object()));
    Ok(FoundRun { run, notes, blocked, known })
}

/// A PipelineRun with its TaskRuns and their Pods. Checks who wrote the PipelineRun's status, and checks each finished TaskRun against its Pod.
async fn pipeline_run(
    cluster: &Cluster,
    object: Value,
    require_pod: bool,
) -> Result<(FoundRun, Vec<Value>, Pods), FindRunsError> {
    let children = cluster.task_runs_of(&object).await?;
    let pods = cluster.pods_of(&object).await?;
    let done = children.task_runs.iter().filter(|task_run| is_done(task_run));
    let checks = done.map(|task_run| truth::check(task_run, pods.of(task_run)));
    let (mut notes, mut blocked) = (Vec::new(), None);
    for truth in std::iter::once(truth::check(&object, None)).chain(checks) {
        let name = truth.run.clone();
        match truth.verdict(require_pod) {
            Ok(unchecked) => notes.extend(unchecked.into_iter().map(|what| format!("{name}: {what}"))),
            Err(error) => blocked = blocked.or_else(|| Some(Explanation::of(&error))),
        }
    }
    notes.extend(
        children
            .gone
            .iter()
            .map(|name| format!("TaskRun {name} no longer exists and is missing from the provenance")),
    );
    notes.extend(
        children.others.iter().map(|name| format!("{name} has no steps and is missing from the provenance")),
    );
    let run = Run::from_objects(object, children.task_runs.clone())?;
    debug_assert_eq!(run.kind(), RunKind::PipelineRun);
    let known = Some(metadata(run.object()));
    Ok((FoundRun { run, notes, blocked, known }, children.task_runs, pods))
}

/// The Task results that the steps have written so far, in the types that the Task declares.
fn results(config: &Config, task_run: &Value) -> Result<Vec<(String, Value)>, FindRunsError> {
    let declared = ["/status/taskSpec/results", "/spec/taskSpec/results"];
    let declared = declared.iter().find_map(|at| task_run.pointer(at)?.as_array());
    let mut results = Vec::new();
    for (name, text) in tekton::texts(&config.results_dir)? {
        let declared = declared.into_iter().flatten();
        let kind = declared
            .filter(|result| result.get("name").and_then(Value::as_str) == Some(&name))
            .find_map(|result| result.get("type")?.as_str());
        // Tekton parses these as JSON after the step has ended, and rejects invalid JSON.
        let value = match kind {
            Some("array" | "object") => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            _ => Value::String(text),
        };
        results.push((name, value));
    }
    Ok(results)
}
