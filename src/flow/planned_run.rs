//! Plans what to sign for a run: the payload, its storage keys, and reasons not to sign it.

use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};
use crate::formats::Payload;
use crate::object_name::Uid;
use crate::oci::ImageRef;
use crate::payload::provenance;
use crate::run::{ProvenanceOptions, Run, RunFormat, RunKind, RunName};

/// A run with its payload, or the reasons why it has no payload.
#[derive(Clone, Debug)]
pub struct PlannedRun {
    /// Whether it is a TaskRun or a PipelineRun.
    pub kind: RunKind,
    /// The run's name, with the namespace if its object has one.
    pub name: RunName,
    /// The run's UID, without which it is not signed.
    pub uid: Option<Uid>,
    /// Chains' short key: `taskrun-UID`, `pipelinerun-UID`.
    pub short_key: String,
    /// Chains' full key: `tekton.dev-v1-TaskRun-UID`.
    pub full_key: String,
    /// Whether it is still running, so that the payload is incomplete.
    pub so_far: bool,
    /// The payload to sign; `None` if it can't be made, for the reason in `blocked`.
    pub payload: Option<Payload>,
    /// The images that the payload is about.
    pub images: Vec<ImageRef>,
    /// Why the run must not be signed.
    pub blocked: Option<Explanation>,
    /// Notes about missing data in the payload and unchecked facts.
    pub notes: Vec<String>,
    /// Results with only half of a URL and digest pair, which are not signed.
    pub half_pairs: Vec<String>,
}

/// The user's options for runs.
#[derive(Clone, Debug)]
pub struct RunPlanOptions<'a> {
    /// The format of the payload.
    pub format: RunFormat,
    /// The options for provenance.
    pub provenance: &'a ProvenanceOptions,
    /// Whether failed runs are signed too.
    pub include_failed: bool,
}

impl PlannedRun {
    /// The artifact name: `taskrun` or `pipelinerun`.
    pub fn artifact(&self) -> &'static str {
        match self.kind {
            RunKind::TaskRun => "taskrun",
            RunKind::PipelineRun => "pipelinerun",
        }
    }

    /// The run's kind and name, for people.
    pub fn shown(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// Why a run must not be signed: it failed and `include_failed` is not set, or it has ended with an unknown outcome.
pub fn refused_outcome(run: &Run, include_failed: bool) -> Option<Explanation> {
    if let Err(error) = run.check_end() {
        return Some(Explanation::of(&error));
    }
    (!include_failed && run.succeeded() == Some(false)).then(|| Explanation {
        code: "run-failed",
        error: format!("{} {} failed: it is not signed", run.kind(), run.full_name()),
        causes: Vec::new(),
        used: None,
        hint: Some("sign a run that succeeded, or give --include-failed".into()),
        exit: ExitCode::Results,
    })
}

/// Makes the payload of `run`. The result includes any reason not to sign it.
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
        notes.push("it is still running: the signature covers what is known so far".to_owned());
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
    fn a_failed_run_is_not_signed_unless_requested() {
        let run = run(Some("False"), "u");
        let blocked = planned(&run, false);
        assert!(blocked.blocked.as_ref().unwrap().error.contains("n/t failed"), "{blocked:?}");
        assert!(blocked.payload.is_some(), "plan still shows it");
        assert_eq!(planned(&run, true).blocked, None);
    }

    #[test]
    fn an_unfinished_run_is_signed_so_far_and_a_run_without_a_uid_is_not() {
        let so_far = planned(&run(None, "u"), false);
        assert!(so_far.so_far && so_far.blocked.is_none(), "{so_far:?}");
        assert_eq!(
            (so_far.short_key.as_str(), so_far.full_key.as_str()),
            ("taskrun-u", "tekton.dev-v1-TaskRun-u")
        );
        assert!(planned(&run(Some("True"), ""), false).blocked.is_some());
    }
}
