//! What the subjects of one registry know about each other: whether to expect existing signatures.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// How long the other subjects wait for the first subject's search result.
const FIRST_LOOK: Duration = Duration::from_millis(30);

/// The results of the searches so far.
#[derive(Debug, Default)]
pub(super) struct LookHistory {
    /// Whether a first search has started.
    looking: AtomicBool,
    /// Wakes the subjects that wait for the first search.
    looked: Notify,
    /// Whether a subject had no signature at all.
    seen_none: AtomicBool,
    /// Whether a subject had a signature by this key.
    seen_ours: AtomicBool,
}

impl LookHistory {
    /// Waits briefly for the first subject's search, unless this is the first subject.
    pub(super) async fn wait(&self) {
        if self.looking.swap(true, Ordering::Relaxed) && !self.seen_none.load(Ordering::Relaxed) {
            let _ = tokio::time::timeout(FIRST_LOOK, self.looked.notified()).await;
        }
    }

    /// Whether to expect no signatures, because the first subject had none.
    pub(super) fn expect_none(&self) -> bool {
        self.seen_none.load(Ordering::Relaxed) && !self.seen_ours.load(Ordering::Relaxed)
    }

    /// Records that a search has ended; `empty` if it found no signature.
    pub(super) fn looked(&self, empty: bool) {
        self.seen_none.fetch_or(empty, Ordering::Relaxed);
        self.looked.notify_waiters();
    }

    /// Records that a subject has ended; `owned` if signatures by this key already existed.
    pub(super) fn ended(&self, owned: bool) {
        self.seen_ours.fetch_or(owned, Ordering::Relaxed);
    }
}
