//! Where parts of a run are written as Tekton's Go types write them.

use serde_json::Value;

use super::ProvenanceError;
use crate::run::RunObject;
pub(super) use crate::run::go_types::GoType;
use crate::run::go_types::normalise;

/// `value`, the part `what` of `run`, as Go writes it.
pub(super) fn written(
    of: GoType,
    value: &Value,
    run: &RunObject,
    what: &'static str,
) -> Result<Value, ProvenanceError> {
    normalise(of, value).map_err(|source| ProvenanceError::Part { what, name: run.name().to_owned(), source })
}
