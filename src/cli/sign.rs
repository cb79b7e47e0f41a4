//! `stepseal sign`: the main job.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ArgMatches;

use super::begin::{BeginError, begin};
use super::environment::Environment;
use super::output::Output;
use super::progress::Progress;
use super::subjects::Subjects;
use crate::config;
use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};
use crate::registry::ImageRef;
use crate::report::own_results::OwnResults;
use crate::report::{Outcome, Pending, Report, ReportError};

/// How long after the time limit the run is ended from outside.
const GRACE: Duration = Duration::from_millis(500);

/// How many notes on one run the log shows: of hundreds of TaskRuns each may have one.
const SHOWN_NOTES: usize = 10;

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    let begun = Instant::now();
    let subjects = match Subjects::read(matches, environment, out) {
        Ok(subjects) => subjects,
        Err(error) => return fail(&error, out),
    };
    let file = match subjects.config.report.as_deref().map(Pending::new).transpose() {
        Ok(file) => file,
        Err(error) => return fail(&error, out),
    };
    let own_results = match OwnResults::prepare(&own_folders(&subjects)) {
        Ok(own_results) => own_results,
        Err(error) => return fail(&error, out),
    };
    let expected = subjects.expected();
    let (report, exit) = match subjects.refusal() {
        Some(refusal) => {
            out.explanation(&refusal);
            (Report::refused(&expected, &refusal), refusal.exit)
        }
        None => match sign(&subjects, environment, begun, out) {
            Ok(report) => {
                let exit = report.exit();
                (report, exit)
            }
            Err(error) => (Report::refused(&expected, &Explanation::of(&error)), fail(&error, out)),
        },
    };
    let report = report.noting(subjects.run_notes());
    let told = tell(&report, subjects.config.output, file, out);
    match told.and_then(|()| own_results.write(&report)) {
        Ok(()) => exit,
        // The code still says what became of the subjects, unless all is well with them.
        Err(error) => match (exit, fail(&error, out)) {
            (ExitCode::Done, _) => ExitCode::Failed,
            (exit, _) => exit,
        },
    }
}

/// Where the step's own results go: the folders named, or else this step's own, if there is one.
fn own_folders(subjects: &Subjects) -> Vec<PathBuf> {
    match &subjects.config.own_results {
        Some(folders) => folders.clone(),
        None => {
            let own = subjects.standing.iter().map(|standing| standing.results.clone());
            own.filter(|folder| folder.is_dir()).collect()
        }
    }
}

pub(super) fn fail(error: &dyn Explain, out: &mut Output) -> ExitCode {
    out.error(error);
    error.exit()
}

/// Writes what programs read: the report's file and, if asked for, standard output.
pub(super) fn tell(
    report: &Report,
    output: config::Output,
    file: Option<Pending>,
    out: &mut Output,
) -> Result<(), ReportError> {
    let json = report.to_json()?;
    if output == config::Output::Json {
        out.print_data(&json);
    }
    file.map_or(Ok(()), |file| file.write(json.as_bytes()))
}

fn sign(
    subjects: &Subjects,
    environment: &Environment,
    begun: Instant,
    out: &mut Output,
) -> Result<Report, BeginError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BeginError::Runtime)?;
    for problem in &subjects.plan.problems {
        out.line(&format!("warning: not signed: {}: {}", problem.place, problem.what));
    }
    for (run, notes) in subjects.run_notes() {
        for what in notes.iter().take(SHOWN_NOTES) {
            out.line(&format!("note: {run}: {what}"));
        }
        if let Some(more) = notes.len().checked_sub(SHOWN_NOTES).filter(|more| *more > 0) {
            out.line(&format!("note: {run}: and {more} more, all of them in the report"));
        }
    }
    let report = runtime.block_on(async {
        let images: Vec<&ImageRef> = subjects.images().collect();
        let mut whole =
            begin(&subjects.config, environment, begun, &images, subjects.annotates(), out).await?;
        whole.asked += subjects.requests;
        let mut progress = Progress::start(&subjects.config, subjects.expected().len());
        let jobs = subjects.jobs();
        let mut outcomes = Vec::new();
        let mut seen = |outcome: &Outcome| {
            progress.ended(out, outcome);
            outcomes.push(outcome.clone());
        };
        let report = tokio::select! {
            outcomes = whole.sign(&subjects.plan.images, &jobs, &mut seen) => {
                Ok(Report::new(outcomes, begun.elapsed(), whole.stats()))
            }
            signal = interrupted() => Err(format!("{signal} came before the end")),
            // Requests keep to the limit by themselves, and say more; this ends what isn't a request.
            () = tokio::time::sleep_until((whole.deadline + GRACE).into()) => {
                Err("the time limit of the run is over".to_owned())
            }
        };
        progress.end();
        let report = report.unwrap_or_else(|why| {
            let report =
                Report::interrupted(outcomes, &subjects.expected(), &why, begun.elapsed(), whole.stats());
            out.line(&format!("error: {why}\n  do:    run again; what is signed stays signed"));
            report
        });
        out.line(&report.summary());
        Ok::<_, BeginError>(report)
    })?;
    // A credential helper or a name look-up that hangs must not keep the step from ending.
    runtime.shutdown_background();
    Ok(report)
}

/// Waits for the signals that end a step. They are caught from this call on, which must be inside a runtime.
pub(super) fn interrupted() -> impl Future<Output = &'static str> {
    use tokio::signal::unix::{SignalKind, signal};

    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    }
}
