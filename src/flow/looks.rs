//! What the subjects of one registry know of each other: whether signatures are to be expected.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// How long the others wait for the first subject's look, to know what to expect.
const FIRST_LOOK: Duration = Duration::from_millis(30);

/// What the looks so far have shown.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Whether a subject is being looked at, or was.
    looking: AtomicBool,
    /// Wakes who waits for the first look.
    looked: Notify,
    /// A subject had no signature at all.
    seen_none: AtomicBool,
    /// A subject had one by this key.
    seen_ours: AtomicBool,
}

impl Looks {
    /// Waits for the first subject's look, unless this is the first one, and not for long.
    pub(super) async fn wait(&self) {
        if self.looking.swap(true, Ordering::Relaxed) && !self.seen_none.load(Ordering::Relaxed) {
            let _ = tokio::time::timeout(FIRST_LOOK, self.looked.notified()).await;
        }
    }

    /// Whether none is expected, as none was there for the first subject.
    pub(super) fn expect_none(&self) -> bool {
        self.seen_none.load(Ordering::Relaxed) && !self.seen_ours.load(Ordering::Relaxed)
    }

    /// A look has ended; whether there was no signature.
    pub(super) fn looked(&self, empty: bool) {
        self.seen_none.fetch_or(empty, Ordering::Relaxed);
        self.looked.notify_waiters();
    }

    /// A subject has ended; whether signatures of ours were there before.
    pub(super) fn ended(&self, ours: bool) {
        self.seen_ours.fetch_or(ours, Ordering::Relaxed);
    }
}
