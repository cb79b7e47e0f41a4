//! `stepseal sign`: the main job.

use std::path::PathBuf;
use std::time::Instant;

use clap::ArgMatches;

use super::confinement;
use super::environment::Environment;
use super::given;
use super::output::Output;
use super::outputs::Outputs;
use super::progress::Progress;
use super::tags;
use crate::config::{self, Config};
use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};
use crate::flow::discover::Subjects;
use crate::flow::job::{Interruption, Job};
use crate::flow::setup::{BeginError, begin};
use crate::oci::Repository;
use crate::registry::client::Stats;
use crate::report::own_results::OwnResults;
use crate::report::{Event, Pending, Recorder, Report};

/// How many notes on one run the log shows: of hundreds of TaskRuns each may have one.
const SHOWN_NOTES: usize = 20;

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    let begun = Instant::now();
    let config = match given::signing("sign", matches, environment, out) {
        Ok(config) => config,
        Err(error) => return fail(&error, out),
    };
    let protection = confinement::sign(&config, matches, environment);
    let mut subjects = match Subjects::read(
        config,
        &given::named(matches, "image"),
        environment,
        &mut |line| out.line(line),
    ) {
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
    let outputs = Outputs::prepare(matches, environment, &subjects);
    let outputs = match outputs {
        Ok(outputs) => outputs,
        Err(error) => return fail(&error, out),
    };
    let expected = outputs.expected(&subjects);
    let (report, exit) = match subjects.refusal() {
        Some(refusal) => {
            out.explanation(&refusal);
            (Report::refused(&expected, &refusal), refusal.exit)
        }
        None => match sign(&mut subjects, outputs, environment, begun, out) {
            Ok((report, written)) => {
                let exit = if report.exit() == ExitCode::Done { written } else { report.exit() };
                (report, exit)
            }
            Err(error) => (Report::refused(&expected, &Explanation::of(&error)), fail(&error, out)),
        },
    };
    let report = report.noting(subjects.report_notes()).protected_by(protection);
    conclude(&report, exit, subjects.config.output, file, Some(own_results), out)
}

/// Writes everything that programs read of a run that ends with `exit`, each whether or not another can be written.
///
/// The code that is returned says what became of the subjects, unless all is well with them.
pub(super) fn conclude(
    report: &Report,
    exit: ExitCode,
    output: config::Output,
    file: Option<Pending>,
    own_results: Option<OwnResults>,
    out: &mut Output,
) -> ExitCode {
    let json = report.to_json();
    if let (Ok(json), config::Output::Json) = (&json, output) {
        out.json(json);
    }
    let written = json.and_then(|json| file.map_or(Ok(()), |file| file.write(json.as_bytes())));
    let own = own_results.map_or(Ok(()), |own_results| own_results.write(report));
    let mut exit = exit;
    for error in [written, own].into_iter().filter_map(Result::err) {
        out.error(&error);
        exit = if exit == ExitCode::Done { ExitCode::Failed } else { exit };
    }
    exit
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

/// Signs, and returns the report with how the writing of further files ended.
fn sign(
    subjects: &mut Subjects,
    outputs: Outputs,
    environment: &Environment,
    begun: Instant,
    out: &mut Output,
) -> Result<(Report, ExitCode), BeginError> {
    let job = Job::start()?;
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
    let (report, written) = job.part(work(subjects, outputs, environment, begun, out))?;
    out.line(&report.summary());
    job.end();
    Ok((report, written))
}

async fn work(
    subjects: &mut Subjects,
    outputs: Outputs,
    environment: &Environment,
    begun: Instant,
    out: &mut Output,
) -> Result<(Report, ExitCode), BeginError> {
    let mut interruption = Interruption::new(begun + subjects.config.timeout);
    let expected = outputs.expected(subjects);
    let mut progress = Progress::start(&subjects.config, expected.len());
    let mut recorder = Recorder::new(expected);
    let images: Vec<&Repository> = subjects.repositories().collect();
    let notices = &mut |line: &str| out.line(line);
    let beginning = begin(&subjects.config, environment, begun, &images, subjects.annotates(), notices);
    let mut whole = match interruption.or(beginning).await {
        Ok(whole) => whole?,
        Err(why) => {
            let ended = Err::<(), _>(why);
            let report = report(ended, recorder, begun, Stats::default(), &mut progress, out);
            return Ok((report, ExitCode::Done));
        }
    };
    whole.asked += subjects.requests;
    if !subjects.config.images.is_empty() {
        let Config { jobs, lenient, .. } = subjects.config;
        let resolving = tags::resolve(&mut subjects.plan, &whole.client, jobs, lenient, out);
        match interruption.or(resolving).await {
            Ok(None) => {}
            Ok(Some(resolved)) => {
                let expected = outputs.expected(subjects);
                match resolved.recorder(expected, begun, whole.stats(), &mut progress, out) {
                    Ok(rest) => recorder = rest,
                    Err(report) => return Ok((*report, ExitCode::Done)),
                }
            }
            Err(why) => {
                let ended = Err::<(), _>(why);
                let report = report(ended, recorder, begun, whole.stats(), &mut progress, out);
                return Ok((report, ExitCode::Done));
            }
        }
    }
    let jobs = subjects.jobs();
    let mut seen = |event: Event<'_>| {
        progress.note(out, event);
        recorder.note(event);
    };
    if !outputs.uploads {
        let ended = interruption.or(outputs.sign_alone(&whole, subjects)).await;
        if let Ok(Some(outcome)) = &ended {
            seen(Event::Ended(outcome));
        }
        let report = report(ended, recorder, begun, whole.stats(), &mut progress, out);
        return Ok((report, ExitCode::Done));
    }
    let ended = interruption.or(whole.sign(&subjects.plan.images, &jobs, &mut seen)).await;
    let report = report(ended, recorder, begun, whole.stats(), &mut progress, out);
    let mut written = ExitCode::Done;
    if report.exit() == ExitCode::Done
        && let Err(error) = outputs.write(&whole, subjects).await
    {
        // What was to be signed is signed: the call was not in vain, as bad usage would say.
        written = match fail(&error, out) {
            ExitCode::Usage => ExitCode::Failed,
            exit => exit,
        };
    }
    Ok((report, written))
}

/// The report of a run that went to its end, or that `ended` says was ended early. Every outcome that it adds is shown.
pub(super) fn report<T>(
    ended: Result<T, String>,
    recorder: Recorder,
    begun: Instant,
    stats: Stats,
    progress: &mut Progress,
    out: &mut Output,
) -> Report {
    let report = match ended {
        Ok(_) => recorder.finished(begun.elapsed(), stats, &mut |outcome| progress.ended(out, outcome)),
        Err(why) => {
            let why = Recorder::interruption(&why);
            progress.interrupted(out, &why);
            recorder.interrupted(&why, begun.elapsed(), stats, &mut |outcome| progress.ended(out, outcome))
        }
    };
    progress.end();
    report
}
