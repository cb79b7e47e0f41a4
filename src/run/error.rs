//! Why a text holds no run.

use super::document::{MAX_DEPTH, MAX_RUN_BYTES};
use super::{ConditionError, NAME_SHOWN_BYTES, RunKind};
use crate::explain::explain;
use crate::foreign::UntrustedText;
use crate::object_name::NameError;

/// Why a run can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// More than any run with its TaskRuns is.
    #[error("the run is larger than {} MiB", MAX_RUN_BYTES / 1024 / 1024)]
    TooBig,
    /// One object of it is larger than the API server takes.
    #[error(
        "{kind} {name:.NAME_SHOWN_BYTES$} has {what}, and no object of a cluster has more than {most} MiB"
    )]
    LargeObject {
        /// Whether it is a TaskRun or a PipelineRun.
        kind: RunKind,
        /// The name that the object states.
        name: UntrustedText,
        /// What is more, with its size.
        what: String,
        /// How much is read, in MiB.
        most: usize,
    },
    /// The run is not text in UTF-8.
    #[error("the run is not UTF-8 text")]
    NotText,
    /// Text of another encoding.
    #[error("the run is UTF-16, and UTF-8 is needed")]
    Utf16,
    /// No bytes, or blanks alone.
    #[error("it is empty: there is no TaskRun or PipelineRun in it")]
    Empty,
    /// Begins like JSON and is none.
    #[error("the run is not JSON that can be read")]
    Json(#[source] serde_json::Error),
    /// Not YAML, or more of it than is read.
    #[error("the run is not YAML that can be read")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    /// Nested deeper than any run.
    #[error("the run is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// There is no run in it.
    #[error("there is no TaskRun or PipelineRun in it")]
    Nothing,
    /// An entry is not an object.
    #[error("an entry of it is a JSON {0}, and a Kubernetes object is needed")]
    NotAnObject(&'static str),
    /// The input has several runs, and only one can be signed at a time.
    #[error("it holds {count} objects of kind {kind}, and one run is signed at a time: {names}")]
    Several {
        /// Whether it is a TaskRun or a PipelineRun.
        kind: RunKind,
        /// How many there are.
        count: usize,
        /// Their names, as far as they are listed, for people.
        names: String,
    },
    /// Something else, and no run beside it.
    #[error("it holds {what}, and a TaskRun or PipelineRun is needed")]
    NoRun {
        /// What it is, for people.
        what: String,
        /// What to give in its place.
        instead: &'static str,
    },
    /// A run was asked for by its kind, and this is of another.
    #[error("an object of kind {kind:.NAME_SHOWN_BYTES$?} is not a run")]
    OtherKind {
        /// The kind that the object states.
        kind: UntrustedText,
    },
    /// An object that doesn't say of which API it is.
    #[error("a {kind} has no API version")]
    NoVersion {
        /// Whether it is a TaskRun or a PipelineRun.
        kind: RunKind,
    },
    /// Another API than Tekton's, or a version that isn't known.
    #[error("{version:.NAME_SHOWN_BYTES$?} is not an API version of Tekton's runs")]
    OtherVersion {
        /// The apiVersion that the object states.
        version: UntrustedText,
    },
    /// An object without a name.
    #[error("a {kind} has no metadata.name")]
    NoName {
        /// Whether it is a TaskRun or a PipelineRun.
        kind: RunKind,
    },
    /// A name, a namespace or a UID that Kubernetes does not allow.
    #[error("{kind} {name:.NAME_SHOWN_BYTES$}: {field} cannot be used")]
    Field {
        /// Whether it is a TaskRun or a PipelineRun.
        kind: RunKind,
        /// The name that the object states.
        name: UntrustedText,
        /// The path of the field.
        field: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// It doesn't say in one way whether it succeeded.
    #[error("{kind} {name:.NAME_SHOWN_BYTES$} does not say clearly whether it succeeded")]
    Condition {
        /// Whether it is a TaskRun or a PipelineRun.
        kind: RunKind,
        /// The name that the object states.
        name: UntrustedText,
        /// What is wrong with its conditions.
        source: ConditionError,
    },
    /// A run without the UID by which its signature is named.
    #[error("{kind} {name:.NAME_SHOWN_BYTES$} has no metadata.uid")]
    NoUid {
        /// Whether it is a TaskRun or a PipelineRun.
        kind: RunKind,
        /// The name that the object states.
        name: UntrustedText,
    },
    /// More children than a PipelineRun has.
    #[error("it holds {count} TaskRuns, and at most {} of one PipelineRun are read", super::MAX_CHILDREN)]
    TooManyChildren {
        /// How many there are.
        count: usize,
    },
    /// More steps than a PipelineRun with its TaskRuns has.
    #[error("it holds {count} steps and sidecars, and at most {} of one run are read", super::MAX_STEPS)]
    TooManySteps {
        /// How many there are.
        count: usize,
    },
    /// A child that is something else.
    #[error("{name:.NAME_SHOWN_BYTES$} is given as a TaskRun and is none")]
    NotATaskRun {
        /// The name that the object states.
        name: UntrustedText,
    },
    /// Two objects of one name.
    #[error("{kind} {name:.NAME_SHOWN_BYTES$} stands in it twice, and not as the same")]
    Twice {
        /// Whether it is a TaskRun or a PipelineRun.
        kind: RunKind,
        /// The name that the object states.
        name: UntrustedText,
    },
    /// A part of the status that holds children and is of another type.
    #[error("PipelineRun {name:.NAME_SHOWN_BYTES$}: {field} is a JSON {found}, and an object is needed")]
    Embedded {
        /// The name that the object states.
        name: UntrustedText,
        /// The path of the field.
        field: String,
        /// What JSON calls its type.
        found: &'static str,
    },
    /// A child that is known in two ways, which differ.
    #[error(
        "TaskRun {name:.NAME_SHOWN_BYTES$} differs from what the status of the PipelineRun says of it: {what}"
    )]
    Contradiction {
        /// The name that the object states.
        name: UntrustedText,
        /// The field that differs.
        what: &'static str,
    },
    /// The run has results under two names, and they differ.
    #[error(
        "{kind} {name:.NAME_SHOWN_BYTES$} has results under two names, status.{field} and status.results, and they are not the same"
    )]
    TwoResults {
        /// Whether it is a TaskRun or a PipelineRun.
        kind: RunKind,
        /// The name that the object states.
        name: UntrustedText,
        /// The name of v1beta1.
        field: &'static str,
    },
    /// A child from elsewhere.
    #[error("TaskRun {name:.NAME_SHOWN_BYTES$} is of another namespace than the PipelineRun")]
    OtherNamespace {
        /// The name that the object states.
        name: UntrustedText,
    },
}

explain! { RunError,
    Self::TooBig | Self::TooDeep | Self::TooManyChildren { .. } | Self::TooManySteps { .. } => ["run-kind", Usage,
        "give one TaskRun, or one PipelineRun followed by its TaskRuns"],
    Self::NotText | Self::Json(_) | Self::Yaml(_) | Self::NotAnObject(_) => ["run-format", Usage,
        "give it as kubectl get -o yaml or -o json writes it"],
    Self::Utf16 => ["run-format", Usage, "write it as UTF-8: in PowerShell, kubectl get … | Out-File -Encoding utf8 FILE"],
    Self::Empty => ["run-format", Usage, "see whether the command that wrote it failed (kubectl get taskrun NAME -n NAMESPACE -o yaml)"],
    Self::NoRun { instead, .. } => ["run-other-object", Usage, text *instead],
    Self::Several { kind: RunKind::TaskRun, .. } => ["run-kind", Usage,
        "give one of them (kubectl get taskrun NAME -o yaml), or the PipelineRun that they belong to with them"],
    Self::Several { kind: RunKind::PipelineRun, .. } => ["run-kind", Usage,
        "give one of them (kubectl get pipelinerun NAME -o yaml) and its TaskRuns (kubectl get taskruns -l tekton.dev/pipelineRun=NAME -o yaml)"],
    Self::Nothing | Self::OtherKind { .. } | Self::NotATaskRun { .. } => ["run-kind", Usage,
        "give one TaskRun, or one PipelineRun followed by its own TaskRuns"],
    Self::NoVersion { .. } | Self::OtherVersion { .. } => ["run-version", Usage, "give the object as tekton.dev/v1 or tekton.dev/v1beta1"],
    Self::Embedded { .. } => ["run-forged", Usage,
        "don't trust it: Tekton never writes that; give it as the cluster has it (kubectl get -o yaml)"],
    Self::TwoResults { .. } => ["run-forged", Usage,
        "don't trust it: tekton.dev/v1beta1 has one of these names; give it as the cluster has it (kubectl get -o yaml)"],
    Self::Contradiction { .. } => ["run-contradiction", Usage,
        "give both as the cluster has them now (kubectl get -o yaml); if they still differ, don't trust them: Tekton writes the same in both"],
    Self::Condition { .. } => ["run-forged", Usage,
        "don't trust it: Tekton gives each run one condition \"Succeeded\"; give it as the cluster has it (kubectl get -o yaml)"],
    Self::LargeObject { .. } => ["run-forged", Usage,
        "don't trust it: it is not as the cluster had it, as the API server refuses such an object"],
    Self::NoName { .. } | Self::NoUid { .. } | Self::Field { .. } => ["run-not-of-cluster", Usage,
        "give the object as the cluster has it (kubectl get -o yaml), not the file it was created from"],
    Self::Twice { .. } => ["run-twice", Usage, "give each run once, as the cluster has it now (without --watch)"],
    Self::OtherNamespace { .. } => ["run-other-namespace", Usage, "give the TaskRuns that the PipelineRun's childReferences name"],
}
