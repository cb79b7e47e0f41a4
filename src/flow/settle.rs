//! Writing until everything is there, ours and everybody's.
//!
//! A registry has no compare-and-swap. Two things make up for it, and both are needed:
//!
//! - Who replaces a list has read it right before, and merges what it hadn't known of.
//! - Who has written reads again after a while that is longer than the moment between another signer's read
//!   and write. So whoever is overwritten by a signer that hadn't seen it is still there to notice.
//!
//! A read may grow old before its write goes out: then nothing is written, and the list is read again (`store/tagged.rs`).
//!
//! That while is about what lies between the read and the write of another signer, which sends one when the other is answered: the time
//! and the unevenness of the network, the registry and the machine, as far as our own requests showed them. It is a few
//! milliseconds nearby where nobody else is at work, and grows with the load and with any sign of another writer.
//!
//! Some registries delete what was overwritten. The store puts back what it knows; `lost.rs` says what becomes of the rest.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::lost::Lost;
use super::subjects::Slot;
use super::{Beside, PipelineError};
use crate::registry::RegistryError;
use crate::store::{
    Depth, Entry, LONGEST_WATCH, Own as StoredOwn, Shelf, Signed, StoreError, Subject, Written,
};
use crate::verify::Own;

/// The least time between a write and the read that confirms it, nearby.
const LEAST_WAIT: Duration = Duration::from_millis(10);
/// The same where another signer's write may come late, or what is overwritten may be deleted: only its own signer can put it back then.
const LONGER_WAIT: Duration = Duration::from_millis(60);
/// Up to this unevenness nothing is overloaded; beyond it, another signer's requests may be more uneven still.
const CALM: Duration = Duration::from_millis(20);
/// How long it must have been quiet, at least, where another writer has shown itself.
const QUIET: Duration = Duration::from_millis(400);

/// How often what was removed may be there again. Another signer that has read the list before puts back, with its own, what it takes for
/// overwritten, and each of both could go on for ever.
const MAX_PUT_BACK: u32 = 5;

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
    /// How many entries of it, the first ones, are of the list as it was read last.
    here: usize,
    /// What of it is left out.
    lost: Lost,
    /// Entries of our own key that are to go; others, and what comes to be there later, stay.
    removed: Vec<Entry>,
    /// How often they were there again beside all of ours.
    put_back: u32,
    /// Whether all that is wanted is there but for what others have to put back.
    waits: bool,
    /// Whether another writer has shown itself.
    contended: bool,
    /// Whether a write of ours went through.
    pushed: bool,
}

/// The writes that failed in a row.
#[derive(Default)]
struct Failures {
    /// Those that were lost on the way, or that the registry had no time for.
    transient: u32,
    /// Those of lists that lacked a part.
    torn: Torn,
}

impl Settling<'_> {
    /// What is to be written, or to be there, beside ours.
    fn list(&self) -> Cow<'_, Shelf> {
        match (self.lost.is_empty(), self.removed.is_empty()) {
            (true, true) => Cow::Borrowed(&self.wanted),
            (true, false) => Cow::Owned(self.wanted.without(&self.removed)),
            (false, _) => Cow::Owned(self.lost.without(&self.wanted).without(&self.removed)),
        }
    }

    /// How many entries of `seen` were to go.
    fn remaining(&self, seen: &Shelf) -> usize {
        match self.removed.is_empty() {
            true => 0,
            false => seen.entries.len() - seen.without(&self.removed).entries.len(),
        }
    }

    /// Makes what was read the list that is written beside.
    fn saw(&mut self, mut seen: Shelf) {
        self.here = seen.entries.len();
        seen.absorb(&self.wanted);
        self.wanted = seen;
    }

    /// Whether the list names `entry`, as it was read last.
    fn is_here(&self, entry: &Entry) -> bool {
        self.wanted.entries.iter().take(self.here).any(|here| here == entry)
    }
}

impl Beside<'_> {
    /// Writes those of `signed` that `shelf` lacks beside what it holds but for `removed`, and again, until a read shows all of it; how
    /// many were added and how many removed.
    pub(super) async fn settle(
        &self,
        shelf: Shelf,
        subject: &Subject,
        signed: Vec<Signed>,
        removed: Vec<Entry>,
        judge: &Own<'_>,
        slot: Slot<'_>,
    ) -> Result<(usize, usize), PipelineError> {
        let own = self.list.own(subject, &signed)?;
        let mut settling = Settling {
            subject,
            judge,
            signed,
            own,
            here: shelf.entries.len(),
            wanted: shelf,
            lost: Lost::default(),
            removed,
            put_back: 0,
            waits: false,
            contended: false,
            pushed: false,
        };
        let (_place, written) = self.pipeline.writers.take(&self.list.location(&subject.image)).await;
        // Ours may be there under a label by which it wasn't read.
        if written || settling.own.iter().any(|own| settling.wanted.has_unread(own)) {
            self.look_again(&mut settling).await?;
            if settling.signed.is_empty() && settling.removed.is_empty() {
                return Ok((0, 0));
            }
        }
        self.write_until_there(settling, slot).await
    }

    /// Leaves out what is there by now.
    async fn look_again(&self, settling: &mut Settling<'_>) -> Result<(), PipelineError> {
        let now = self.look(settling).await?;
        settling.signed.retain(|signed| !now.counts(&signed.payload.digest()));
        settling.own.retain(|own| !now.counts(&own.payload));
        settling.removed.retain(|entry| now.has(entry));
        settling.saw(now);
        Ok(())
    }

    async fn look(&self, settling: &Settling<'_>) -> Result<Shelf, StoreError> {
        self.list.read(&settling.subject.image, Depth::Only(&settling.own), settling.judge).await
    }

    async fn write_until_there(
        &self,
        mut settling: Settling<'_>,
        slot: Slot<'_>,
    ) -> Result<(usize, usize), PipelineError> {
        let mut slot = Some(slot);
        let mut failures = Failures::default();
        let mut attempt = 0_u32;
        loop {
            attempt = attempt.saturating_add(1);
            let wait = match settling.waits {
                true => QUIET / 2,
                false => self.write(&mut settling, &mut failures).await?,
            };
            drop(slot.take());
            tokio::time::sleep(wait).await;
            let Some(seen) = self.incomplete(&mut settling, wait).await? else {
                return Ok((settling.own.len(), settling.removed.len()));
            };
            let image = &settling.subject.image;
            if settling.put_back >= MAX_PUT_BACK {
                return Err(PipelineError::PutBack {
                    image: image.to_string(),
                    location: self.list.location(image),
                    count: settling.remaining(&seen),
                    times: settling.put_back,
                });
            }
            tracing::debug!(%image, attempt, "another writer came between; writing again");
            settling.contended = true;
            if Instant::now() >= self.pipeline.deadline {
                let location = self.list.location(image);
                return Err(PipelineError::NotThere { image: image.to_string(), location, times: attempt });
            }
            settling.saw(seen);
            tokio::time::sleep(random(QUIET / 8 * attempt.min(8))).await;
        }
    }

    /// Writes once; how long after it the confirming read is sent.
    async fn write(
        &self,
        settling: &mut Settling<'_>,
        failures: &mut Failures,
    ) -> Result<Duration, PipelineError> {
        let list = settling.list().into_owned();
        let write = self.list.write(&list, settling.subject, &settling.signed).await;
        if write.is_ok() {
            failures.transient = 0;
        }
        match write {
            Ok(Written::Alone { took }) => {
                settling.pushed = true;
                failures.torn = Torn::default();
                return Ok(self.confirm_after(took, settling));
            }
            Ok(Written::Met(others)) => {
                settling.contended = true;
                failures.torn = Torn::default();
                settling.wanted.absorb(&others);
            }
            Ok(Written::Lacks { refusal, gone }) => {
                settling.contended = true;
                self.leave_out(settling, failures, gone, &refusal);
            }
            Err(error) => {
                settling.contended = true;
                self.pause(failures, error).await?;
            }
        }
        Ok(Duration::ZERO)
    }

    /// Leaves out `gone`, without which the registry takes a list.
    fn leave_out(
        &self,
        settling: &mut Settling<'_>,
        failures: &mut Failures,
        gone: Vec<Entry>,
        refusal: &StoreError,
    ) {
        let (here, overwritten): (Vec<_>, Vec<_>) =
            gone.into_iter().partition(|entry| settling.is_here(entry));
        overwritten.into_iter().for_each(|entry| settling.lost.awaits(entry));
        if here.is_empty() || failures.torn.may_pass(Instant::now()) {
            return;
        }
        let location = self.list.location(&settling.subject.image);
        let said = refusal.registry().map(ToString::to_string).unwrap_or_default();
        for entry in here {
            let why = format!(
                "the registry does not hold what the list names with it, so that it could not be verified, and refuses a list with it \
                 ({said}): it was left out of the list. Sign with that key again"
            );
            settling.lost.give_up(entry, &location, &why);
        }
        failures.torn = Torn::default();
    }

    /// Says of entries that the registry takes in a list that it doesn't hold what they name.
    fn tell_of(&self, settling: &Settling<'_>, gone: &[Entry]) {
        let location = self.list.location(&settling.subject.image);
        for digest in gone.iter().filter_map(Entry::digest) {
            tracing::warn!("the list at {location} names {digest}, and the registry does not hold it");
        }
    }

    /// What is there, if that isn't everything or doesn't stay; `None`: it is done.
    async fn incomplete(
        &self,
        settling: &mut Settling<'_>,
        wait: Duration,
    ) -> Result<Option<Shelf>, PipelineError> {
        let mut seen = self.look(settling).await?;
        if self.complete(settling, &seen)? && !settling.waits {
            if settling.contended {
                let before = seen.version.clone();
                tokio::time::sleep((wait * 2).max(QUIET) + random(QUIET / 2)).await;
                seen = self.look(settling).await?;
                if seen.version != before || !self.complete(settling, &seen)? || settling.waits {
                    return Ok(Some(seen));
                }
            }
            let mended = self.list.mend(&seen, settling.subject, &settling.signed).await?;
            if !mended.put_back {
                self.tell_of(settling, &mended.gone);
                return Ok(None);
            }
        }
        Ok(Some(seen))
    }

    /// Whether `seen` has every signature of ours, verified, and everything else that was ever seen there.
    ///
    /// One of ours that another writer's list lacks is written again. One that is there and doesn't verify, once it was `pushed`,
    /// would be so after the next write too: that is an error.
    fn complete(&self, settling: &mut Settling<'_>, seen: &Shelf) -> Result<bool, PipelineError> {
        let location = self.list.location(&settling.subject.image);
        let waits = settling.lost.waits(seen, &location, Instant::now());
        let Settling { wanted, pushed, .. } = &*settling;
        let missing: Vec<&StoredOwn> = settling.own.iter().filter(|own| !seen.counts(&own.payload)).collect();
        let spoilt = missing.iter().find_map(|own| Some((own, seen.spoilt(own, wanted)?)));
        if let (true, Some((own, (found, why)))) = (*pushed, spoilt) {
            let image = &settling.subject.image;
            return Err(PipelineError::Spoilt {
                image: image.to_string(),
                location: self.list.location(image),
                why: why.to_owned(),
                pushed: own.descriptor.to_string(),
                found: found.to_string(),
            });
        }
        let whole = missing.is_empty() && seen.contains(&settling.list());
        let again = settling.remaining(seen) > 0;
        if whole && again && settling.pushed {
            settling.put_back += 1;
        }
        let whole = whole && !again;
        settling.waits = whole && waits;
        Ok(whole)
    }

    /// How long after a write that took so long the confirming read is sent.
    ///
    /// A registry whose storage stalls now and then is uneven for other signers, too, where this write had luck: the uploads before it count.
    /// What other registries show doesn't.
    fn confirm_after(&self, took: Duration, settling: &Settling<'_>) -> Duration {
        let image = &settling.subject.image;
        let repository = self.list.repository(image);
        let may_lose = || self.list.may_lose(&settling.wanted, image);
        let least =
            if !self.pipeline.client.is_near(repository) || may_lose() { LONGER_WAIT } else { LEAST_WAIT };
        let slow = if took.is_zero() { took } else { took.max(self.pipeline.client.slow_write(repository)) };
        let uneven = slow.saturating_sub(self.pipeline.client.fastest(repository).unwrap_or_default());
        let wait = (least + uneven + uneven.saturating_sub(CALM)).min(LONGEST_WATCH);
        tracing::debug!(%image, ms = wait.as_millis(), "waiting before the confirming read");
        wait
    }

    /// Waits after a failed write, if trying again can help and there is time left.
    async fn pause(&self, failures: &mut Failures, error: StoreError) -> Result<(), StoreError> {
        let again = match error.registry() {
            _ if matches!(error, StoreError::SubjectElsewhere { .. }) => false,
            Some(registry) if registry.is_transient() => {
                failures.transient += 1;
                self.pipeline.client.pause(failures.transient - 1, registry).await
            }
            // The loop itself waits before it writes again.
            Some(registry) => is_torn(registry) && failures.torn.may_pass(Instant::now()),
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
