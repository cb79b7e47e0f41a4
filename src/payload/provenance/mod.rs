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
use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign::shown;
use crate::formats::cosign_statement::PAYLOAD_TYPE;
use crate::formats::{Envelope, Payload};
use crate::go_json;
use crate::oci::ImageRef;
use crate::run::go_types::GoTypeError;
use crate::run::{Gap, Run, RunKind, StatusError};

/// The builder that Chains names where it isn't told another.
pub const DEFAULT_BUILDER_ID: &str = "https://tekton.dev/chains/v2";

/// Fields of a status that v1beta1 has, and v1 does not.
const V1BETA1: [&str; 4] = ["taskRuns", "runs", "taskResults", "pipelineResults"];

/// The most that a statement may repeat of a Pipeline's tasks: once for each TaskRun that ran them.
const MAX_REPEATED_BYTES: usize = 64 * 1024 * 1024;

/// The most that a statement may hold of TaskRuns in full: 240 of 50 KiB. In base64 it is 16 MiB, and it is in memory as a value and
/// as text.
const MAX_CONTENT_BYTES: usize = 12 * 1024 * 1024;

/// A format of what is signed for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunFormat {
    /// `slsa/v1`, called `in-toto` too: an in-toto statement with SLSA provenance v0.2.
    SlsaV1,
    /// `slsa/v2alpha3`: an in-toto statement with SLSA provenance v1.
    SlsaV2Alpha3,
    /// `slsa/v2alpha4`: the same, with the results of steps.
    SlsaV2Alpha4,
    /// `tekton`: the run's status as it is.
    Tekton,
}

impl RunFormat {
    /// Every name that Chains has for them.
    pub const NAMES: [&'static str; 5] = ["in-toto", "slsa/v1", "slsa/v2alpha3", "slsa/v2alpha4", "tekton"];

    /// Its name; of two, the one that says what it is.
    pub fn name(self) -> &'static str {
        match self {
            Self::SlsaV1 => "slsa/v1",
            Self::SlsaV2Alpha3 => "slsa/v2alpha3",
            Self::SlsaV2Alpha4 => "slsa/v2alpha4",
            Self::Tekton => "tekton",
        }
    }

    /// The type of its predicate; `None` for the format without one.
    pub fn predicate_type(self) -> Option<&'static str> {
        match self {
            Self::SlsaV1 => Some("https://slsa.dev/provenance/v0.2"),
            Self::SlsaV2Alpha3 | Self::SlsaV2Alpha4 => Some("https://slsa.dev/provenance/v1"),
            Self::Tekton => None,
        }
    }

    /// Whether the results of single steps count in it.
    pub fn reads_step_results(self) -> bool {
        self == Self::SlsaV2Alpha4
    }
}

impl fmt::Display for RunFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no format of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is none of {}", RunFormat::NAMES.join(", "))]
pub struct UnknownFormat;

impl FromStr for RunFormat {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "in-toto" | "slsa/v1" => Ok(Self::SlsaV1),
            "slsa/v2alpha3" => Ok(Self::SlsaV2Alpha3),
            "slsa/v2alpha4" => Ok(Self::SlsaV2Alpha4),
            "tekton" => Ok(Self::Tekton),
            _ => Err(UnknownFormat),
        }
    }
}

/// The `buildType` of provenance v1: how much of Tekton's own it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BuildType {
    /// What verifiers of SLSA read.
    #[default]
    Slsa,
    /// All labels and annotations, and each TaskRun of a PipelineRun in full, too.
    SlsaTekton,
}

impl BuildType {
    /// The URIs that stand in the configuration and in the provenance.
    pub const URIS: [&'static str; 2] =
        ["https://tekton.dev/chains/v2/slsa", "https://tekton.dev/chains/v2/slsa-tekton"];

    /// Its URI.
    pub fn uri(self) -> &'static str {
        let [slsa, tekton] = Self::URIS;
        match self {
            Self::Slsa => slsa,
            Self::SlsaTekton => tekton,
        }
    }
}

/// The text names no build type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is none of {}", BuildType::URIS.join(", "))]
pub struct UnknownBuildType;

impl FromStr for BuildType {
    type Err = UnknownBuildType;

    fn from_str(text: &str) -> Result<Self, UnknownBuildType> {
        [Self::Slsa, Self::SlsaTekton].into_iter().find(|known| known.uri() == text).ok_or(UnknownBuildType)
    }
}

/// What the user decides about provenance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenanceOptions {
    /// Who built it: `builder.id`.
    pub builder_id: String,
    /// `builddefinition.buildtype`.
    pub build_type: BuildType,
    /// Whether the results of a PipelineRun's TaskRuns count as its own.
    pub deep_inspection: bool,
}

impl Default for ProvenanceOptions {
    fn default() -> Self {
        Self {
            builder_id: DEFAULT_BUILDER_ID.to_owned(),
            build_type: BuildType::default(),
            deep_inspection: false,
        }
    }
}

/// What is signed for a run.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// The bytes.
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

/// Why a run has no provenance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvenanceError {
    /// A part of the run is not what Tekton writes.
    #[error("cannot write the {what} of {}", shown(.name, 100))]
    Part {
        /// The part.
        what: &'static str,
        /// The run's name.
        name: String,
        /// What is wrong with it.
        source: GoTypeError,
    },
    /// A time that is none.
    #[error("the {what} of {} is no time: \"{}\"", shown(.name, 100), shown(.text, 60))]
    Time {
        /// Which one.
        what: &'static str,
        /// The run's name.
        name: String,
        /// What stands there.
        text: String,
    },
    /// Nothing has happened yet that could be signed.
    #[error("{kind} {} has no status", shown(.name, 100))]
    NoStatus {
        /// What it is.
        kind: RunKind,
        /// Its name.
        name: String,
    },
    /// Its status isn't what Tekton writes: signed as it is, it could be taken for another document.
    #[error("the status of {} is not one of a {kind}", shown(.name, 100))]
    NotAStatus {
        /// What the run is.
        kind: RunKind,
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: StatusError,
    },
    /// More than is signed.
    #[error("the provenance of {} would be larger than {} MiB", shown(.name, 100), most / 1024 / 1024)]
    TooBig {
        /// The run's name.
        name: String,
        /// How much of one part is written, in bytes.
        most: usize,
    },
    /// The statement can't be written.
    #[error("cannot write the provenance of {} as JSON", shown(.name, 100))]
    Json {
        /// The run's name.
        name: String,
        /// Why.
        source: serde_json::Error,
    },
}

impl Explain for ProvenanceError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAStatus { source: StatusError::Field(field), .. } if V1BETA1.contains(&field.raw()) => {
                "that is a field of tekton.dev/v1beta1, and the object says tekton.dev/v1: give it as the cluster has it (kubectl get -o yaml)"
                    .into()
            }
            Self::NotAStatus { source: StatusError::Field(_), .. } => {
                "if a newer Tekton wrote that field, which this version does not know in a status, use a newer Stepseal, or another format \
                 than tekton"
                    .into()
            }
            Self::Part { .. } | Self::Time { .. } | Self::NotAStatus { .. } => {
                "give the object as the cluster has it (kubectl get -o yaml); Tekton refuses such a value"
                    .into()
            }
            Self::NoStatus { .. } => "sign the run once it has begun".into(),
            Self::TooBig { .. } => "sign the TaskRuns of this PipelineRun, each on its own".into(),
            Self::Json { .. } => "this is a fault of Stepseal's: report it with the run".into(),
        })
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Usage
    }
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

/// What provenance says of the image with this `imageID`: URI, algorithm and hex digits; `None`: it has no digest.
pub(crate) fn image_of(id: &str) -> Option<(String, String, String)> {
    let image = materials::image(id)?;
    let (algorithm, hex) = image.digest.into_iter().next()?;
    Some((image.uri, algorithm, hex))
}

/// What the run built, as the statement of this format names it; nothing for `tekton`.
pub fn subjects(run: &Run, format: RunFormat, options: &ProvenanceOptions) -> Vec<StatementSubject> {
    subjects::of_run(run, format, options.deep_inspection)
}

/// The subjects that are images: those that an attestation is attached to, each once.
///
/// Chains stops at the first subject that is no image; here the others follow.
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
