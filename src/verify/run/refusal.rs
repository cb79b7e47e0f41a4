//! Why something that a run carries doesn't count.

use super::diff::{self, Difference};
use super::{ClaimError, Distrust, ProvenanceError, RunError, StatementError};
use crate::explain::explain;
use crate::foreign::UntrustedText;
use crate::hint::NAME_SHOWN_BYTES;
use crate::run::{RunKind, StatusError};

/// Why something that a run carries doesn't count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunRefusal {
    /// The run doesn't carry what it has to.
    #[error("the run has no annotation {0}")]
    Missing(String),
    /// An annotation isn't base64.
    #[error("the annotation {0} is not base64")]
    Base64(String),
    /// It was made for another run.
    #[error("the payload is of another run")]
    OtherRun,
    /// Nobody that counts made it.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// The signature is over another payload than the payload beside it.
    #[error("the envelope holds another payload than the annotation beside it")]
    OtherPayload,
    /// The payload is not a statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The payload of an image is not a simple signing payload.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The run didn't build this image.
    #[error("the payload is of an image that the run's results don't name")]
    OtherImage,
    /// An image's statement is an attestation.
    #[error("the payload of an image states {0:?}, and is not a signature of it")]
    NoSignature(String),
    /// The payload isn't JSON.
    #[error("the payload is not JSON that says each thing once")]
    Json(#[source] serde_json::Error),
    /// The payload is neither a statement nor the run's status.
    #[error("the payload is not the status of a {kind}, nor a statement about one")]
    NotAStatus {
        /// What the run is.
        kind: RunKind,
        /// What was reported about it.
        source: StatusError,
    },
    /// The statement isn't provenance.
    #[error("the payload states {0:?}, which is not a run's provenance")]
    OtherPredicate(String),
    /// A statement counts with an envelope, everything else with the signature itself.
    #[error("the payload is {payload}, and its signature is {signature}")]
    OtherSignature {
        /// What is signed.
        payload: &'static str,
        /// What the signature is.
        signature: &'static str,
    },
    /// The time was over before it was judged.
    #[error("the time limit was over before the run was compared with what was signed")]
    Time,
    /// The payload can't be made anew.
    #[error(transparent)]
    Provenance(#[from] ProvenanceError),
    /// The run has no UID.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A list of the run has a name twice, and what is signed has the last of its values alone.
    #[error(
        "{kind} {run:.NAME_SHOWN_BYTES$} has the name \"{name:.NAME_SHOWN_BYTES$}\" more than once in {place}"
    )]
    Doubled {
        /// What has the list.
        kind: RunKind,
        /// The name of that run.
        run: UntrustedText,
        /// The path of the list.
        place: String,
        /// The name that it has twice.
        name: UntrustedText,
    },
    /// The run says something else now.
    #[error("the run no longer says what was signed: {}", counted(.differences.len()))]
    Changed {
        /// What, up to a limit.
        differences: Vec<Difference>,
        /// Whether it was signed before it ended, as far as the payload shows.
        so_far: bool,
        /// Of a PipelineRun, how the TaskRuns that were given may be others than at signing, for people.
        task_runs: Option<String>,
    },
    /// It doesn't say what it has to.
    #[error("{0}")]
    Require(String),
}

explain! { RunRefusal,
    Self::Missing(_) => ["run-unsigned", Failed,
        "have it signed (artifacts.taskrun.storage or artifacts.pipelinerun.storage: tekton), and give the object with its annotations"],
    Self::Distrust(Distrust::NoLog) => ["run-no-log", Failed, "if its signer uses no transparency log, pass --insecure-ignore-tlog"],
    Self::Changed { so_far: false, task_runs: Some(task_runs), .. } => ["run-changed", Failed,
        "don't trust the run: somebody changed it after it was signed, or other TaskRuns are given than at signing: {task_runs}"],
    Self::Changed { so_far: false, .. } => ["run-changed", Failed, "don't trust the run: somebody changed it after it was signed"],
    Self::Changed { so_far: true, .. } => ["run-went-on", Failed,
        "the run was signed before it ended: either this came later, from it or from somebody else, or the run was \
         changed; sign it when it is over, to have all of it signed"],
    Self::Doubled { .. } => ["run-changed", Failed,
        "don't trust the run: Tekton writes each name once, and what is signed has one of the values alone"],
    Self::Time => ["run-comparison-slow", Failed,
        "give it more time with --timeout, or look at the run: it may be made to keep verifiers busy"],
    Self::NotAStatus { source: StatusError::Field(_), .. } => ["run-signed-new-field", Failed,
        "if a newer Tekton wrote that field, use a newer Stepseal, which knows it; otherwise don't trust the run: its signature was \
         made of something else"],
    Self::NotAStatus { .. } | Self::OtherPredicate(_) | Self::OtherSignature { .. } => ["run-foreign-signature", Failed,
        "don't trust the run: somebody hung a signature onto it that was made of something else"],
    Self::Provenance(error) => [of error, exit Failed],
    Self::Run(error) => [of error, exit Failed],
    _ => ["run-distrusted", Failed, "don't trust the run, or name the key that signed it"],
}

impl RunRefusal {
    /// The reasons below its own words, a line each.
    pub fn causes(&self) -> Vec<String> {
        let Self::Changed { differences, .. } = self else {
            let mut causes = Vec::new();
            let mut next = std::error::Error::source(self);
            while let Some(cause) = next {
                causes.push(cause.to_string());
                next = cause.source();
            }
            return causes;
        };
        let nothing = || "nothing".to_owned();
        let told = differences.iter().take(diff::TOLD).map(|one| {
            let signed = one.signed.clone().unwrap_or_else(nothing);
            let now = one.now.clone().unwrap_or_else(nothing);
            let order = if one.reordered { "the order changed: " } else { "" };
            format!("{}: {order}{signed} was signed, and it is {now}", one.path)
        });
        let more = differences.len().saturating_sub(diff::TOLD);
        let at_least = if differences.len() >= diff::GATHERED { "at least " } else { "" };
        told.chain((more > 0).then(|| format!("and {at_least}{more} more"))).collect()
    }
}

/// How many differences there are, for people.
fn counted(count: usize) -> String {
    match count {
        1 => "1 difference".to_owned(),
        diff::GATHERED.. => format!("at least {count} differences"),
        _ => format!("{count} differences"),
    }
}
