//! Attestations of images: each image gets a statement around each predicate, and each statement that was given, in every store.
//!
//! All of an image's go into its list in one write, after one look. Registries have their turns, and what an index lists is a subject
//! too where that is asked for, as in signing.

use std::pin::pin;

use futures_util::StreamExt as _;

use super::subjects::{Next, Subjects};
use super::{Batch, Pipeline, PipelineError, Seen, What, Whole, WholeError, look_up, payloads, sign};
use crate::explain::Explanation;
use crate::formats::Claims;
use crate::payload::Attestations;
use crate::place::{Encoding, KeptUnder, StoreKind};
use crate::plan::PlannedImage;
use crate::report::{About, Done, Label, Outcome};
use crate::store::Filed;
use crate::verify;

/// How many bytes of predicates are worked on at a time, about: each takes five times its size while it is signed, sent and read back.
const AT_ONCE_BYTES: usize = 64 * 1024 * 1024;

/// How outcomes name it.
const ARTIFACT: &str = "attestation";
/// What is signed.
const FORMAT: &str = "in-toto";

/// What is attested, and where it goes.
#[derive(Clone, Debug)]
pub struct AttestJob {
    /// What is said of each image.
    pub attestations: Attestations,
    /// The stores.
    pub stores: Vec<StoreKind>,
    /// Whether earlier attestations of the same predicate types by the same key are removed, which is for tags alone.
    pub replace: bool,
}

impl AttestJob {
    /// How the outcomes in all stores are named, with `encodings` in registries.
    pub fn labels(&self, encodings: &[Encoding]) -> Vec<Label> {
        let labels = self.stores.iter().map(|store| Label::each(ARTIFACT, FORMAT, *store, encodings));
        labels.flatten().collect()
    }

    fn label(&self, store: StoreKind) -> Label {
        Label { artifact: ARTIFACT, format: FORMAT, store: store.name(), encoding: None }
    }

    /// How many images are worked on at a time, `jobs` at most.
    fn jobs(&self, jobs: usize) -> usize {
        jobs.min(AT_ONCE_BYTES / self.attestations.len_bytes().max(1)).max(1)
    }

    /// The stores that keep each attestation under a key of its own.
    fn keyed(&self) -> Vec<Label> {
        self.stores.iter().filter(|store| **store != StoreKind::Oci).map(|store| self.label(*store)).collect()
    }
}

impl Whole {
    /// Attests every image, and returns how each ended in each store; `seen` is called with each as it ends.
    pub async fn attest_images(
        &self,
        images: &[PlannedImage],
        job: &AttestJob,
        seen: &mut Seen<'_>,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let keyed = job.keyed();
        if job.stores.contains(&StoreKind::Oci) {
            let pipelines = self.encodings.iter().map(|stores| {
                let format = Box::new(job.attestations.clone());
                let what = What::Each { format, claims: Claims::default() };
                let label = Label { encoding: Some(stores.encoding), ..job.label(StoreKind::Oci) };
                Pipeline { replace: job.replace, ..self.pipeline(what, label, &stores.attestations) }
            });
            let batch = Batch {
                later: if self.recursive { keyed.clone() } else { Vec::new() },
                jobs: job.jobs(self.jobs),
                ..self.batch(pipelines.collect(), self.recursive)
            };
            outcomes.extend(batch.sign(images, seen).await);
        }
        if !keyed.is_empty() {
            outcomes.extend(self.file_attestations(images, job, keyed, seen).await);
        }
        outcomes
    }

    /// Puts the attestations of every image into the folder.
    async fn file_attestations(
        &self,
        images: &[PlannedImage],
        job: &AttestJob,
        labels: Vec<Label>,
        seen: &mut Seen<'_>,
    ) -> Vec<Outcome> {
        let subjects = Subjects::new(labels.clone(), Vec::new(), images, job.jobs(self.jobs), seen);
        {
            let file = async |Next { planned, .. }, slot| {
                let made = self.file_attestations_of(&planned, job, &subjects).await;
                drop(slot);
                (planned, made)
            };
            let mut filed = pin!(subjects.queue.run(file));
            while let Some((planned, made)) = filed.next().await {
                let PlannedImage { image, from, .. } = planned;
                let result = made.map_err(|error| Explanation::of(&error));
                for label in &labels {
                    let (subject, from) = (About::Image(image.clone()), from.clone());
                    subjects.ended(Outcome { label: *label, subject, from, result: result.clone() });
                }
            }
        }
        subjects.into_outcomes()
    }

    async fn file_attestations_of(
        &self,
        planned: &PlannedImage,
        job: &AttestJob,
        subjects: &Subjects<'_, '_>,
    ) -> Result<Done, WholeError> {
        let image = &planned.image;
        let manifest = look_up(&self.client, image).await?;
        if self.recursive {
            subjects.admit(planned, &manifest)?;
        }
        let payloads = payloads(&job.attestations, planned, &Claims::default())?;
        if let Err(why) = verify::Own::new(&self.key, image, &payloads).acceptable() {
            return Err(PipelineError::Unacceptable { image: image.to_string(), why }.into());
        }
        let mut filed = Vec::with_capacity(payloads.len());
        for payload in payloads {
            let signed = sign(&self.key, payload, vec![image.clone()]).await?;
            // Of one image there are many attestations: the payload's digest tells them apart.
            let mut key = KeptUnder::image(image);
            let short: String = signed.payload.digest().hex().chars().take(12).collect();
            key.full = format!("{}-attestation-{short}", key.full);
            filed.push(Filed { key, number: 0, signed });
        }
        self.keep(&filed).await
    }
}
