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
use crate::store::{Depth, Own as StoredOwn, Shelf, Signed, StoreError, Subject, Written};
use crate::verify::Own;

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

/// What is to be there, and what has come of it.
struct Settling<'a> {
    subject: &'a Subject,
    judge: &'a Own<'a>,
    /// What is written.
    signed: Vec<Signed>,
    /// By what it is known again.
    own: Vec<StoredOwn>,
    /// Everything that was ever seen there.
    wanted: Shelf,
    /// Whether another writer has shown itself.
    contended: bool,
    /// Whether a write of ours went through.
    pushed: bool,
}

impl Pipeline {
    /// Writes those of `signed` that `shelf` lacks beside what it holds, and again, until a read shows all of it; how many they were.
    pub(super) async fn settle(
        &self,
        shelf: Shelf,
        subject: &Subject,
        signed: Vec<Signed>,
        judge: &Own<'_>,
        slot: Option<SemaphorePermit<'_>>,
    ) -> Result<usize, PipelineError> {
        let own = self.store.own(subject, &signed)?;
        let mut settling =
            Settling { subject, judge, signed, own, wanted: shelf, contended: false, pushed: false };
        let (_place, written) = self.writers.take(&self.store.location(&subject.image)).await;
        // Ours may be there under a label by which it wasn't read.
        if written || settling.own.iter().any(|own| settling.wanted.has_unread(own)) {
            self.look_again(&mut settling).await?;
            if settling.signed.is_empty() {
                return Ok(0);
            }
        }
        self.write_until_there(settling, slot).await
    }

    /// Leaves out what is there by now.
    async fn look_again(&self, settling: &mut Settling<'_>) -> Result<(), PipelineError> {
        let now = self.look(settling).await?;
        let before = std::mem::replace(&mut settling.wanted, now);
        let wanted = &mut settling.wanted;
        settling.signed.retain(|signed| !wanted.counts(&signed.payload.digest()));
        settling.own.retain(|own| !wanted.counts(&own.payload));
        wanted.absorb(&before);
        Ok(())
    }

    async fn look(&self, settling: &Settling<'_>) -> Result<Shelf, StoreError> {
        self.store.read(&settling.subject.image, Depth::Only(&settling.own), settling.judge).await
    }

    async fn write_until_there(
        &self,
        mut settling: Settling<'_>,
        mut slot: Option<SemaphorePermit<'_>>,
    ) -> Result<usize, PipelineError> {
        let mut torn = Torn::default();
        let mut attempt = 0_u32;
        loop {
            attempt = attempt.saturating_add(1);
            let wait = self.write(&mut settling, attempt, &mut torn).await?;
            drop(slot.take());
            tokio::time::sleep(wait).await;
            let Some(mut seen) = self.incomplete(&settling, wait).await? else {
                return Ok(settling.own.len());
            };
            let image = &settling.subject.image;
            tracing::debug!(%image, attempt, "another writer came between; writing again");
            settling.contended = true;
            seen.absorb(&settling.wanted);
            settling.wanted = seen;
            if Instant::now() >= self.deadline {
                let location = self.store.location(image);
                return Err(PipelineError::NotThere { image: image.to_string(), location, times: attempt });
            }
            tokio::time::sleep(random(QUIET / 8 * attempt.min(8))).await;
        }
    }

    /// Writes once; how long after it the confirming read is sent.
    async fn write(
        &self,
        settling: &mut Settling<'_>,
        attempt: u32,
        torn: &mut Torn,
    ) -> Result<Duration, PipelineError> {
        let write = self.store.write(&settling.wanted, settling.subject, &settling.signed).await;
        if write.is_ok() {
            *torn = Torn::default();
        }
        match write {
            Ok(Written::Alone { took }) => {
                settling.pushed = true;
                return Ok(self.confirm_after(took));
            }
            Ok(Written::Met(others)) => {
                settling.contended = true;
                settling.wanted.absorb(&others);
            }
            Err(error) => {
                settling.contended = true;
                self.pause(attempt, torn, error).await?;
            }
        }
        Ok(Duration::ZERO)
    }

    /// What is there, if that isn't everything or doesn't stay; `None`: it is done.
    async fn incomplete(
        &self,
        settling: &Settling<'_>,
        wait: Duration,
    ) -> Result<Option<Shelf>, PipelineError> {
        let mut seen = self.look(settling).await?;
        if self.complete(settling, &seen)? {
            if !settling.contended {
                return Ok(None);
            }
            let before = seen.version.clone();
            tokio::time::sleep((wait * 2).max(QUIET) + random(QUIET / 2)).await;
            seen = self.look(settling).await?;
            if seen.version == before && self.complete(settling, &seen)? {
                return Ok(None);
            }
        }
        Ok(Some(seen))
    }

    /// Whether `seen` has every signature of ours, verified, and everything else that was ever seen there.
    ///
    /// One of ours that another writer's list lacks is written again. One that is there and doesn't verify, once it was `pushed`,
    /// would be so after the next write too: that is an error.
    fn complete(&self, settling: &Settling<'_>, seen: &Shelf) -> Result<bool, PipelineError> {
        let Settling { wanted, pushed, .. } = settling;
        let missing: Vec<&StoredOwn> = settling.own.iter().filter(|own| !seen.counts(&own.payload)).collect();
        let spoilt = missing.iter().find_map(|own| Some((own, seen.spoilt(own, wanted)?)));
        if let (true, Some((own, (found, why)))) = (*pushed, spoilt) {
            let image = &settling.subject.image;
            return Err(PipelineError::Spoilt {
                image: image.to_string(),
                location: self.store.location(image),
                why: why.to_owned(),
                pushed: own.descriptor.to_string(),
                found: found.to_string(),
            });
        }
        Ok(missing.is_empty() && seen.contains(wanted))
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
