//! Writing until everything is there, ours and everybody's.
//!
//! A registry has no compare-and-swap. Two things make up for it, and both are needed:
//!
//! - Who replaces a list learns what it replaced (the store reads in the same moment), and puts back what it
//!   hadn't known of.
//! - Who has written reads again after a while that is longer than the moment between another signer's read
//!   and write. So whoever is overwritten by a signer that hadn't seen it is still there to notice.
//!
//! That while is short when nobody else writes, and grows with any sign that somebody does.

use std::time::{Duration, Instant};

use super::{Pipeline, PipelineError};
use crate::store::{Depth, Shelf, Signed, StoreError, Subject, Written};
use crate::verify;

/// The least time between a write and the read that confirms it.
const LEAST_WAIT: Duration = Duration::from_millis(10);
/// The most, where the registry's answers are very uneven.
const MOST_WAIT: Duration = Duration::from_secs(2);
/// How long it must have been quiet where another writer has shown itself.
const QUIET: Duration = Duration::from_millis(400);

impl Pipeline {
    /// Writes `signed` beside what `shelf` holds, and again, until a read shows all of it.
    pub(super) async fn settle(
        &self,
        shelf: Shelf,
        subject: &Subject,
        signed: &[Signed],
    ) -> Result<(), PipelineError> {
        let places = self.store.places(subject, signed);
        let mut wanted = shelf;
        let mut contended = false;
        for attempt in 1_u32.. {
            let wait = match self.store.write(&wanted, subject, signed).await {
                Ok(written) => {
                    contended |= written.contended;
                    if let Some(replaced) = &written.overwrote {
                        wanted.absorb(replaced);
                    }
                    if written.overwrote.is_some() {
                        Duration::ZERO
                    } else {
                        confirm_after(&written, contended)
                    }
                }
                Err(error) => {
                    contended = true;
                    self.pause(attempt, error).await?;
                    Duration::ZERO
                }
            };
            tokio::time::sleep(wait).await;
            let mut seen = self.store.read(&subject.image, Depth::Only(&places)).await?;
            if self.complete(&seen, &wanted, signed).await? {
                if !contended {
                    return Ok(());
                }
                let before = seen;
                tokio::time::sleep(QUIET + random(QUIET / 2)).await;
                seen = self.store.read(&subject.image, Depth::Only(&places)).await?;
                if seen.version == before.version && self.complete(&seen, &wanted, signed).await? {
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

    /// Waits after a failed write, if trying again can help and there is time left.
    async fn pause(&self, attempt: u32, error: StoreError) -> Result<(), StoreError> {
        let again = match error.registry() {
            Some(registry) if registry.is_transient() => self.client.pause(attempt, registry).await,
            _ => false,
        };
        if again { Ok(()) } else { Err(error) }
    }
}

/// How long after a write the confirming read is sent.
///
/// Another signer's read and write leave it together and arrive together, but for the unevenness of the
/// network and the registry: about what lay between our own read and write.
fn confirm_after(written: &Written, contended: bool) -> Duration {
    let least = (LEAST_WAIT + written.jitter * 2).min(MOST_WAIT);
    if contended { least + random(QUIET / 4) } else { least }
}

/// A time up to `most`, so that writers that met once don't meet again.
fn random(most: Duration) -> Duration {
    // Without randomness writers still end, only later.
    let share = getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX));
    most.mul_f64(share)
}
