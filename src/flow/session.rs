//! One run of `sign` or `attest`: set up, ask what tags name, do the work, report. Its deadline or a signal ends it early.

use std::time::Instant;

use super::job::Job;
use super::process::ProcessEnvironment;
use super::setup::{BeginError, begin};
use super::{Seen, Whole, tags};
use crate::config::{self, Config};
use crate::exit::ExitCode;
use crate::explain::Explanation;
use crate::oci::Repository;
use crate::plan::Plan;
use crate::registry::client::Stats;
use crate::report::own_results::OwnResults;
use crate::report::{Event, Expected, Outcome, Pending, Recorder, Report};

/// Is called with what people are to see while a run works.
pub(crate) trait Observer {
    /// A note or a warning.
    fn line(&mut self, text: &str);

    /// Why nothing, or less, is signed.
    fn explanation(&mut self, why: &Explanation);

    /// The run begins to work on so many subjects; its report has the form `output`.
    fn begins(&mut self, subjects: usize, output: config::Output);

    /// A subject turned up, or ended.
    fn event(&mut self, event: Event<'_>);

    /// The run was ended early. Subjects that failed because of it refer to it.
    fn interrupted(&mut self, why: &Explanation);

    /// No more subjects end.
    fn ends(&mut self);
}

/// How a run ended, and what is still to be written of it.
pub(crate) struct Ended {
    /// What became of each subject.
    pub(crate) report: Report,
    /// The exit code, if all of it can be written.
    pub(crate) exit: ExitCode,
    /// In which form the report is printed.
    pub(crate) output: config::Output,
    /// The file that gets the report.
    pub(crate) file: Option<Pending>,
    /// The step's own results.
    pub(crate) own_results: Option<OwnResults>,
}

/// What a session works on.
pub(super) trait Task {
    /// The settings.
    fn config(&self) -> &Config;

    /// The subjects, whose tags are replaced by what they name.
    fn plan(&mut self) -> &mut Plan;

    /// Everything that is to be signed.
    fn expected(&self) -> Vec<Expected>;

    /// The repositories of all images that something is put beside.
    fn repositories(&self) -> Vec<&Repository>;

    /// Whether the cluster is written to.
    fn annotates(&self) -> bool {
        false
    }

    /// How many requests were made before.
    fn asked(&self) -> u64 {
        0
    }

    /// Why nothing is signed, now that it is known what the tags name.
    fn refusal_of_resolved(&self) -> Option<Explanation> {
        None
    }

    /// Signs everything; `seen` is called with each outcome.
    async fn work(&mut self, whole: &Whole, seen: &mut Seen<'_>);
}

/// What is known of a run while it works.
struct Session {
    recorder: Recorder,
    /// Everything it works with, once that is set up.
    whole: Option<Whole>,
}

/// Carries `task` out, and returns the report with what it was carried out with, if the set-up came to its end.
pub(super) fn run(
    job: &Job,
    task: &mut impl Task,
    environment: &dyn ProcessEnvironment,
    begun: Instant,
    observer: &mut dyn Observer,
) -> Result<(Report, Option<Whole>), BeginError> {
    let expected = task.expected();
    observer.begins(expected.len(), task.config().output);
    let mut session = Session { recorder: Recorder::new(expected), whole: None };
    let deadline = begun + task.config().timeout;
    let ended = job.part_until(deadline, session.steps(task, environment, begun, observer));
    let Session { recorder, whole } = session;
    let stats = whole.as_ref().map_or_else(Stats::default, Whole::stats);
    let early = match ended {
        Err(why) => {
            let why = Recorder::interruption(&why);
            observer.interrupted(&why);
            Ok(Some((why, true)))
        }
        Ok(ended) => ended.map(|refused| refused.map(|why| (why, false))),
    };
    let seen = &mut |outcome: &Outcome| observer.event(Event::Ended(outcome));
    let report = early.map(|early| match early {
        None => recorder.finished(begun.elapsed(), stats, seen),
        Some((why, true)) => recorder.interrupted(&why, begun.elapsed(), stats, seen),
        Some((why, false)) => recorder.refused(&why, begun.elapsed(), stats, seen),
    });
    observer.ends();
    Ok((report?, whole))
}

impl Session {
    /// The steps; returns why nothing is signed, if what tags name says so.
    async fn steps(
        &mut self,
        task: &mut impl Task,
        environment: &dyn ProcessEnvironment,
        begun: Instant,
        observer: &mut dyn Observer,
    ) -> Result<Option<Explanation>, BeginError> {
        let Self { recorder, whole } = self;
        let (config, images) = (task.config(), task.repositories());
        let notices = &mut |line: &str| observer.line(line);
        let mut set_up = begin(config, environment, begun, &images, task.annotates(), notices).await?;
        set_up.asked += task.asked();
        let whole = &*whole.insert(set_up);
        let Config { jobs, lenient, .. } = *task.config();
        let signs_images = !task.config().images.is_empty();
        if signs_images
            && let Some(resolved) = tags::resolve(task.plan(), &whole.client, jobs, lenient, notices).await
        {
            let expected = task.expected();
            let outcomes = resolved.outcomes(&expected);
            *recorder = Recorder::new(expected);
            for outcome in &outcomes {
                observer.event(Event::Ended(outcome));
                recorder.note(Event::Ended(outcome));
            }
            if let Some(why) = resolved.refusal.or_else(|| task.refusal_of_resolved()) {
                return Ok(Some(why));
            }
        }
        let mut seen = |event: Event<'_>| {
            observer.event(event);
            recorder.note(event);
        };
        task.work(whole, &mut seen).await;
        Ok(None)
    }
}
