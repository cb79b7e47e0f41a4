//! The one place that knows the order of the stages.
//!
//! A subject goes through it like this; what stands on one line goes on at the same time:
//!
//! 1. look the subject up; read the signatures that are there; (for all subjects) unlock the key
//! 2. upload the payloads; sign them
//! 3. write the list of signatures
//! 4. read it back and verify it; if anything is missing, ours or anyone's, merge and go back to 3

mod settle;
mod whole;
mod writers;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};
use crate::payload::{Claims, Format, Payload, PayloadError};
use crate::plan::PlannedImage;
use crate::registry::client::{Client, Manifest, Target};
use crate::registry::{Digest, ImageRef, RegistryError};
use crate::report::{Done, Label, Outcome};
use crate::sign::{SignError, Unlocking};
use crate::store::{Depth, Descriptor, Shelf, Signed, Store, StoreError, Subject};
use crate::verify;

/// What is put beside each image.
pub enum What {
    /// A payload of its own.
    Each {
        /// Its format.
        format: Box<dyn Format>,
        /// What it says.
        claims: Claims,
    },
    /// The same for all, and signed already: an attestation that is about all of them.
    Same(Signed),
}

impl What {
    fn payloads(&self, image: &ImageRef) -> Result<Vec<Payload>, PayloadError> {
        match self {
            Self::Each { format, claims } => format.payloads(image, claims),
            Self::Same(signed) => Ok(vec![signed.payload.clone()]),
        }
    }
}

pub use whole::{RunJob, Seen, Whole, WholeError};
pub use writers::Writers;

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
    /// How many subjects are worked on at a time.
    pub jobs: usize,
    /// Whether each manifest of an index is a subject too.
    pub recursive: bool,
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
    },
    /// What it holds isn't a manifest.
    #[error("what the registry holds as {image} is not an image manifest or index")]
    NotAManifest {
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
}

impl Explain for PipelineError {
    fn used(&self) -> Option<String> {
        match self {
            Self::Lookup { source, .. } => source.used(),
            Self::Sign(error) => error.used(),
            Self::Store(error) => error.used(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Lookup { source, .. } => source.hint(),
            Self::Absent { .. } => Some(
                "push the image before the signing step, and check that the result names the repository and \
                 the digest that the push reported"
                    .into(),
            ),
            Self::TooMany { .. } => {
                Some("sign the index without --recursive, or its parts in several runs".into())
            }
            Self::NotAManifest { .. } => Some("check which digest the build wrote into its result".into()),
            Self::Payload { source, .. } => source.hint(),
            Self::Sign(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::NotThere { .. } => Some(
                "other writers replace it, or the registry answers from an old copy: run again, or raise \
                 --timeout"
                    .into(),
            ),
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::Lookup { source, .. } => source.exit(),
            Self::Payload { source, .. } => source.exit(),
            Self::Sign(error) => error.exit(),
            Self::Store(error) => error.exit(),
            Self::Absent { .. }
            | Self::NotAManifest { .. }
            | Self::TooMany { .. }
            | Self::NotThere { .. } => ExitCode::Failed,
        }
    }
}

/// An index that lists more, with what its own indexes list, is not an image's but an attack.
const MAX_SUBJECTS: usize = 10_000;

/// How many subjects may wait for their confirmation, for each that is worked on.
const WAITING_PER_JOB: usize = 8;

/// How long the others wait for the first subject's look, to know what to expect.
const FIRST_LOOK: Duration = Duration::from_millis(30);

/// What the subjects of a run share.
struct Shared {
    /// The right to be worked on.
    slots: Semaphore,
    /// Whether a subject is being looked at, or was.
    looking: AtomicBool,
    /// Wakes who waits for the first look.
    looked: Notify,
    /// A subject had no signature at all.
    seen_none: AtomicBool,
    /// A subject had one by this key.
    seen_ours: AtomicBool,
}

impl Shared {
    fn new(jobs: usize) -> Self {
        Self {
            slots: Semaphore::new(jobs),
            looking: AtomicBool::new(false),
            looked: Notify::new(),
            seen_none: AtomicBool::new(false),
            seen_ours: AtomicBool::new(false),
        }
    }
}

impl Pipeline {
    /// Signs every image, and says of each how it ended; `seen` hears of each as it ends.
    ///
    /// One image's failure doesn't hide the others': all are tried.
    pub async fn sign(&self, images: &[PlannedImage], seen: &mut dyn FnMut(&Outcome)) -> Vec<Outcome> {
        let mut waiting: VecDeque<(ImageRef, Vec<String>)> =
            images.iter().map(|planned| (planned.image.clone(), planned.from.clone())).collect();
        let mut known: HashSet<ImageRef> = images.iter().map(|planned| planned.image.clone()).collect();
        let shared = Shared::new(self.jobs);
        let shared = &shared;
        let mut running = FuturesUnordered::new();
        let mut outcomes = Vec::new();
        loop {
            while running.len() < self.jobs * WAITING_PER_JOB {
                let Some((image, from)) = waiting.pop_front() else { break };
                running.push(async move {
                    let (result, children) = self.sign_one(&image, shared).await;
                    (Outcome::of_image(self.label, image, from, result), children)
                });
            }
            let Some((outcome, children)) = running.next().await else { break };
            let outcome = admit(outcome, children, &mut known, &mut waiting);
            seen(&outcome);
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Signs one image; returns the manifests of an index with it where those are to be signed too.
    ///
    /// A subject that only waits, to see whether its signature stays, leaves its slot to another.
    async fn sign_one(
        &self,
        image: &ImageRef,
        shared: &Shared,
    ) -> (Result<Done, PipelineError>, Vec<ImageRef>) {
        let slot = shared.slots.acquire().await.ok();
        let late = self.looks_late(shared).await;
        let payloads = match self.what.payloads(image) {
            Ok(payloads) => payloads,
            Err(source) => {
                return (Err(PipelineError::Payload { image: image.to_string(), source }), Vec::new());
            }
        };
        let read = async {
            let depth = Depth::Of(&payloads);
            let shelf = if late { Ok(None) } else { self.store.read(image, depth).await.map(Some) };
            let empty = matches!(&shelf, Ok(Some(shelf)) if shelf.entries.is_empty());
            shared.seen_none.fetch_or(empty, Ordering::Relaxed);
            shared.looked.notify_waiters();
            shelf
        };
        let (manifest, shelf) = tokio::join!(look_up(&self.client, image), read);
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(error) => return (Err(error), Vec::new()),
        };
        let children = if self.recursive { children(image, &manifest) } else { Vec::new() };
        let result = match shelf {
            Ok(shelf) => self.add(image, &manifest, &payloads, shelf, slot).await,
            Err(error) => Err(error.into()),
        };
        let ours = result.as_ref().is_ok_and(|done| done.present > 0);
        shared.seen_ours.fetch_or(ours, Ordering::Relaxed);
        (result, children)
    }

    /// Whether to look for signatures only right before the write, which saves a request.
    ///
    /// It is done where none is expected, as none was there for the first subject: if there is one after all, its
    /// payload has been uploaded for nothing. And it is done where the registry is near, as otherwise a look
    /// costs nothing while something else is waited for.
    async fn looks_late(&self, shared: &Shared) -> bool {
        if shared.looking.swap(true, Ordering::Relaxed) && !shared.seen_none.load(Ordering::Relaxed) {
            let _ = tokio::time::timeout(FIRST_LOOK, shared.looked.notified()).await;
        }
        shared.seen_none.load(Ordering::Relaxed)
            && !shared.seen_ours.load(Ordering::Relaxed)
            && self.client.is_near()
    }

    /// Adds the signatures that `shelf` lacks; `None`: nobody has looked yet.
    async fn add(
        &self,
        image: &ImageRef,
        manifest: &Manifest,
        payloads: &[Payload],
        shelf: Option<Shelf>,
        slot: Option<SemaphorePermit<'_>>,
    ) -> Result<Done, PipelineError> {
        let expected = shelf.clone().unwrap_or_default();
        let mut wanted = self.missing(&expected, payloads).await?;
        let mut signed = self.make(&expected, image, &wanted).await?;
        let shelf = match shelf {
            Some(shelf) => shelf,
            None => {
                let shelf = self.store.read(image, Depth::Of(payloads)).await?;
                wanted = self.missing(&shelf, payloads).await?;
                signed.retain(|signed| wanted.contains(&signed.payload));
                shelf
            }
        };
        if !signed.is_empty() {
            let subject = Subject { image: image.clone(), descriptor: descriptor(manifest) };
            self.settle(shelf, &subject, &signed, slot).await?;
        }
        Ok(Done {
            location: self.store.location(image),
            added: signed.len(),
            present: payloads.len() - signed.len(),
            key_id: self.key.signer().await?.public_key().key_id(),
        })
    }

    /// Uploads and signs `payloads`.
    async fn make(
        &self,
        shelf: &Shelf,
        image: &ImageRef,
        payloads: &[Payload],
    ) -> Result<Vec<Signed>, PipelineError> {
        if payloads.is_empty() {
            return Ok(Vec::new());
        }
        let prepared =
            async { self.store.prepare(shelf, image, payloads).await.map_err(PipelineError::from) };
        let ((), signed) = tokio::try_join!(prepared, self.sign_all(image, payloads))?;
        Ok(signed)
    }

    /// The payloads that have no signature by our key yet. Waits for the key only if there may be one.
    async fn missing(&self, shelf: &Shelf, payloads: &[Payload]) -> Result<Vec<Payload>, SignError> {
        if !payloads.iter().any(|payload| verify::may_hold(shelf, payload)) {
            return Ok(payloads.to_vec());
        }
        let signer = self.key.signer().await?;
        Ok(verify::missing(shelf, payloads, signer.public_key()).into_iter().cloned().collect())
    }

    async fn sign_all(&self, image: &ImageRef, payloads: &[Payload]) -> Result<Vec<Signed>, PipelineError> {
        let mut all = Vec::with_capacity(payloads.len());
        for payload in payloads {
            all.push(match &self.what {
                What::Same(signed) => signed.clone(),
                What::Each { .. } => sign(&self.key, payload.clone(), vec![image.clone()]).await?,
            });
        }
        Ok(all)
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
pub async fn look_up(client: &Client, image: &ImageRef) -> Result<Manifest, PipelineError> {
    let target = Target::Digest(image.digest.clone());
    let manifest = client.manifest(&image.repository, &target).await;
    let manifest = manifest
        .map_err(|source| PipelineError::Lookup { image: image.to_string(), source: Box::new(source) })?
        .ok_or_else(|| PipelineError::Absent { image: image.to_string() })?;
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

/// Puts the manifests that an index lists behind what is waiting, unless there are too many.
fn admit(
    outcome: Outcome,
    children: Vec<ImageRef>,
    known: &mut HashSet<ImageRef>,
    waiting: &mut VecDeque<(ImageRef, Vec<String>)>,
) -> Outcome {
    if known.len() + children.len() > MAX_SUBJECTS {
        let image = outcome.subject.to_string();
        return Outcome { result: Err(Explanation::of(&PipelineError::TooMany { image })), ..outcome };
    }
    for child in children {
        if known.insert(child.clone()) {
            waiting.push_back((child, vec![format!("index {}", outcome.subject)]));
        }
    }
    outcome
}

/// An image manifest or index, OCI's or Docker's, of schema version 2.
fn is_manifest(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).is_ok_and(|manifest| {
        manifest.get("schemaVersion").and_then(Value::as_u64) == Some(2)
            && ["config", "layers", "manifests"].iter().any(|field| manifest.get(field).is_some())
    })
}

/// The manifests that an index lists; none for an image manifest.
pub(crate) fn children(image: &ImageRef, manifest: &Manifest) -> Vec<ImageRef> {
    let Ok(index) = serde_json::from_slice::<Value>(&manifest.bytes) else { return Vec::new() };
    let listed = index.get("manifests").and_then(Value::as_array).into_iter().flatten();
    let digests = listed.filter_map(|entry| entry.get("digest")?.as_str()?.parse::<Digest>().ok());
    digests.map(|digest| ImageRef { repository: image.repository.clone(), digest }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_without_end_is_an_error_and_nothing_of_it_is_dropped_silently() {
        let image = |number: usize| ImageRef {
            repository: "registry.example/app".parse().unwrap(),
            digest: Digest::of(&number.to_be_bytes()),
        };
        let done = Done { location: "x".into(), added: 1, present: 0, key_id: "k".into() };
        let outcome = Outcome::of_image(Label::IMAGE, image(0), vec![], Ok::<_, PipelineError>(done));
        let (mut known, mut waiting) = (HashSet::from([image(0)]), VecDeque::new());
        let children: Vec<ImageRef> = (0..MAX_SUBJECTS).map(image).collect();
        let ended = admit(outcome.clone(), children, &mut known, &mut waiting);
        assert!(ended.result.unwrap_err().error.contains("more than 10000"));
        assert!(waiting.is_empty());
        let ended = admit(outcome, vec![image(0), image(1), image(1)], &mut known, &mut waiting);
        assert!(ended.result.is_ok());
        assert_eq!(waiting.len(), 1);
    }

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
