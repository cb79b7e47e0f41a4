//! Attestations of images: each image gets a statement around each predicate, and each statement that was given, in every store.
//!
//! All of an image's go into its list in one write, after one look. Registries have their turns, and what an index lists is a subject
//! too where that is asked for, as in signing.

use super::whole::label;
use super::{Pipeline, Seen, What, Whole};
use crate::payload::Attestations;
use crate::place::{Encoding, StoreKind};
use crate::plan::PlannedImage;
use crate::report::{Label, Outcome};

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
    pub(crate) fn labels(&self, encodings: &[Encoding]) -> Vec<Label> {
        let labels = self.stores.iter().map(|store| Label::each(ARTIFACT, FORMAT, *store, encodings));
        labels.flatten().collect()
    }

    /// How many images are worked on at a time, `jobs` at most.
    fn jobs(&self, jobs: usize) -> usize {
        jobs.min(AT_ONCE_BYTES / self.attestations.len_bytes().max(1)).max(1)
    }
}

impl Whole {
    /// Attests every image, and returns how each ended in each store; `seen` is called with each as it ends.
    pub(crate) async fn attest_images(
        &self,
        images: &[PlannedImage],
        job: &AttestJob,
        seen: &mut Seen<'_>,
    ) -> Vec<Outcome> {
        let pipelines = self.attested_in(&job.stores).map(|store| {
            let what = What::Attested(job.attestations.clone());
            let label = label(store, Label { artifact: ARTIFACT, format: FORMAT, ..Label::IMAGE });
            Pipeline { replace: job.replace, ..self.pipeline(what, label, store) }
        });
        let (pipelines, jobs) = (pipelines.collect(), job.jobs(self.jobs));
        self.in_turns(images, pipelines, jobs, false, seen).await.0
    }
}
