//! The steps of `sign` in their order: discover, plan, create the output files, set up, sign, store, check, report.

use std::path::PathBuf;
use std::time::Instant;

use super::discover::{NamedImages, SignPlan, SignPlanError};
use super::job::JobRuntime;
use super::outputs::{OutputsError, SignOutputFile, SignOutputs};
use super::process::ProcessEnvironment;
use super::session::{self, Observer, SessionResult, SessionTask};
use super::setup::SignSetupError;
use super::{EventCallback, SignJob};
use crate::config::Config;
use crate::exit::ExitCode;
use crate::explain::{Explain as _, Explanation, explain};
use crate::oci::Repository;
use crate::plan::Plan;
use crate::process::Protection;
use crate::report::own_results::StepResults;
use crate::report::{ExpectedOutcome, PendingFile, Report, ReportError, RunEvent};

/// How many notes about one run the log shows. Each of hundreds of TaskRuns may have a note.
const SHOWN_NOTES: usize = 20;

/// The parsed command `sign`.
pub(crate) struct SignCommand {
    /// The start time of the command.
    pub(crate) begun: Instant,
    /// The settings of the command.
    pub(crate) config: Config,
    /// The images that arguments name.
    pub(crate) named: NamedImages,
    /// The requested output files.
    pub(crate) files: Vec<SignOutputFile>,
    /// Whether signatures are written to the stores.
    pub(crate) uploads: bool,
    /// How this process is protected.
    pub(crate) protection: Protection,
}

/// Why `sign` ends without a report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignRunError {
    #[error(transparent)]
    Subjects(#[from] SignPlanError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Outputs(#[from] OutputsError),
}

explain! { SignRunError,
    Self::Subjects(error) => [of error],
    Self::Report(error) => [of error],
    Self::Outputs(error) => [of error],
}

/// Runs `sign`. `observer` receives the output for people.
///
/// # Errors
///
/// The subjects can't be determined, or an output file can't be created.
pub(crate) fn carry_out(
    request: SignCommand,
    environment: &dyn ProcessEnvironment,
    observer: &mut dyn Observer,
) -> Result<SessionResult, SignRunError> {
    let SignCommand { begun, config, named, files, uploads, protection } = request;
    let subjects = SignPlan::read(config, &named, environment, &mut |line| observer.line(line))?;
    let file = subjects.config.report.as_deref().map(PendingFile::new).transpose()?;
    let own_results = StepResults::prepare(&own_folders(&subjects))?;
    let outputs = SignOutputs::prepare(files, uploads, &subjects)?;
    let (output, notes) = (subjects.config.output, subjects.report_notes());
    let mut signing = Signing { subjects, outputs };
    let expected = signing.expected();
    let refused = |why: &Explanation, observer: &mut dyn Observer| {
        observer.explanation(why);
        (Report::refused(&expected, why), why.exit)
    };
    let (report, exit) = match signing.subjects.refusal() {
        Some(refusal) => refused(&refusal, observer),
        None => signing
            .sign(environment, begun, observer)
            .unwrap_or_else(|error| refused(&Explanation::of(&error), observer)),
    };
    let report = report.noting(notes).protected_by(protection);
    Ok(SessionResult { report, exit, output, file, own_results: Some(own_results) })
}

/// The directories for the step's own results: those in the settings, or this step's results directory, if it exists.
fn own_folders(subjects: &SignPlan) -> Vec<PathBuf> {
    match &subjects.config.own_results {
        Some(folders) => folders.clone(),
        None => {
            let own = subjects.standing.iter().map(|standing| standing.results.clone());
            own.filter(|folder| folder.is_dir()).collect()
        }
    }
}

/// A `sign` run: the plan and the output files.
struct Signing {
    subjects: SignPlan,
    outputs: SignOutputs,
}

impl Signing {
    /// Signs the subjects and writes the output files.
    fn sign(
        &mut self,
        environment: &dyn ProcessEnvironment,
        begun: Instant,
        observer: &mut dyn Observer,
    ) -> Result<(Report, ExitCode), SignSetupError> {
        let job = JobRuntime::start()?;
        for problem in &self.subjects.plan.problems {
            observer.line(&format!("warning: not signed: {}: {}", problem.place, problem.what));
        }
        for (run, notes) in self.subjects.run_notes() {
            for what in notes.iter().take(SHOWN_NOTES) {
                observer.line(&format!("note: {run}: {what}"));
            }
            if let Some(more) = notes.len().checked_sub(SHOWN_NOTES).filter(|more| *more > 0) {
                observer.line(&format!("note: {run}: {more} more notes are in the report"));
            }
        }
        let (report, whole) = session::run(&job, self, environment, begun, observer)?;
        let mut exit = report.exit();
        if let (ExitCode::Done, true, Some(whole)) = (exit, self.outputs.uploads, &whole)
            && let Err(error) = job.part(self.outputs.write(whole, &self.subjects))
        {
            observer.explanation(&Explanation::of(&error));
            // Everything is signed, so the code must not say that nothing was done.
            exit = match error.exit() {
                ExitCode::Usage => ExitCode::Failed,
                exit => exit,
            };
        }
        observer.line(&report.summary());
        job.end();
        Ok((report, exit))
    }
}

impl SessionTask for Signing {
    fn config(&self) -> &Config {
        &self.subjects.config
    }

    fn plan(&mut self) -> &mut Plan {
        &mut self.subjects.plan
    }

    fn expected(&self) -> Vec<ExpectedOutcome> {
        self.outputs.expected(&self.subjects)
    }

    fn repositories(&self) -> Vec<&Repository> {
        self.subjects.repositories().collect()
    }

    fn annotates(&self) -> bool {
        self.subjects.annotates()
    }

    fn asked(&self) -> u64 {
        self.subjects.requests
    }

    async fn work(&mut self, whole: &SignJob, seen: &mut EventCallback<'_>) {
        if self.outputs.uploads {
            whole.sign(&self.subjects.plan.images, &self.subjects.jobs(), seen).await;
        } else if let Some(outcome) = self.outputs.sign_alone(whole, &self.subjects).await {
            seen(RunEvent::Ended(&outcome));
        }
    }
}
