//! What a run's status has to be where it is signed as it is, without a name that says what it is.
//!
//! Other documents are signed that way too: the payload of an image's signature, a file. So that none of them is taken for a
//! status, it has the fields that Tekton's type for that kind of run has, of their types, and no others.
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.15.0/docs/pipeline-api.md>

use serde_json::Value;

use super::RunKind;
use super::outcome::{ConditionError, Outcome, SUCCEEDED};
use crate::foreign::UntrustedText;
use crate::hint::NAME_SHOWN_BYTES;
use crate::run::go_types::{GoType, GoTypeError, field_names, normalise};

/// Why a document is not the status of a run of some kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// It is a list, a text, a number, or nothing.
    #[error("it is not an object")]
    NotAnObject,
    /// It has a field that such a status doesn't have.
    #[error("it has the field \"{:.NAME_SHOWN_BYTES$}\"", .0)]
    Field(UntrustedText),
    /// It lacks the condition that says whether the run succeeded.
    #[error("it has no condition \"{SUCCEEDED}\"")]
    NoCondition,
    /// That condition can be read in different ways, or doesn't fit the rest.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// A field isn't of the type that Tekton gives it.
    #[error(transparent)]
    Type(#[from] GoTypeError),
}

/// Whether `status` is the status of a run of this `kind`, and can't be another document.
///
/// # Errors
///
/// Why it isn't.
pub fn check_status(kind: RunKind, status: &Value) -> Result<(), StatusError> {
    let of = match kind {
        RunKind::TaskRun => GoType::TaskRunStatus,
        RunKind::PipelineRun => GoType::PipelineRunStatus,
    };
    let fields = status.as_object().ok_or(StatusError::NotAnObject)?;
    // Go takes other upper and lower case for the same field; the API server writes them as they are.
    if let Some(other) = fields.keys().find(|field| !field_names(of).any(|known| known == field.as_str())) {
        return Err(StatusError::Field(other.as_str().into()));
    }
    let outcome = Outcome::of(status)?.ok_or(StatusError::NoCondition)?;
    Outcome::check_end(Some(outcome), status)?;
    normalise(of, status)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_status_of_the_kind_is_one() {
        let conditions = json!([{ "type": "Succeeded", "status": "True" }]);
        let with = |field: &str, value: Value| {
            let mut status = json!({ "conditions": conditions, "startTime": "2025-01-01T00:00:00Z" });
            status[field] = value;
            status
        };
        let image = json!({"critical": {"identity": {"docker-reference": "r"}, "type": "cosign container image signature"}, "optional": null});
        let statement = json!({"_type": "https://in-toto.io/Statement/v1", "predicateType": "t", "subject": [], "predicate": {}});
        let bundle = json!({"mediaType": "m", "messageSignature": {}});
        let rows = [
            (with("results", json!([])), true, true),
            (with("podName", json!("p")), true, false),
            (with("steps", json!([])), true, false),
            (with("taskSpec", json!({ "steps": [] })), true, false),
            (with("pipelineSpec", json!({ "tasks": [] })), false, true),
            (with("childReferences", json!([])), false, true),
            (with("podName", json!(1)), false, false),
            (with("PodName", json!("p")), false, false),
            (with("critical", json!({})), false, false),
            (with("metadata", json!({})), false, false),
            (with("conditions", json!([])), false, false),
            (with("conditions", json!(conditions[0])), false, false),
            (with("conditions", json!([{ "type": "Ready", "status": "True" }])), false, false),
            (with("conditions", json!([{ "type": "Succeeded", "status": "Unknown" }])), true, true),
            (json!({ "conditions": [{ "type": "Succeeded", "status": "False" }] }), true, true),
            (with("conditions", json!([{ "type": "Succeeded" }])), true, true),
            (with("conditions", json!([{ "type": "Succeeded", "status": false }])), false, false),
            (
                with("conditions", json!([conditions[0], { "type": "Succeeded", "status": "False" }])),
                false,
                false,
            ),
            (with("completionTime", json!("2025-01-01T00:00:00Z")), true, true),
            (
                json!({ "conditions": [{ "type": "Succeeded", "status": "Unknown" }], "completionTime": "2025-01-01T00:00:00Z" }),
                false,
                false,
            ),
            (image, false, false),
            (statement, false, false),
            (bundle, false, false),
            (json!([{ "conditions": conditions }]), false, false),
            (json!({}), false, false),
            (Value::Null, false, false),
            (json!(1), false, false),
            (json!("conditions"), false, false),
        ];
        for (status, task_run, pipeline_run) in rows {
            let is = |kind| check_status(kind, &status).is_ok();
            assert_eq!(
                (is(RunKind::TaskRun), is(RunKind::PipelineRun)),
                (task_run, pipeline_run),
                "{status}"
            );
        }
    }
}
