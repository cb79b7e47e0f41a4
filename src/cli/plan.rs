//! `stepseal plan`: what `sign` would do, and why.

use std::path::Path;

use bytes::Bytes;
use clap::ArgMatches;
use serde::Serialize;
use serde_json::Value;

use super::environment::Environment;
use super::given;
use super::output::Output;
use super::sign::fail;
use crate::chains;
use crate::config::{self, Config};
use crate::exit::ExitCode;
use crate::flow::discover::SignPlan;
use crate::oci::ImageRef;
use crate::place::{Encoding, StorageKey};
use crate::plan::{self, Note, PlannedTag, Problem, Subject};
use crate::report::{PendingFile, ReportError};
use crate::store::Contents;
use crate::store::directory::image_file;

/// The plan as JSON.
#[derive(Serialize)]
struct Document<'a> {
    subjects: &'a [Subject],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [PlannedTag],
    payloads: Vec<Payload>,
    problems: Vec<Problem>,
    notes: &'a [Note],
}

/// One payload that `sign` would sign.
#[derive(Serialize)]
struct Payload {
    artifact: &'static str,
    format: &'static str,
    statement: Value,
    stores: Vec<&'static str>,
    keys: Keys,
    #[serde(skip)]
    file: String,
    #[serde(skip)]
    bytes: Bytes,
}

/// The names under which a signature is found; Chains names its annotations and objects by them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Keys {
    short_key: String,
    full_key: String,
    annotations: Annotations,
    /// An image's signature in its registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    /// The attestations beside the images that a run built.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attestations: Vec<String>,
}

/// The annotations that hold it in the store `tekton`.
#[derive(Serialize)]
struct Annotations {
    payload: String,
    signature: String,
    cert: String,
    chain: String,
}

impl Annotations {
    fn of(short_key: &str) -> Self {
        let name = |what: &str| chains::part(what, short_key);
        Self {
            payload: name("payload"),
            signature: name("signature"),
            cert: name("cert"),
            chain: name("chain"),
        }
    }
}

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    let config = match given::signing("plan", matches, environment, out) {
        Ok(config) => config,
        Err(error) => return fail(&error, out),
    };
    let named = given::named(matches, "image");
    let subjects = match SignPlan::read(config, &named, environment, &mut |line| out.line(line)) {
        Ok(subjects) => subjects,
        Err(error) => return fail(&error, out),
    };
    let payloads = match payloads(&subjects) {
        Ok(payloads) => payloads,
        Err(error) => return fail(&error, out),
    };
    if let Some(dir) = matches.get_one::<String>("payloads")
        && let Err(error) = write_payloads(Path::new(dir), &payloads)
    {
        return fail(&error, out);
    }
    match subjects.config.output {
        config::OutputFormat::Human => out.print_lines(human(&subjects, &payloads)),
        config::OutputFormat::Json => {
            let document = Document {
                subjects: &subjects.plan.subjects,
                tags: &subjects.plan.tags,
                payloads,
                problems: problems(&subjects),
                notes: &subjects.plan.notes,
            };
            match serde_json::to_string_pretty(&document) {
                Ok(text) => out.json(&(text + "\n")),
                Err(error) => {
                    out.lines(["error: cannot write the plan as JSON", &format!("  cause: {error}")]);
                    return ExitCode::Failed;
                }
            }
        }
    }
    match subjects.refusal() {
        Some(refusal) => {
            out.explanation(&refusal);
            refusal.exit
        }
        None => {
            let (failures, exit) = subjects.shortfall();
            failures.iter().for_each(|(_, failure)| out.explanation(failure));
            exit
        }
    }
}

/// The payload of every image that is named well, and of every run, also where problems keep `sign` from beginning.
fn payloads(subjects: &SignPlan) -> Result<Vec<Payload>, crate::formats::PayloadError> {
    let mut all = Vec::new();
    if !subjects.config.images.is_empty() {
        let (formats, claims) = (subjects.image_formats(), subjects.claims());
        for planned in &subjects.plan.images {
            let image = &planned.image;
            let mut made = Vec::new();
            for (encoding, format, stores) in &formats {
                let payloads = format.payloads(image, &claims.with(&planned.identities))?;
                made.extend(payloads.into_iter().map(|payload| (*encoding, format, stores, payload)));
            }
            for (number, (encoding, format, stores, payload)) in made.into_iter().enumerate() {
                let key = StorageKey::image(image);
                all.push(Payload {
                    artifact: "oci",
                    format: format.name(),
                    statement: serde_json::from_slice(&payload.bytes).unwrap_or(Value::Null),
                    stores: stores.clone(),
                    keys: Keys {
                        annotations: Annotations::of(&key.short),
                        short_key: key.short,
                        full_key: key.full,
                        signature: Some(place(&subjects.config, image, encoding, Contents::Signatures)),
                        attestations: Vec::new(),
                    },
                    file: file_name(image, number),
                    bytes: payload.bytes,
                });
            }
        }
    }
    for (run, to) in subjects.run_artifacts() {
        let Some(payload) = &run.payload else { continue };
        let images = run.images.iter().filter(|_| to.stores.iter().any(|store| store.is_beside_images()));
        all.push(Payload {
            artifact: run.artifact(),
            format: to.format_name,
            statement: serde_json::from_slice(&payload.bytes).unwrap_or(Value::Null),
            stores: to.stores.iter().map(|store| store.name).collect(),
            keys: Keys {
                annotations: Annotations::of(&run.short_key),
                short_key: run.short_key.clone(),
                full_key: run.full_key.clone(),
                signature: None,
                attestations: images.flat_map(|image| attestations(&subjects.config, image)).collect(),
            },
            file: format!("{}.json", run.short_key),
            bytes: payload.bytes.clone(),
        });
    }
    Ok(all)
}

/// Where the signature or the attestations of an image lie in a registry.
fn place(config: &Config, image: &ImageRef, encoding: Encoding, contents: Contents) -> String {
    let repository = config.oci.repository.as_ref().unwrap_or(&image.repository);
    match encoding {
        Encoding::Dsse => {
            format!("{repository}:{}", config.registry.tag_prefix.tag(&image.digest, contents.suffix()))
        }
        Encoding::SigstoreBundle => format!("{repository}@{}", image.digest),
    }
}

/// Where an attestation of an image lies, in each encoding.
fn attestations(config: &Config, image: &ImageRef) -> Vec<String> {
    let place = |encoding: &Encoding| place(config, image, *encoding, Contents::Attestations);
    config.oci.encodings.iter().map(place).collect()
}

/// What is wrong: of hints, and of runs.
fn problems(subjects: &SignPlan) -> Vec<Problem> {
    let (failures, _) = subjects.shortfall();
    let failures = failures.into_iter().map(|(place, failure)| Problem { place, what: failure.error });
    let of_runs = subjects.runs.iter().filter_map(|run| {
        let blocked = run.blocked.as_ref()?;
        let causes: String = blocked.causes.iter().map(|cause| format!(": {cause}")).collect();
        Some(Problem { place: run.shown(), what: format!("{}{causes}", blocked.error) })
    });
    subjects.plan.problems.iter().cloned().chain(of_runs).chain(failures).collect()
}

/// A file name that two payloads never share.
fn file_name(image: &ImageRef, number: usize) -> String {
    let name = image_file(&image.repository.to_string());
    format!("oci-{name}-{}-{number}.json", image.digest.hex())
}

fn write_payloads(dir: &Path, payloads: &[Payload]) -> Result<(), ReportError> {
    std::fs::create_dir_all(dir).map_err(|source| ReportError::Write { path: dir.to_owned(), source })?;
    payloads.iter().try_for_each(|payload| PendingFile::new(&dir.join(&payload.file))?.write(&payload.bytes))
}

/// The lines for people.
fn human(subjects: &SignPlan, payloads: &[Payload]) -> Vec<String> {
    let mut lines = plan::describe(&subjects.plan);
    if subjects.refusal().is_none() {
        for payload in payloads {
            let keys = &payload.keys;
            let places = payload.stores.iter().flat_map(|store| match *store {
                "oci" => keys.signature.iter().chain(&keys.attestations).cloned().collect(),
                "tekton" => vec![format!("annotation {}", keys.annotations.signature)],
                store => vec![format!("store {store}")],
            });
            let places: Vec<String> = places.map(|at| format!("        at  {at}")).collect();
            if !places.is_empty() {
                lines.push(format!("would sign  {} ({})", keys.full_key, payload.format));
                lines.extend(places);
            }
        }
    }
    lines
}
