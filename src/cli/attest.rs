//! `stepseal attest`: signs what any predicate says of an image.

use std::path::PathBuf;
use std::time::Instant;

use clap::ArgMatches;

use super::begin::{BeginError, begin};
use super::confinement;
use super::environment::Environment;
use super::interruption::Interruption;
use super::output::Output;
use super::predicate::{PredicateError, predicate, predicate_type};
use super::progress::Progress;
use super::runtime;
use super::sign::{self, conclude, fail};
use super::subjects;
use crate::config::{Config, ConfigError};
use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};
use crate::foreign;
use crate::payload::{Payload, PayloadError, statement};
use crate::plan::{self, Pattern, PatternError};
use crate::process::Protection;
use crate::registry::client::Stats;
use crate::registry::{ImageRef, PlainHttp, ReferenceError};
use crate::report::{About, Event, Expected, Label, Pending, Recorder, Report, ReportError};
use crate::store::StoreKind;

/// Why nothing can be attested.
#[derive(Debug, thiserror::Error)]
enum AttestError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Begin(#[from] BeginError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error(transparent)]
    Predicate(#[from] PredicateError),
    #[error("\"{text}\" does not name an image by its digest")]
    Image { text: String, source: ReferenceError },
    #[error("{0} may not be signed: --allow has no such repository")]
    NotAllowed(String),
    #[error("--allow: \"{0}\" is not a pattern of repositories")]
    Pattern(String, #[source] PatternError),
    #[error("artifacts.oci.storage has no store that an attestation of an image can go to")]
    NoStore,
}

impl AttestError {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::Config(error) => Some(error),
            Self::Begin(error) => Some(error),
            Self::Report(error) => Some(error),
            Self::Payload(error) => Some(error),
            Self::Predicate(error) => Some(error),
            _ => None,
        }
    }
}

impl Explain for AttestError {
    fn used(&self) -> Option<String> {
        self.inner()?.used()
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Image { .. } => "write NAME@sha256:…: a tag may mean something else a moment later".into(),
            Self::NotAllowed(_) => "allow the repository, or name another image".into(),
            Self::Pattern(..) => {
                "write REGISTRY/REPOSITORY with * within a path part and ** across parts".into()
            }
            Self::NoStore => "set artifacts.oci.storage to oci, directory, or both".into(),
            _ => return self.inner().and_then(Explain::hint),
        })
    }

    fn exit(&self) -> ExitCode {
        self.inner().map_or(ExitCode::Usage, Explain::exit)
    }
}

/// What is attested.
struct Attestation {
    config: Config,
    /// What protects this process.
    protection: Protection,
    image: ImageRef,
    payload: Payload,
}

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    match attest(matches, environment, out) {
        Ok(code) => code,
        Err(error) => fail(&error, out),
    }
}

fn attest(
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
) -> Result<ExitCode, AttestError> {
    let begun = Instant::now();
    let attestation = read(matches, environment, out)?;
    let config = &attestation.config;
    let file = config.report.as_deref().map(Pending::new).transpose()?;
    let stores = config.images.iter().filter(|store| **store != StoreKind::Tekton).copied();
    let labels = stores.flat_map(|store| Label::each("attestation", "in-toto", store, &config.oci.encodings));
    let expected: Vec<Expected> = labels
        .map(|label| Expected {
            label,
            subject: About::Image(attestation.image.clone()),
            from: vec!["argument".to_owned()],
        })
        .collect();
    if expected.is_empty() {
        return Err(AttestError::NoStore);
    }
    let runtime = runtime::start().map_err(BeginError::Runtime)?;
    let report = runtime.block_on(work(&attestation, &expected, environment, begun, out));
    runtime.shutdown_background();
    let (report, exit) = match report {
        Ok(report) => {
            out.line(&report.summary());
            let exit = report.exit();
            (report, exit)
        }
        Err(error) => (Report::refused(&expected, &Explanation::of(&error)), fail(&error, out)),
    };
    let report = report.protected_by(attestation.protection.clone());
    Ok(conclude(&report, exit, config.output, file, None, out))
}

async fn work(
    attestation: &Attestation,
    expected: &[Expected],
    environment: &Environment,
    begun: Instant,
    out: &mut Output,
) -> Result<Report, BeginError> {
    let Attestation { config, image, payload, .. } = attestation;
    let mut interruption = Interruption::new(begun + config.timeout);
    let mut recorder = Recorder::new(expected.to_vec());
    let mut progress = Progress::start(config, expected.len());
    let whole = match interruption.or(begin(config, environment, begun, &[image], false, out)).await {
        Ok(whole) => whole?,
        Err(why) => {
            let ended = Err::<(), _>(why);
            return Ok(sign::report(ended, recorder, begun, Stats::default(), &mut progress, out));
        }
    };
    let mut seen = |event: Event<'_>| {
        progress.note(out, event);
        recorder.note(event);
    };
    let ended = interruption.or(whole.attest_image(image, payload, expected, &mut seen)).await;
    Ok(sign::report(ended, recorder, begun, whole.stats(), &mut progress, out))
}

/// Reads everything that decides what is signed.
fn read(
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
) -> Result<Attestation, AttestError> {
    let config = subjects::config(matches, environment, out)?;
    let protection = confinement::attest(&config, matches, environment);
    let text = matches.get_one::<String>("attested").map(String::as_str).unwrap_or_default();
    let image: ImageRef =
        text.parse().map_err(|source| AttestError::Image { text: foreign::shown(text, 300), source })?;
    let mut patterns = Vec::new();
    for text in &config.allow {
        let parsed = text.parse::<Pattern>();
        let pattern = parsed.map_err(|why| AttestError::Pattern(foreign::shown(text, 120), why))?;
        patterns.push(pattern);
    }
    if !plan::allows(&patterns, &image.repository, &PlainHttp::new(&config.insecure_registries)) {
        return Err(AttestError::NotAllowed(image.repository.to_string()));
    }
    let kind = matches.get_one::<String>("type").map(String::as_str).unwrap_or_default();
    let predicate_type = predicate_type(kind)?;
    let path = PathBuf::from(matches.get_one::<String>("predicate").map(String::as_str).unwrap_or_default());
    let predicate = predicate(&path, kind, config.created)?;
    let payload = statement::of_images(std::slice::from_ref(&image), predicate_type, &predicate)?;
    Ok(Attestation { config, protection, image, payload })
}
