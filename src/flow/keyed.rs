//! Signatures in stores that keep each under a key of its own: those of images, those that are written with their run, and how both are stored.

use std::sync::Arc;

use super::batch::ImageJob;
use super::{PayloadSource, Pipeline, PipelineError};
use crate::explain::Explanation;
use crate::oci::{ImageRef, Manifest};
use crate::place::StorageKey;
use crate::report::{OutcomeLabel, ReportSubject, SignedOutcome, SubjectOutcome};
use crate::sign::Unlocking;
use crate::store::{Filed, Filing, Kept, Keyed, OfRun, Signed, Store};
use crate::verify::{self, own};

/// Signatures that are written together with everything else of their run.
pub(super) struct DeferredWrite {
    pub(super) store: Arc<dyn Store>,
    pub(super) label: OutcomeLabel,
    pub(super) subject: ReportSubject,
    pub(super) from: Vec<String>,
    pub(super) filed: Vec<Filed>,
}

impl DeferredWrite {
    /// The outcome, after everything of the run was stored, or nothing of it.
    pub(super) fn ended(self, kept: &Result<SignedOutcome, Explanation>) -> SubjectOutcome {
        let Self { label, subject, from, filed, .. } = self;
        let result = kept.clone().map(|kept| {
            let added = if kept.added > 0 { filed.len() } else { 0 };
            SignedOutcome { added, present: filed.len() - added, ..kept }
        });
        SubjectOutcome { label, subject, from, result }
    }
}

impl Pipeline {
    /// The signatures of an image with their storage keys. The image must be in the registry.
    pub(super) async fn file(
        &self,
        one: &ImageJob<'_>,
        manifest: impl Future<Output = Result<&Manifest, Explanation>>,
    ) -> Result<Vec<Filed>, Explanation> {
        manifest.await?;
        let image = &one.planned.image;
        let payloads = self.what.payloads(one.planned)?;
        Self::acceptable(&verify::Own::new(&self.key, image, &payloads), image)?;
        let signed = self.sign_all(one, &payloads).await?;
        let filed = |(number, signed)| self.what.filed(image, number, signed);
        Ok(signed.into_iter().enumerate().map(filed).collect())
    }
}

impl PayloadSource {
    /// A signature of `image` with its storage key.
    fn filed(&self, image: &ImageRef, number: usize, signed: Signed) -> Filed {
        let mut key = StorageKey::image(image);
        let Self::Attested(_) = self else { return Filed { key, number, signed } };
        // An image can have many attestations. The payload's digest distinguishes them.
        let short: String = signed.payload.digest().hex().chars().take(12).collect();
        key.full = format!("{}-attestation-{short}", key.full);
        Filed { key, number: 0, signed }
    }
}

/// Writes the signatures `filed` of `run` to `store`. With `mark`, the run is marked as signed.
pub(super) async fn keep(
    store: &dyn Keyed,
    key: &Unlocking,
    filed: &[Filed],
    run: Option<&OfRun<'_>>,
    mark: bool,
) -> Result<SignedOutcome, PipelineError> {
    let signer = key.signer().await?;
    let trust = own::trust(signer.public_key());
    let counts = |payload: &[u8], signature: &[u8]| verify::run::counts(&trust, payload, signature);
    let Kept { location, added } = store.keep(&Filing { filed, run, mark, counts: &counts }).await?;
    let present = filed.len().saturating_sub(added);
    Ok(SignedOutcome { location, added, present, replaced: 0, key_id: signer.public_key().key_id() })
}
