//! A run against the annotations that it carries: who signed them, and whether they still say what the run says.
//!
//! The payload is made anew from the run and compared: whatever somebody changed in the object after it was signed,
//! a spec, a parameter, a result, shows as a difference with its path. The annotations of Chains themselves don't
//! count, as they are written after the payload is made. A run that was signed while it went on is compared as it was
//! then.
//!
//! Spec: <https://github.com/tektoncd/chains/blob/v0.26.2/docs/signing.md>

mod diff;
mod so_far;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::claim::{Claim, ClaimError};
use super::require::Require;
use super::statement::{Statement, StatementError};
use super::trust::{By, Distrust, Trust};
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign;
use crate::json::{self, Limit};
use crate::payload::cosign_statement::{PAYLOAD_TYPE, PREDICATE_TYPE};
use crate::payload::provenance::{self, ProvenanceError, ProvenanceOptions, RunFormat};
use crate::payload::{CosignStatement, Format as _};
use crate::registry::Digest;
use crate::store::Attached;
use crate::tekton::run::{Run, RunError};

pub use diff::Difference;

/// How the keys of Chains' annotations begin.
const PREFIX: &str = "chains.tekton.dev/";
/// More signed payloads than this are no run's.
const MAX_PAYLOADS: usize = 10_000;
/// What a payload may take in memory: the API server bounds a run at 1.5 MiB.
const PAYLOAD: Limit = Limit::memory(48 * 1024 * 1024);
/// The longest signature that stands without an envelope: RSA 8192's.
const MAX_BARE_BYTES: usize = 1024;

/// A payload that a run carries, and who signed it.
#[derive(Clone, Debug)]
pub struct SignedPayload {
    /// The short key in the annotations' names.
    pub key: String,
    /// Who made it.
    pub by: By,
    /// The payload.
    pub payload: Value,
    /// The format that it was made in, for people.
    pub format: &'static str,
    /// What it doesn't know, if it was made while the run went on.
    pub so_far: Option<SoFar>,
}

/// What a payload doesn't know that was made before the run ended: its end, and a PipelineRun's own results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    /// A PipelineRun's TaskRuns that have ended since, by name.
    pub later: Vec<String>,
}

/// What a run's annotations turned out to be.
#[derive(Debug, Default)]
pub struct RunVerdict {
    /// Payloads that count.
    pub good: Vec<SignedPayload>,
    /// What doesn't, each with its short key.
    pub refused: Vec<(String, RunRefusal)>,
}

/// Why something that a run carries doesn't count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunRefusal {
    /// The run doesn't carry what it has to.
    #[error("the run has no annotation {0}")]
    Missing(String),
    /// An annotation isn't base64.
    #[error("the annotation {0} is not base64")]
    Base64(String),
    /// It was made for another run.
    #[error("the payload is of another run")]
    OtherRun,
    /// Nobody that counts made it.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// The signature is over another payload than the one beside it.
    #[error("the envelope holds another payload than the annotation beside it")]
    OtherPayload,
    /// The payload is no statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The payload of an image is no simple signing.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The image isn't one that the run built.
    #[error("the payload is of an image that the run's results don't name")]
    OtherImage,
    /// An image's statement is an attestation.
    #[error("the payload of an image states {0:?}, and is no signature of it")]
    NoSignature(String),
    /// The payload isn't JSON.
    #[error("the payload is not JSON that says each thing once")]
    Json(#[source] serde_json::Error),
    /// The payload can't be made anew.
    #[error(transparent)]
    Provenance(#[from] ProvenanceError),
    /// The run without its annotations can't be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run says something else now.
    #[error("the run no longer says what was signed: {} {}", .differences.len(), if .differences.len() == 1 { "difference" } else { "differences" })]
    Changed {
        /// What.
        differences: Vec<Difference>,
        /// Whether it was signed before it ended, as far as the payload shows.
        so_far: bool,
    },
    /// It doesn't say what it has to.
    #[error("{0}")]
    Require(String),
}

impl Explain for RunRefusal {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing(_) => {
                "have it signed (artifacts.taskrun.storage or artifacts.pipelinerun.storage: tekton), and give the \
                 object with its annotations"
                    .to_owned()
            }
            Self::Distrust(Distrust::NoLog) => {
                "if its signer uses no transparency log, pass --insecure-ignore-tlog".to_owned()
            }
            Self::Changed { so_far: false, .. } => {
                "don't trust the run: somebody changed it after it was signed".to_owned()
            }
            Self::Changed { so_far: true, .. } => {
                "the run was signed before it ended: either this came later, from it or from somebody else, or the run was \
                 changed; sign it when it is over, to have all of it signed"
                    .to_owned()
            }
            Self::Provenance(error) => return error.hint(),
            Self::Run(error) => return error.hint(),
            _ => "don't trust the run, or name the key that signed it".to_owned(),
        })
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Failed
    }
}

impl RunRefusal {
    /// The reasons below its own words, a line each.
    pub fn causes(&self) -> Vec<String> {
        let Self::Changed { differences, .. } = self else {
            let mut causes = Vec::new();
            let mut next = std::error::Error::source(self);
            while let Some(cause) = next {
                causes.push(cause.to_string());
                next = cause.source();
            }
            return causes;
        };
        let nothing = || "nothing".to_owned();
        let told = differences.iter().take(diff::TOLD).map(|one| {
            let signed = one.signed.clone().unwrap_or_else(nothing);
            format!(
                "{}: {signed} was signed, and it is {}",
                one.path,
                one.now.clone().unwrap_or_else(nothing)
            )
        });
        let more = differences.len().saturating_sub(diff::TOLD);
        told.chain((more > 0).then(|| format!("and {more} more"))).collect()
    }
}

/// Verifies every payload that `run` carries; its own must be among them.
pub fn verify(run: &Run, trust: &Trust, requires: &[Require]) -> RunVerdict {
    let mut verdict = RunVerdict::default();
    let own = match run.short_key() {
        Ok(own) => own,
        Err(error) => {
            verdict.refused.push((run.name().to_owned(), error.into()));
            return verdict;
        }
    };
    let annotations = run.run().annotations();
    for (name, keys) in things(&annotations, &own) {
        let mut first = None;
        let mut good = None;
        for key in keys {
            let carried = Carried { run, annotations: &annotations, key, name };
            match carried.verify(trust, requires, name == own) {
                Ok(payload) => {
                    good = Some(payload);
                    break;
                }
                // Why the newest is refused is what is told.
                Err(refusal) => first = first.or(Some(refusal)),
            }
        }
        match (good, first) {
            (Some(good), _) => verdict.good.push(good),
            (None, Some(refusal)) => verdict.refused.push((name.to_owned(), refusal)),
            (None, None) => {}
        }
    }
    verdict
}

/// Who signed `payload`, by the signature that stands beside it: of an in-toto format it is an envelope, of the others the
/// signature itself.
///
/// # Errors
///
/// When it is nobody that counts, or is of another payload.
pub fn signed_by(
    trust: &Trust,
    payload: &[u8],
    signature: &[u8],
    attached: &Attached,
) -> Result<By, RunRefusal> {
    if signature.first() != Some(&b'{') {
        return Ok(trust.simple(payload, signature, attached)?);
    }
    let refusal = match enveloped(trust, payload, signature, attached) {
        Err(refusal) if signature.len() <= MAX_BARE_BYTES => refusal,
        decided => return decided,
    };
    // One Ed25519 or RSA signature of 256 begins with that byte.
    match trust.simple(payload, signature, attached) {
        Ok(by) => Ok(by),
        Err(said @ (Distrust::NoLog | Distrust::NoTimestamp)) => Err(said.into()),
        Err(_) => Err(refusal),
    }
}

/// Who signed the envelope `signature`, which must hold `payload`.
///
/// # Errors
///
/// As of [`signed_by`].
pub fn enveloped(
    trust: &Trust,
    payload: &[u8],
    signature: &[u8],
    attached: &Attached,
) -> Result<By, RunRefusal> {
    let (by, envelope) = trust.envelope(signature, attached)?;
    if envelope.payload != payload || envelope.payload_type != PAYLOAD_TYPE {
        return Err(RunRefusal::OtherPayload);
    }
    Ok(by)
}

/// Whether annotations hold `payload` and a signature of it that counts; both stand there in base64. What a certificate says
/// beside them decides nothing where a key is trusted.
pub fn counts(trust: &Trust, payload: &[u8], stored: &str, signature: &str) -> bool {
    let (Ok(stored), Ok(signature)) = (STANDARD.decode(stored), STANDARD.decode(signature)) else {
        return false;
    };
    stored == payload && signed_by(trust, payload, &signature, &Attached::default()).is_ok()
}

/// What is signed, the run first, each with the keys of its signatures, the newest first: another, older one or by another signer, stands under
/// `KEY-2` to `KEY-9`.
fn things<'a>(annotations: &[(&'a str, &'a str)], own: &'a str) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut things = vec![(own, vec![own])];
    let keys = annotations.iter().filter_map(|(name, _)| name.strip_prefix("chains.tekton.dev/payload-"));
    let mut keys: Vec<&str> = keys.filter(|key| *key != own).take(MAX_PAYLOADS).collect();
    // `KEY` stands before `KEY-2`.
    keys.sort_unstable();
    for key in keys {
        let name = match key.rsplit_once('-') {
            Some((name, "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9")) => name,
            _ => key,
        };
        match things.iter_mut().find(|(there, _)| *there == name) {
            Some((_, keys)) => keys.push(key),
            None => things.push((name, vec![key])),
        }
    }
    things
}

/// One payload with its signature.
struct Carried<'a> {
    run: &'a Run,
    annotations: &'a [(&'a str, &'a str)],
    /// The key of this signature.
    key: &'a str,
    /// The key of what is signed.
    name: &'a str,
}

impl Carried<'_> {
    fn verify(&self, trust: &Trust, requires: &[Require], own: bool) -> Result<SignedPayload, RunRefusal> {
        if !own && (self.name.starts_with("taskrun-") || self.name.starts_with("pipelinerun-")) {
            return Err(RunRefusal::OtherRun);
        }
        let payload = self.bytes("payload")?;
        let signature = self.bytes("signature")?;
        let attached = Attached {
            certificate: self.text("cert").map(str::to_owned),
            chain: self.text("chain").map(str::to_owned),
            ..Attached::default()
        };
        let by = signed_by(trust, &payload, &signature, &attached)?;
        let document = json::value(&payload, PAYLOAD).map_err(RunRefusal::Json)?;
        let (format, so_far) =
            if own { self.own(&payload, &document)? } else { (self.image(&payload, &document)?, None) };
        if own {
            for require in requires {
                require.check(&document).map_err(RunRefusal::Require)?;
            }
        }
        Ok(SignedPayload { key: self.key.to_owned(), by, payload: document, format, so_far })
    }

    /// The format of the run's own payload, if the run still says what it says; and what it doesn't know.
    fn own(&self, payload: &[u8], document: &Value) -> Result<(&'static str, Option<SoFar>), RunRefusal> {
        let formats: &[RunFormat] = if document.get("_type").is_some() {
            match Statement::read_any(payload)?.predicate_type.as_str() {
                "https://slsa.dev/provenance/v0.2" => &[RunFormat::SlsaV1],
                _ => &[RunFormat::SlsaV2Alpha3, RunFormat::SlsaV2Alpha4],
            }
        } else {
            &[RunFormat::Tekton]
        };
        let run = without_chains(self.run)?;
        let (least, format) = nearest(document, &run, formats)?;
        if least.is_empty() {
            return Ok((format.name(), None));
        }
        let so_far = so_far::is_so_far(document, &run);
        let mut best = least;
        // The format tekton is the whole status: of that no earlier one can be made.
        for moment in so_far::moments(&run).filter(|_| so_far && formats != [RunFormat::Tekton]) {
            let moment = moment?;
            let (least, format) = nearest(document, &moment.run, formats)?;
            if least.is_empty() {
                return Ok((format.name(), Some(SoFar { later: moment.later })));
            }
            if least.len() < best.len() {
                best = least;
            }
        }
        Err(RunRefusal::Changed { differences: best, so_far })
    }

    /// The format of an image's payload, if the run names the image.
    fn image(&self, payload: &[u8], document: &Value) -> Result<&'static str, RunRefusal> {
        let options = ProvenanceOptions { deep_inspection: true, ..ProvenanceOptions::default() };
        let images = provenance::image_subjects(self.run, RunFormat::SlsaV1, &options);
        let is_key = |digest: &Digest| self.name.len() >= 12 && digest.hex().starts_with(self.name);
        let mut named = images.iter().map(|image| &image.digest).filter(|digest| is_key(digest));
        let (found, format) = if document.get("_type").is_some() {
            let statement = Statement::read(payload)?;
            if statement.predicate_type != PREDICATE_TYPE {
                return Err(RunRefusal::NoSignature(foreign::shown(&statement.predicate_type, 200)));
            }
            (named.any(|digest| statement.subject(digest).is_some()), CosignStatement.name())
        } else {
            let claim = Claim::read(payload)?;
            (named.any(|digest| *digest == claim.digest), "simplesigning")
        };
        if found { Ok(format) } else { Err(RunRefusal::OtherImage) }
    }

    fn bytes(&self, part: &str) -> Result<Vec<u8>, RunRefusal> {
        let name = format!("{PREFIX}{part}-{}", foreign::shown(self.key, 100));
        let Some(text) = self.text(part) else { return Err(RunRefusal::Missing(name)) };
        STANDARD.decode(text).map_err(|_| RunRefusal::Base64(name))
    }

    /// The text of an annotation; `None`: it is empty, or isn't there.
    fn text(&self, part: &str) -> Option<&str> {
        let name = format!("{PREFIX}{part}-{}", self.key);
        let found = self.annotations.iter().find(|(have, _)| *have == name);
        found.map(|(_, text)| *text).filter(|text| !text.is_empty())
    }
}

/// The differences between `document` and what `run` gives in that of `formats` in which they are fewest.
fn nearest(
    document: &Value,
    run: &Run,
    formats: &[RunFormat],
) -> Result<(Vec<Difference>, RunFormat), RunRefusal> {
    let mut best: Option<(Vec<Difference>, RunFormat)> = None;
    for (format, deep_inspection) in formats.iter().flat_map(|format| [(*format, false), (*format, true)]) {
        let options = ProvenanceOptions { deep_inspection, ..options(document) };
        let made = provenance::payload(run, format, &options)?;
        let made = serde_json::from_slice(&made.payload.bytes).map_err(RunRefusal::Json)?;
        let found = diff::differences(document, &made);
        if found.is_empty() {
            return Ok((found, format));
        }
        if best.as_ref().is_none_or(|(least, _)| found.len() < least.len()) {
            best = Some((found, format));
        }
    }
    best.ok_or(RunRefusal::OtherRun)
}

/// What the payload says of how it was made.
fn options(document: &Value) -> ProvenanceOptions {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let builder = text("/predicate/builder/id").or_else(|| text("/predicate/runDetails/builder/id"));
    let build_type = text("/predicate/buildDefinition/buildType").and_then(|text| text.parse().ok());
    ProvenanceOptions {
        builder_id: builder.unwrap_or_default().to_owned(),
        build_type: build_type.unwrap_or_default(),
        deep_inspection: false,
    }
}

/// The run as it was before it was signed.
fn without_chains(run: &Run) -> Result<Run, RunError> {
    let clean = |object: &Value| {
        let mut object = object.clone();
        let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
        if let Some(annotations) = annotations {
            let kept: Map<String, Value> = std::mem::take(annotations)
                .into_iter()
                .filter(|(name, _)| !name.starts_with(PREFIX))
                .collect();
            *annotations = kept;
        }
        let empty =
            object.pointer("/metadata/annotations").and_then(Value::as_object).is_some_and(Map::is_empty);
        if let (true, Some(metadata)) = (empty, object.get_mut("metadata").and_then(Value::as_object_mut)) {
            metadata.remove("annotations");
        }
        object
    };
    Run::from_objects(clean(run.object()), run.children().iter().map(|child| clean(child.value())).collect())
}
