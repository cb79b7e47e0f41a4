//! A TaskRun, or a PipelineRun with its TaskRuns, as Kubernetes objects.
//!
//! The objects come from a file or from the cluster, and are untrusted like everything a build wrote: bounded, kept
//! as they are, and read leniently; a field of the wrong type is a field that isn't there. Names, namespaces and UIDs are
//! the exception: one that Kubernetes allows nobody is an error. What a PipelineRun says of a child that nobody gave is a
//! [`Gap`] with its name, never a guess and never silence. Other texts that are kept of it are shown escaped ([`Text`]).
//!
//! Objects of the API version `v1beta1` are converted as Tekton's own webhook converts them.
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.15.0/docs/pipeline-api.md>

mod document;
mod error;
mod hints;
mod name;
mod object;
mod outcome;
mod room;
mod size;
mod status;
mod v1beta1;
mod value;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde_json::Value;

pub use error::RunError;
pub use hints::{HintOptions, hints};
pub use name::RunName;
pub use object::{RefSource, RunObject, RunResult, Step};
pub(crate) use object::{field, list, text};
pub use outcome::ConditionError;
pub use status::{StatusError, check_status};
pub use value::ParamValue;

use super::NAME_SHOWN_BYTES;
use crate::cluster::Uid;
use crate::foreign::Text;

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunKind {
    /// One Task.
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
}

/// The most TaskRuns of one PipelineRun; the API server bounds the list of their names at about three times as many.
const MAX_CHILDREN: usize = 4096;
/// The most steps and sidecars of a run and its TaskRuns: 300 TaskRuns with 50 steps each. The provenance of each takes about
/// 2 KiB of memory.
const MAX_STEPS: usize = 16_384;

/// A part of a run that is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The TaskRun's name.
    pub name: Text,
    /// The task of the Pipeline that it ran; empty for none.
    pub pipeline_task: Text,
    /// Why it is not known.
    pub why: GapReason,
}

/// Why a part of a run is not known, or not as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// The PipelineRun names it, and its object was not given, or is gone.
    NotGiven,
    /// It is no TaskRun: a CustomRun, or a nested PipelineRun.
    Other(Text),
    /// It has not completed yet.
    Running,
    /// Its object was given, and the PipelineRun doesn't name it among its children.
    NoChild,
    /// It completed, and no task of the Pipeline that ran has the name in its label.
    NoTask,
    /// It completed, and its object doesn't say when it began.
    NoStart,
    /// Its specification and its status don't fit together: what is wrong.
    Torn(&'static str),
    /// This step of it has no image by digest: it never ran, or the node doesn't say.
    StepImage(Text),
    /// This sidecar of it has no image by digest.
    SidecarImage(Text),
    /// It names a git commit, and no repository that has it.
    NoGitUrl,
    /// An integer of more digits than readers of provenance keep.
    Rounded(Text),
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.NAME_SHOWN_BYTES$}: ", self.name)?;
        match &self.why {
            GapReason::NotGiven => f.write_str("the object of this TaskRun was not given, or is gone"),
            GapReason::Other(kind) => {
                write!(f, "this child is a {kind:.NAME_SHOWN_BYTES$}, of which nothing is known")
            }
            GapReason::Running => f.write_str("this TaskRun has not completed"),
            GapReason::NoChild => f.write_str("this TaskRun was given and is no child of the PipelineRun"),
            GapReason::NoTask => {
                f.write_str("the label tekton.dev/pipelineTask of this TaskRun names no task of the Pipeline")
            }
            GapReason::NoStart => f.write_str("this TaskRun doesn't say when it began"),
            GapReason::Torn(what) => write!(f, "the steps of this TaskRun are left out: {what}"),
            GapReason::StepImage(step) => {
                write!(f, "step {step:.NAME_SHOWN_BYTES$} has no image by digest, so its image is left out")
            }
            GapReason::SidecarImage(sidecar) => {
                write!(
                    f,
                    "sidecar {sidecar:.NAME_SHOWN_BYTES$} has no image by digest, so its image is left out"
                )
            }
            GapReason::NoGitUrl => f.write_str("a CHAINS-GIT_COMMIT is given without a CHAINS-GIT_URL"),
            GapReason::Rounded(number) => write!(
                f,
                "the number {number:.NAME_SHOWN_BYTES$} stands rounded in the provenance, whose readers keep 53 bits"
            ),
        }
    }
}

impl Run {
    /// Reads a TaskRun, or a PipelineRun and its TaskRuns, from YAML or JSON.
    ///
    /// Several documents, arrays and `List` objects are taken; one run must be among them.
    ///
    /// # Errors
    ///
    /// When the text is neither, is too large or too deep, has a key twice, or holds no run or several, or an object that is larger than
    /// one of a cluster.
    pub fn parse(bytes: &[u8]) -> Result<Self, RunError> {
        let (mut pipeline_runs, mut task_runs) = (Vec::new(), Vec::new());
        for value in document::objects(bytes)? {
            match kind_of(&value)? {
                Some(RunKind::PipelineRun) => pipeline_runs.push(value),
                Some(RunKind::TaskRun) => task_runs.push(value),
                None => {}
            }
        }
        if pipeline_runs.len() > 1 {
            return Err(RunError::Several { kind: RunKind::PipelineRun, count: pipeline_runs.len() });
        }
        if let Some(pipeline_run) = pipeline_runs.pop() {
            return Self::from_objects(pipeline_run, task_runs);
        }
        if task_runs.len() > 1 {
            return Err(RunError::Several { kind: RunKind::TaskRun, count: task_runs.len() });
        }
        Self::from_objects(task_runs.pop().ok_or(RunError::Nothing)?, Vec::new())
    }

    /// A run from its object and, for a PipelineRun, the TaskRuns that are known of it, in any order.
    ///
    /// # Errors
    ///
    /// When `object` is no TaskRun or PipelineRun, one of `task_runs` is no TaskRun, one has no name or is larger than
    /// an object of a cluster, one says in two ways whether it succeeded, or they have too many steps.
    pub fn from_objects(object: Value, task_runs: Vec<Value>) -> Result<Self, RunError> {
        let object = RunObject::new(object)?;
        let given = task_runs.into_iter().map(RunObject::new).collect::<Result<Vec<_>, _>>()?;
        let steps = |of: &RunObject| list(of.status(), "steps").len() + list(of.status(), "sidecars").len();
        let count = std::iter::once(&object).chain(&given).map(steps).sum();
        if count > MAX_STEPS {
            return Err(RunError::TooManySteps { count });
        }
        if let Some(other) = given.iter().find(|given| given.kind() != RunKind::TaskRun) {
            return Err(RunError::NotATaskRun { name: other.name().into() });
        }
        if object.kind() == RunKind::TaskRun {
            return match given.first() {
                Some(_) => Err(RunError::Several { kind: RunKind::TaskRun, count: given.len() + 1 }),
                None => Ok(Self { object, children: Vec::new(), by_task: HashMap::new(), gaps: Vec::new() }),
            };
        }
        if given.len() > MAX_CHILDREN {
            return Err(RunError::TooManyChildren { count: given.len() });
        }
        let (children, gaps) = children(&object, given)?;
        let mut by_task: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, child) in children.iter().enumerate() {
            if let Some(task) = child.pipeline_task() {
                by_task.entry(task.to_owned()).or_default().push(at);
            }
        }
        Ok(Self { object, children, by_task, gaps })
    }

    /// What it is.
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

    /// Its UID.
    pub fn uid(&self) -> Option<&Uid> {
        self.object.uid()
    }

    /// Its name with its namespace.
    pub fn full_name(&self) -> &RunName {
        self.object.full_name()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.object.name()
    }

    /// Its namespace; empty when the object has none.
    pub fn namespace(&self) -> &str {
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
    pub fn check_end(&self) -> Result<(), RunError> {
        std::iter::once(&self.object).chain(&self.children).try_for_each(RunObject::check_end)
    }

    /// A PipelineRun's TaskRuns that are known, in the order of its childReferences.
    pub fn children(&self) -> &[RunObject] {
        &self.children
    }

    /// The known TaskRuns that ran the Pipeline's task `name`.
    pub fn children_of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a RunObject> + use<'a> {
        let places = self.by_task.get(name).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|at| self.children.get(*at))
    }

    /// The known TaskRuns that completed, as the Pipeline lists their tasks, `finally` last.
    pub fn executed(&self) -> Vec<&RunObject> {
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
        Self {
            object: self.object.before_its_end(),
            children: children.collect(),
            by_task: self.by_task.clone(),
            gaps: self.gaps.clone(),
        }
    }

    /// The run with the sidecars of each of its objects in the order of `rank`, which is of their images. Its JSON stays what it is.
    pub(crate) fn with_sidecars_by(&self, rank: impl Fn(&str) -> usize) -> Self {
        Self {
            object: self.object.with_sidecars_by(&rank),
            children: self.children.iter().map(|child| child.with_sidecars_by(&rank)).collect(),
            by_task: self.by_task.clone(),
            gaps: self.gaps.clone(),
        }
    }

    /// What of a PipelineRun is not known, each with its reason.
    pub fn gaps(&self) -> Vec<Gap> {
        let tasks: HashSet<&str> =
            self.object.pipeline_tasks().into_iter().map(|task| text(task, "name")).collect();
        let children = self.children.iter().filter_map(|child| match child.completion_time() {
            None => Some(child.gap(GapReason::Running)),
            Some(_) if child.pipeline_task().is_some_and(|task| tasks.contains(task)) => None,
            Some(_) => Some(child.gap(GapReason::NoTask)),
        });
        self.gaps.iter().cloned().chain(children).collect()
    }

    /// `taskrun-UID` or `pipelinerun-UID`: the name of its signature among others of the same run.
    ///
    /// # Errors
    ///
    /// When the object has no UID.
    pub fn short_key(&self) -> Result<String, RunError> {
        let kind = match self.kind() {
            RunKind::TaskRun => "taskrun",
            RunKind::PipelineRun => "pipelinerun",
        };
        Ok(format!("{kind}-{}", self.known_uid()?))
    }

    /// `tekton.dev-v1-TaskRun-UID`: its name among everything that is signed.
    ///
    /// # Errors
    ///
    /// When the object has no UID.
    pub fn full_key(&self) -> Result<String, RunError> {
        Ok(format!("tekton.dev-v1-{}-{}", self.kind(), self.known_uid()?))
    }

    fn known_uid(&self) -> Result<&Uid, RunError> {
        self.uid().ok_or_else(|| RunError::NoUid { kind: self.kind(), name: self.name().into() })
    }
}

/// The kind of run that `value` is; `None` for a CustomRun, of which nothing is used.
fn kind_of(value: &Value) -> Result<Option<RunKind>, RunError> {
    match text(value, "kind") {
        "TaskRun" => Ok(Some(RunKind::TaskRun)),
        "PipelineRun" => Ok(Some(RunKind::PipelineRun)),
        "CustomRun" | "Run" => Ok(None),
        other => Err(RunError::OtherKind { kind: other.into() }),
    }
}

/// The TaskRuns that `run` names as its children, in its order, and what is missing of them.
fn children(run: &RunObject, given: Vec<RunObject>) -> Result<(Vec<RunObject>, Vec<Gap>), RunError> {
    let mut by_name: HashMap<String, RunObject> = HashMap::new();
    let mut names = Vec::new();
    for child in given {
        let (own, other) = (run.namespace(), child.namespace());
        if own != other && !own.is_empty() && !other.is_empty() {
            return Err(RunError::OtherNamespace { name: child.name().into() });
        }
        let name = child.name().to_owned();
        if by_name.insert(name.clone(), child).is_some() {
            return Err(RunError::Twice { name: name.into() });
        }
        names.push(name);
    }
    let (mut children, mut gaps) = (Vec::new(), Vec::new());
    for reference in list(run.status(), "childReferences") {
        let name = text(reference, "name");
        let pipeline_task = text(reference, "pipelineTaskName").into();
        match text(reference, "kind") {
            "TaskRun" | "" => match by_name.remove(name) {
                Some(child) => children.push(child),
                None => gaps.push(Gap { name: name.into(), pipeline_task, why: GapReason::NotGiven }),
            },
            other => {
                let why = GapReason::Other(other.into());
                gaps.push(Gap { name: name.into(), pipeline_task, why });
            }
        }
    }
    let strangers = names.iter().filter_map(|name| by_name.get(name));
    gaps.extend(strangers.map(|child| child.gap(GapReason::NoChild)));
    Ok((children, gaps))
}
