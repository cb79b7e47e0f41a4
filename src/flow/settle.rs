//! Writes a list until all its entries stay there: those of this process and those of other signers.
//!
//! A registry has no compare-and-swap. Two measures replace it, and both are needed:
//!
//! - A writer reads the list right before it replaces the list, and merges entries that it didn't know.
//! - After the write, it waits and reads the list again. It waits longer than the time between another signer's read and
//!   write. So if another signer overwrites the list without having seen the new entry, the writer notices.
//!
//! If a read becomes too old before the write is sent, nothing is written and the list is read again (`store/tagged.rs`).
//!
//! The wait covers the time between another signer's read and its write, which it sends when the read returns: the latency
//! and jitter of the network, the registry and the machine, as measured by this process' requests. It is a few
//! milliseconds for a near registry without other writers. It grows with load and with any sign of another writer.
//!
//! Some registries delete overwritten content. The store restores the content that it knows. `lost.rs` handles the rest.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::lost::LostEntries;
use super::subjects::SharedSlot;
use super::{ListPipeline, PipelineError};
use crate::registry::RegistryError;
use crate::store::{
    Depth, Entry, LONGEST_WATCH, Own as StoredOwn, Shelf, Signed, StoreError, Subject, Written,
};
use crate::verify::Own;

/// The shortest wait between a write and the confirming read, for a near registry.
const LEAST_WAIT: Duration = Duration::from_millis(10);
/// The shortest wait if another signer's write may arrive late, or if the registry may delete overwritten content, which only its signer can restore.
const LONGER_WAIT: Duration = Duration::from_millis(60);
/// The jitter up to which nothing is overloaded. Beyond it, another signer's requests may have even more jitter.
const CALM: Duration = Duration::from_millis(20);
/// How long the list must stay unchanged if there are other writers.
const QUIET: Duration = Duration::from_millis(400);

/// How many times removed entries may reappear. A signer that read the list before the removal takes them for overwritten and restores
/// them, so the two signers could alternate forever.
const MAX_PUT_BACK: u32 = 5;

/// The minimum number of consecutive attempts to write a list of which the registry reports a part as missing.
const TORN_ATTEMPTS: u32 = 8;
/// The minimum duration of these attempts. Twenty writers on a loaded machine keep a registry in that state for seconds.
const TORN_FOR: Duration = Duration::from_secs(5);

/// A write in progress: the wanted list, and the state of the attempts.
struct PendingWrite<'a> {
    subject: &'a Subject,
    judge: &'a Own<'a>,
    /// The signatures to add.
    signed: Vec<Signed>,
    /// The descriptors of these signatures, to recognize them in the list.
    own: Vec<StoredOwn>,
    /// All entries seen in any read.
    wanted: Shelf,
    /// How many of the first entries in `wanted` come from the last read.
    here: usize,
    /// The entries that are left out.
    lost: LostEntries,
    /// The entries of this key to remove. All other entries stay, and so do later additions.
    removed: Vec<Entry>,
    /// How many times they reappeared beside all the new signatures.
    put_back: u32,
    /// Whether everything is there except entries that other signers have to restore.
    waits: bool,
    /// Whether there was any sign of another writer.
    contended: bool,
    /// Whether a write succeeded.
    pushed: bool,
}

/// The consecutive failed writes.
#[derive(Default)]
struct WriteFailures {
    /// Writes that failed with a transient error.
    transient: u32,
    /// Writes that the registry refused because a part is missing.
    torn: TornWrites,
}

impl PendingWrite<'_> {
    /// The entries to keep beside the new signatures.
    fn list(&self) -> Cow<'_, Shelf> {
        match (self.lost.is_empty(), self.removed.is_empty()) {
            (true, true) => Cow::Borrowed(&self.wanted),
            (true, false) => Cow::Owned(self.wanted.without(&self.removed)),
            (false, _) => Cow::Owned(self.lost.without(&self.wanted).without(&self.removed)),
        }
    }

    /// How many entries of `seen` should have been removed.
    fn remaining(&self, seen: &Shelf) -> usize {
        match self.removed.is_empty() {
            true => 0,
            false => seen.entries.len() - seen.without(&self.removed).entries.len(),
        }
    }

    /// Merges a read into the wanted list.
    fn saw(&mut self, mut seen: Shelf) {
        self.here = seen.entries.len();
        seen.absorb(&self.wanted);
        self.wanted = seen;
    }

    /// Whether the last read list names `entry`.
    fn is_here(&self, entry: &Entry) -> bool {
        self.wanted.entries.iter().take(self.here).any(|here| here == entry)
    }
}

impl ListPipeline<'_> {
    /// Adds the signatures of `signed` that `shelf` lacks and removes `removed`, and repeats the write until a read shows the whole list. Returns
    /// how many entries were added and how many removed.
    pub(super) async fn write_until_stable(
        &self,
        shelf: Shelf,
        subject: &Subject,
        signed: Vec<Signed>,
        removed: Vec<Entry>,
        judge: &Own<'_>,
        slot: SharedSlot<'_>,
    ) -> Result<(usize, usize), PipelineError> {
        let own = self.list.own(subject, &signed)?;
        let mut settling = PendingWrite {
            subject,
            judge,
            signed,
            own,
            here: shelf.entries.len(),
            wanted: shelf,
            lost: LostEntries::default(),
            removed,
            put_back: 0,
            waits: false,
            contended: false,
            pushed: false,
        };
        let (_place, written) = self.pipeline.writers.take(&self.list.location(&subject.image)).await;
        // The signatures may already be there under a label that wasn't read.
        if written || settling.own.iter().any(|own| settling.wanted.has_unread(own)) {
            self.look_again(&mut settling).await?;
            if settling.signed.is_empty() && settling.removed.is_empty() {
                return Ok((0, 0));
            }
        }
        self.write_loop(settling, slot).await
    }

    /// Reads the list again, and drops the work that is already done.
    async fn look_again(&self, settling: &mut PendingWrite<'_>) -> Result<(), PipelineError> {
        let now = self.look(settling).await?;
        settling.signed.retain(|signed| !now.counts(&signed.payload.digest()));
        settling.own.retain(|own| !now.counts(&own.payload));
        settling.removed.retain(|entry| now.has(entry));
        settling.saw(now);
        Ok(())
    }

    async fn look(&self, settling: &PendingWrite<'_>) -> Result<Shelf, StoreError> {
        self.list.read(&settling.subject.image, Depth::Only(&settling.own), settling.judge).await
    }

    async fn write_loop(
        &self,
        mut settling: PendingWrite<'_>,
        slot: SharedSlot<'_>,
    ) -> Result<(usize, usize), PipelineError> {
        let mut slot = Some(slot);
        let mut failures = WriteFailures::default();
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
            tracing::debug!(%image, attempt, "another writer changed the list; writing again");
            settling.contended = true;
            if Instant::now() >= self.pipeline.deadline {
                let location = self.list.location(image);
                return Err(PipelineError::NotThere { image: image.to_string(), location, times: attempt });
            }
            settling.saw(seen);
            tokio::time::sleep(random(QUIET / 8 * attempt.min(8))).await;
        }
    }

    /// Writes once, and returns how long to wait before the confirming read.
    async fn write(
        &self,
        settling: &mut PendingWrite<'_>,
        failures: &mut WriteFailures,
    ) -> Result<Duration, PipelineError> {
        let list = settling.list().into_owned();
        let write = self.list.write(&list, settling.subject, &settling.signed).await;
        if write.is_ok() {
            failures.transient = 0;
        }
        match write {
            Ok(Written::Alone { took }) => {
                settling.pushed = true;
                failures.torn = TornWrites::default();
                return Ok(self.confirm_after(took, settling));
            }
            Ok(Written::Met(others)) => {
                settling.contended = true;
                failures.torn = TornWrites::default();
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

    /// Leaves out `gone`, because the registry accepts only lists without these entries.
    fn leave_out(
        &self,
        settling: &mut PendingWrite<'_>,
        failures: &mut WriteFailures,
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
        let reason = refusal.registry().map(ToString::to_string).unwrap_or_default();
        for entry in here {
            let why = format!(
                "the registry does not have its content, so it could not be verified, and the registry refuses a list with it \
                 ({reason}): it was left out of the list. Sign with that key again"
            );
            settling.lost.give_up(entry, &location, &why);
        }
        failures.torn = TornWrites::default();
    }

    /// Warns about list entries whose content the registry doesn't have.
    fn warn_about(&self, settling: &PendingWrite<'_>, gone: &[Entry]) {
        let location = self.list.location(&settling.subject.image);
        for digest in gone.iter().filter_map(Entry::digest) {
            tracing::warn!("the list at {location} names {digest}, but the registry does not have it");
        }
    }

    /// Reads the list, and returns it if it isn't complete and stable; `None` if the write is done.
    async fn incomplete(
        &self,
        settling: &mut PendingWrite<'_>,
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
                self.warn_about(settling, &mended.gone);
                return Ok(None);
            }
        }
        Ok(Some(seen))
    }

    /// Whether `seen` has every new signature, verified, and all entries of earlier reads.
    ///
    /// A new signature that is missing, because another writer's list lacks it, is written again. A signature that was `pushed` but
    /// doesn't verify is an error, because another write wouldn't change that.
    fn complete(&self, settling: &mut PendingWrite<'_>, seen: &Shelf) -> Result<bool, PipelineError> {
        let location = self.list.location(&settling.subject.image);
        let waits = settling.lost.waits(seen, &location, Instant::now());
        let PendingWrite { wanted, pushed, .. } = &*settling;
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

    /// How long to wait before the confirming read, after a write that took `took`.
    ///
    /// If a registry's storage stalls now and then, other signers see jitter even when this write was fast. So the uploads before it count too.
    /// Requests to other registries don't count.
    fn confirm_after(&self, took: Duration, settling: &PendingWrite<'_>) -> Duration {
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

    /// Waits after a failed write, if a retry can help and there is time left.
    async fn pause(&self, failures: &mut WriteFailures, error: StoreError) -> Result<(), StoreError> {
        let again = match error.registry() {
            _ if matches!(error, StoreError::SubjectElsewhere { .. }) => false,
            Some(registry) if registry.is_transient() => {
                failures.transient += 1;
                self.pipeline.client.pause(failures.transient - 1, registry).await
            }
            // The caller's loop waits before it writes again.
            Some(registry) => is_torn(registry) && failures.torn.may_pass(Instant::now()),
            _ => false,
        };
        if again { Ok(()) } else { Err(error) }
    }
}

/// Whether a registry refused a list because it doesn't find a part of it.
///
/// docker-registry on a file system writes its links in place. While another signer uploads the same blob (every
/// bundle has the same empty config) or pushes the same manifest, it may read an empty link and report
/// the blob as unknown, or its digest as invalid. A moment later the blob is there.
fn is_torn(error: &RegistryError) -> bool {
    let codes = ["BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "DIGEST_INVALID"];
    error.refusal().is_some_and(|refusal| codes.iter().any(|code| refusal.has_code(code)))
}

/// The consecutive refusals for which [`is_torn`] is true.
#[derive(Default)]
struct TornWrites {
    times: u32,
    since: Option<Instant>,
}

impl TornWrites {
    /// Counts a refusal at `now`. Returns whether the condition may still be temporary.
    fn may_pass(&mut self, now: Instant) -> bool {
        self.times += 1;
        let since = *self.since.get_or_insert(now);
        self.times < TORN_ATTEMPTS || now.duration_since(since) < TORN_FOR
    }
}

/// A random duration up to `most`, so that colliding writers don't collide again.
fn random(most: Duration) -> Duration {
    // Without randomness the writers still finish, only later.
    let share = getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX));
    most.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_write_is_given_up_after_enough_attempts_and_time() {
        let begin = Instant::now();
        let mut torn = TornWrites::default();
        assert!((0..100).all(|_| torn.may_pass(begin)), "many attempts, but not enough time");
        assert!(!torn.may_pass(begin + TORN_FOR));
        let mut torn = TornWrites::default();
        let mut later = begin;
        for _ in 1..TORN_ATTEMPTS {
            assert!(torn.may_pass(later), "enough time, but few attempts");
            later += TORN_FOR;
        }
        assert!(!torn.may_pass(later));
    }
}
