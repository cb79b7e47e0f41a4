//! Signs images for several stores concurrently.
//!
//! Each image is looked up once and each index is expanded once for all stores. A slow or failing store doesn't delay
//! the others: each has an outcome of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::sync::OnceCell;

use super::keyed::DeferredWrite;
use super::subjects::{QueuedSubject, SharedSlot, SubjectQueue};
use super::{EventCallback, Pipeline, PipelineResult, look_up};
use crate::explain::Explanation;
use crate::formats::Payload;
use crate::key::Signature;
use crate::oci::{Digest, ImageRef, Manifest};
use crate::plan::PlannedImage;
use crate::registry::client::Client;
use crate::report::{OutcomeLabel, ReportSubject, SubjectOutcome};
use crate::sign::{SignError, Unlocking};
use crate::store::Signed;

/// The configuration for signing images for several stores at the same time.
pub struct Batch {
    /// The client for the images' registries.
    pub client: Client,
    /// A pipeline for each store. Their labels differ.
    pub pipelines: Vec<Pipeline>,
    /// The labels of stores that get the same subjects later.
    pub later: Vec<OutcomeLabel>,
    /// How many subjects are processed at a time. A subject counts once, whatever its number of stores.
    pub jobs: usize,
    /// Whether the manifests of an index are subjects too.
    pub recursive: bool,
}

/// An image that is signed for several stores, with its signatures so far.
pub(super) struct ImageJob<'a> {
    pub(super) planned: &'a PlannedImage,
    pub(super) signatures: SignatureCache,
}

/// The signatures of one image, by payload digest, so that stores with the same payload share a signature.
#[derive(Default)]
pub(super) struct SignatureCache(RefCell<HashMap<Digest, Rc<OnceCell<Signature>>>>);

impl SignatureCache {
    /// The payload with its signature by `key`.
    ///
    /// # Errors
    ///
    /// The key can't be unlocked or can't sign.
    pub(super) async fn of(
        &self,
        key: &Unlocking,
        payload: &Payload,
        image: &ImageRef,
    ) -> Result<Signed, SignError> {
        let cell = Rc::clone(self.0.borrow_mut().entry(payload.digest()).or_default());
        let signature =
            cell.get_or_try_init(|| key.sign_payload(payload.clone(), vec![image.clone()])).await?.clone();
        Ok(Signed::new(payload.clone(), signature, key.signer().await?.public_key()))
    }
}

impl Batch {
    /// Signs every image. `seen` is called with each outcome, and with each subject that an index lists.
    ///
    /// All images and stores are tried, even after a failure.
    pub async fn sign(&self, images: &[PlannedImage], seen: &mut EventCallback<'_>) -> Vec<SubjectOutcome> {
        self.sign_for(false, images, seen).await.0
    }

    /// The same. If there is a run, also returns the signatures that are written together with the run.
    pub(super) async fn sign_for(
        &self,
        has_run: bool,
        images: &[PlannedImage],
        seen: &mut EventCallback<'_>,
    ) -> (Vec<SubjectOutcome>, Vec<DeferredWrite>) {
        let labels = self.pipelines.iter().map(|pipeline| pipeline.label).collect();
        let subjects = SubjectQueue::new(labels, self.later.clone(), images, self.jobs, seen);
        let aside = RefCell::default();
        let sign = async |next: QueuedSubject, slot| {
            self.sign_one(&next, Rc::new(slot), &subjects, has_run.then_some(&aside)).await;
        };
        subjects.queue.run(sign).collect::<()>().await;
        let mut aside: Vec<(usize, DeferredWrite)> = aside.into_inner();
        // A fixed order, so that the same images give the same annotations.
        aside.sort_by(|(a, one), (b, other)| (a, &one.subject).cmp(&(b, &other.subject)));
        (subjects.into_outcomes(), aside.into_iter().map(|(_, aside)| aside).collect())
    }

    /// Signs one image for each store. The slot is free when no store needs it anymore.
    async fn sign_one(
        &self,
        QueuedSubject { planned, number }: &QueuedSubject,
        slot: SharedSlot<'_>,
        subjects: &SubjectQueue<'_, '_>,
        aside: Option<&RefCell<Vec<(usize, DeferredWrite)>>>,
    ) {
        let PlannedImage { image, from, .. } = planned;
        let held = OnceCell::new();
        let one = ImageJob { planned, signatures: SignatureCache::default() };
        let mut each = Vec::with_capacity(self.pipelines.len());
        for (at, pipeline) in self.pipelines.iter().enumerate() {
            let (slot, looks, held, one) = (Rc::clone(&slot), slot.looks(at), &held, &one);
            let manifest = async move {
                let held = held.get_or_init(|| self.manifest(planned, subjects)).await;
                held.as_ref().map_err(Clone::clone)
            };
            each.push(async move {
                let ended = pipeline.sign_one(one, manifest, &looks, slot, aside.is_some()).await;
                let (label, subject, from) =
                    (pipeline.label, ReportSubject::Image(image.clone()), from.clone());
                let result = match ended {
                    Ok(PipelineResult::Aside(filed)) => {
                        let store = Arc::clone(&pipeline.store);
                        let made = DeferredWrite { store, label, subject, from, filed };
                        if let Some(aside) = aside {
                            aside.borrow_mut().push((*number, made));
                        }
                        return;
                    }
                    Ok(PipelineResult::Done(done)) => Ok(done),
                    Err(why) => Err(why),
                };
                subjects.ended(SubjectOutcome { label, subject, from, result });
            });
        }
        // Each pipeline has its own reference to the slot now.
        drop(slot);
        join_all(each).await;
    }

    /// Looks an image up, and adds the manifests of an index as subjects if `recursive` is set.
    async fn manifest(
        &self,
        planned: &PlannedImage,
        subjects: &SubjectQueue<'_, '_>,
    ) -> Result<Manifest, Explanation> {
        let manifest = look_up(&self.client, &planned.image).await?;
        if self.recursive {
            subjects.admit(planned, &manifest)?;
        }
        Ok(manifest)
    }
}
