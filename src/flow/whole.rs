//! All that one run of `sign` does: images and runs, each to every store that is configured for it.
//!
//! 1. images, beside each in its registry
//! 2. images, for the stores that keep each signature under a key of its own
//! 3. runs: signed once, then to registries and to the folder
//! 4. annotations, a request for everything that belongs to one run; last, because they may mark it as signed
//!
//! One store's failure doesn't hide another's: each reports for itself.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;

use super::fair::FairQueue;
use super::keyed::Slots;
use super::{Batch, Pipeline, PipelineError, PlannedRun, What, Writers, sign};
use crate::chains::{Entry, ShortKey, Standing};
use crate::cluster::{AnnotationError, Cluster, Kind, Wanted};
use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};
use crate::formats::{Claims, Envelope};
use crate::object_name::{NameError, Uid};
use crate::payload::Format;
use crate::place::{Encoding, KeptUnder, StoreKind};
use crate::plan::PlannedImage;
use crate::registry::client::{Client, Stats};
use crate::report::{About, Done, Event, Label, Outcome};
use crate::run::{RunKind, RunName};
use crate::sign::{SignError, Unlocking};
use crate::store::{Directory, Filed, Signed, Store, StoreError};
use crate::verify::{self, own};

/// What is called with each subject that turns up on the way, and with each outcome.
pub type Seen<'a> = dyn FnMut(Event<'_>) + 'a;

/// Everything a run of `sign` works with.
pub struct Whole {
    /// The registries.
    pub client: Client,
    /// The key.
    pub key: Unlocking,
    /// Who writes to which place.
    pub writers: Writers,
    /// How many subjects are worked on at a time.
    pub jobs: usize,
    /// Whether each manifest of an index is a subject too.
    pub recursive: bool,
    /// When the run's time is over.
    pub deadline: Instant,
    /// The format of images' signatures in other stores than registries, anew for whoever needs one.
    pub format: fn() -> Box<dyn Format>,
    /// What images' signatures say.
    pub claims: Claims,
    /// Where images' signatures go.
    pub image_stores: Vec<StoreKind>,
    /// How signatures lie in registries: all of these, side by side.
    pub encodings: Vec<OciStores>,
    /// The folder.
    pub directory: Option<Directory>,
    /// The cluster, where annotations are written.
    pub cluster: Option<Cluster>,
    /// What was asked of the cluster before: for the key, the credentials, the runs.
    pub asked: u64,
    /// Whether runs that are signed are marked so.
    pub mark_signed: bool,
}

/// The stores of registries in one encoding.
pub struct OciStores {
    /// The encoding.
    pub encoding: Encoding,
    /// The format of images' signatures in it, anew for whoever needs one.
    pub format: fn() -> Box<dyn Format>,
    /// Images' signatures.
    pub signatures: Arc<dyn Store>,
    /// Attestations.
    pub attestations: Arc<dyn Store>,
}

/// A run, and where what is signed for it goes.
#[derive(Clone, Debug)]
pub struct RunJob {
    /// The run.
    pub planned: PlannedRun,
    /// The format as the configuration names it.
    pub format: &'static str,
    /// Where it goes; empty: nothing is signed for the run itself.
    pub stores: Vec<StoreKind>,
    /// The object as the cluster gave it a moment ago, its metadata at least: annotations are written without reading it again. `None`: it is read.
    pub known: Option<serde_json::Value>,
}

/// Why something is not in a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WholeError {
    /// An attestation has no place in a registry.
    #[error("{0} names no image that was built, so there is no place in a registry for its attestation")]
    NoImage(String),
    /// A store of a folder has no folder, or nothing to keep in it.
    #[error("there is no place for the signature of {0}, or no signature: nothing was kept")]
    NothingKept(String),
    /// Annotations need a run.
    #[error("there is no run in whose annotations the signature of {0} could be kept")]
    NoRun(String),
    /// The API server can't be asked for such a name.
    #[error("{0} is no name of an object")]
    Name(RunName, #[source] NameError),
    /// The key doesn't sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The folder doesn't take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image isn't there, or can't be signed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The annotations don't take it.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
}

impl WholeError {
    fn inner(&self) -> Option<&dyn Explain> {
        match self {
            Self::NoImage(_) | Self::NothingKept(_) | Self::NoRun(_) | Self::Name(..) => None,
            Self::Sign(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Pipeline(error) => Some(error),
            Self::Annotation(error) => Some(error),
        }
    }
}

impl Explain for WholeError {
    fn used(&self) -> Option<String> {
        self.inner()?.used()
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoImage(_) => Some(
                "let the run name its image in its results, or set the storage to tekton or directory".into(),
            ),
            Self::NothingKept(_) => Some("name a folder with --signatures-dir".into()),
            Self::NoRun(_) => {
                Some("say which run it is (--run, --taskrun), or set artifacts.oci.storage to oci".into())
            }
            Self::Name(..) => Some("give the object as the cluster has it, with its namespace".into()),
            _ => self.inner().and_then(Explain::hint),
        }
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::NoImage(_) | Self::NoRun(_) => ExitCode::Results,
            _ => self.inner().map_or(ExitCode::Failed, Explain::exit),
        }
    }
}

impl Whole {
    /// Signs everything, and returns how each subject ended in each store; `seen` is called with each as it ends.
    pub async fn sign(&self, images: &[PlannedImage], runs: &[RunJob], seen: &mut Seen<'_>) -> Vec<Outcome> {
        let seen = RefCell::new(seen);
        let mut outcomes = Vec::new();
        if self.image_stores.contains(&StoreKind::Oci) {
            let batch = self.batch(self.image_pipelines(), self.recursive);
            outcomes.extend(batch.sign(images, &mut |event| (seen.borrow_mut())(event)).await);
        }
        let mut of_images = Slots::default();
        let keyed: Vec<Label> = self.keyed_labels();
        if !keyed.is_empty() {
            let no_run = runs.is_empty();
            let made = self.sign_keyed(keyed, images, no_run, &mut |event| (seen.borrow_mut())(event)).await;
            outcomes.extend(made.0);
            of_images = made.1;
        }
        let images_failed = outcomes.iter().any(|outcome| outcome.result.is_err());
        let mut of_images = Some(of_images);
        let works = FairQueue::new(self.jobs);
        for (at, job) in runs.iter().enumerate() {
            // Images' signatures stand in the annotations of the run that built them, the first.
            let slots = if at == 0 { of_images.take() } else { None };
            let registry = job.planned.images.first().map_or("", |image| image.repository.registry());
            works.push(registry, (job, slots.unwrap_or_default(), at == 0 && images_failed));
        }
        let sign = async |(job, slots, images_failed), slot| {
            let made = self.sign_run(job, slots, images_failed, &seen).await;
            drop(slot);
            made
        };
        let mut signed = pin!(works.run(sign));
        while let Some(made) = signed.next().await {
            outcomes.extend(made);
        }
        outcomes
    }

    /// What was asked of registries and of the cluster.
    pub fn stats(&self) -> Stats {
        let mut stats = self.client.stats();
        stats.requests += self.asked + self.cluster.as_ref().map_or(0, Cluster::requests);
        stats
    }

    pub(super) fn batch(&self, pipelines: Vec<Pipeline>, recursive: bool) -> Batch {
        Batch {
            client: self.client.clone(),
            pipelines,
            later: if recursive { self.keyed_labels() } else { Vec::new() },
            jobs: self.jobs,
            recursive,
        }
    }

    /// Each image's own signature, in all encodings.
    fn image_pipelines(&self) -> Vec<Pipeline> {
        let pipeline = |stores: &OciStores| {
            let format = (stores.format)();
            let label = Label {
                format: format.name(),
                encoding: Some(stores.encoding),
                ..self.image_label(StoreKind::Oci)
            };
            self.pipeline(What::Each { format, claims: self.claims.clone() }, label, &stores.signatures)
        };
        self.encodings.iter().map(pipeline).collect()
    }

    /// An attestation that is signed already, in all encodings.
    fn attestation_pipelines(&self, signed: &Signed, label: Label) -> Vec<Pipeline> {
        let pipeline = |stores: &OciStores| {
            let label = Label { encoding: Some(stores.encoding), ..label };
            self.pipeline(What::Same(signed.clone()), label, &stores.attestations)
        };
        self.encodings.iter().map(pipeline).collect()
    }

    pub(super) fn pipeline(&self, what: What, label: Label, store: &Arc<dyn Store>) -> Pipeline {
        Pipeline {
            client: self.client.clone(),
            what,
            label,
            key: self.key.clone(),
            store: Arc::clone(store),
            writers: self.writers.clone(),
            replace: false,
            deadline: self.deadline,
        }
    }

    /// Signs one run, and puts it into every store.
    async fn sign_run(
        &self,
        job: &RunJob,
        mut slots: Slots,
        images_failed: bool,
        seen: &RefCell<&mut Seen<'_>>,
    ) -> Vec<Outcome> {
        let signed = self.sign_payload(job).await;
        let mut outcomes = Vec::new();
        for store in &job.stores {
            let result = match &signed {
                Err(why) => Err(why.clone()),
                Ok(filed) => match store {
                    StoreKind::Oci if !job.planned.images.is_empty() => {
                        let made = self.attest(job, &filed.signed, seen).await;
                        outcomes.extend(made);
                        continue;
                    }
                    StoreKind::Oci => Err(Explanation::of(&WholeError::NoImage(job.planned.shown()))),
                    StoreKind::Directory => {
                        self.keep(std::slice::from_ref(filed)).await.map_err(|error| Explanation::of(&error))
                    }
                    StoreKind::Tekton => {
                        let entries = run_key(&job.planned).map(|key| entry(key, &filed.signed));
                        let (label, about, from) = job.names(*store);
                        slots.0.push((label, about, from, entries.into_iter().collect()));
                        continue;
                    }
                },
            };
            let encodings: Vec<Encoding> = self.encodings.iter().map(|stores| stores.encoding).collect();
            let made = job.failed_or_done(*store, &encodings, &result);
            made.iter().for_each(|outcome| (seen.borrow_mut())(Event::Ended(outcome)));
            outcomes.extend(made);
        }
        let failed = images_failed || outcomes.iter().any(|outcome| outcome.result.is_err());
        let something = !outcomes.is_empty() || !slots.0.is_empty();
        let mark = self.mark_signed && !failed && something;
        if !slots.0.is_empty() || mark {
            let made = self.annotate(job, slots, mark).await;
            made.iter().for_each(|outcome| (seen.borrow_mut())(Event::Ended(outcome)));
            outcomes.extend(made);
        }
        outcomes
    }

    /// The run's signature, unless something keeps it from being signed.
    async fn sign_payload(&self, job: &RunJob) -> Result<Filed, Explanation> {
        let planned = &job.planned;
        if let Some(why) = &planned.blocked {
            return Err(why.clone());
        }
        let payload = planned.payload.clone().ok_or_else(|| Explanation {
            code: "run-nothing-to-sign",
            error: format!("there is nothing to sign for {}", planned.shown()),
            causes: Vec::new(),
            used: None,
            hint: None,
            exit: ExitCode::Failed,
        })?;
        let signed = sign(&self.key, payload, planned.images.clone()).await;
        let signed = signed.map_err(|error| Explanation::of(&error))?;
        let key = KeptUnder { short: planned.short_key.clone(), full: planned.full_key.clone(), image: None };
        Ok(Filed { key, number: 0, signed })
    }

    /// Puts the run's attestation beside each image that it is about.
    async fn attest(&self, job: &RunJob, signed: &Signed, seen: &RefCell<&mut Seen<'_>>) -> Vec<Outcome> {
        let (label, _, from) = job.names(StoreKind::Oci);
        let images: Vec<PlannedImage> =
            job.planned.images.iter().map(|image| PlannedImage::new(image.clone(), from.clone())).collect();
        let batch = self.batch(self.attestation_pipelines(signed, label), false);
        batch.sign(&images, &mut |event| (seen.borrow_mut())(event)).await
    }

    /// Writes everything that belongs into one run's annotations, in one request.
    async fn annotate(&self, job: &RunJob, slots: Slots, mark: bool) -> Vec<Outcome> {
        let run = &job.planned;
        let entries: Vec<Entry> =
            slots.0.iter().flat_map(|(_, _, _, entries)| entries.iter().cloned()).collect();
        let written = self.write_annotations(job, &entries, mark).await;
        let result = match written {
            Ok((annotated, key_id)) => {
                let marked = if annotated.marked { ", marked as signed" } else { "" };
                let location = format!("the annotations of {}{marked}", run.shown());
                Ok((annotated.added > 0, location, key_id))
            }
            Err(error) => Err(Explanation::of(&error)),
        };
        if slots.0.is_empty()
            && let Err(why) = result
        {
            let label = Label { artifact: run.artifact(), format: "mark", store: "tekton", encoding: None };
            let subject = About::Run { name: run.name.clone(), uid: run.uid.clone() };
            return vec![Outcome { label, subject, from: vec![run.shown()], result: Err(why) }];
        }
        let outcome = |(label, subject, from, entries): (Label, About, Vec<String>, Vec<Entry>)| {
            let result = result.clone().map(|(added, location, key_id)| Done {
                location,
                added: if added { entries.len() } else { 0 },
                present: if added { 0 } else { entries.len() },
                replaced: 0,
                key_id,
            });
            Outcome { label, subject, from, result }
        };
        slots.0.into_iter().map(outcome).collect()
    }

    async fn write_annotations(
        &self,
        job: &RunJob,
        entries: &[Entry],
        mark: bool,
    ) -> Result<(crate::cluster::Annotated, String), WholeError> {
        let run = &job.planned;
        let Some(cluster) = &self.cluster else { return Err(WholeError::NoRun(run.shown())) };
        let name = run.name.object().map_err(|source| WholeError::Name(run.name.clone(), source))?;
        let kind = match run.kind {
            RunKind::TaskRun => Kind::TaskRun,
            RunKind::PipelineRun => Kind::PipelineRun,
        };
        let signer = self.key.signer().await?;
        let trust = own::trust(signer.public_key());
        let counts = |entry: &Entry, standing: &Standing<'_>| {
            verify::run::counts(&trust, &entry.payload, standing.payload, standing.signature)
        };
        let wanted = Wanted { entries, counts: &counts, mark };
        let annotated = match &job.known {
            Some(object) => cluster.annotate_known(kind, object.clone(), wanted).await?,
            None => cluster.annotate(kind, &name, run.uid.as_ref().map_or("", Uid::as_str), wanted).await?,
        };
        Ok((annotated, signer.public_key().key_id()))
    }
}

impl RunJob {
    /// How outcomes name it; in registries, each encoding has a label of its own.
    fn names(&self, store: StoreKind) -> (Label, About, Vec<String>) {
        let (artifact, format) = (self.planned.artifact(), self.format);
        let label = Label { artifact, format, store: store.name(), encoding: None };
        let about = About::Run { name: self.planned.name.clone(), uid: self.planned.uid.clone() };
        let so_far = if self.planned.so_far { ", so far" } else { "" };
        (label, about, vec![format!("{}{so_far}", self.planned.shown())])
    }

    /// What was to be done in `store`, and how it ended; where it failed, for each image that it is about.
    fn failed_or_done(
        &self,
        store: StoreKind,
        encodings: &[Encoding],
        result: &Result<Done, Explanation>,
    ) -> Vec<Outcome> {
        let (Label { artifact, format, .. }, about, from) = self.names(store);
        let images = self.planned.images.iter().map(|image| About::Image(image.clone()));
        let about: Vec<About> = match (store, &result) {
            (StoreKind::Oci, Err(_)) if !self.planned.images.is_empty() => images.collect(),
            _ => vec![about],
        };
        let labels = Label::each(artifact, format, store, encodings);
        let outcome = |label, subject: &About| Outcome {
            label,
            subject: subject.clone(),
            from: from.clone(),
            result: result.clone(),
        };
        about.iter().flat_map(|about| labels.iter().map(move |label| outcome(*label, about))).collect()
    }
}

/// `None`: it has no UID, and then nothing is signed for it.
fn run_key(run: &PlannedRun) -> Option<ShortKey> {
    let uid = run.uid.clone()?;
    Some(match run.kind {
        RunKind::TaskRun => ShortKey::TaskRun(uid),
        RunKind::PipelineRun => ShortKey::PipelineRun(uid),
    })
}

/// What annotations hold of a signature.
pub(super) fn entry(key: ShortKey, signed: &Signed) -> Entry {
    let signature = match signed.payload.envelope {
        Envelope::Dsse => signed.envelope().to_vec(),
        Envelope::Bare => signed.signature.0.clone(),
    };
    Entry {
        key,
        payload: signed.payload.bytes.to_vec(),
        signature,
        cert: String::new(),
        chain: String::new(),
    }
}
