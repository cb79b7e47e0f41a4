//! Locks that allow one writer at a time for each location in this process.
//!
//! The attestations of a PipelineRun and of its TaskRuns go to the same images. Writers in other processes can only be
//! detected after a conflict; writers in this process can take turns. Without these locks, a container with exhausted CPU time
//! would pause all of its writers for a tenth of a second between two requests, longer than any delay measured before.

use tokio::sync::OwnedMutexGuard;

use crate::turns::KeyedLocks;

/// A lock for each location. Its value says whether this process wrote there.
#[derive(Clone, Debug, Default)]
pub struct TagLocks(KeyedLocks<bool>);

impl TagLocks {
    /// Waits for the lock of `location` and holds it until the guard is dropped. Also returns whether another writer of this
    /// process wrote there; then earlier reads are outdated.
    pub(super) async fn take(&self, location: &str) -> (OwnedMutexGuard<bool>, bool) {
        let mut guard = self.0.take(location).await;
        let written = std::mem::replace(&mut *guard, true);
        (guard, written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Duration, timeout};

    #[tokio::test]
    async fn the_second_writer_waits_and_learns_of_the_first() {
        let writers = TagLocks::default();
        let (first, written) = writers.take("here").await;
        assert!(!written);
        assert!(!writers.take("there").await.1);
        let second = writers.take("here");
        tokio::pin!(second);
        assert!(timeout(Duration::from_millis(20), &mut second).await.is_err());
        drop(first);
        assert!(second.await.1);
    }
}
