//! How long each registry's answers take.
//!
//! How close a registry is, and how unevenly it writes, decides how long a signer waits before it confirms a write. Another registry's answers say
//! nothing about that: one nearby would make one far away look near, and a slow one would make all others wait.
//!
//! A registry is known by its origin: scheme, host and port. An answer counts for the registry that the request was for, with the redirects that
//! led to it. A token service's answers count for none.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Duration;

use crate::recent::LruCache;

/// Registries whose times are known at once. What is forgotten counts as never measured.
const MAX_REGISTRIES: usize = 1024;

/// The times of all registries.
#[derive(Debug)]
pub(super) struct AnswerTimes {
    registries: Mutex<LruCache<String, Mutex<Times>>>,
}

/// One registry's times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    /// The time that the quickest answer took; `None`: no answer yet.
    pub(super) fastest: Option<Duration>,
    /// The time that a slow write took lately; each quicker one since makes it an eighth less. Before the first write, nothing.
    pub(super) slow_write: Duration,
}

/// What one answer says about the times of its registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    /// The time from the first byte sent to the last byte received, without waits for a place.
    pub(super) took: Duration,
    /// Whether it shows how close the registry is, as the registry itself was asked and did not refuse for the moment.
    pub(super) shows_distance: bool,
    /// Whether it wrote.
    pub(super) is_write: bool,
}

impl AnswerTimes {
    pub(super) fn new() -> Self {
        Self { registries: Mutex::new(LruCache::new(MAX_REGISTRIES, usize::MAX, |_| 0)) }
    }

    /// Takes in an answer to a request for the registry at `origin`.
    pub(super) fn note(&self, origin: &str, measured: Measured) {
        let times = lock(&self.registries).get(origin, Mutex::default);
        lock(&times).note(measured);
    }

    /// The times of the registry at `origin`.
    pub(super) fn of(&self, origin: &str) -> Times {
        let times = lock(&self.registries).get(origin, Mutex::default);
        *lock(&times)
    }
}

impl Times {
    fn note(&mut self, measured: Measured) {
        let Measured { took, shows_distance, is_write } = measured;
        if shows_distance {
            self.fastest = Some(self.fastest.map_or(took, |fastest| fastest.min(took)));
        }
        if is_write {
            self.slow_write = took.max(self.slow_write - self.slow_write / 8);
        }
    }
}

/// A panic elsewhere leaves the numbers in the state they were in, which is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn read(took: u64) -> Measured {
        Measured { took: ms(took), shows_distance: true, is_write: false }
    }

    fn write(took: u64) -> Measured {
        Measured { is_write: true, ..read(took) }
    }

    #[test]
    fn each_registry_keeps_its_own_times() {
        let times = AnswerTimes::new();
        let (near, far) = ("http://near.example:5000", "http://far.example:5000");
        for (origin, measured) in [
            (far, read(300)),
            (near, read(2)),
            (far, write(2000)),
            (near, write(8)),
            (far, read(200)),
            (near, read(3)),
            (far, write(400)),
            (near, write(4)),
        ] {
            times.note(origin, measured);
        }
        assert_eq!(times.of(near), Times { fastest: Some(ms(2)), slow_write: ms(7) });
        assert_eq!(times.of(far), Times { fastest: Some(ms(200)), slow_write: ms(1750) });
        // Another scheme, host or port is another registry, of which nothing is known.
        for other in ["https://near.example:5000", "http://near.example", "http://other.example:5000"] {
            assert_eq!(times.of(other), Times::default(), "{other}");
        }
    }

    #[test]
    fn what_does_not_show_the_distance_counts_only_as_a_write() {
        let mut times = Times::default();
        times.note(Measured { shows_distance: false, ..read(1) });
        assert_eq!(times, Times::default());
        times.note(Measured { shows_distance: false, ..write(5) });
        assert_eq!(times, Times { fastest: None, slow_write: ms(5) });
    }

    #[test]
    fn the_number_of_registries_is_bounded_and_a_forgotten_one_is_not_near() {
        let times = AnswerTimes::new();
        for number in 0..=MAX_REGISTRIES {
            times.note(&format!("http://registry{number}.example"), read(1));
        }
        assert_eq!(lock(&times.registries).len(), MAX_REGISTRIES);
        assert_eq!(times.of("http://registry0.example").fastest, None);
    }
}
