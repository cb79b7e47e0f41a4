//! The only module that knows the order of the stages.
//!
//! A subject passes through these stages. The parts of a stage run concurrently:
//!
//! 1. look the subject up; read its existing signatures; unlock the key (once for all subjects)
//! 2. upload the payloads; sign them
//! 3. write the list of signatures
//! 4. read the list back and verify it; if a signature of any signer is missing, merge and go back to 3

pub(crate) mod access;
mod attest;
pub(crate) mod attesting;
mod batch;
pub(crate) mod discover;
mod fair;
pub mod images;
pub mod job;
mod keyed;
mod looks;
mod lost;
mod named_by_run;
pub(crate) mod outputs;
mod planned_run;
pub(crate) mod process;
pub(crate) mod registries;
mod resolve;
mod runs;
pub(crate) mod session;
mod settle;
pub(crate) mod setup;
pub(crate) mod sign;
mod subjects;
mod tags;
pub(crate) mod trust;
pub mod verify_run;
pub(crate) mod verifying;
mod whole;
mod writers;

use std::sync::Arc;
use std::time::Instant;

use crate::explain::{Explanation, explain};
use crate::foreign;
use crate::formats::{Claims, Payload, PayloadError};
use crate::oci::json::fields;
use crate::oci::{ImageRef, Manifest, Target};
use crate::payload::{Attestations, Format};
use crate::plan::PlannedImage;
use crate::registry::RegistryError;
use crate::registry::client::Client;
use crate::report::{OutcomeLabel, SignedOutcome};
use crate::sign::{SignError, Unlocking};
use crate::store::{
    Depth, Descriptor, Filed, Shelf, SignatureList, Signed, Store, StoreError, Subject, Turn,
};
use crate::verify;

/// The source of the payloads for each image.
pub enum PayloadSource {
    /// A payload for each image.
    Each {
        /// The format of the payload.
        format: Box<dyn Format>,
        /// The claims, without the identities of single images.
        claims: Claims,
    },
    /// Attestations with statements about each image.
    Attested(Attestations),
    /// The same signed attestation for all images, about all of them.
    Same(Signed),
}

impl PayloadSource {
    /// The payloads for an image, never empty.
    fn payloads(&self, planned: &PlannedImage) -> Result<Vec<Payload>, PipelineError> {
        match self {
            Self::Each { format, claims } => payloads(&**format, planned, claims),
            Self::Attested(attestations) => payloads(attestations, planned, &Claims::default()),
            Self::Same(signed) => Ok(vec![signed.payload.clone()]),
        }
    }
}

/// The payloads that `format` makes for an image. No payload is an error, because the image would count as signed.
fn payloads(
    format: &dyn Format,
    planned: &PlannedImage,
    claims: &Claims,
) -> Result<Vec<Payload>, PipelineError> {
    let PlannedImage { image, identities, .. } = planned;
    let made = format.payloads(image, &claims.with(identities));
    let made = made.map_err(|source| PipelineError::Payload { image: image.to_string(), source })?;
    if made.is_empty() {
        return Err(PipelineError::NoPayload { image: image.to_string() });
    }
    Ok(made)
}

pub use attest::AttestJob;
pub use batch::Batch;
pub use planned_run::{PlannedRun, RunPlanOptions, plan_run, refused_outcome};
pub use resolve::{ResolveError, resolve};
pub use whole::{EventCallback, ImageStore, RunJob, SignJob, SignJobError};
pub use writers::TagLocks;

use batch::ImageJob;
use keyed::keep;
use looks::LookHistory;
use subjects::{MAX_SUBJECTS, SharedSlot};

/// The configuration for signing images for one store.
pub struct Pipeline {
    /// The client for the images' registries.
    pub client: Client,
    /// The source of the payloads.
    pub what: PayloadSource,
    /// The label of the outcomes.
    pub label: OutcomeLabel,
    /// The signing key, possibly still being unlocked.
    pub key: Unlocking,
    /// The store that gets the signatures.
    pub store: Arc<dyn Store>,
    /// The locks for the locations that this process writes to.
    pub writers: TagLocks,
    /// Whether earlier attestations by the same key with the same predicate types are removed. Only stores that keep lists under
    /// tags support it.
    pub replace: bool,
    /// The deadline of the run.
    pub deadline: Instant,
}

/// Why a subject can't be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The registry can't be asked for the subject.
    #[error("cannot look up {image}")]
    Lookup {
        /// The subject to sign.
        image: String,
        /// The error of the registry request.
        source: Box<RegistryError>,
    },
    /// The registry doesn't have the subject.
    #[error("{image} is not in the registry: nothing was signed for it")]
    Absent {
        /// The subject to sign.
        image: String,
        /// The error of the registry request.
        source: Box<RegistryError>,
    },
    /// The registry has the subject, but it isn't a manifest.
    #[error("{image} is not an image manifest or index")]
    NotAManifest {
        /// The subject to sign.
        image: String,
    },
    /// The format makes no payload for the subject.
    #[error("there is no payload to sign for {image}")]
    NoPayload {
        /// The subject to sign.
        image: String,
    },
    /// The format can't make a payload for the subject.
    #[error("cannot make the payload for {image}")]
    Payload {
        /// The subject to sign.
        image: String,
        /// The reason from the format.
        source: PayloadError,
    },
    /// The key can't sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The store can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An index, including nested indexes, lists more manifests than a run may sign.
    #[error(
        "the run has more than {MAX_SUBJECTS} subjects with the manifests that {image} lists; none of these was signed"
    )]
    TooMany {
        /// The name of the index.
        image: String,
    },
    /// Two indexes of the run list the same manifest with different identities.
    #[error(
        "{image} lists {listed}, which another index of this run lists with different identities; no manifest that {image} lists was signed for it"
    )]
    OtherNames {
        /// The name of the index.
        image: String,
        /// The manifest that both indexes list.
        listed: String,
    },
    /// The signature was written but is missing when it is read back.
    #[error(
        "the signature of {image} was pushed {times} times but is missing at {location} when it is read back"
    )]
    NotThere {
        /// The subject to sign.
        image: String,
        /// The location that should have it.
        location: String,
        /// How many times it was written.
        times: u32,
    },
    /// Attestations that `--replace` removed are there again.
    #[error(
        "{count} of the earlier attestations of {image} that were removed from {location} reappeared {times} times: another signer \
         restores them"
    )]
    PutBack {
        /// The subject to sign.
        image: String,
        /// The location of the attestations.
        location: String,
        /// How many attestations reappeared.
        count: usize,
        /// How many times they were removed.
        times: u32,
    },
    /// No verifier would accept the payload.
    #[error("the payload for {image} would not verify: {why}")]
    Unacceptable {
        /// The subject to sign.
        image: String,
        /// The reason for people.
        why: String,
    },
    /// The signature was written, but the entry in its place doesn't verify.
    #[error(
        "the signature of {image} was pushed to {location} but does not verify when it is read back: {why}; \
         pushed: {}; read back: {}",
        foreign::escape(pushed, 800),
        foreign::escape(found, 800)
    )]
    Spoilt {
        /// The subject to sign.
        image: String,
        /// The location that it was written to.
        location: String,
        /// Why it doesn't verify.
        why: String,
        /// The written descriptor, as JSON.
        pushed: String,
        /// The descriptor that was read back.
        found: String,
    },
}

explain! { PipelineError,
    Self::Lookup { source, .. } => [of source.as_ref()],
    Self::Absent { source, .. } if source.is_page() => [of source.as_ref(), exit Failed],
    Self::Absent { source, .. } => ["image-absent", Failed,
        "push the image before the signing step, and check that the result names the repository and the digest that the push reported",
        used source.used()],
    Self::NotAManifest { .. } => ["image-not-a-manifest", Failed, "check which digest the build wrote into its result"],
    Self::NoPayload { .. } => ["image-no-payload", Failed],
    Self::Payload { source, .. } => [of source, used None],
    Self::Sign(error) => [of error],
    Self::Store(error) => [of error],
    Self::TooMany { .. } => ["index-too-many", Failed, "sign the index without --recursive, or its parts in several runs"],
    Self::OtherNames { .. } => ["index-other-names", Failed,
        "sign the two indexes in separate runs, or name the manifest that both list with all its identities"],
    Self::NotThere { .. } => ["signature-not-there", Failed,
        "other writers replace it, or the registry returns an old copy: run again, or raise --timeout"],
    Self::PutBack { .. } => ["attestation-put-back", Failed,
        "the new attestation is there too; run again when no other signer is signing this image"],
    Self::Unacceptable { .. } => ["payload-unacceptable", Failed, "nothing was pushed; give a predicate without duplicate keys"],
    Self::Spoilt { .. } => ["signature-spoilt", Failed,
        "the registry, a proxy in front of it, or another writer changes what is pushed; nothing was removed. Find out which, then run again"],
}

impl From<PipelineError> for Explanation {
    fn from(error: PipelineError) -> Self {
        Self::of(&error)
    }
}

/// The result for one image in one store.
enum PipelineResult {
    /// The signatures are in the store.
    Done(SignedOutcome),
    /// The signatures are written later, together with everything else of the run.
    Aside(Vec<Filed>),
}

impl Pipeline {
    /// Signs one image, which `manifest` looks up. With `has_run`, signatures that are written with a run are returned for it.
    async fn sign_one(
        &self,
        one: &ImageJob<'_>,
        manifest: impl Future<Output = Result<&Manifest, Explanation>>,
        looks: &LookHistory,
        slot: SharedSlot<'_>,
        has_run: bool,
    ) -> Result<PipelineResult, Explanation> {
        match self.store.turn() {
            Turn::Image(list) => {
                let beside = ListPipeline { pipeline: self, list };
                beside.sign_one(one, manifest, looks, slot).await.map(PipelineResult::Done)
            }
            Turn::Run(_) if has_run => self.file(one, manifest).await.map(PipelineResult::Aside),
            Turn::Run(keyed) | Turn::Subject(keyed) => {
                let filed = self.file(one, manifest).await?;
                Ok(PipelineResult::Done(keep(keyed, &self.key, &filed, None, false).await?))
            }
        }
    }

    /// Checks that `verify` would accept the payloads.
    fn acceptable(judge: &verify::Own<'_>, image: &ImageRef) -> Result<(), PipelineError> {
        let refused = |why| PipelineError::Unacceptable { image: image.to_string(), why };
        judge.acceptable().map_err(refused)
    }

    async fn sign_all(&self, one: &ImageJob<'_>, payloads: &[Payload]) -> Result<Vec<Signed>, PipelineError> {
        let mut all = Vec::with_capacity(payloads.len());
        for payload in payloads {
            all.push(match &self.what {
                PayloadSource::Same(signed) => signed.clone(),
                PayloadSource::Each { .. } | PayloadSource::Attested(_) => {
                    one.signatures.of(&self.key, payload, &one.planned.image).await?
                }
            });
        }
        Ok(all)
    }
}

/// A pipeline for a store that keeps a list beside each image.
struct ListPipeline<'a> {
    pipeline: &'a Pipeline,
    list: &'a dyn SignatureList,
}

impl ListPipeline<'_> {
    /// Signs one image, which `manifest` looks up.
    ///
    /// A subject that only waits to confirm its signature gives up its slot.
    async fn sign_one(
        &self,
        one: &ImageJob<'_>,
        manifest: impl Future<Output = Result<&Manifest, Explanation>>,
        looks: &LookHistory,
        slot: SharedSlot<'_>,
    ) -> Result<SignedOutcome, Explanation> {
        let ImageJob { planned, .. } = one;
        let image = &planned.image;
        let late = self.looks_late(image, looks).await;
        let payloads = self.pipeline.what.payloads(planned)?;
        let judge = verify::Own::new(&self.pipeline.key, image, &payloads);
        Pipeline::acceptable(&judge, image)?;
        let read = async {
            let depth = self.depth(&payloads);
            let shelf = if late { Ok(None) } else { self.list.read(image, depth, &judge).await.map(Some) };
            let empty = matches!(&shelf, Ok(Some(shelf)) if shelf.entries.is_empty());
            looks.looked(empty);
            shelf
        };
        let (manifest, shelf) = tokio::join!(manifest, read);
        let (manifest, shelf) = (manifest?, shelf.map_err(PipelineError::from)?);
        let result = self.add(one, manifest, &payloads, shelf, &judge, slot).await;
        let ours = result.as_ref().is_ok_and(|done| done.present > 0);
        looks.ended(ours);
        Ok(result?)
    }

    /// Whether to search for signatures only right before the write, which saves a request.
    ///
    /// That is worthwhile only if no signature is expected, because the first subject had none. If there is a signature after all, the
    /// payload was uploaded in vain. And it is worthwhile only for a near registry: for others, the search costs no time, because it runs
    /// while the subject waits for something else.
    async fn looks_late(&self, image: &ImageRef, looks: &LookHistory) -> bool {
        looks.wait().await;
        looks.expect_none() && self.pipeline.client.is_near(self.list.repository(image))
    }

    /// How much a search reads. To replace attestations of the same type, it has to read their content.
    fn depth<'a>(&self, payloads: &'a [Payload]) -> Depth<'a> {
        if self.pipeline.replace { Depth::Types(payloads) } else { Depth::Of(payloads) }
    }

    /// Adds the signatures that `shelf` lacks; `None` if the list was not read yet.
    async fn add(
        &self,
        one: &ImageJob<'_>,
        manifest: &Manifest,
        payloads: &[Payload],
        shelf: Option<Shelf>,
        judge: &verify::Own<'_>,
        slot: SharedSlot<'_>,
    ) -> Result<SignedOutcome, PipelineError> {
        let image = &one.planned.image;
        let expected = shelf.clone().unwrap_or_default();
        let mut signed =
            self.make(&expected, one, &judge.missing(|payload| expected.counts(payload))).await?;
        let shelf = match shelf {
            Some(shelf) => shelf,
            None => {
                let shelf = self.list.read(image, self.depth(payloads), judge).await?;
                let missing = judge.missing(|payload| shelf.counts(payload));
                signed.retain(|signed| missing.contains(&signed.payload));
                shelf
            }
        };
        let removed = if self.pipeline.replace { shelf.other_statements() } else { Vec::new() };
        let (mut added, mut replaced) = (0, 0);
        if !signed.is_empty() || !removed.is_empty() {
            let subject = Subject { image: image.clone(), descriptor: descriptor(manifest) };
            (added, replaced) =
                self.write_until_stable(shelf, &subject, signed, removed, judge, slot).await?;
        }
        Ok(SignedOutcome {
            location: self.list.location(image),
            added,
            present: payloads.len() - added,
            replaced,
            key_id: self.pipeline.key.signer().await?.public_key().key_id(),
        })
    }

    /// Uploads and signs `payloads` concurrently.
    async fn make(
        &self,
        shelf: &Shelf,
        one: &ImageJob<'_>,
        payloads: &[Payload],
    ) -> Result<Vec<Signed>, PipelineError> {
        if payloads.is_empty() {
            return Ok(Vec::new());
        }
        let image = &one.planned.image;
        let prepared = async { self.list.prepare(shelf, image, payloads).await.map_err(PipelineError::from) };
        let ((), signed) = tokio::try_join!(prepared, self.pipeline.sign_all(one, payloads))?;
        Ok(signed)
    }
}

/// Signs `payload`, which is about `images`.
///
/// # Errors
///
/// The key can't be unlocked or can't sign.
pub async fn sign(key: &Unlocking, payload: Payload, images: Vec<ImageRef>) -> Result<Signed, SignError> {
    let signature = key.sign_payload(payload.clone(), images).await?;
    Ok(Signed::new(payload, signature, key.signer().await?.public_key()))
}

/// Fetches the manifest of `image`, whose bytes hash to its digest.
///
/// # Errors
///
/// The registry doesn't have the image, it is not a manifest, or the request fails.
pub(crate) async fn look_up(client: &Client, image: &ImageRef) -> Result<Manifest, PipelineError> {
    let target = Target::Digest(image.digest.clone());
    let manifest = client.subject(&image.repository, &target).await.map_err(|source| {
        let (image, source) = (image.to_string(), Box::new(source));
        match source.is_absence() {
            true => PipelineError::Absent { image, source },
            false => PipelineError::Lookup { image, source },
        }
    })?;
    if !is_manifest(&manifest.bytes) {
        return Err(PipelineError::NotAManifest { image: image.to_string() });
    }
    Ok(manifest)
}

fn descriptor(manifest: &Manifest) -> Descriptor {
    Descriptor {
        media_type: manifest.media_type.clone(),
        size: manifest.bytes.len() as u64,
        digest: manifest.digest.as_str().to_owned(),
    }
}

/// Whether the bytes are an image manifest or index of OCI or Docker, schema version 2.
///
/// Only the top level is parsed, because 4 MiB of JSON can take hundreds of megabytes of memory.
fn is_manifest(bytes: &[u8]) -> bool {
    let (mut version, mut lists) = (None, false);
    let read = fields(bytes, |name, value| match &*name {
        "schemaVersion" => version = serde_json::from_str::<u64>(value.get()).ok(),
        "config" | "layers" | "manifests" => lists = true,
        _ => {}
    });
    read.is_ok() && lists && version == Some(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_distinguished_from_other_json() {
        assert!(is_manifest(br#"{"schemaVersion":2,"layers":[]}"#));
        assert!(is_manifest(br#"{"schemaVersion":2,"manifests":[]}"#));
        for bytes in
            [&b"{}"[..], b"[]", b"<html>", br#"{"schemaVersion":1,"layers":[]}"#, br#"{"schemaVersion":2}"#]
        {
            assert!(!is_manifest(bytes));
        }
    }
}
