//! Why a run has no provenance.

use super::go_types::GoTypeError;
use super::{RunKind, StatusError};
use crate::explain::explain;
use crate::foreign::shown;

/// Fields of a status that v1beta1 has, and v1 does not.
const V1BETA1: [&str; 4] = ["taskRuns", "runs", "taskResults", "pipelineResults"];

/// Why a run has no provenance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvenanceError {
    /// A part of the run is not what Tekton writes.
    #[error("cannot write the {what} of {}", shown(.name, 100))]
    Part {
        /// The part.
        what: &'static str,
        /// The run's name.
        name: String,
        /// What is wrong with it.
        source: GoTypeError,
    },
    /// A time that is none.
    #[error("the {what} of {} is no time: \"{}\"", shown(.name, 100), shown(.text, 60))]
    Time {
        /// Which one.
        what: &'static str,
        /// The run's name.
        name: String,
        /// What stands there.
        text: String,
    },
    /// Nothing has happened yet that could be signed.
    #[error("{kind} {} has no status", shown(.name, 100))]
    NoStatus {
        /// What it is.
        kind: RunKind,
        /// Its name.
        name: String,
    },
    /// Its status isn't what Tekton writes: signed as it is, it could be taken for another document.
    #[error("the status of {} is not one of a {kind}", shown(.name, 100))]
    NotAStatus {
        /// What the run is.
        kind: RunKind,
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: StatusError,
    },
    /// More than is signed.
    #[error("the provenance of {} would be larger than {} MiB", shown(.name, 100), most / 1024 / 1024)]
    TooBig {
        /// The run's name.
        name: String,
        /// How much of one part is written, in bytes.
        most: usize,
    },
    /// The statement can't be written.
    #[error("cannot write the provenance of {} as JSON", shown(.name, 100))]
    Json {
        /// The run's name.
        name: String,
        /// Why.
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
