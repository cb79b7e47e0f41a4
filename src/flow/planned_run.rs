//! What is signed for a run: the payload, the keys it is found by, and what keeps it from being signed.

use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};
use crate::formats::Payload;
use crate::object_name::Uid;
use crate::oci::ImageRef;
use crate::payload::provenance;
use crate::run::{ProvenanceOptions, Run, RunFormat, RunKind, RunName};

/// A run, and what is to be signed for it.
#[derive(Clone, Debug)]
pub struct PlannedRun {
    /// What kind of run it is.
    pub kind: RunKind,
    /// Its name, with its namespace where its object says.
    pub name: RunName,
    /// Its UID, without which it is not signed.
    pub uid: Option<Uid>,
    /// Chains' short key: `taskrun-UID`, `pipelinerun-UID`.
    pub short_key: String,
    /// Chains' full key: `tekton.dev-v1-TaskRun-UID`.
    pub full_key: String,
    /// Whether it goes on still, so that this says what is known so far.
    pub so_far: bool,
    /// What is signed; `None`: it can't be made, and `blocked` says why.
    pub payload: Option<Payload>,
    /// The images that it is about.
    pub images: Vec<ImageRef>,
    /// Why it is not signed.
    pub blocked: Option<Explanation>,
    /// What is missing in the payload, and what was not checked.
    pub notes: Vec<String>,
    /// What its results name by half a pair alone, so that nothing is signed for it.
    pub half_pairs: Vec<String>,
}

/// What the user decides about runs.
#[derive(Clone, Debug)]
pub struct RunPlanOptions<'a> {
    /// The payload's format.
    pub format: RunFormat,
    /// What provenance says.
    pub provenance: &'a ProvenanceOptions,
    /// Whether a run that failed is signed too.
    pub include_failed: bool,
}

impl PlannedRun {
    /// `taskrun` or `pipelinerun`.
    pub fn artifact(&self) -> &'static str {
        match self.kind {
            RunKind::TaskRun => "taskrun",
            RunKind::PipelineRun => "pipelinerun",
        }
    }

    /// The run, for people.
    pub fn shown(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// Why a run is not signed that failed, unless `include_failed`, or that is over and doesn't say how it ended.
pub fn refused_outcome(run: &Run, include_failed: bool) -> Option<Explanation> {
    if let Err(error) = run.check_end() {
        return Some(Explanation::of(&error));
    }
    (!include_failed && run.succeeded() == Some(false)).then(|| Explanation {
        code: "run-failed",
        error: format!("{} {} failed: it is not signed", run.kind(), run.full_name()),
        causes: Vec::new(),
        used: None,
        hint: Some("sign the run that succeeds, or say --include-failed".into()),
        exit: ExitCode::Results,
    })
}

/// Makes the payload of `run`. What keeps it from being made, or signed, is in the answer.
pub fn plan_run(run: &Run, options: &RunPlanOptions<'_>) -> PlannedRun {
    let mut blocked = refused_outcome(run, options.include_failed);
    let mut block = |error: &dyn Explain| blocked = blocked.take().or_else(|| Some(Explanation::of(error)));
    let keys = run.short_key().and_then(|short| Ok((short, run.full_key()?)));
    let (short_key, full_key) = keys.unwrap_or_else(|error| {
        block(&error);
        (String::new(), String::new())
    });
    let mut notes: Vec<String> = Vec::new();
    let payload = match provenance::payload(run, options.format, options.provenance) {
        Ok(made) => {
            notes.extend(made.gaps.iter().map(ToString::to_string));
            Some(made.payload)
        }
        Err(error) => {
            block(&error);
            None
        }
    };
    let so_far = run.succeeded().is_none();
    if so_far {
        notes.push("it goes on still: what is signed is what is known so far".to_owned());
    }
    PlannedRun {
        kind: run.kind(),
        name: run.full_name().clone(),
        uid: run.uid().cloned(),
        short_key,
        full_key,
        so_far,
        payload,
        images: provenance::image_subjects(run, options.format, options.provenance),
        blocked,
        notes,
        half_pairs: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(succeeded: Option<&str>, uid: &str) -> Run {
        let conditions: Vec<_> = succeeded
            .map(|status| serde_json::json!({ "type": "Succeeded", "status": status }))
            .into_iter()
            .collect();
        let object = serde_json::json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": { "name": "t", "namespace": "n", "uid": uid },
            "spec": {},
            "status": { "conditions": conditions, "taskSpec": { "steps": [] } },
        });
        Run::from_objects(object, vec![]).unwrap()
    }

    fn planned(run: &Run, include_failed: bool) -> PlannedRun {
        let provenance = ProvenanceOptions::default();
        let options = RunPlanOptions { format: RunFormat::SlsaV1, provenance: &provenance, include_failed };
        plan_run(run, &options)
    }

    #[test]
    fn a_run_that_failed_is_not_signed_unless_asked() {
        let run = run(Some("False"), "u");
        let blocked = planned(&run, false);
        assert!(blocked.blocked.as_ref().unwrap().error.contains("n/t failed"), "{blocked:?}");
        assert!(blocked.payload.is_some(), "plan shows it still");
        assert_eq!(planned(&run, true).blocked, None);
    }

    #[test]
    fn a_run_that_goes_on_is_signed_so_far_and_one_without_a_uid_is_not() {
        let so_far = planned(&run(None, "u"), false);
        assert!(so_far.so_far && so_far.blocked.is_none(), "{so_far:?}");
        assert_eq!(
            (so_far.short_key.as_str(), so_far.full_key.as_str()),
            ("taskrun-u", "tekton.dev-v1-TaskRun-u")
        );
        assert!(planned(&run(Some("True"), ""), false).blocked.is_some());
    }
}
