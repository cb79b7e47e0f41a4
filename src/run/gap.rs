//! What of a run is not known, for people.

use std::fmt;

use super::NAME_SHOWN_BYTES;
use crate::foreign::UntrustedText;

/// A part of a run that is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The name of the TaskRun.
    pub name: UntrustedText,
    /// The task of the Pipeline that it ran; empty for none.
    pub pipeline_task: UntrustedText,
    /// Why it is not known.
    pub why: GapReason,
}

/// Why a part of a run is not known, or not as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// The PipelineRun names it, and its object was not given, or is gone.
    NotGiven,
    /// The PipelineRun names it among its children before.
    NamedTwice,
    /// It is not a TaskRun: a CustomRun, or a nested PipelineRun.
    Other(UntrustedText),
    /// It has not completed yet.
    Running,
    /// Its object was given, and the PipelineRun doesn't name it among its children.
    NoChild,
    /// It completed, and no task of the Pipeline that ran has the name in its label.
    NoTask,
    /// The status of the PipelineRun has it, with the name of no task of the Pipeline.
    EmbeddedNoTask,
    /// It completed, and is known from the status of the PipelineRun alone.
    Embedded,
    /// It is known from the status of the PipelineRun alone, and not in the status that is signed.
    NotInStatus,
    /// The status of the PipelineRun has it as something that is not a TaskRun: of which kind.
    EmbeddedOther(&'static str),
    /// It is in the status of a PipelineRun of v1, whose status has no TaskRuns.
    NotOfVersion,
    /// Its status has results under a name that v1 doesn't have: which.
    ResultsNotOfVersion(&'static str),
    /// The PipelineRun succeeded, and names no child that ran this task, nor that it was skipped.
    Untold,
    /// It completed, and its object doesn't say when it began.
    NoStart,
    /// Its specification and its status don't fit together: what is wrong.
    Torn(&'static str),
    /// This step of it has no image by digest: it never ran, or the node doesn't say.
    StepImage(UntrustedText),
    /// This sidecar of it has no image by digest.
    SidecarImage(UntrustedText),
    /// It names the source of its Task or Pipeline as Tekton Pipelines 0.41 to 0.46 did, which later versions don't read.
    OldSource(UntrustedText),
    /// It names a git commit, and no repository that has it.
    NoGitUrl,
    /// An integer of more digits than readers of provenance keep.
    Rounded(UntrustedText),
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
            GapReason::EmbeddedNoTask => {
                f.write_str("the status of the PipelineRun names no task of the Pipeline that this TaskRun ran")
            }
            GapReason::Embedded => f.write_str(
                "this TaskRun is known from the status of the PipelineRun alone: its UID, labels, annotations, parameters and \
                 ServiceAccount are left out",
            ),
            GapReason::NotInStatus => f.write_str(
                "this TaskRun is left out: the format tekton signs the status as tekton.dev/v1 has it, without taskRuns",
            ),
            GapReason::EmbeddedOther(kind) => {
                write!(f, "this child in the status of the PipelineRun is a {kind}, of which nothing is read")
            }
            GapReason::NotOfVersion => f.write_str(
                "this TaskRun stands in status.taskRuns, which tekton.dev/v1 does not have, and is left out (give it as \
                 tekton.dev/v1beta1 if it is)",
            ),
            GapReason::NamedTwice => {
                f.write_str("the PipelineRun names this TaskRun twice among its children, and it is taken once")
            }
            GapReason::ResultsNotOfVersion(field) => write!(
                f,
                "the results in status.{field}, which tekton.dev/v1 does not have, are left out (give the object as tekton.dev/v1beta1 if it \
                 is)"
            ),
            GapReason::Untold => write!(
                f,
                "task {:.NAME_SHOWN_BYTES$} of the Pipeline is left out: the status names neither a TaskRun of it nor that it was skipped",
                self.pipeline_task
            ),
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
            GapReason::OldSource(uri) => write!(
                f,
                "the source of its definition, \"{uri:.NAME_SHOWN_BYTES$}\", is left out: it stands in status.provenance.configSource, \
                 which Tekton Pipelines 0.47 and later do not read"
            ),
            GapReason::NoGitUrl => f.write_str("a CHAINS-GIT_COMMIT is given without a CHAINS-GIT_URL"),
            GapReason::Rounded(number) => write!(
                f,
                "the number {number:.NAME_SHOWN_BYTES$} stands rounded in the provenance, whose readers keep 53 bits"
            ),
        }
    }
}
