//! Images' signatures in the stores that keep each under a key of its own: the folder, and the annotations of a run.
//!
//! What an index lists is signed with `recursive` here as it is in registries, and registries have their turns as there.

use std::pin::pin;

use futures_util::StreamExt as _;

use super::subjects::{Next, Subjects};
use super::whole::entry;
use super::{Seen, Whole, WholeError, look_up, payloads, sign};
use crate::chains::{Entry, ShortKey};
use crate::explain::Explanation;
use crate::formats::{Envelope, Payload};
use crate::found::Attached;
use crate::place::{KeptUnder, StoreKind};
use crate::plan::PlannedImage;
use crate::report::{About, Done, Label, Outcome};
use crate::store::Filed;
use crate::verify::{self, own};

/// What is to be written into the annotations of one run.
#[derive(Default)]
pub(super) struct Slots(pub(super) Vec<(Label, About, Vec<String>, Vec<Entry>)>);

impl Whole {
    /// How the outcomes of images' signatures in these stores are named.
    pub(super) fn keyed_labels(&self) -> Vec<Label> {
        let keyed = self.image_stores.iter().filter(|store| **store != StoreKind::Oci);
        keyed.map(|store| self.image_label(*store)).collect()
    }

    /// Signs every image; what goes into annotations is returned, and has no outcome yet.
    pub(super) async fn sign_keyed(
        &self,
        labels: Vec<Label>,
        images: &[PlannedImage],
        no_run: bool,
        seen: &mut Seen<'_>,
    ) -> (Vec<Outcome>, Slots) {
        let subjects = Subjects::new(labels, Vec::new(), images, self.jobs, seen);
        let mut kept = Vec::new();
        {
            let sign = async |Next { planned, number }, slot| {
                let filed = self.sign_image(&planned, &subjects).await;
                drop(slot);
                (number, planned, filed)
            };
            let mut signed = pin!(subjects.queue.run(sign));
            while let Some((number, planned, filed)) = signed.next().await {
                let mut slots = Slots::default();
                let made = self.keep_image(&planned, filed, no_run, &mut slots).await;
                made.into_iter().for_each(|outcome| subjects.ended(outcome));
                kept.extend(slots.0.into_iter().map(|slot| (number, slot)));
            }
        }
        // Whichever ended first: the same images make the same annotations.
        kept.sort_by(|(a, (_, about, ..)), (b, (_, other, ..))| (a, about).cmp(&(b, other)));
        let slots = Slots(kept.into_iter().map(|(_, slot)| slot).collect());
        (subjects.into_outcomes(), slots)
    }

    pub(super) fn image_label(&self, store: StoreKind) -> Label {
        Label { format: (self.format)().name(), store: store.name(), encoding: None, ..Label::IMAGE }
    }

    /// The signatures of one image that the registry holds.
    async fn sign_image(
        &self,
        planned: &PlannedImage,
        subjects: &Subjects<'_, '_>,
    ) -> Result<Vec<Filed>, WholeError> {
        let image = &planned.image;
        let manifest = look_up(&self.client, image).await?;
        if self.recursive {
            subjects.admit(planned, &manifest)?;
        }
        let payloads = payloads(&*(self.format)(), planned, &self.claims)?;
        let mut all = Vec::new();
        for (number, payload) in payloads.into_iter().enumerate() {
            let signed = sign(&self.key, payload, vec![image.clone()]).await?;
            all.push(Filed { key: KeptUnder::image(image), number, signed });
        }
        Ok(all)
    }

    /// Puts an image's signatures into the folder, and sets aside what goes into annotations.
    async fn keep_image(
        &self,
        planned: &PlannedImage,
        filed: Result<Vec<Filed>, WholeError>,
        no_run: bool,
        slots: &mut Slots,
    ) -> Vec<Outcome> {
        let filed = filed.map_err(|error| Explanation::of(&error));
        let (about, from) = (About::Image(planned.image.clone()), planned.from.clone());
        let mut outcomes = Vec::new();
        for store in self.image_stores.iter().copied().filter(|store| *store != StoreKind::Oci) {
            let label = self.image_label(store);
            let result = match (&filed, store) {
                (Err(why), _) => Err(why.clone()),
                (Ok(_), StoreKind::Tekton) if no_run => {
                    Err(Explanation::of(&WholeError::NoRun(planned.image.to_string())))
                }
                (Ok(filed), StoreKind::Tekton) => {
                    let entries = filed.iter().map(entry_of_image).collect();
                    slots.0.push((label, about.clone(), from.clone(), entries));
                    continue;
                }
                (Ok(filed), _) => self.keep(filed).await.map_err(|error| Explanation::of(&error)),
            };
            outcomes.push(Outcome { label, subject: about.clone(), from: from.clone(), result });
        }
        outcomes
    }

    /// Puts `filed` into the folder.
    pub(super) async fn keep(&self, filed: &[Filed]) -> Result<Done, WholeError> {
        let (Some(directory), Some(last)) = (&self.directory, filed.last()) else {
            let subject = filed.last().map(|filed| filed.key.full.clone());
            return Err(WholeError::NothingKept(subject.unwrap_or_default()));
        };
        let trust = own::trust(self.key.signer().await?.public_key());
        let alone = Attached::default();
        let counts = |payload: &Payload, signature: &[u8]| match payload.envelope {
            Envelope::Dsse => verify::run::enveloped(&trust, &payload.bytes, signature, &alone).is_ok(),
            Envelope::Bare => trust.simple(&payload.bytes, signature, &alone).is_ok(),
        };
        let mut added = 0;
        for filed in filed {
            added += usize::from(directory.keep(filed, &counts)?);
        }
        Ok(Done {
            location: directory.location(last),
            added,
            present: filed.len() - added,
            replaced: 0,
            key_id: last.signed.key_id.clone(),
        })
    }
}

fn entry_of_image(filed: &Filed) -> Entry {
    let digest = filed.key.image.clone().unwrap_or_else(|| filed.signed.payload.digest());
    entry(ShortKey::Image(digest), &filed.signed)
}
