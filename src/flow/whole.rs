//! The work of a `sign` run: signs images and runs, and writes each signature to all configured stores, in this order:
//!
//! 1. images, to the stores that keep a list beside each image
//! 2. images, to the stores that keep each signature under a key of its own
//! 3. runs, signed once, to both kinds of stores
//! 4. the stores in the runs themselves, with one write for each run; these are last, because they may mark the run as signed
//!
//! All stores are tried, and each has its own outcome.

use std::cell::RefCell;
use std::pin::pin;
use std::slice;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;

use super::fair::FairQueue;
use super::keyed::{DeferredWrite, keep};
use super::{Batch, PayloadSource, Pipeline, PlannedRun, TagLocks, sign};
use crate::cluster::Cluster;
use crate::explain::{Explanation, explain};
use crate::formats::Claims;
use crate::oci::ImageRef;
use crate::payload::Format;
use crate::place::{StorageKey, StoreKind};
use crate::plan::PlannedImage;
use crate::registry::client::{Client, Stats};
use crate::report::{OutcomeLabel, ReportSubject, RunEvent, SignedOutcome, SubjectOutcome};
use crate::sign::Unlocking;
use crate::store::{Filed, Keyed, OfRun, Store, Turn};

/// A callback for each subject that is found during the run, and for each outcome.
pub type EventCallback<'a> = dyn FnMut(RunEvent<'_>) + 'a;

/// The clients, keys, stores and settings of a `sign` run.
pub struct SignJob {
    /// The client for all registries.
    pub client: Client,
    /// The signing key, possibly still being unlocked.
    pub key: Unlocking,
    /// The locks for the locations that this process writes to.
    pub writers: TagLocks,
    /// How many subjects are processed at a time.
    pub jobs: usize,
    /// Whether the manifests of an index are subjects too.
    pub recursive: bool,
    /// The deadline of the run.
    pub deadline: Instant,
    /// The claims in image signatures.
    pub claims: Claims,
    /// The stores for image signatures.
    pub images: Vec<ImageStore>,
    /// The stores for attestations of runs and of images.
    pub attestations: Vec<Arc<dyn Store>>,
    /// The cluster, if a store is in it, to count its requests.
    pub cluster: Option<Cluster>,
    /// How many earlier requests to the cluster there were, for the key, the credentials and the runs.
    pub asked: u64,
    /// Whether to mark signed runs.
    pub mark_signed: bool,
}

/// A store for image signatures, with its format.
pub struct ImageStore {
    /// The store that gets the signatures.
    pub store: Arc<dyn Store>,
    /// Creates the payload format of the signatures in this store.
    pub format: fn() -> Box<dyn Format>,
}

/// A run to sign, with its stores.
#[derive(Clone, Debug)]
pub struct RunJob {
    /// The run with its payload.
    pub planned: PlannedRun,
    /// The format's name in the configuration.
    pub format: &'static str,
    /// The stores for the run's signature; empty if the run itself is not signed.
    pub stores: Vec<StoreKind>,
    /// The run's object, or at least its metadata, from the cluster moments ago, so that writing annotations needn't read it again; `None` if it must be read.
    pub known: Option<serde_json::Value>,
}

/// Why a run can't be signed in a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignJobError {
    /// A registry has no place for the attestation of a run without images.
    #[error("{0} names no built image, so its attestation cannot go to a registry")]
    NoImage(String),
    /// The run has no payload.
    #[error("there is nothing to sign for {0}")]
    NoPayload(String),
}

explain! { SignJobError,
    Self::NoImage(_) => ["run-no-image", Results,
        "let the run name its image in its results, or set the storage to tekton or directory"],
    Self::NoPayload(_) => ["run-nothing-to-sign", Failed],
}

impl SignJob {
    /// Signs everything, and returns the outcome of each subject in each store. `seen` is called with each outcome.
    pub async fn sign(
        &self,
        images: &[PlannedImage],
        runs: &[RunJob],
        seen: &mut EventCallback<'_>,
    ) -> Vec<SubjectOutcome> {
        let pipelines = self.images.iter().map(|to| self.image_pipeline(to)).collect();
        let (mut outcomes, of_images) =
            self.in_turns(images, pipelines, self.jobs, !runs.is_empty(), seen).await;
        let images_failed = outcomes.iter().any(|outcome| outcome.result.is_err());
        let seen = RefCell::new(seen);
        let mut of_images = Some(of_images);
        let works = FairQueue::new(self.jobs);
        for (at, job) in runs.iter().enumerate() {
            // Deferred image signatures belong to the first run, which built the images.
            let aside = if at == 0 { of_images.take() } else { None };
            let registry = job.planned.images.first().map_or("", |image| image.repository.registry());
            works.push(registry, (job, aside.unwrap_or_default(), at == 0 && images_failed));
        }
        let sign = async |(job, aside, images_failed), slot| {
            let made = self.sign_run(job, aside, images_failed, &seen).await;
            drop(slot);
            made
        };
        let mut signed = pin!(works.run(sign));
        while let Some(made) = signed.next().await {
            outcomes.extend(made);
        }
        outcomes
    }

    /// Signs images for all stores, those with a list beside each image first. Also returns the signatures that are written with the run, if there is a run.
    pub(super) async fn in_turns(
        &self,
        images: &[PlannedImage],
        pipelines: Vec<Pipeline>,
        jobs: usize,
        has_run: bool,
        seen: &mut EventCallback<'_>,
    ) -> (Vec<SubjectOutcome>, Vec<DeferredWrite>) {
        let is_first = |pipeline: &Pipeline| matches!(pipeline.store.turn(), Turn::Image(_));
        let (first, then): (Vec<Pipeline>, Vec<Pipeline>) = pipelines.into_iter().partition(is_first);
        let later = then.iter().filter(|_| self.recursive).map(|pipeline| pipeline.label).collect();
        let (mut outcomes, mut aside) = (Vec::new(), Vec::new());
        for (pipelines, later) in [(first, later), (then, Vec::new())] {
            if pipelines.is_empty() {
                continue;
            }
            let batch =
                Batch { client: self.client.clone(), pipelines, later, jobs, recursive: self.recursive };
            let (made, set_aside) = batch.sign_for(has_run, images, seen).await;
            outcomes.extend(made);
            aside.extend(set_aside);
        }
        (outcomes, aside)
    }

    /// The requests to registries and to the cluster.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.client.stats();
        stats.requests += self.asked + self.cluster.as_ref().map_or(0, Cluster::requests);
        stats
    }

    fn image_pipeline(&self, ImageStore { store, format }: &ImageStore) -> Pipeline {
        let format = format();
        let label = OutcomeLabel { format: format.name(), ..label(store, OutcomeLabel::IMAGE) };
        self.pipeline(PayloadSource::Each { format, claims: self.claims.clone() }, label, store)
    }

    /// The attestation stores of these kinds.
    pub(super) fn attested_in<'a>(
        &'a self,
        kinds: &'a [StoreKind],
    ) -> impl Iterator<Item = &'a Arc<dyn Store>> {
        self.attestations.iter().filter(|store| kinds.contains(&store.kind()))
    }

    pub(super) fn pipeline(
        &self,
        what: PayloadSource,
        label: OutcomeLabel,
        store: &Arc<dyn Store>,
    ) -> Pipeline {
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

    /// Signs one run, and writes the signature to all its stores.
    async fn sign_run(
        &self,
        job: &RunJob,
        mut aside: Vec<DeferredWrite>,
        images_failed: bool,
        seen: &RefCell<&mut EventCallback<'_>>,
    ) -> Vec<SubjectOutcome> {
        let signed = self.sign_payload(job).await;
        let mut outcomes = self.attest(job, &signed, seen).await;
        for store in self.attested_in(&job.stores) {
            let result = match (&signed, store.turn()) {
                (_, Turn::Image(_)) => continue,
                (Ok(filed), Turn::Run(_)) => {
                    aside.push(job.aside(store, filed));
                    continue;
                }
                (Ok(filed), Turn::Subject(keyed)) => {
                    let kept = keep(keyed, &self.key, slice::from_ref(filed), None, false).await;
                    kept.map_err(Explanation::from)
                }
                (Err(why), _) => Err(why.clone()),
            };
            outcomes.push(job.ended(store, job.about(), result, seen));
        }
        let failed = images_failed || outcomes.iter().any(|outcome| outcome.result.is_err());
        let something = !outcomes.is_empty() || !aside.is_empty();
        let mark = self.mark_signed && !failed && something;
        for store in &self.attestations {
            let Turn::Run(keyed) = store.turn() else { continue };
            let of_store = aside.extract_if(.., |aside| aside.store.kind() == store.kind()).collect();
            outcomes.extend(self.keep_aside(job, store, keyed, of_store, mark, seen).await);
        }
        outcomes
    }

    /// Signs the run's payload, unless the run must not be signed.
    async fn sign_payload(&self, job: &RunJob) -> Result<Filed, Explanation> {
        let planned = &job.planned;
        if let Some(why) = &planned.blocked {
            return Err(why.clone());
        }
        let nothing = || Explanation::of(&SignJobError::NoPayload(planned.shown()));
        let payload = planned.payload.clone().ok_or_else(nothing)?;
        let signed = sign(&self.key, payload, planned.images.clone()).await;
        let signed = signed.map_err(|error| Explanation::of(&error))?;
        let key =
            StorageKey { short: planned.short_key.clone(), full: planned.full_key.clone(), image: None };
        Ok(Filed { key, number: 0, signed })
    }

    /// Adds the run's attestation to each of its images, in every store that keeps a list beside each image.
    async fn attest(
        &self,
        job: &RunJob,
        signed: &Result<Filed, Explanation>,
        seen: &RefCell<&mut EventCallback<'_>>,
    ) -> Vec<SubjectOutcome> {
        let stores = self.attested_in(&job.stores);
        let stores: Vec<_> = stores.filter(|store| matches!(store.turn(), Turn::Image(_))).collect();
        if stores.is_empty() {
            return Vec::new();
        }
        let images = &job.planned.images;
        let why = match signed {
            Ok(filed) if !images.is_empty() => {
                let pipeline = |store: &&Arc<dyn Store>| {
                    self.pipeline(PayloadSource::Same(filed.signed.clone()), job.label(store), store)
                };
                let planned = |image: &ImageRef| PlannedImage::new(image.clone(), job.from());
                let planned: Vec<PlannedImage> = images.iter().map(planned).collect();
                let batch = Batch {
                    client: self.client.clone(),
                    pipelines: stores.iter().map(pipeline).collect(),
                    later: Vec::new(),
                    jobs: self.jobs,
                    recursive: false,
                };
                return batch.sign(&planned, &mut |event| (seen.borrow_mut())(event)).await;
            }
            Ok(_) => Explanation::of(&SignJobError::NoImage(job.planned.shown())),
            Err(why) => why.clone(),
        };
        let mut about: Vec<ReportSubject> = images.iter().cloned().map(ReportSubject::Image).collect();
        if about.is_empty() {
            about.push(job.about());
        }
        let each = about.iter().flat_map(|about| stores.iter().map(move |store| (about, store)));
        each.map(|(about, store)| job.ended(store, about.clone(), Err(why.clone()), seen)).collect()
    }

    /// Writes all signatures of one run to a store in the run itself, in one request.
    async fn keep_aside(
        &self,
        job: &RunJob,
        store: &Arc<dyn Store>,
        keyed: &dyn Keyed,
        aside: Vec<DeferredWrite>,
        mark: bool,
        seen: &RefCell<&mut EventCallback<'_>>,
    ) -> Vec<SubjectOutcome> {
        if aside.is_empty() && !mark {
            return Vec::new();
        }
        let filed: Vec<Filed> = aside.iter().flat_map(|aside| aside.filed.iter().cloned()).collect();
        let PlannedRun { kind, name, uid, .. } = &job.planned;
        let run = OfRun { kind: *kind, name, uid: uid.as_ref(), known: job.known.as_ref() };
        let kept = keep(keyed, &self.key, &filed, Some(&run), mark).await.map_err(Explanation::from);
        if aside.is_empty() && kept.is_err() {
            let label = OutcomeLabel { format: "mark", ..job.label(store) };
            let from = vec![job.planned.shown()];
            let outcome = SubjectOutcome { label, subject: job.about(), from, result: kept };
            (seen.borrow_mut())(RunEvent::Ended(&outcome));
            return vec![outcome];
        }
        let outcomes: Vec<SubjectOutcome> = aside.into_iter().map(|aside| aside.ended(&kept)).collect();
        outcomes.iter().for_each(|outcome| (seen.borrow_mut())(RunEvent::Ended(outcome)));
        outcomes
    }
}

/// `label` with the name and the encoding of `store`.
pub(super) fn label(store: &Arc<dyn Store>, label: OutcomeLabel) -> OutcomeLabel {
    OutcomeLabel { store: store.kind().name, encoding: store.encoding(), ..label }
}

impl RunJob {
    /// The label of the run's outcomes in `store`.
    fn label(&self, store: &Arc<dyn Store>) -> OutcomeLabel {
        label(
            store,
            OutcomeLabel { artifact: self.planned.artifact(), format: self.format, ..OutcomeLabel::IMAGE },
        )
    }

    fn about(&self) -> ReportSubject {
        ReportSubject::Run { name: self.planned.name.clone(), uid: self.planned.uid.clone() }
    }

    /// The value for `from` in the run's outcomes.
    fn from(&self) -> Vec<String> {
        let so_far = if self.planned.so_far { ", so far" } else { "" };
        vec![format!("{}{so_far}", self.planned.shown())]
    }

    fn ended(
        &self,
        store: &Arc<dyn Store>,
        subject: ReportSubject,
        result: Result<SignedOutcome, Explanation>,
        seen: &RefCell<&mut EventCallback<'_>>,
    ) -> SubjectOutcome {
        let outcome = SubjectOutcome { label: self.label(store), subject, from: self.from(), result };
        (seen.borrow_mut())(RunEvent::Ended(&outcome));
        outcome
    }

    /// The run's signature as a deferred write.
    fn aside(&self, store: &Arc<dyn Store>, filed: &Filed) -> DeferredWrite {
        DeferredWrite {
            store: Arc::clone(store),
            label: self.label(store),
            subject: self.about(),
            from: self.from(),
            filed: vec![filed.clone()],
        }
    }
}
