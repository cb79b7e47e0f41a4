//! `stepseal attest`: signs what any predicate says of an image.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use clap::ArgMatches;
use serde::Serialize;
use serde_json::value::RawValue;

use super::begin::{BeginError, begin};
use super::confinement;
use super::environment::Environment;
use super::interruption::Interruption;
use super::output::Output;
use super::progress::Progress;
use super::runtime;
use super::sign::{self, conclude, fail};
use super::subjects;
use crate::config::{Config, ConfigError};
use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};
use crate::foreign;
use crate::input::{self, InputError};
use crate::json::{self, Limit};
use crate::payload::{Payload, PayloadError, cosign_statement, statement};
use crate::plan::{self, Pattern, PatternError};
use crate::process::Protection;
use crate::registry::client::Stats;
use crate::registry::{ImageRef, PlainHttp, ReferenceError};
use crate::report::{About, Event, Expected, Label, Pending, Recorder, Report, ReportError};
use crate::store::StoreKind;

/// The largest predicate that is signed.
pub(super) const MAX_PREDICATE_BYTES: u64 = 64 * 1024 * 1024;
/// What the keys of a predicate's objects may take in memory while they are compared; `verify` reads as many.
const PREDICATE_KEYS: Limit = Limit::memory(32 * 1024 * 1024);

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
    #[error("\"{text}\" does not name an image by its digest")]
    Image { text: String, source: ReferenceError },
    #[error("{0} may not be signed: --allow has no such repository")]
    NotAllowed(String),
    #[error("--allow: \"{0}\" is not a pattern of repositories")]
    Pattern(String, #[source] PatternError),
    #[error("--type: \"{0}\" is no type of a predicate")]
    Type(String),
    #[error("--type: {0} is the type of an image's signature")]
    Signature(String),
    #[error("cannot read the predicate {}", foreign::shown(&path.display().to_string(), 512))]
    Read { path: PathBuf, source: InputError },
    #[error("the predicate {} is not JSON that says each thing once", foreign::shown(&path.display().to_string(), 512))]
    NotJson { path: PathBuf, source: serde_json::Error },
    #[error("the predicate {} is not UTF-8 text", foreign::shown(&path.display().to_string(), 512))]
    NotText { path: PathBuf },
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
            Self::Type(_) => {
                let names: Vec<&str> = statement::PREDICATE_NAMES.iter().map(|(name, _)| *name).collect();
                format!("give a URI, or one of {}", names.join(", "))
            }
            Self::Signature(_) => {
                "sign the image with `stepseal sign`, or give the type of what is attested".into()
            }
            Self::Read { source: InputError::TooLarge { .. }, .. } => {
                "attest to a summary with the digest of the whole".into()
            }
            Self::Read { source, .. } => source
                .hint()
                .unwrap_or_else(|| "name a file that this step may read, or - for standard input".into()),
            Self::NotJson { .. } => "give JSON, or --type custom, whose predicate may be any text".into(),
            Self::NotText { .. } => "give UTF-8 text".into(),
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
    let expected: Vec<Expected> = stores
        .map(|store| Expected {
            label: Label { artifact: "attestation", format: "in-toto", store: store.name() },
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
    let predicate_type =
        statement::predicate_type(kind).ok_or_else(|| AttestError::Type(foreign::shown(kind, 120)))?;
    // It would count as a signature, whatever the predicate says.
    if cosign_statement::is_signature(predicate_type) {
        return Err(AttestError::Signature(foreign::shown(kind, 120)));
    }
    let path = PathBuf::from(matches.get_one::<String>("predicate").map(String::as_str).unwrap_or_default());
    let predicate = predicate(&path, kind, config.created)?;
    let payload = statement::of_images(std::slice::from_ref(&image), predicate_type, &predicate)?;
    Ok(Attestation { config, protection, image, payload })
}

/// What cosign makes of a predicate that may be any text.
#[derive(Serialize)]
struct Custom<'a> {
    #[serde(rename = "Data")]
    data: &'a str,
    #[serde(rename = "Timestamp", skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
}

/// The predicate, as JSON. Of the types that cosign reads as text, the text becomes JSON as cosign makes it; a time stands in it only
/// if it is known, so that the same predicate twice is the same.
fn predicate(path: &Path, kind: &str, created: Option<SystemTime>) -> Result<Box<RawValue>, AttestError> {
    let bytes = input::read_or_stdin(path, MAX_PREDICATE_BYTES);
    let bytes = bytes.map_err(|source| AttestError::Read { path: path.to_owned(), source })?;
    let text = String::from_utf8(bytes).map_err(|_| AttestError::NotText { path: path.to_owned() })?;
    let not_json = |source| AttestError::NotJson { path: path.to_owned(), source };
    match kind {
        "custom" => {
            let timestamp = created.map(|time| humantime::format_rfc3339_seconds(time).to_string());
            serde_json::value::to_raw_value(&Custom { data: &text, timestamp }).map_err(not_json)
        }
        "spdx" => serde_json::value::to_raw_value(&text).map_err(not_json),
        _ => {
            // Readers of a key that appears twice disagree on its value: verifying refuses such a statement.
            json::check(text.as_bytes(), PREDICATE_KEYS).map_err(not_json)?;
            RawValue::from_string(text).map_err(not_json)
        }
    }
}
