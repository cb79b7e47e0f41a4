//! The one place that knows the order of the stages.
//!
//! A subject goes through it like this; what stands on one line goes on at the same time:
//!
//! 1. look the subject up; read the signatures that are there; (for all subjects) unlock the key
//! 2. upload the payloads; sign them
//! 3. write the list of signatures
//! 4. read it back and verify it; if anything is missing, ours or anyone's, merge and go back to 3

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
use crate::report::{Done, Label};
use crate::sign::{SignError, Unlocking};
use crate::store::{
    Depth, Descriptor, Filed, Shelf, SignatureList, Signed, Store, StoreError, Subject, Turn,
};
use crate::verify;

/// What is put beside each image.
pub enum What {
    /// A payload of its own.
    Each {
        /// Its format.
        format: Box<dyn Format>,
        /// What it says, but for the identities that an image has of its own.
        claims: Claims,
    },
    /// Attestations.
    Attested(Attestations),
    /// The same for all, and signed already: an attestation that is about all of them.
    Same(Signed),
}

impl What {
    /// The payloads for an image: one at least.
    fn payloads(&self, planned: &PlannedImage) -> Result<Vec<Payload>, PipelineError> {
        match self {
            Self::Each { format, claims } => payloads(&**format, planned, claims),
            Self::Attested(attestations) => payloads(attestations, planned, &Claims::default()),
            Self::Same(signed) => Ok(vec![signed.payload.clone()]),
        }
    }
}

/// What `format` makes of an image. Without any payload the image would count as signed.
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
pub use whole::{ImageStore, RunJob, Seen, Whole, WholeError};
pub use writers::Writers;

use batch::OneImage;
use keyed::keep;
use looks::Looks;
use subjects::{MAX_SUBJECTS, Slot};

/// Everything that images of one kind are signed with, for one store.
pub struct Pipeline {
    /// The registries.
    pub client: Client,
    /// What is signed.
    pub what: What,
    /// How outcomes name it.
    pub label: Label,
    /// The key.
    pub key: Unlocking,
    /// Where signatures go.
    pub store: Arc<dyn Store>,
    /// Who else here writes to the same places.
    pub writers: Writers,
    /// Whether earlier attestations of the same predicate types by the same key are removed. The store has to be one whose lists are
    /// written here: tags.
    pub replace: bool,
    /// When the run's time is over.
    pub deadline: Instant,
}

/// Why a subject isn't signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The subject can't be looked up.
    #[error("cannot look up {image}")]
    Lookup {
        /// The subject.
        image: String,
        /// What the registry said.
        source: Box<RegistryError>,
    },
    /// The registry doesn't hold the subject.
    #[error("{image} is not in the registry: nothing was signed for it")]
    Absent {
        /// The subject.
        image: String,
        /// What the registry said.
        source: Box<RegistryError>,
    },
    /// What it holds isn't a manifest.
    #[error("what the registry holds as {image} is not an image manifest or index")]
    NotAManifest {
        /// The subject.
        image: String,
    },
    /// There is no payload to sign.
    #[error("there is no payload to sign for {image}")]
    NoPayload {
        /// The subject.
        image: String,
    },
    /// The payload can't be made.
    #[error("cannot make the payload for {image}")]
    Payload {
        /// The subject.
        image: String,
        /// Why.
        source: PayloadError,
    },
    /// The key doesn't sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The store doesn't take the signature.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An index, with those it lists, names more manifests than are signed in one run.
    #[error(
        "with the manifests that {image} lists there are more than {MAX_SUBJECTS} subjects; none of them was signed"
    )]
    TooMany {
        /// The index.
        image: String,
    },
    /// What an index lists is to be signed under other names for another index of the same run.
    #[error(
        "{image} lists {listed}, which another index of this run lists with other identities; nothing of what it lists was signed for it"
    )]
    OtherNames {
        /// The index.
        image: String,
        /// What both list.
        listed: String,
    },
    /// The signature was written and isn't there.
    #[error(
        "the signature of {image} was pushed {times} times and is not at {location} when it is read back"
    )]
    NotThere {
        /// The subject.
        image: String,
        /// Where it should be.
        location: String,
        /// How often it was written.
        times: u32,
    },
    /// What `--replace` removed is there again.
    #[error(
        "{count} of the earlier attestations of {image} that were removed from {location} are there again, {times} times: another signer \
         puts them back"
    )]
    PutBack {
        /// The subject.
        image: String,
        /// Where they lie.
        location: String,
        /// How many.
        count: usize,
        /// How often they were removed.
        times: u32,
    },
    /// What is to be signed says something that no verifier accepts.
    #[error("what is to be signed for {image} would not verify: {why}")]
    Unacceptable {
        /// The subject.
        image: String,
        /// Why.
        why: String,
    },
    /// The signature was written, and what is there in its place doesn't count.
    #[error(
        "the signature of {image} was pushed to {location} and does not verify when it is read back: {why}; \
         pushed: {}; read back: {}",
        foreign::shown(pushed, 800),
        foreign::shown(found, 800)
    )]
    Spoilt {
        /// The subject.
        image: String,
        /// Where it was written.
        location: String,
        /// Why it doesn't count.
        why: String,
        /// The descriptor that was written.
        pushed: String,
        /// The one that is there.
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
        "sign the two indexes in runs of their own, or name what both list with all its identities"],
    Self::NotThere { .. } => ["signature-not-there", Failed,
        "other writers replace it, or the registry answers from an old copy: run again, or raise --timeout"],
    Self::PutBack { .. } => ["attestation-put-back", Failed,
        "the new attestation is there too; run again when no other signer is at work on this image"],
    Self::Unacceptable { .. } => ["payload-unacceptable", Failed, "nothing was pushed; give a predicate that says each thing once"],
    Self::Spoilt { .. } => ["signature-spoilt", Failed,
        "the registry, a proxy before it, or another writer changes what is pushed; nothing was removed. Find out which, then run again"],
}

impl From<PipelineError> for Explanation {
    fn from(error: PipelineError) -> Self {
        Self::of(&error)
    }
}

/// What came of one image in one store.
enum Ended {
    /// Its signatures are there.
    Done(Done),
    /// Its signatures wait for everything else of the run.
    Aside(Vec<Filed>),
}

impl Pipeline {
    /// Signs one image, which `manifest` looks up; `has_run`: what is written with a run may be set aside for it.
    async fn sign_one(
        &self,
        one: &OneImage<'_>,
        manifest: impl Future<Output = Result<&Manifest, Explanation>>,
        looks: &Looks,
        slot: Slot<'_>,
        has_run: bool,
    ) -> Result<Ended, Explanation> {
        match self.store.turn() {
            Turn::Image(list) => {
                let beside = Beside { pipeline: self, list };
                beside.sign_one(one, manifest, looks, slot).await.map(Ended::Done)
            }
            Turn::Run(_) if has_run => self.file(one, manifest).await.map(Ended::Aside),
            Turn::Run(keyed) | Turn::Subject(keyed) => {
                let filed = self.file(one, manifest).await?;
                Ok(Ended::Done(keep(keyed, &self.key, &filed, None, false).await?))
            }
        }
    }

    /// Checks that `verify` would accept what is to be signed.
    fn acceptable(judge: &verify::Own<'_>, image: &ImageRef) -> Result<(), PipelineError> {
        let refused = |why| PipelineError::Unacceptable { image: image.to_string(), why };
        judge.acceptable().map_err(refused)
    }

    async fn sign_all(&self, one: &OneImage<'_>, payloads: &[Payload]) -> Result<Vec<Signed>, PipelineError> {
        let mut all = Vec::with_capacity(payloads.len());
        for payload in payloads {
            all.push(match &self.what {
                What::Same(signed) => signed.clone(),
                What::Each { .. } | What::Attested(_) => {
                    one.signatures.of(&self.key, payload, &one.planned.image).await?
                }
            });
        }
        Ok(all)
    }
}

/// A pipeline to a store that has a list beside each image.
struct Beside<'a> {
    pipeline: &'a Pipeline,
    list: &'a dyn SignatureList,
}

impl Beside<'_> {
    /// Signs one image, which `manifest` looks up.
    ///
    /// A subject that only waits, to see whether its signature stays, leaves its slot to another.
    async fn sign_one(
        &self,
        one: &OneImage<'_>,
        manifest: impl Future<Output = Result<&Manifest, Explanation>>,
        looks: &Looks,
        slot: Slot<'_>,
    ) -> Result<Done, Explanation> {
        let OneImage { planned, .. } = one;
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

    /// Whether to look for signatures only right before the write, which saves a request.
    ///
    /// It is done where none is expected, as none was there for the first subject: if there is one after all, its
    /// payload has been uploaded for nothing. And it is done where the registry that the signatures go to is near, as otherwise a look
    /// costs nothing while something else is waited for.
    async fn looks_late(&self, image: &ImageRef, looks: &Looks) -> bool {
        looks.wait().await;
        looks.expect_none() && self.pipeline.client.is_near(self.list.repository(image))
    }

    /// What a look brings: to replace others of the same type, they have to be read.
    fn depth<'a>(&self, payloads: &'a [Payload]) -> Depth<'a> {
        if self.pipeline.replace { Depth::Types(payloads) } else { Depth::Of(payloads) }
    }

    /// Adds the signatures that `shelf` lacks; `None`: nobody has looked yet.
    async fn add(
        &self,
        one: &OneImage<'_>,
        manifest: &Manifest,
        payloads: &[Payload],
        shelf: Option<Shelf>,
        judge: &verify::Own<'_>,
        slot: Slot<'_>,
    ) -> Result<Done, PipelineError> {
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
            (added, replaced) = self.settle(shelf, &subject, signed, removed, judge, slot).await?;
        }
        Ok(Done {
            location: self.list.location(image),
            added,
            present: payloads.len() - added,
            replaced,
            key_id: self.pipeline.key.signer().await?.public_key().key_id(),
        })
    }

    /// Uploads and signs `payloads`.
    async fn make(
        &self,
        shelf: &Shelf,
        one: &OneImage<'_>,
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
/// When the key can't be unlocked, or can't sign.
pub async fn sign(key: &Unlocking, payload: Payload, images: Vec<ImageRef>) -> Result<Signed, SignError> {
    let signature = key.sign_payload(payload.clone(), images).await?;
    Ok(Signed::new(payload, signature, key.signer().await?.public_key()))
}

/// The manifest that the registry holds for `image`; its bytes hash to the digest.
///
/// # Errors
///
/// The registry doesn't hold it, holds something else there, or doesn't answer.
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

/// An image manifest or index, OCI's or Docker's, of schema version 2.
///
/// It is read one level deep: as a whole, 4 MiB can take hundreds of megabytes in memory.
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
    fn a_manifest_is_told_from_other_json() {
        assert!(is_manifest(br#"{"schemaVersion":2,"layers":[]}"#));
        assert!(is_manifest(br#"{"schemaVersion":2,"manifests":[]}"#));
        for bytes in
            [&b"{}"[..], b"[]", b"<html>", br#"{"schemaVersion":1,"layers":[]}"#, br#"{"schemaVersion":2}"#]
        {
            assert!(!is_manifest(bytes));
        }
    }
}
