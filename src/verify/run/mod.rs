//! A run against the annotations that it carries: who signed them, and whether they still say what the run says.
//!
//! The payload is made anew from the run and compared: whatever was changed in the object after it was signed,
//! a spec, a parameter, a result, shows as a difference with its path, and so does another order of a list. The annotations of
//! Chains themselves don't count, as they are written after the payload is made. A run that was signed while it was running is
//! compared as it was then. What of a run no signature covers, [`coverage`] says.
//!
//! Spec: <https://github.com/tektoncd/chains/blob/v0.26.2/docs/signing.md>

mod carried;
mod clock;
pub mod coverage;
mod diff;
mod doubled;
mod order;
mod place;
mod refusal;
mod sidecars;
mod so_far;

use std::time::Instant;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::claim::ClaimError;
use super::require::Require;
use super::statement::StatementError;
use super::trust::{By, Distrust, Trust};
use crate::formats::cosign_statement::PAYLOAD_TYPE;
use crate::found::LayerAnnotations;
use crate::json::MemoryLimit;
use crate::oci::ImageRef;
use crate::run::{ProvenanceError, ProvenanceOptions, Run, RunError, RunFormat};

use carried::Judge;
use clock::Clock;
use coverage::Coverage;
pub use diff::Difference;
pub use order::SETS;
pub use refusal::RunRefusal;

/// More payloads of images than these aren't judged: no run builds so many, and each costs a check of its signature.
pub const MAX_PAYLOADS: usize = 10_000;
/// What a payload may take in memory: the API server bounds a run at 1.5 MiB.
const PAYLOAD: MemoryLimit = MemoryLimit::memory(48 * 1024 * 1024);
/// The longest signature without an envelope: that of RSA 8192.
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
    /// What it doesn't know, if it was made while the run was running.
    pub so_far: Option<SoFar>,
    /// What of the run its signature covers.
    pub coverage: Coverage,
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
    /// How many payloads of images were not looked at, being more than [`MAX_PAYLOADS`].
    pub left_out: usize,
}

/// How what is signed for a run is made. It is the payload stage's; the caller knows both.
#[derive(Clone, Copy, Debug)]
pub struct Makers {
    /// The bytes in a format.
    pub payload: fn(&Run, RunFormat, &ProvenanceOptions) -> Result<Bytes, ProvenanceError>,
    /// The images that the run built, as a format names them.
    pub images: fn(&Run, RunFormat, &ProvenanceOptions) -> Vec<ImageRef>,
}

/// Verifies every payload that `run` carries; its own must be among them. What isn't judged at the `deadline`, if there is one, is
/// refused with [`RunRefusal::Time`].
pub fn verify(
    run: &Run,
    makers: Makers,
    trust: &Trust,
    requires: &[Require],
    deadline: Option<Instant>,
) -> RunVerdict {
    let clock = &Clock::until(deadline);
    let mut verdict = RunVerdict::default();
    let own = match run.short_key() {
        Ok(own) => own,
        Err(error) => {
            verdict.refused.push((run.name().to_owned(), error.into()));
            return verdict;
        }
    };
    if let Err(refusal) = readable_in_one_way(run) {
        verdict.refused.push((own, refusal));
        return verdict;
    }
    let annotations = run.run().annotations();
    let (things, left_out) = carried::things(&annotations, &own);
    verdict.left_out = left_out;
    let judge = Judge::new(run, annotations, makers, trust, requires, clock);
    for thing in things {
        match judge.thing(&thing, thing.name == own) {
            Ok(good) => verdict.good.push(good),
            Err(refusal) => {
                let over = matches!(refusal, RunRefusal::Time);
                verdict.refused.push((thing.name.to_owned(), refusal));
                if over {
                    return verdict;
                }
            }
        }
    }
    verdict
}

/// Whether readers can't take a run in different ways, whatever is signed of it.
fn readable_in_one_way(run: &Run) -> Result<(), RunRefusal> {
    run.check_end()?;
    doubled::check(run)
}

/// What a signature is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// In an envelope, beside what it signs.
    Envelope,
    /// As its own bytes.
    Bare,
}

impl Written {
    /// Returns whether a payload is signed this way: statements in envelopes, everything else bare. Both of them say what they
    /// are in their own way; one that is signed in the other's way was made for something else.
    fn fits(self, is_statement: bool) -> Result<(), RunRefusal> {
        match (self, is_statement) {
            (Self::Envelope, true) | (Self::Bare, false) => Ok(()),
            (Self::Envelope, false) => {
                Err(RunRefusal::OtherSignature { payload: "not a statement", signature: "an envelope" })
            }
            (Self::Bare, true) => {
                Err(RunRefusal::OtherSignature { payload: "a statement", signature: "not an envelope" })
            }
        }
    }
}

/// Who signed `payload`, by the signature that stands beside it: of an in-toto format it is an envelope, of the others the
/// signature itself.
///
/// # Errors
///
/// If the signer isn't accepted, or the signature is of another payload.
pub fn signed_by(
    trust: &Trust,
    payload: &[u8],
    signature: &[u8],
    attached: &LayerAnnotations,
) -> Result<By, RunRefusal> {
    let (by, written) = signed(trust, payload, signature, attached)?;
    written.fits(is_statement(payload))?;
    Ok(by)
}

fn signed(
    trust: &Trust,
    payload: &[u8],
    signature: &[u8],
    attached: &LayerAnnotations,
) -> Result<(By, Written), RunRefusal> {
    let bare = || trust.simple(payload, signature, attached).map(|by| (by, Written::Bare));
    if signature.first() != Some(&b'{') {
        return Ok(bare()?);
    }
    let refusal = match enveloped(trust, payload, signature, attached) {
        Err(refusal) if signature.len() <= MAX_BARE_BYTES => refusal,
        decided => return decided.map(|by| (by, Written::Envelope)),
    };
    // One Ed25519 or RSA signature of 256 begins with that byte.
    match bare() {
        Ok(by) => Ok(by),
        Err(said @ (Distrust::NoLog | Distrust::NoTimestamp)) => Err(said.into()),
        Err(_) => Err(refusal),
    }
}

/// Whether `payload` says that it is a statement.
fn is_statement(payload: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "_type")]
        kind: Option<IgnoredAny>,
    }
    serde_json::from_slice::<Typed>(payload).is_ok_and(|typed| typed.kind.is_some())
}

/// Who signed the envelope `signature`, which must hold `payload`.
///
/// # Errors
///
/// As of [`signed_by`].
pub(crate) fn enveloped(
    trust: &Trust,
    payload: &[u8],
    signature: &[u8],
    attached: &LayerAnnotations,
) -> Result<By, RunRefusal> {
    let (by, envelope) = trust.envelope(signature, attached)?;
    if envelope.payload != payload || envelope.payload_type != PAYLOAD_TYPE {
        return Err(RunRefusal::OtherPayload);
    }
    Ok(by)
}

/// Whether `signature` is one of `payload` that counts, where both are kept by themselves. What a certificate says beside them decides
/// nothing where a key is trusted.
pub fn counts(trust: &Trust, payload: &[u8], signature: &[u8]) -> bool {
    signed_by(trust, payload, signature, &LayerAnnotations::default()).is_ok()
}
