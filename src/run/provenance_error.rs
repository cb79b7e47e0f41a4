//! Why a run has no provenance.

use super::go_types::GoTypeError;
use super::{RunKind, StatusError};
use crate::explain::explain;
use crate::foreign::escape;

/// Fields of a status that v1beta1 has, and v1 does not.
const V1BETA1: [&str; 4] = ["taskRuns", "runs", "taskResults", "pipelineResults"];

/// Why a run has no provenance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvenanceError {
    /// A part of the run is not what Tekton writes.
    #[error("cannot write the {what} of {}", escape(.name, 100))]
    Part {
        /// The part of the run that is wrong.
        what: &'static str,
        /// The name of the run.
        name: String,
        /// What is wrong with it.
        source: GoTypeError,
    },
    /// A time that is none.
    #[error("the {what} of {} is no time: \"{}\"", escape(.name, 100), escape(.text, 60))]
    Time {
        /// The part of the run that is wrong.
        what: &'static str,
        /// The name of the run.
        name: String,
        /// The text that the field has.
        text: String,
    },
    /// Nothing has happened yet that could be signed.
    #[error("{kind} {} has no status", escape(.name, 100))]
    NoStatus {
        /// Whether it is a TaskRun or a PipelineRun.
        kind: RunKind,
        /// The name of the run.
        name: String,
    },
    /// Its status isn't what Tekton writes: signed as it is, it could be taken for another document.
    #[error("the status of {} is not one of a {kind}", escape(.name, 100))]
    NotAStatus {
        /// What the run is.
        kind: RunKind,
        /// The name of the run.
        name: String,
        /// What is wrong with it.
        source: StatusError,
    },
    /// More than is signed.
    #[error("the provenance of {} would be larger than {} MiB", escape(.name, 100), most / 1024 / 1024)]
    TooBig {
        /// The name of the run.
        name: String,
        /// How much of one part is written, in bytes.
        most: usize,
    },
    /// The statement can't be written.
    #[error("cannot write the provenance of {} as JSON", escape(.name, 100))]
    Json {
        /// The name of the run.
        name: String,
        /// What the JSON library reported.
        source: serde_json::Error,
    },
}

explain! { ProvenanceError,
    Self::NotAStatus { source: StatusError::Field(field), .. } if V1BETA1.contains(&field.raw()) => ["run-beta-field", Usage,
        "that is a field of tekton.dev/v1beta1, and the object says tekton.dev/v1: give it as the cluster has it (kubectl get -o yaml)"],
    Self::NotAStatus { source: StatusError::Field(_), .. } => ["run-new-field", Usage,
        "if a newer Tekton wrote that field, which this version does not know in a status, use a newer Stepseal, or another format than tekton"],
    Self::Part { .. } | Self::Time { .. } | Self::NotAStatus { .. } => ["run-odd-value", Usage,
        "give the object as the cluster has it (kubectl get -o yaml); Tekton refuses such a value"],
    Self::NoStatus { .. } => ["run-not-begun", Usage, "sign the run once it has begun"],
    Self::TooBig { .. } => ["run-provenance-large", Usage, "sign the TaskRuns of this PipelineRun, each on its own"],
    Self::Json { .. } => ["fault-provenance", Usage, "this is a fault of Stepseal's: report it with the run"],
}
