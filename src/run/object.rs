//! One Kubernetes object, and what is read of it.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::outcome::Outcome;
use super::{Gap, GapReason, ParamValue, RunError, RunKind, RunName, size, two_versions, v1beta1};
use crate::object_name::{Name, NameError, Uid};

/// The label by which Tekton says which task of a Pipeline a TaskRun ran.
const PIPELINE_TASK_LABEL: &str = "tekton.dev/pipelineTask";

/// A TaskRun or a PipelineRun, in the API version v1.
///
/// The API server could have assigned its name, namespace and UID: they become parts of file names, of annotations' names and of requests.
#[derive(Clone, Debug)]
pub struct RunObject {
    kind: RunKind,
    name: RunName,
    uid: Option<Uid>,
    /// Shared, as a run of many megabytes is looked at as it is and as it was.
    value: Arc<Value>,
    /// Whether it succeeded; `None`: it has no condition that says so.
    outcome: Option<Outcome>,
    /// Whether its end, and what it brought, doesn't count.
    goes_on: bool,
    /// The places of its sidecars in another order than the status has; empty: as the status has them.
    sidecars: Arc<[usize]>,
    /// The task of the Pipeline that it ran, where it is known from the status of its PipelineRun alone.
    embedded: Option<Arc<str>>,
}

/// A named value that a run, or a step, left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunResult<'a> {
    /// The name of the parameter or result.
    pub name: &'a str,
    /// Its value, as Tekton reads it.
    pub value: ParamValue,
    /// The whole entry as in the object.
    pub entry: &'a Value,
}

/// A step, as the status has it.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a>(&'a Value);

/// Where a Task, Pipeline or StepAction was taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefSource<'a> {
    /// The URI of the resource.
    pub uri: &'a str,
    /// Its digests, by algorithm; sorted.
    pub digest: Vec<(&'a str, &'a str)>,
    /// The file in it.
    pub entry_point: &'a str,
}

impl RunObject {
    /// Takes an object of kind TaskRun or PipelineRun; v1beta1 is converted.
    pub(super) fn new(mut value: Value) -> Result<Self, RunError> {
        if !value.is_object() {
            return Err(RunError::NotAnObject(type_name(&value)));
        }
        let kind = match text(&value, "kind") {
            "TaskRun" => RunKind::TaskRun,
            "PipelineRun" => RunKind::PipelineRun,
            other => return Err(RunError::OtherKind { kind: other.into() }),
        };
        size::check(kind, text(field(&value, "metadata"), "name"), &value)?;
        match text(&value, "apiVersion") {
            "tekton.dev/v1" => {}
            "tekton.dev/v1beta1" => {
                let (metadata, status) = (field(&value, "metadata"), field(&value, "status"));
                two_versions::check_v1beta1(kind, text(metadata, "name"), status)?;
                v1beta1::convert(kind, &mut value);
            }
            "" => return Err(RunError::NoVersion { kind }),
            other => return Err(RunError::OtherVersion { version: other.into() }),
        }
        let metadata = field(&value, "metadata");
        let given = |of: &'static str| Some(text(metadata, of)).filter(|text| !text.is_empty());
        let shown = given("name").ok_or(RunError::NoName { kind })?;
        let bad = |field: String| {
            move |source: NameError| RunError::Field { kind, name: shown.into(), field, source }
        };
        let name = shown.parse().map_err(bad("metadata.name".to_owned()))?;
        let namespace =
            given("namespace").map(str::parse).transpose().map_err(bad("metadata.namespace".to_owned()))?;
        let uid = given("uid").map(str::parse).transpose().map_err(bad("metadata.uid".to_owned()))?;
        let children = list(field(&value, "status"), "childReferences");
        for (at, reference) in children.iter().enumerate().filter(|_| kind == RunKind::PipelineRun) {
            let child = Some(text(reference, "name")).filter(|child| !child.is_empty());
            let child = child.map(str::parse::<Name>).transpose();
            child.map_err(bad(format!("status.childReferences[{at}].name")))?;
        }
        let outcome = Outcome::of(field(&value, "status"));
        let outcome = outcome.map_err(|source| RunError::Condition { kind, name: shown.into(), source })?;
        let name = RunName::new(namespace, name);
        let value = Arc::new(value);
        let (goes_on, sidecars, embedded) = (false, Arc::default(), None);
        Ok(Self { kind, name, uid, value, outcome, goes_on, sidecars, embedded })
    }

    /// The TaskRun `name` that ran `pipeline_task` of `parent`, whose status alone says something of it, as v1beta1.
    pub(super) fn embedded(
        parent: &Self,
        name: &str,
        pipeline_task: &str,
        status: Map<String, Value>,
    ) -> Result<Self, RunError> {
        let mut metadata = Map::from_iter([("name".to_owned(), Value::from(name))]);
        if !parent.namespace().is_empty() {
            metadata.insert("namespace".to_owned(), parent.namespace().into());
        }
        let fields = [
            ("apiVersion", Value::from("tekton.dev/v1beta1")),
            ("kind", RunKind::TaskRun.name().into()),
            ("metadata", Value::Object(metadata)),
            ("status", Value::Object(status)),
        ];
        let child = Self::new(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())?;
        Ok(Self { embedded: Some(pipeline_task.into()), ..child })
    }

    /// The same before it ended: without its completion time and, of a PipelineRun, its results. Its JSON stays what it is.
    pub(super) fn before_its_end(&self) -> Self {
        Self { goes_on: true, ..self.clone() }
    }

    /// The same with its sidecars in the order of `rank`, which is of their images; those of one rank stay as they are. Its JSON
    /// stays what it is.
    pub(super) fn with_sidecars_by(&self, rank: impl Fn(&str) -> usize) -> Self {
        let sidecars = list(self.status(), "sidecars").iter().enumerate();
        let mut places: Vec<_> = sidecars.map(|(at, sidecar)| (rank(text(sidecar, "imageID")), at)).collect();
        places.sort_unstable();
        Self { sidecars: places.into_iter().map(|(_, at)| at).collect(), ..self.clone() }
    }

    /// Returns whether it is a TaskRun or a PipelineRun.
    pub fn kind(&self) -> RunKind {
        self.kind
    }

    /// The object as JSON.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns `metadata.name` of the run.
    pub fn name(&self) -> &str {
        self.name.name()
    }

    /// `metadata.namespace`; empty when there is none.
    pub(crate) fn namespace(&self) -> &str {
        self.name.namespace()
    }

    /// Its name with its namespace.
    pub fn full_name(&self) -> &RunName {
        &self.name
    }

    /// Returns `metadata.uid` if it is set.
    pub fn uid(&self) -> Option<&Uid> {
        self.uid.as_ref()
    }

    fn metadata(&self) -> &Value {
        field(&self.value, "metadata")
    }

    /// `metadata.labels`, as far as they are texts; sorted.
    pub(crate) fn labels(&self) -> Vec<(&str, &str)> {
        texts(self.metadata(), "labels")
    }

    /// `metadata.annotations`, as far as they are texts; sorted.
    pub fn annotations(&self) -> Vec<(&str, &str)> {
        texts(self.metadata(), "annotations")
    }

    /// `spec`; null when there is none.
    pub(crate) fn spec(&self) -> &Value {
        field(&self.value, "spec")
    }

    /// `status`; null when there is none.
    pub fn status(&self) -> &Value {
        field(&self.value, "status")
    }

    /// The specification that ran: `status.taskSpec` or `status.pipelineSpec`.
    pub(crate) fn resolved_spec(&self) -> Option<&Value> {
        let name = match self.kind {
            RunKind::TaskRun => "taskSpec",
            RunKind::PipelineRun => "pipelineSpec",
        };
        self.status().get(name).filter(|spec| spec.is_object())
    }

    /// The tasks of the Pipeline that ran, `finally` last; none when the status has no Pipeline.
    pub(crate) fn pipeline_tasks(&self) -> Vec<&Value> {
        let Some(spec) = self.resolved_spec().filter(|_| self.kind == RunKind::PipelineRun) else {
            return Vec::new();
        };
        list(spec, "tasks").iter().chain(list(spec, "finally")).collect()
    }

    /// Whether it is known from the status of its PipelineRun alone: it has no UID, no labels, no annotations and no spec.
    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// The task of its Pipeline that a TaskRun ran.
    pub(crate) fn pipeline_task(&self) -> Option<&str> {
        if let Some(task) = &self.embedded {
            return Some(task);
        }
        field(self.metadata(), "labels").get(PIPELINE_TASK_LABEL).and_then(Value::as_str)
    }

    /// Whether it succeeded; `None` while it runs, or when it doesn't say.
    pub fn succeeded(&self) -> Option<bool> {
        match self.outcome? {
            Outcome::True => Some(true),
            Outcome::False => Some(false),
            Outcome::Unknown => None,
        }
    }

    /// Whether it says how it ended, if it is over.
    ///
    /// # Errors
    ///
    /// It has a completion time and doesn't.
    pub(super) fn check_end(&self) -> Result<(), RunError> {
        let checked = Outcome::check_end(self.outcome, self.status());
        checked.map_err(|source| RunError::Condition { kind: self.kind, name: self.name().into(), source })
    }

    /// `status.startTime`, as it is written.
    pub(crate) fn start_time(&self) -> Option<&str> {
        Some(text(self.status(), "startTime")).filter(|time| !time.is_empty())
    }

    /// `status.completionTime`, as it is written.
    pub(crate) fn completion_time(&self) -> Option<&str> {
        Some(text(self.status(), "completionTime")).filter(|time| !time.is_empty() && !self.goes_on)
    }

    /// Returns `status.results` of the run.
    pub fn results(&self) -> Vec<RunResult<'_>> {
        if self.goes_on && self.kind == RunKind::PipelineRun {
            return Vec::new();
        }
        results(self.status(), "results")
    }

    /// Returns `status.steps` of the run.
    pub fn steps(&self) -> Vec<Step<'_>> {
        list(self.status(), "steps").iter().map(Step).collect()
    }

    /// `status.sidecars`: of each its name and the image that ran.
    pub(crate) fn sidecars(&self) -> Vec<(&str, &str)> {
        let sidecars = list(self.status(), "sidecars");
        let named = |sidecar| (text(sidecar, "name"), text(sidecar, "imageID"));
        match self.sidecars.is_empty() {
            true => sidecars.iter().map(named).collect(),
            false => self.sidecars.iter().filter_map(|at| sidecars.get(*at)).map(named).collect(),
        }
    }

    /// `spec.params`: names and values. A parameter without a value has none.
    pub(crate) fn parameters(&self) -> Vec<(&str, ParamValue)> {
        named_values(self.spec(), "value")
    }

    /// The defaults of the parameters of the specification that ran; none where it isn't known which values were given in their place.
    pub(crate) fn default_parameters(&self) -> Vec<(&str, ParamValue)> {
        let spec = self.resolved_spec().filter(|_| !self.is_embedded());
        let values = spec.map(|spec| named_values(spec, "default"));
        values.unwrap_or_default()
    }

    /// `status.provenance.featureFlags`: how Tekton was set up.
    pub(crate) fn feature_flags(&self) -> Option<&Value> {
        field(self.status(), "provenance").get("featureFlags").filter(|flags| flags.is_object())
    }

    /// `metadata.labels` or `metadata.annotations` as JSON; null when there are none.
    pub(crate) fn text_map(&self, name: &str) -> Value {
        match self.metadata().get(name) {
            Some(Value::Object(_)) => texts(self.metadata(), name)
                .into_iter()
                .map(|(key, text)| (key.to_owned(), Value::from(text)))
                .collect(),
            _ => Value::Null,
        }
    }

    /// Where its Task or Pipeline was taken from, if Tekton knows.
    pub(crate) fn ref_source(&self) -> Option<RefSource<'_>> {
        ref_source(self.status())
    }

    /// Where its Task or Pipeline was taken from, as Tekton Pipelines 0.41 to 0.46 wrote it alone; since 0.47 Tekton writes the same under
    /// `refSource`, and converts nothing else.
    pub(super) fn old_source(&self) -> Option<Gap> {
        let provenance = field(self.status(), "provenance");
        let old = provenance
            .get("configSource")
            .filter(|old| old.as_object().is_some_and(|old| !old.is_empty()))?;
        self.ref_source().is_none().then(|| self.gap(GapReason::OldSource(text(old, "uri").into())))
    }

    /// Whether its Task or Pipeline came through a resolver, other than the cluster's own.
    pub(crate) fn is_remote(&self) -> bool {
        let name = match self.kind {
            RunKind::TaskRun => "taskRef",
            RunKind::PipelineRun => "pipelineRef",
        };
        !matches!(text(field(self.spec(), name), "resolver"), "" | "Cluster")
    }

    /// A gap in the knowledge of this TaskRun.
    pub(crate) fn gap(&self, why: GapReason) -> Gap {
        let pipeline_task = self.pipeline_task().unwrap_or_default().into();
        Gap { name: self.name().into(), pipeline_task, why }
    }
}

impl<'a> Step<'a> {
    /// Returns the name of the step.
    pub fn name(self) -> &'a str {
        text(self.0, "name")
    }

    /// The image that ran, by its digest; empty when the step never ran.
    pub(crate) fn image_id(self) -> &'a str {
        text(self.0, "imageID")
    }

    /// Returns the results of the step.
    pub fn results(self) -> Vec<RunResult<'a>> {
        results(self.0, "results")
    }

    /// Where its StepAction was taken from, if Tekton knows.
    pub(crate) fn ref_source(self) -> Option<RefSource<'a>> {
        ref_source(self.0)
    }
}

fn named_values<'a>(of: &'a Value, value: &str) -> Vec<(&'a str, ParamValue)> {
    let entries = list(of, "params").iter();
    // A null is a value, and no default.
    let given =
        entries.filter(|entry| entry.get(value).is_some_and(|found| value == "value" || !found.is_null()));
    given.map(|entry| (text(entry, "name"), ParamValue::read(entry.get(value)))).collect()
}

/// The results in the list `name`.
pub(super) fn results<'a>(of: &'a Value, name: &str) -> Vec<RunResult<'a>> {
    // Tekton writes none without a value.
    let entries = list(of, name).iter().filter(|entry| entry.get("value").is_some());
    entries
        .map(|entry| RunResult {
            name: text(entry, "name"),
            value: ParamValue::read(entry.get("value")),
            entry,
        })
        .collect()
}

fn ref_source(of: &Value) -> Option<RefSource<'_>> {
    let source = field(of, "provenance").get("refSource").filter(|source| source.is_object())?;
    Some(RefSource {
        uri: text(source, "uri"),
        digest: texts(source, "digest"),
        entry_point: text(source, "entryPoint"),
    })
}

/// The field `name`, or null.
pub(crate) fn field<'a>(of: &'a Value, name: &str) -> &'a Value {
    of.get(name).unwrap_or(&Value::Null)
}

/// The text in the field `name`, or "".
pub(crate) fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The list in the field `name`, or an empty one.
pub(crate) fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The texts in the object in the field `name`, sorted by their keys.
fn texts<'a>(of: &'a Value, name: &str) -> Vec<(&'a str, &'a str)> {
    let fields = of.get(name).and_then(Value::as_object).into_iter().flat_map(Map::iter);
    let mut found: Vec<_> = fields.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
    found.sort_unstable();
    found
}

/// What JSON calls the type of `value`.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
