//! How many requests a host gets at once.
//!
//! Each host has a limit. An answer "too many requests", or one that names a time to come back, halves it, and holds the host's requests back for
//! as long as it asked; each full round of answers that went well raises it by one again.
//!
//! Answers that take several times as long as the quickest of their kind lower it too, by a quarter, as TCP
//! Vegas does: the registry has more requests than it can work on, and more only wait in its queue. It is
//! as quick with fewer, and what is done between a read and a write happens in less time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until};

use crate::recent::Recent;

/// Queueing alone lowers the limit no further: a registry far away answers unevenly without being busy.
const LEAST_FOR_QUEUEING: u32 = 14;
/// How many times as long as the quickest of its kind an answer takes that waited in a queue…
const QUEUED_TIMES: u32 = 4;
/// …and how much longer than that, so that quick answers may vary.
const QUEUED_BEYOND: Duration = Duration::from_millis(10);

/// The longest time that a host is left alone: longer than any run, and short enough to be counted.
const LONGEST_HOLD: Duration = Duration::from_secs(2000 * 365 * 24 * 3600);

/// Hosts whose limits are known at once.
const MAX_HOSTS: usize = 1024;

/// The limits of all hosts.
#[derive(Debug)]
pub(super) struct Throttle {
    most: u32,
    hosts: Mutex<Recent<String, Host>>,
}

#[derive(Debug)]
struct Host {
    most: u32,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    limit: u32,
    in_flight: u32,
    /// Answers that went well since the limit was last changed.
    well: u32,
    held_until: Option<Instant>,
    lowered: Instant,
    /// The quickest answer to each method: reading, beginning and ending an upload differ by themselves.
    quickest: Vec<(Method, Duration)>,
}

/// The right to have one request under way; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Permit {
    host: Arc<Host>,
    begun: Instant,
}

impl Throttle {
    /// At most `most` requests at once for each host.
    pub(super) fn new(most: u32) -> Self {
        Self { most: most.max(1), hosts: Mutex::new(Recent::new(MAX_HOSTS, usize::MAX, Host::bytes)) }
    }

    /// Waits for a place, which it needs before `deadline`. The caller bounds the time.
    ///
    /// What is urgent takes a place beyond the limit; only a host that asked to be left alone holds it back.
    ///
    /// # Errors
    ///
    /// At once, with the wait, where the host asked to be left alone for longer.
    pub(super) async fn permit(
        &self,
        origin: &str,
        urgent: bool,
        deadline: Instant,
    ) -> Result<Permit, Duration> {
        let host = self.host(origin);
        // A waiter that is dropped must not take the wake-up of the next one with it.
        let baton = Baton(&host);
        loop {
            let held_until = {
                let mut state = lock(&host.state);
                let now = Instant::now();
                match state.held_until {
                    Some(until) if until > now && until >= deadline => return Err(until - now),
                    Some(until) if until > now => Some(until),
                    _ if urgent || state.in_flight < state.limit => {
                        state.in_flight += 1;
                        drop(state);
                        // The next one may find a place too; it passes the wake-up on in its turn.
                        drop(baton);
                        return Ok(Permit { host, begun: now });
                    }
                    _ => None,
                }
            };
            match held_until {
                Some(until) => sleep_until(until).await,
                None => host.freed.notified().await,
            }
        }
    }

    fn host(&self, origin: &str) -> Arc<Host> {
        lock(&self.hosts).get(origin, || {
            let state = State {
                limit: self.most,
                in_flight: 0,
                well: 0,
                held_until: None,
                lowered: Instant::now(),
                quickest: Vec::new(),
            };
            Host { most: self.most, state: Mutex::new(state), freed: Notify::new() }
        })
    }
}

impl Host {
    /// All have the same size.
    fn bytes(&self) -> usize {
        0
    }
}

impl Permit {
    /// The answer to a request of this method came and did not complain.
    pub(super) fn went_well(&self, method: &Method) {
        let took = self.begun.elapsed();
        let mut state = lock(&self.host.state);
        if state.queued(method, took) {
            if self.begun >= state.lowered {
                let least = LEAST_FOR_QUEUEING.min(state.limit);
                state.limit = (state.limit - state.limit / 4).max(least);
                state.lowered = Instant::now();
                state.well = 0;
            }
        } else if state.limit < self.host.most {
            state.well += 1;
            if state.well >= state.limit {
                state.limit += 1;
                state.well = 0;
            }
        }
    }

    /// The answer was "too many requests", to be held back for `wait` if it said so.
    pub(super) fn throttled(&self, wait: Option<Duration>) {
        let mut state = lock(&self.host.state);
        let now = Instant::now();
        // Of the requests that were under way together, only the first lowers the limit.
        if self.begun >= state.lowered {
            state.limit = (state.limit / 2).max(1);
            state.lowered = now;
            state.well = 0;
        }
        if let Some(until) = wait.and_then(|wait| now.checked_add(wait.min(LONGEST_HOLD))) {
            state.held_until = state.held_until.max(Some(until));
        }
    }
}

impl State {
    /// Whether an answer that took so long has waited in the registry's queue. Remembers the quickest.
    fn queued(&mut self, method: &Method, took: Duration) -> bool {
        match self.quickest.iter_mut().find(|(known, _)| known == method) {
            Some((_, quickest)) => {
                *quickest = took.min(*quickest);
                took > *quickest * QUEUED_TIMES + QUEUED_BEYOND
            }
            None => {
                self.quickest.push((method.clone(), took));
                false
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = lock(&self.host.state);
        state.in_flight = state.in_flight.saturating_sub(1);
        drop(state);
        self.host.freed.notify_one();
    }
}

struct Baton<'a>(&'a Host);

impl Drop for Baton<'_> {
    fn drop(&mut self) {
        self.0.freed.notify_one();
    }
}

/// A panic elsewhere leaves the numbers in the state they were in, which is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use super::*;
    use futures_util::FutureExt as _;

    /// A place for a request that has time.
    fn permit<'a>(
        throttle: &'a Throttle,
        origin: &'a str,
        urgent: bool,
    ) -> Pin<Box<dyn Future<Output = Permit> + Send + 'a>> {
        let later = Instant::now() + Duration::from_secs(3600);
        Box::pin(async move { throttle.permit(origin, urgent, later).await.unwrap() })
    }

    #[tokio::test]
    async fn a_host_that_asks_for_more_time_than_there_is_ends_all_that_wait_at_once() {
        for wait in [Duration::from_secs(60), Duration::from_secs(u64::MAX), Duration::MAX] {
            let throttle = Throttle::new(1);
            let deadline = Instant::now() + Duration::from_secs(30);
            let only = throttle.permit("h", false, deadline).await.unwrap();
            let mut waiting = Box::pin(throttle.permit("h", false, deadline));
            assert!(waiting.as_mut().now_or_never().is_none());
            only.throttled(Some(wait));
            drop(only);
            assert!(waiting.await.unwrap_err() > Duration::from_secs(30));
            assert!(throttle.permit("h", true, deadline).await.is_err());
            assert!(throttle.permit("other", false, deadline).await.is_ok());
        }
    }

    fn limit(throttle: &Throttle) -> u32 {
        lock(&throttle.host("h").state).limit
    }

    #[tokio::test]
    async fn no_more_than_the_limit_at_once_and_each_host_has_its_own() {
        let throttle = Throttle::new(2);
        let (one, _two) = (permit(&throttle, "h", false).await, permit(&throttle, "h", false).await);
        assert!(permit(&throttle, "h", false).now_or_never().is_none());
        assert!(permit(&throttle, "h", true).now_or_never().is_some(), "urgent");
        assert!(permit(&throttle, "other", false).now_or_never().is_some());
        drop(one);
        assert!(permit(&throttle, "h", false).now_or_never().is_some());
    }

    #[tokio::test]
    async fn too_many_requests_halves_once_a_round_and_good_answers_raise_it_again() {
        let throttle = Throttle::new(8);
        let round: Vec<Permit> =
            vec![permit(&throttle, "h", false).await, permit(&throttle, "h", false).await];
        for permit in &round {
            permit.throttled(None);
        }
        assert_eq!(limit(&throttle), 4);
        drop(round);
        for _ in 0..4 {
            permit(&throttle, "h", false).await.went_well(&Method::GET);
        }
        assert_eq!(limit(&throttle), 5);
        for _ in 0..1000 {
            permit(&throttle, "h", false).await.went_well(&Method::GET);
        }
        assert_eq!(limit(&throttle), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_wait_in_a_queue_lower_the_limit_but_not_to_nothing() {
        let throttle = Throttle::new(32);
        permit(&throttle, "h", false).await.went_well(&Method::GET);
        permit(&throttle, "h", false).await.went_well(&Method::PUT);
        for _ in 0..20 {
            let round: Vec<Permit> =
                vec![permit(&throttle, "h", false).await, permit(&throttle, "h", false).await];
            tokio::time::sleep(Duration::from_millis(50)).await;
            for permit in &round {
                permit.went_well(&Method::GET);
            }
        }
        assert_eq!(limit(&throttle), LEAST_FOR_QUEUEING);
        for _ in 0..2000 {
            permit(&throttle, "h", false).await.went_well(&Method::PUT);
        }
        assert_eq!(limit(&throttle), 32);
    }

    #[tokio::test]
    async fn a_held_host_waits_and_then_all_go_on() {
        let throttle = Arc::new(Throttle::new(8));
        let wait = Duration::from_millis(50);
        permit(&throttle, "h", false).await.throttled(Some(wait));
        let begun = Instant::now();
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let throttle = Arc::clone(&throttle);
                tokio::spawn(async move { drop(permit(&throttle, "h", false).await) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(begun.elapsed() >= wait - Duration::from_millis(5));
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_does_not_take_the_place_with_it() {
        let throttle = Arc::new(Throttle::new(1));
        let only = permit(&throttle, "h", false).await;
        let spawn = || {
            let throttle = Arc::clone(&throttle);
            tokio::spawn(async move { drop(permit(&throttle, "h", false).await) })
        };
        let (first, second) = (spawn(), spawn());
        tokio::task::yield_now().await;
        first.abort();
        drop(only);
        second.await.unwrap();
    }
}
