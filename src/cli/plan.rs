//! `stepseal plan`: what `sign` would do, and why.

use std::path::Path;

use clap::ArgMatches;
use serde::Serialize;
use serde_json::Value;

use super::environment::Environment;
use super::output::Output;
use super::subjects::Subjects;
use crate::config;
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::plan::{self, Note, Problem, Subject};
use crate::registry::ImageRef;
use crate::report::{ReportError, write_bytes};

/// The plan as JSON.
#[derive(Serialize)]
struct Document<'a> {
    subjects: &'a [Subject],
    payloads: Vec<Payload>,
    problems: &'a [Problem],
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
    bytes: Vec<u8>,
}

/// The names under which a signature is found; Chains names its annotations and objects by them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Keys {
    short_key: String,
    full_key: String,
    signature: String,
}

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    let subjects = match Subjects::read(matches, environment, out) {
        Ok(subjects) => subjects,
        Err(error) => {
            out.error(&error);
            return error.exit();
        }
    };
    let payloads = match payloads(&subjects) {
        Ok(payloads) => payloads,
        Err(error) => {
            out.error(&error);
            return error.exit();
        }
    };
    if let Some(dir) = matches.get_one::<String>("payloads")
        && let Err(error) = write_payloads(Path::new(dir), &payloads)
    {
        out.error(&error);
        return error.exit();
    }
    match subjects.config.output {
        config::Output::Human => out.print(&human(&subjects, &payloads)),
        config::Output::Json => {
            let document = Document {
                subjects: &subjects.plan.subjects,
                payloads,
                problems: &subjects.plan.problems,
                notes: &subjects.plan.notes,
            };
            match serde_json::to_string_pretty(&document) {
                Ok(text) => out.print(&(text + "\n")),
                Err(error) => {
                    out.line(&format!("error: cannot write the plan as JSON\n  cause: {error}"));
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
        None => ExitCode::Done,
    }
}

/// The payload of every image that is named well, also where problems keep `sign` from beginning.
fn payloads(subjects: &Subjects) -> Result<Vec<Payload>, crate::payload::PayloadError> {
    let Some(storage) = &subjects.config.images else { return Ok(Vec::new()) };
    let format = subjects.format();
    let claims = subjects.claims();
    let mut all = Vec::new();
    for planned in &subjects.plan.images {
        let image = &planned.image;
        for (number, payload) in format.payloads(image, &claims)?.into_iter().enumerate() {
            let repository = storage.repository.as_ref().unwrap_or(&image.repository);
            all.push(Payload {
                artifact: "oci",
                format: format.name(),
                statement: serde_json::from_slice(&payload.bytes).unwrap_or(Value::Null),
                stores: vec!["oci"],
                keys: keys(
                    image,
                    &match storage.encoding {
                        config::Encoding::Dsse => format!("{repository}:sha256-{}.sig", image.digest.hex()),
                        config::Encoding::SigstoreBundle => format!("{repository}@{}", image.digest),
                    },
                ),
                file: file_name(image, number),
                bytes: payload.bytes.to_vec(),
            });
        }
    }
    Ok(all)
}

fn keys(image: &ImageRef, signature: &str) -> Keys {
    Keys {
        short_key: image.digest.hex().chars().take(12).collect(),
        full_key: image.to_string(),
        signature: signature.to_owned(),
    }
}

/// A file name that two payloads never share: the whole name, with what a file name can't hold replaced.
fn file_name(image: &ImageRef, number: usize) -> String {
    let name = image.repository.to_string().replace(['/', ':'], "_");
    format!("oci-{name}-{}-{number}.json", image.digest.hex())
}

fn write_payloads(dir: &Path, payloads: &[Payload]) -> Result<(), ReportError> {
    std::fs::create_dir_all(dir).map_err(|source| ReportError::Write { path: dir.to_owned(), source })?;
    payloads.iter().try_for_each(|payload| write_bytes(&dir.join(&payload.file), &payload.bytes))
}

fn human(subjects: &Subjects, payloads: &[Payload]) -> String {
    let mut text = plan::describe(&subjects.plan);
    if subjects.refusal().is_none() {
        for payload in payloads {
            text += &format!(
                "would sign  {} ({})\n        at  {}\n",
                payload.keys.full_key, payload.format, payload.keys.signature
            );
        }
    }
    text
}
