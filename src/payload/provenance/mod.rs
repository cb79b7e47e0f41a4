//! Provenance: what is signed for a run as Tekton Chains writes it, and Tekton's own format.
//!
//! A [`Run`] and a [`RunFormat`] in, the exact bytes out. The statements are those of Tekton Chains v0.29.2, value for
//! value, in an order that never changes. What can't be known is left out and named among the [`Gap`]s; where
//! Chains gives up, stops or writes something untrue, `docs/chains-differences.md` says what is done here.
//!
//! Pure: no file, no clock, no network. The same run gives the same bytes.
//!
//! Spec: <https://github.com/tektoncd/chains/blob/v0.26.2/docs/slsa-provenance.md>,
//! <https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/statement.md>,
//! <https://slsa.dev/spec/v1.0/provenance>, <https://slsa.dev/spec/v0.2/provenance>

mod build_config;
mod dependencies;
mod descriptor;
mod digest;
mod go;
mod invocation;
mod materials;
mod numbers;
mod references;
mod slsa_v0_2;
mod slsa_v1;
mod subjects;
pub mod tekton;
mod time;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::formats::cosign_statement::PAYLOAD_TYPE;
use crate::formats::{Envelope, Payload};
use crate::go_json;
use crate::oci::ImageRef;
use crate::run::{BuildType, Gap, ProvenanceError, ProvenanceOptions, Run, RunFormat};

/// The most that a statement may repeat of a Pipeline's tasks: once for each TaskRun that ran them.
const MAX_REPEATED_BYTES: usize = 64 * 1024 * 1024;

/// The most that a statement may hold of TaskRuns in full: 240 of 50 KiB. In base64 it is 16 MiB, and it is in memory as a value and
/// as text.
const MAX_CONTENT_BYTES: usize = 12 * 1024 * 1024;

/// What is signed for a run.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// The bytes of the payload to sign.
    pub payload: Payload,
    /// What is missing in them because it isn't known.
    pub gaps: Vec<Gap>,
}

/// Something the run built, as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementSubject {
    /// Its name: an image's repository, or a URI.
    pub name: String,
    /// Its digests: hex digits by algorithm.
    pub digest: BTreeMap<String, String>,
}

/// The bytes to sign for `run`.
///
/// # Errors
///
/// When a part of the run is not what Tekton writes, or there is nothing to sign yet.
pub fn payload(
    run: &Run,
    format: RunFormat,
    options: &ProvenanceOptions,
) -> Result<Provenance, ProvenanceError> {
    if format == RunFormat::Tekton {
        return Ok(Provenance { payload: tekton::payload(run)?, gaps: run.not_in_status() });
    }
    let mut gaps = run.gaps();
    let statement = statement(run, format, options, &mut gaps)?;
    let bytes = go_json::to_vec(&statement)
        .map_err(|source| ProvenanceError::Json { name: run.name().to_owned(), source })?;
    let payload = Payload { bytes: bytes.into(), media_type: PAYLOAD_TYPE, envelope: Envelope::Dsse };
    Ok(Provenance { payload, gaps })
}

fn statement(
    run: &Run,
    format: RunFormat,
    options: &ProvenanceOptions,
    gaps: &mut Vec<Gap>,
) -> Result<Value, ProvenanceError> {
    let (statement_type, mut predicate) = match format {
        RunFormat::SlsaV1 => ("https://in-toto.io/Statement/v0.1", slsa_v0_2::predicate(run, options, gaps)?),
        _ => ("https://in-toto.io/Statement/v1", slsa_v1::predicate(run, format, options, gaps)?),
    };
    // Chains carries the predicate in a map whose keys come out sorted, and whose numbers are floats.
    predicate.sort_all_objects();
    numbers::round(&mut predicate, run.run(), gaps);
    let mut statement = json!({ "_type": statement_type });
    if let Some(fields) = statement.as_object_mut() {
        let subjects: Vec<Value> =
            subjects(run, format, options).iter().map(StatementSubject::json).collect();
        if !subjects.is_empty() {
            fields.insert("subject".to_owned(), Value::Array(subjects));
        }
        fields.insert("predicateType".to_owned(), format.predicate_type().into());
        fields.insert("predicate".to_owned(), predicate);
    }
    Ok(statement)
}

/// An object of these fields. `json!` would copy each of them, which may be as large as the run.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

impl StatementSubject {
    fn json(&self) -> Value {
        let digest: serde_json::Map<String, Value> =
            self.digest.iter().map(|(algorithm, hex)| (algorithm.clone(), hex.as_str().into())).collect();
        json!({ "name": self.name, "digest": digest })
    }
}

/// What the run built, as the statement of this format names it; nothing for `tekton`.
pub fn subjects(run: &Run, format: RunFormat, options: &ProvenanceOptions) -> Vec<StatementSubject> {
    subjects::of_run(run, format, options.deep_inspection)
}

/// The subjects that are images: those that an attestation is attached to, each once.
///
/// Chains stops at the first subject that is not an image; here the others follow.
pub fn image_subjects(run: &Run, format: RunFormat, options: &ProvenanceOptions) -> Vec<ImageRef> {
    let (mut images, mut seen) = (Vec::new(), HashSet::new());
    for subject in subjects(run, format, options) {
        let digest = subject.digest.get("sha256").and_then(|hex| format!("sha256:{hex}").parse().ok());
        if let (Ok(repository), Some(digest)) = (subject.name.parse(), digest) {
            let image = ImageRef { repository, digest };
            if seen.insert(image.clone()) {
                images.push(image);
            }
        }
    }
    images
}
