//! Attests images: each image gets a statement for each predicate, and each given statement, in every store.
//!
//! All attestations of an image are added to its list by one read and one write. As in signing, registries share the workers,
//! and the manifests of an index are subjects too if that is requested.

use super::whole::label;
use super::{EventCallback, PayloadSource, Pipeline, SignJob};
use crate::payload::Attestations;
use crate::place::{Encoding, StoreKind};
use crate::plan::PlannedImage;
use crate::report::{OutcomeLabel, SubjectOutcome};

/// The approximate number of predicate bytes in progress at a time. A predicate takes five times its size while it is signed, sent and read back.
const AT_ONCE_BYTES: usize = 64 * 1024 * 1024;

/// The artifact name in outcomes.
const ARTIFACT: &str = "attestation";
/// The format name in outcomes.
const FORMAT: &str = "in-toto";

/// The attestations, and the stores that they go to.
#[derive(Clone, Debug)]
pub struct AttestJob {
    /// The attestations for each image.
    pub attestations: Attestations,
    /// The stores that get the attestations.
    pub stores: Vec<StoreKind>,
    /// Whether earlier attestations by the same key with the same predicate types are removed. Only tags support it.
    pub replace: bool,
}

impl AttestJob {
    /// The labels of the outcomes in all stores, with `encodings` in registries.
    pub(crate) fn labels(&self, encodings: &[Encoding]) -> Vec<OutcomeLabel> {
        let labels = self.stores.iter().map(|store| OutcomeLabel::each(ARTIFACT, FORMAT, *store, encodings));
        labels.flatten().collect()
    }

    /// How many images to process at a time, `jobs` at most.
    fn jobs(&self, jobs: usize) -> usize {
        jobs.min(AT_ONCE_BYTES / self.attestations.len_bytes().max(1)).max(1)
    }
}

impl SignJob {
    /// Attests every image and returns its outcome in each store. `seen` is called with each outcome.
    pub(crate) async fn attest_images(
        &self,
        images: &[PlannedImage],
        job: &AttestJob,
        seen: &mut EventCallback<'_>,
    ) -> Vec<SubjectOutcome> {
        let pipelines = self.attested_in(&job.stores).map(|store| {
            let what = PayloadSource::Attested(job.attestations.clone());
            let label =
                label(store, OutcomeLabel { artifact: ARTIFACT, format: FORMAT, ..OutcomeLabel::IMAGE });
            Pipeline { replace: job.replace, ..self.pipeline(what, label, store) }
        });
        let (pipelines, jobs) = (pipelines.collect(), job.jobs(self.jobs));
        self.in_turns(images, pipelines, jobs, false, seen).await.0
    }
}
