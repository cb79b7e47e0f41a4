//! A TaskRun, or a PipelineRun with its TaskRuns, as Kubernetes objects.
//!
//! The objects come from a file or from the cluster, and are untrusted like everything a build wrote: bounded, kept
//! as they are, and read leniently; a field of the wrong type is a field that isn't there. Names, namespaces and UIDs are
//! the exception: a name that Kubernetes does not allow is an error. What a PipelineRun says of a child that was not given is a
//! [`Gap`] with its name, never a guess and never silence. Other texts that are kept of it are shown escaped
//! ([`UntrustedText`](crate::foreign::UntrustedText)).
//!
//! Objects of the API version `v1beta1` are converted as Tekton's own webhook converts them.
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.15.0/docs/pipeline-api.md>

mod children;
mod document;
mod embedded;
mod error;
mod format;
mod gap;
pub mod go_types;
mod hints;
mod image_id;
mod name;
mod object;
mod other;
mod outcome;
mod provenance_error;
mod room;
mod size;
mod status;
mod two_versions;
mod v1beta1;
mod value;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde_json::Value;

use embedded::Embedded;
pub use error::RunError;
pub use format::{
    BuildType, DEFAULT_BUILDER_ID, ProvenanceOptions, RunFormat, UnknownBuildType, UnknownFormat,
};
pub use gap::{Gap, GapReason};
pub use hints::{HintOptions, hints};
pub(crate) use image_id::image_of;
pub use name::RunName;
pub use object::{RefSource, RunObject, RunResult, Step};
pub(crate) use object::{field, list, text};
use other::{Others, Role};
pub use outcome::ConditionError;
pub use provenance_error::ProvenanceError;
pub use status::{StatusError, check_status};
pub use value::ParamValue;

use crate::chains::ShortKey;
use crate::hint::NAME_SHOWN_BYTES;
use crate::object_name::Uid;

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunKind {
    /// A run of a single Task.
    TaskRun,
    /// A Pipeline: its tasks are TaskRuns of their own.
    PipelineRun,
}

impl RunKind {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskRun => "TaskRun",
            Self::PipelineRun => "PipelineRun",
        }
    }
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A run, and of a PipelineRun its TaskRuns.
#[derive(Clone, Debug)]
pub struct Run {
    object: RunObject,
    children: Vec<RunObject>,
    /// The places of the children that ran a task of the Pipeline, by its name.
    by_task: HashMap<String, Vec<usize>>,
    gaps: Vec<Gap>,
    /// Whether the status has a TaskRun too whose own object is given.
    embedded_beside: bool,
    /// Other documents in the file besides the run.
    passed_over: Option<String>,
}

/// The most TaskRuns of one PipelineRun; the API server bounds the list of their names at about three times as many.
const MAX_CHILDREN: usize = 4096;
/// The most steps and sidecars of a run and its TaskRuns: 300 TaskRuns with 50 steps each. The provenance of each takes about
/// 2 KiB of memory.
const MAX_STEPS: usize = 16_384;

impl Run {
    /// Reads a TaskRun, or a PipelineRun and its TaskRuns, from YAML or JSON.
    ///
    /// Several documents, arrays and lists are taken; one run must be among them. Objects of other kinds are passed over, and so is a run
    /// that stands there again as it is.
    ///
    /// # Errors
    ///
    /// When the text is neither, is too large or too deep, has a key twice, or holds no run or several, or an object that is larger than
    /// one of a cluster.
    pub fn parse(bytes: &[u8]) -> Result<Self, RunError> {
        let (mut pipeline_runs, mut task_runs, mut others) = (Vec::new(), Vec::new(), Others::default());
        for value in document::objects(bytes)? {
            match other::role(&value)? {
                Role::Run(RunKind::PipelineRun) => pipeline_runs.push(value),
                Role::Run(RunKind::TaskRun) => task_runs.push(value),
                Role::CustomRun => others.add_child(&value),
                Role::Other => others.add(&value),
            }
        }
        let mut pipeline_runs = distinct(RunKind::PipelineRun, pipeline_runs)?;
        let mut task_runs = distinct(RunKind::TaskRun, task_runs)?;
        let passed_over = others.passed_over();
        let run = match (pipeline_runs.len(), task_runs.len()) {
            (2.., _) => return Err(other::several(RunKind::PipelineRun, &pipeline_runs)),
            (0, 2..) => return Err(other::several(RunKind::TaskRun, &task_runs)),
            _ => match pipeline_runs.pop() {
                Some(pipeline_run) => Self::from_objects(pipeline_run, task_runs)?,
                None => Self::from_objects(task_runs.pop().ok_or_else(|| others.no_run())?, Vec::new())?,
            },
        };
        Ok(Self { passed_over, ..run })
    }

    /// A run from its object and, for a PipelineRun, the TaskRuns that are known of it, in any order.
    ///
    /// # Errors
    ///
    /// When `object` is no TaskRun or PipelineRun, one of `task_runs` is no TaskRun, one has no name or is larger than
    /// an object of a cluster, one says in two ways whether it succeeded, or they have too many steps.
    pub fn from_objects(mut object: Value, task_runs: Vec<Value>) -> Result<Self, RunError> {
        let embedded = Embedded::take(&mut object)?;
        let object = RunObject::new(object)?;
        let embedded = embedded.map(|embedded| embedded.read(&object)).transpose()?.unwrap_or_default();
        let given = task_runs.into_iter().map(RunObject::new).collect::<Result<Vec<_>, _>>()?;
        // What the status has of a TaskRun whose own object is given is only compared with it.
        let counted: Vec<&RunObject> = {
            let own: HashSet<&str> = given.iter().map(RunObject::name).collect();
            embedded.task_runs.iter().filter(|child| !own.contains(child.name())).chain(&given).collect()
        };
        let steps = |of: &RunObject| list(of.status(), "steps").len() + list(of.status(), "sidecars").len();
        let count = std::iter::once(&object).chain(counted.iter().copied()).map(steps).sum();
        if count > MAX_STEPS {
            return Err(RunError::TooManySteps { count });
        }
        if let Some(other) = given.iter().find(|given| given.kind() != RunKind::TaskRun) {
            return Err(RunError::NotATaskRun { name: other.name().into() });
        }
        if object.kind() == RunKind::TaskRun {
            return match given.first() {
                Some(_) => {
                    let runs = std::iter::once(&object).chain(&given).map(|run| run.value().clone());
                    Err(other::several(RunKind::TaskRun, &runs.collect::<Vec<_>>()))
                }
                None => {
                    let gaps = two_versions::not_of_v1(&object).collect();
                    Ok(Self::new(object, Vec::new(), gaps))
                }
            };
        }
        let count = counted.len();
        if count > MAX_CHILDREN {
            return Err(RunError::TooManyChildren { count });
        }
        let embedded_beside = count < given.len() + embedded.task_runs.len();
        let (children, gaps) = children::of(&object, given, embedded)?;
        Ok(Self { embedded_beside, ..Self::new(object, children, gaps) })
    }

    fn new(object: RunObject, children: Vec<RunObject>, gaps: Vec<Gap>) -> Self {
        let mut by_task: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, child) in children.iter().enumerate() {
            if let Some(task) = child.pipeline_task() {
                by_task.entry(task.to_owned()).or_default().push(at);
            }
        }
        Self { object, children, by_task, gaps, embedded_beside: false, passed_over: None }
    }

    /// Other documents in the file, which were not read, for people.
    pub fn passed_over(&self) -> Option<&str> {
        self.passed_over.as_deref()
    }

    /// Whether its status has a TaskRun too whose own object is given.
    pub(crate) fn has_embedded_beside(&self) -> bool {
        self.embedded_beside
    }

    /// Returns whether it is a TaskRun or a PipelineRun.
    pub fn kind(&self) -> RunKind {
        self.object.kind()
    }

    /// The run's own object.
    pub fn run(&self) -> &RunObject {
        &self.object
    }

    /// The run's own object as JSON, in the API version v1.
    pub fn object(&self) -> &Value {
        self.object.value()
    }

    /// Returns `metadata.uid` if it is set.
    pub fn uid(&self) -> Option<&Uid> {
        self.object.uid()
    }

    /// Its name with its namespace.
    pub fn full_name(&self) -> &RunName {
        self.object.full_name()
    }

    /// Returns `metadata.name` of the run.
    pub fn name(&self) -> &str {
        self.object.name()
    }

    /// Its namespace; empty when the object has none.
    pub(crate) fn namespace(&self) -> &str {
        self.object.namespace()
    }

    /// Whether it succeeded; `None` while it runs, or when it doesn't say.
    pub fn succeeded(&self) -> Option<bool> {
        self.object.succeeded()
    }

    /// Whether it and each of its known TaskRuns that is over says how it ended.
    ///
    /// # Errors
    ///
    /// The first that doesn't.
    pub(crate) fn check_end(&self) -> Result<(), RunError> {
        std::iter::once(&self.object).chain(&self.children).try_for_each(RunObject::check_end)
    }

    /// A PipelineRun's TaskRuns that are known, in the order of its childReferences.
    pub fn children(&self) -> &[RunObject] {
        &self.children
    }

    /// The known TaskRuns that ran the Pipeline's task `name`.
    pub(crate) fn children_of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a RunObject> + use<'a> {
        let places = self.by_task.get(name).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|at| self.children.get(*at))
    }

    /// The known TaskRuns that completed, as the Pipeline lists their tasks, `finally` last.
    pub(crate) fn executed(&self) -> Vec<&RunObject> {
        // Tekton refuses a Pipeline with two tasks of one name; its children would count once for each.
        let mut seen = HashSet::new();
        let tasks = self.object.pipeline_tasks().into_iter();
        tasks
            .map(|task| text(task, "name"))
            .filter(|name| seen.insert(*name))
            .flat_map(|name| self.children_of(name))
            .filter(|child| child.completion_time().is_some())
            .collect()
    }

    /// The run as it was before it ended, when its TaskRuns with the names `later` had not ended either. Formats of provenance
    /// say of it what they said then; its JSON stays what it is.
    pub(crate) fn before_its_end(&self, later: &HashSet<&str>) -> Self {
        let children = self.children.iter().map(|child| match later.contains(child.name()) {
            true => child.before_its_end(),
            false => child.clone(),
        });
        let (object, children) = (self.object.before_its_end(), children.collect());
        Self { object, children, ..self.clone() }
    }

    /// The run with the sidecars of each of its objects in the order of `rank`, which is of their images. Its JSON stays what it is.
    pub(crate) fn with_sidecars_by(&self, rank: impl Fn(&str) -> usize) -> Self {
        let children = self.children.iter().map(|child| child.with_sidecars_by(&rank)).collect();
        Self { object: self.object.with_sidecars_by(&rank), children, ..self.clone() }
    }

    /// What of it is not known, each with its reason.
    pub fn gaps(&self) -> Vec<Gap> {
        children::gaps(self)
    }

    /// The parts of a PipelineRun's status that its status as an object of v1 lacks.
    pub fn not_in_status(&self) -> Vec<Gap> {
        let children = self.children.iter().filter(|child| child.is_embedded());
        let others = self
            .gaps
            .iter()
            .filter(|gap| matches!(gap.why, GapReason::EmbeddedOther(_) | GapReason::ResultsNotOfVersion(_)));
        children.map(|child| child.gap(GapReason::NotInStatus)).chain(others.cloned()).collect()
    }

    /// The sources that it and its TaskRuns name where nothing reads them any more.
    fn old_sources(&self) -> impl Iterator<Item = Gap> + use<'_> {
        std::iter::once(&self.object).chain(&self.children).filter_map(RunObject::old_source)
    }

    /// `taskrun-UID` or `pipelinerun-UID`: the name of its signature among others of the same run.
    ///
    /// # Errors
    ///
    /// When the object has no UID.
    pub fn short_key(&self) -> Result<String, RunError> {
        let uid = self.known_uid()?.clone();
        Ok(match self.kind() {
            RunKind::TaskRun => ShortKey::TaskRun(uid).name(),
            RunKind::PipelineRun => ShortKey::PipelineRun(uid).name(),
        })
    }

    /// `tekton.dev-v1-TaskRun-UID`: its name among everything that is signed.
    ///
    /// # Errors
    ///
    /// When the object has no UID.
    pub(crate) fn full_key(&self) -> Result<String, RunError> {
        Ok(format!("tekton.dev-v1-{}-{}", self.kind(), self.known_uid()?))
    }

    fn known_uid(&self) -> Result<&Uid, RunError> {
        self.uid().ok_or_else(|| RunError::NoUid { kind: self.kind(), name: self.name().into() })
    }
}

/// `runs` of one kind, each once.
///
/// # Errors
///
/// The same run is there in two states.
fn distinct(kind: RunKind, runs: Vec<Value>) -> Result<Vec<Value>, RunError> {
    let mut kept: Vec<Value> = Vec::new();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for run in runs {
        let metadata = field(&run, "metadata");
        let name = |of: &str| text(metadata, of).to_owned();
        let at = *places.entry((name("namespace"), name("name"))).or_insert(kept.len());
        match kept.get(at) {
            None => kept.push(run),
            Some(same) if *same == run => {}
            // Objects without a name, which aren't runs of a cluster, can't be compared.
            Some(_) if name("name").is_empty() => kept.push(run),
            Some(_) => return Err(RunError::Twice { kind, name: name("name").into() }),
        }
    }
    Ok(kept)
}
