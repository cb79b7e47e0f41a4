//! What a client has done so far, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a client has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// HTTP requests sent, to token services and storage too.
    pub requests: u64,
    /// Requests that were sent because an earlier one failed.
    pub retries: u64,
    /// Answers "too many requests".
    pub throttled: u64,
    /// Tokens asked for.
    pub tokens: u64,
}

/// The same while it is counted; each wrapper counts what it does itself.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) throttled: AtomicU64,
    pub(super) tokens: AtomicU64,
}

impl Counters {
    pub(super) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            requests: read(&self.requests),
            retries: read(&self.retries),
            throttled: read(&self.throttled),
            tokens: read(&self.tokens),
        }
    }
}
