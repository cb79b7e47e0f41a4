//! Runs as Tekton's Go types write them.
//!
//! Provenance by Tekton Chains embeds specs, statuses and whole TaskRuns as `encoding/json` writes their Go types:
//! fields that a type doesn't have are gone, empty ones are there or not by the type's tags, durations, times and
//! quantities have their canonical form. [`normalise`] does what reading a value into such a type and
//! writing it again does. The types' fields come from reflection over the real types (`schema`); what reads and
//! writes itself in Go has a module in `own`.
//!
//! What Go's types refuse is refused, with the place: such a run can't have come from Tekton.
//!
//! Spec: <https://pkg.go.dev/encoding/json@go1.26#Unmarshal>,
//! <https://github.com/tektoncd/pipeline/blob/v1.15.0/docs/pipeline-api.md>

mod error;
mod held;
mod integer;
mod kind;
mod own;
mod read;
mod schema;
mod write;

#[cfg(test)]
mod tests;

use serde_json::Value;

pub use error::GoTypeError;

use held::Held;
use kind::{Fields, Kind};

/// The Go types that Chains embeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoType {
    /// A whole TaskRun.
    TaskRun,
    /// `spec` of a TaskRun.
    TaskRunSpec,
    /// `status` of a TaskRun.
    TaskRunStatus,
    /// A whole PipelineRun.
    PipelineRun,
    /// `spec` of a PipelineRun.
    PipelineRunSpec,
    /// `status` of a PipelineRun.
    PipelineRunStatus,
    /// The Task that a PipelineRun's task refers to.
    TaskRef,
    /// `status.provenance.featureFlags` of a run.
    FeatureFlags,
    /// The value of a parameter or of a result.
    ParamValue,
}

impl GoType {
    /// Its name in Go.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskRun => "TaskRun",
            Self::TaskRunSpec => "TaskRunSpec",
            Self::TaskRunStatus => "TaskRunStatus",
            Self::PipelineRun => "PipelineRun",
            Self::PipelineRunSpec => "PipelineRunSpec",
            Self::PipelineRunStatus => "PipelineRunStatus",
            Self::TaskRef => "TaskRef",
            Self::FeatureFlags => "FeatureFlags",
            Self::ParamValue => "ParamValue",
        }
    }

    fn kind(self) -> Kind {
        match self.fields() {
            Some(fields) => Kind::Struct(fields),
            None => Kind::Own(kind::Own::ParamValue),
        }
    }

    /// The fields of a struct; `None`: it is none.
    fn fields(self) -> Option<&'static Fields> {
        Some(match self {
            Self::TaskRun => &schema::TASK_RUN,
            Self::TaskRunSpec => &schema::TASK_RUN_SPEC,
            Self::TaskRunStatus => &schema::TASK_RUN_STATUS,
            Self::PipelineRun => &schema::PIPELINE_RUN,
            Self::PipelineRunSpec => &schema::PIPELINE_RUN_SPEC,
            Self::PipelineRunStatus => &schema::PIPELINE_RUN_STATUS,
            Self::TaskRef => &schema::TASK_REF,
            Self::FeatureFlags => &schema::FEATURE_FLAGS,
            Self::ParamValue => return None,
        })
    }
}

/// The names of the fields of `of`; none of a type that isn't a struct.
pub(crate) fn field_names(of: GoType) -> impl Iterator<Item = &'static str> {
    of.fields().into_iter().flat_map(|fields| fields.0).map(|field| field.name)
}

/// What Go writes of `value`, once it was read into the type `of`: fields are in the type's order, the keys of
/// maps sorted. Null is the type's zero value.
///
/// Field names match without regard to case where none matches exactly, as in Go.
///
/// # Errors
///
/// When `value` doesn't fit the type, with the path of the field; and when Go couldn't write what it has read, as
/// a parameter without a value.
pub fn normalise(of: GoType, value: &Value) -> Result<Value, GoTypeError> {
    let kind = of.kind();
    let mut held = Held::Zero;
    read::read(&kind, &mut held, value).map_err(|error| error.of(of))?;
    write::write(&kind, held).map_err(|error| error.of(of))
}
