//! One writer at a time for each place, among those of this process.
//!
//! The attestations of a PipelineRun and of its TaskRuns go to the same images. Other processes' writers can only be
//! noticed when they come between; our own need not: where a container's CPU time is used up, all of them stop for
//! a tenth of a second between any two of their requests, longer than anything that was measured before.

use tokio::sync::OwnedMutexGuard;

use crate::turns::Turns;

/// The places that this process writes to, and whether anything was written there.
#[derive(Clone, Debug, Default)]
pub struct Writers(Turns<bool>);

impl Writers {
    /// Waits until nobody else here writes to `location`, and says whether somebody has: what was read there before
    /// is old then. The place is taken until the guard is dropped.
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
    async fn the_second_waits_and_learns_that_it_is_one() {
        let writers = Writers::default();
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
