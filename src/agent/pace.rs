//! How fast a body comes. Bytes count as progress only at a rate that any client of this machine has, so a byte now and then is as good
//! as none.

use std::time::{Duration, Instant};

/// What a client sends at least, in bytes a second: it has its body ready, in another process of this machine.
const RATE_BYTES: u32 = 256 * 1024;

/// A client's progress with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pace(Instant);

impl Pace {
    /// Starts to measure the pace now.
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// So many bytes have come.
    pub(super) fn came(&mut self, bytes: usize) {
        let worth = Duration::from_secs(1) / RATE_BYTES * u32::try_from(bytes).unwrap_or(u32::MAX);
        self.0 = (self.0 + worth).min(Instant::now());
    }

    /// The agent itself has let it wait since `from`.
    pub(super) fn waited(&mut self, from: Instant) {
        self.0 = (self.0 + from.elapsed()).min(Instant::now());
    }

    /// How far it is behind a client that sends at that rate.
    pub(super) fn behind(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bytes_at_the_rate_count() {
        let late = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let mut trickles = Pace(late);
        for _ in 0..100 {
            trickles.came(1);
        }
        assert!(trickles.behind() > Duration::from_secs(9));
        let mut sends = Pace(late);
        sends.came(RATE_BYTES as usize * 11);
        assert!(sends.behind() < Duration::from_secs(9));
        // Bytes sent earlier don't count as an advance.
        assert!(sends.0 <= Instant::now());
        let mut waits = Pace(late);
        waits.waited(late);
        assert!(waits.behind() < Duration::from_secs(9));
    }
}
