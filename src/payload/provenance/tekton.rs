//! `tekton`: the run's status as it is, signed without an envelope.
//!
//! Chains had it until v0.14; `cosign verify-blob` of the payload in the run's annotation is the documented check.
//!
//! Spec: <https://github.com/tektoncd/chains/blob/v0.14.0/docs/config.md#supported-keys>

use super::ProvenanceError;
use crate::formats::{Envelope, Payload};
use crate::go_json;
use crate::run::{Run, check_status};

/// The media type of the status.
pub(crate) const MEDIA_TYPE: &str = "application/json";

/// The status of `run`, which must be one that nothing else is taken for; its keys sorted as the API server has them; a PipelineRun's own, without its TaskRuns'.
pub(super) fn payload(run: &Run) -> Result<Payload, ProvenanceError> {
    let name = || run.name().to_owned();
    let status = run.run().status();
    if status.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(ProvenanceError::NoStatus { kind: run.kind(), name: name() });
    }
    check_status(run.kind(), status).map_err(|source| ProvenanceError::NotAStatus {
        kind: run.kind(),
        name: name(),
        source,
    })?;
    let mut status = status.clone();
    status.sort_all_objects();
    let bytes = go_json::to_vec(&status).map_err(|source| ProvenanceError::Json { name: name(), source })?;
    Ok(Payload { bytes: bytes.into(), media_type: MEDIA_TYPE, envelope: Envelope::Bare })
}
