//! Runs `sign` or `attest`: set up, resolve tags, do the work, report. A deadline or a signal interrupts it.

use std::time::Instant;

use super::job::JobRuntime;
use super::process::ProcessEnvironment;
use super::setup::{SignSetupError, setup};
use super::{EventCallback, SignJob, tags};
use crate::config::{self, Config};
use crate::exit::ExitCode;
use crate::explain::Explanation;
use crate::oci::Repository;
use crate::plan::Plan;
use crate::registry::client::Stats;
use crate::report::own_results::StepResults;
use crate::report::{ExpectedOutcome, PendingFile, Report, RunEvent, RunRecorder, SubjectOutcome};

/// Receives the output for people during a run.
pub(crate) trait Observer {
    /// Called for a note or a warning.
    fn line(&mut self, text: &str);

    /// Called with the reason why nothing, or not everything, is signed.
    fn explanation(&mut self, why: &Explanation);

    /// Called when the work starts, with the number of subjects and the report's form.
    fn begins(&mut self, subjects: usize, output: config::OutputFormat);

    /// Called when a subject is found, or has an outcome.
    fn event(&mut self, event: RunEvent<'_>);

    /// Called when the run is interrupted. Subjects that fail because of it refer to this explanation.
    fn interrupted(&mut self, why: &Explanation);

    /// Called after the last event.
    fn ends(&mut self);
}

/// The result of a run, and the output that is still to be written.
pub(crate) struct SessionResult {
    /// The outcome of each subject.
    pub(crate) report: Report,
    /// The exit code, unless writing the output fails.
    pub(crate) exit: ExitCode,
    /// The form in which the report is printed.
    pub(crate) output: config::OutputFormat,
    /// The report's file, if the configuration names a file.
    pub(crate) file: Option<PendingFile>,
    /// The files of the step's own results.
    pub(crate) own_results: Option<StepResults>,
}

/// The work of a session: `sign` or `attest`.
pub(super) trait SessionTask {
    /// The settings of the command.
    fn config(&self) -> &Config;

    /// The planned subjects. The session replaces their tags with digests.
    fn plan(&mut self) -> &mut Plan;

    /// The expected outcome of each subject in each store.
    fn expected(&self) -> Vec<ExpectedOutcome>;

    /// The repositories of all images that may get a signature or attestation.
    fn repositories(&self) -> Vec<&Repository>;

    /// Whether the work writes to the cluster.
    fn annotates(&self) -> bool {
        false
    }

    /// How many requests were made before the session.
    fn asked(&self) -> u64 {
        0
    }

    /// Why nothing can be signed, now that the tags are resolved.
    fn refusal_of_resolved(&self) -> Option<Explanation> {
        None
    }

    /// Signs everything, and calls `seen` with each outcome.
    async fn work(&mut self, whole: &SignJob, seen: &mut EventCallback<'_>);
}

/// The state of a run in progress.
struct SignSession {
    recorder: RunRecorder,
    /// The clients, keys and stores, after the setup.
    whole: Option<SignJob>,
}

/// Runs `task`, and returns the report with the clients, keys and stores, if the setup completed.
pub(super) fn run(
    job: &JobRuntime,
    task: &mut impl SessionTask,
    environment: &dyn ProcessEnvironment,
    begun: Instant,
    observer: &mut dyn Observer,
) -> Result<(Report, Option<SignJob>), SignSetupError> {
    let expected = task.expected();
    observer.begins(expected.len(), task.config().output);
    let mut session = SignSession { recorder: RunRecorder::new(expected), whole: None };
    let deadline = begun + task.config().timeout;
    let ended = job.part_until(deadline, session.steps(task, environment, begun, observer));
    let SignSession { recorder, whole } = session;
    let stats = whole.as_ref().map_or_else(Stats::default, SignJob::stats);
    let early = match ended {
        Err(why) => {
            let why = RunRecorder::interruption(&why);
            observer.interrupted(&why);
            Ok(Some((why, true)))
        }
        Ok(ended) => ended.map(|refused| refused.map(|why| (why, false))),
    };
    let seen = &mut |outcome: &SubjectOutcome| observer.event(RunEvent::Ended(outcome));
    let report = early.map(|early| match early {
        None => recorder.finished(begun.elapsed(), stats, seen),
        Some((why, true)) => recorder.interrupted(&why, begun.elapsed(), stats, seen),
        Some((why, false)) => recorder.refused(&why, begun.elapsed(), stats, seen),
    });
    observer.ends();
    Ok((report?, whole))
}

impl SignSession {
    /// Runs all steps. Returns an explanation if nothing can be signed because of the resolved tags.
    async fn steps(
        &mut self,
        task: &mut impl SessionTask,
        environment: &dyn ProcessEnvironment,
        begun: Instant,
        observer: &mut dyn Observer,
    ) -> Result<Option<Explanation>, SignSetupError> {
        let Self { recorder, whole } = self;
        let (config, images) = (task.config(), task.repositories());
        let notices = &mut |line: &str| observer.line(line);
        let mut set_up = setup(config, environment, begun, &images, task.annotates(), notices).await?;
        set_up.asked += task.asked();
        let whole = &*whole.insert(set_up);
        let Config { jobs, lenient, .. } = *task.config();
        let signs_images = !task.config().images.is_empty();
        if signs_images
            && let Some(resolved) = tags::resolve(task.plan(), &whole.client, jobs, lenient, notices).await
        {
            let expected = task.expected();
            let outcomes = resolved.outcomes(&expected);
            *recorder = RunRecorder::new(expected);
            for outcome in &outcomes {
                observer.event(RunEvent::Ended(outcome));
                recorder.note(RunEvent::Ended(outcome));
            }
            if let Some(why) = resolved.refusal.or_else(|| task.refusal_of_resolved()) {
                return Ok(Some(why));
            }
        }
        let mut seen = |event: RunEvent<'_>| {
            observer.event(event);
            recorder.note(event);
        };
        task.work(whole, &mut seen).await;
        Ok(None)
    }
}
