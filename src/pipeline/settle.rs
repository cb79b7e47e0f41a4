//! Writing until everything is there, ours and everybody's.
//!
//! A registry has no compare-and-swap. Two things make up for it, and both are needed:
//!
//! - Who replaces a list learns what it replaced (the store reads in the same moment), and puts back what it
//!   hadn't known of.
//! - Who has written reads again after a while that is longer than the moment between another signer's read
//!   and write. So whoever is overwritten by a signer that hadn't seen it is still there to notice.
//!
//! That while is about what lies between the read and the write of a signer that sends both at once: the
//! unevenness of the network, the registry and the machine, as far as our own requests showed it. It is a few
//! milliseconds where nobody else is at work, and grows with the load and with any sign of another writer.

use std::time::{Duration, Instant};

use tokio::sync::SemaphorePermit;

use super::{Pipeline, PipelineError};
use crate::registry::RegistryError;
use crate::store::{Depth, Shelf, Signed, StoreError, Subject, Written};
use crate::verify;

/// The least time between a write and the read that confirms it.
const LEAST_WAIT: Duration = Duration::from_millis(10);
/// The most, where the registry's answers are very uneven.
const MOST_WAIT: Duration = Duration::from_secs(2);
/// Up to this unevenness nothing is overloaded; beyond it, another signer's requests may be more uneven still.
const CALM: Duration = Duration::from_millis(20);
/// How long it must have been quiet, at least, where another writer has shown itself.
const QUIET: Duration = Duration::from_millis(400);

/// How often in a row, at least, a list is written to a registry that doesn't find a part of it.
const TORN_ATTEMPTS: u32 = 8;
/// And for how long, at least: twenty writers on a loaded machine keep a registry in that state for seconds.
const TORN_FOR: Duration = Duration::from_secs(5);

impl Pipeline {
    /// Writes `signed` beside what `shelf` holds, and again, until a read shows all of it.
    pub(super) async fn settle(
        &self,
        shelf: Shelf,
        subject: &Subject,
        signed: &[Signed],
        mut slot: Option<SemaphorePermit<'_>>,
    ) -> Result<(), PipelineError> {
        let places = self.store.places(subject, signed);
        let depth = Depth::Only(&places);
        let mut wanted = shelf;
        let (_place, written) = self.writers.take(&self.store.location(&subject.image)).await;
        if written {
            let before = std::mem::replace(&mut wanted, self.store.read(&subject.image, depth).await?);
            wanted.absorb(&before);
        }
        let mut contended = false;
        let mut torn = Torn::default();
        for attempt in 1_u32.. {
            let write = self.store.write(&wanted, subject, signed).await;
            if write.is_ok() {
                torn = Torn::default();
            }
            let wait = match write {
                Ok(Written::Alone { took }) => self.confirm_after(took),
                Ok(Written::Met(others)) => {
                    contended = true;
                    wanted.absorb(&others);
                    Duration::ZERO
                }
                Err(error) => {
                    contended = true;
                    self.pause(attempt, &mut torn, error).await?;
                    Duration::ZERO
                }
            };
            drop(slot.take());
            tokio::time::sleep(wait).await;
            let mut seen = self.store.read(&subject.image, depth).await?;
            if self.complete(&seen, &wanted, signed).await? {
                if !contended {
                    return Ok(());
                }
                let before = seen.version.clone();
                tokio::time::sleep((wait * 2).max(QUIET) + random(QUIET / 2)).await;
                seen = self.store.read(&subject.image, depth).await?;
                if seen.version == before && self.complete(&seen, &wanted, signed).await? {
                    return Ok(());
                }
            }
            tracing::debug!(image = %subject.image, attempt, "another writer came between; writing again");
            contended = true;
            seen.absorb(&wanted);
            wanted = seen;
            if Instant::now() >= self.deadline {
                let location = self.store.location(&subject.image);
                return Err(PipelineError::NotThere {
                    image: subject.image.to_string(),
                    location,
                    times: attempt,
                });
            }
            tokio::time::sleep(random(QUIET / 8 * attempt.min(8))).await;
        }
        Ok(())
    }

    /// Whether `seen` has every signature of ours, verified, and everything else that was ever seen there.
    async fn complete(&self, seen: &Shelf, wanted: &Shelf, signed: &[Signed]) -> Result<bool, PipelineError> {
        let signer = self.key.signer().await?;
        let ours = signed.iter().all(|signed| verify::holds(seen, &signed.payload, signer.public_key()));
        Ok(ours && seen.contains(wanted))
    }

    /// How long after a write that took so long the confirming read is sent.
    fn confirm_after(&self, took: Duration) -> Duration {
        let uneven = took.saturating_sub(self.client.fastest());
        (LEAST_WAIT + uneven + uneven.saturating_sub(CALM)).min(MOST_WAIT)
    }

    /// Waits after a failed write, if trying again can help and there is time left.
    async fn pause(&self, attempt: u32, torn: &mut Torn, error: StoreError) -> Result<(), StoreError> {
        let again = match error.registry() {
            Some(registry) if registry.is_transient() => self.client.pause(attempt - 1, registry).await,
            // The loop itself waits before it writes again.
            Some(registry) => is_torn(registry) && torn.may_pass(Instant::now()),
            _ => false,
        };
        if again { Ok(()) } else { Err(error) }
    }
}

/// Whether a registry refused a list because it does not find something in it.
///
/// docker-registry on a file system writes its links in place: while another signer uploads the same blob (every
/// bundle has the same empty config), or pushes the same manifest, it reads an empty link and says that
/// the blob is unknown, or its digest invalid. A moment later it is there.
fn is_torn(error: &RegistryError) -> bool {
    let codes = ["BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "DIGEST_INVALID"];
    error.refusal().is_some_and(|refusal| codes.iter().any(|code| refusal.has_code(code)))
}

/// The refusals in a row for which [`is_torn`] holds.
#[derive(Default)]
struct Torn {
    times: u32,
    since: Option<Instant>,
}

impl Torn {
    /// Counts one more, at `now`; whether it may still pass, or is the state of things.
    fn may_pass(&mut self, now: Instant) -> bool {
        self.times += 1;
        let since = *self.since.get_or_insert(now);
        self.times < TORN_ATTEMPTS || now.duration_since(since) < TORN_FOR
    }
}

/// A time up to `most`, so that writers that met once don't meet again.
fn random(most: Duration) -> Duration {
    // Without randomness writers still end, only later.
    let share = getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX));
    most.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_torn_is_given_up_when_it_was_tried_often_and_for_long() {
        let begin = Instant::now();
        let mut torn = Torn::default();
        assert!((0..100).all(|_| torn.may_pass(begin)), "often, but not for long");
        assert!(!torn.may_pass(begin + TORN_FOR));
        let mut torn = Torn::default();
        let mut later = begin;
        for _ in 1..TORN_ATTEMPTS {
            assert!(torn.may_pass(later), "for long, but not often");
            later += TORN_FOR;
        }
        assert!(!torn.may_pass(later));
    }
}
