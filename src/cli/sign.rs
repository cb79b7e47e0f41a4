//! `stepseal sign`: the main job.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ArgMatches;

use super::access::{self, Access, AccessError};
use super::environment::Environment;
use super::output::Output;
use super::progress::Progress;
use super::subjects::Subjects;
use crate::config::{self, Config, Encoding, ImageStorage};
use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};
use crate::pipeline::{Pipeline, What};
use crate::registry::RegistryError;
use crate::registry::client::{self, Client, ClientOptions};
use crate::report::own_results::OwnResults;
use crate::report::{Outcome, Pending, Report, ReportError};
use crate::store::{Contents, OciReferrers, OciTag, Store};

/// How long after the time limit the run is ended from outside.
const GRACE: Duration = Duration::from_millis(500);

/// Why a run can't begin.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
}

impl Explain for BeginError {
    fn used(&self) -> Option<String> {
        match self {
            Self::Access(error) => error.used(),
            Self::Registry(error) => error.used(),
            Self::Runtime(_) => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Access(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::Runtime(_) => Some("give the step more memory and processes".into()),
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Access(error) => error.exit(),
            Self::Registry(error) => error.exit(),
            Self::Runtime(_) => ExitCode::Failed,
        }
    }
}

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

fn fail(error: &dyn Explain, out: &mut Output) -> ExitCode {
    out.error(error);
    error.exit()
}

/// Writes what programs read: the report's file and, if asked for, standard output.
fn tell(
    report: &Report,
    output: config::Output,
    file: Option<Pending>,
    out: &mut Output,
) -> Result<(), ReportError> {
    let json = report.to_json()?;
    if output == config::Output::Json {
        out.print(&json);
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
    let report = runtime.block_on(async {
        let pipeline = pipeline(subjects, environment, begun, out).await?;
        let mut progress = Progress::start(&subjects.config, subjects.plan.images.len());
        let mut outcomes = Vec::new();
        let mut seen = |outcome: &Outcome| {
            progress.ended(out, outcome);
            outcomes.push(outcome.clone());
        };
        let report = tokio::select! {
            report = pipeline.sign(&subjects.plan.images, &mut seen) => Ok(report),
            signal = interrupted() => Err(format!("{signal} came before the end")),
            // Requests keep to the limit by themselves, and say more; this ends what isn't a request.
            () = tokio::time::sleep_until((pipeline.deadline + GRACE).into()) => {
                Err("the time limit of the run is over".to_owned())
            }
        };
        progress.end();
        let report = report.unwrap_or_else(|why| {
            let report = Report::interrupted(
                outcomes,
                &subjects.expected(),
                &why,
                begun.elapsed(),
                pipeline.client.stats(),
            );
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

/// Everything the run needs; the key begins to unlock here, beside all that follows.
async fn pipeline(
    subjects: &Subjects,
    environment: &Environment,
    begun: Instant,
    out: &mut Output,
) -> Result<Pipeline, BeginError> {
    let config = &subjects.config;
    let deadline = begun + config.timeout;
    let Access { key, keychain } = access::open(config, environment, deadline, out).await?;
    let client = Client::new(client_options(subjects, environment, deadline), Arc::new(keychain))?;
    Ok(Pipeline {
        store: store(config, client.clone()),
        client,
        what: What::Each { format: subjects.format(), claims: subjects.claims() },
        label: subjects.label(),
        key,
        jobs: config.jobs,
        recursive: config.recursive,
        deadline,
    })
}

fn client_options(subjects: &Subjects, environment: &Environment, deadline: Instant) -> ClientOptions {
    ClientOptions {
        insecure: insecure(subjects),
        extra_roots: subjects.config.registry_ca.clone(),
        environment: client::Environment::from_variables(|name| environment.get(name).map(Into::into)),
        requests_per_host: u32::try_from(subjects.config.jobs * 2).unwrap_or(u32::MAX),
        ..ClientOptions::new(deadline)
    }
}

/// The hosts that get plain HTTP: those named, and those `storage.oci.repository.insecure` means.
fn insecure(subjects: &Subjects) -> Vec<String> {
    let mut hosts = subjects.config.insecure_registries.clone();
    if let Some(ImageStorage { insecure_http: true, repository, .. }) = &subjects.config.images {
        match repository {
            Some(repository) => hosts.push(repository.registry().to_owned()),
            None => {
                hosts.extend(subjects.plan.images.iter().map(|p| p.image.repository.registry().to_owned()))
            }
        }
    }
    hosts
}

fn store(config: &Config, client: Client) -> Box<dyn Store> {
    let images = config.images.as_ref();
    let repository = images.and_then(|images| images.repository.clone());
    match images.map(|images| images.encoding) {
        Some(Encoding::SigstoreBundle) => Box::new(OciReferrers::new(client, repository, config.created)),
        _ => Box::new(OciTag::new(client, Contents::Signatures, repository)),
    }
}
