//! How many requests a host gets at once.
//!
//! Each host has a limit. An answer "too many requests", or one that names a time to come back, lowers it to half of the requests that were under way
//! at once, and holds the host's requests back for as long as it asked; each full round of answers that went well raises it by one again.
//!
//! Answers that take several times as long as the quickest of their kind lower it too, by a quarter, as TCP
//! Vegas does: the registry has more requests than it can work on, and more only wait in its queue. It is
//! as quick with fewer, and what is done between a read and a write happens in less time.
//!
//! What is urgent, the write of a list that was read right before, goes first. It has a place beyond the limit too, but for a host that has
//! answered "too many requests": there it waits for the next place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until};

use crate::recent::LruCache;

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
pub(super) struct Places {
    most: u32,
    hosts: Mutex<LruCache<String, Host>>,
}

#[derive(Debug)]
struct Host {
    most: u32,
    state: Mutex<State>,
    freed: Notify,
    freed_urgent: Notify,
}

#[derive(Debug)]
struct State {
    limit: u32,
    in_flight: u32,
    /// The most that were under way since the limit was last lowered.
    most_in_flight: u32,
    /// What is urgent and waits for a place.
    urgent_waiting: u32,
    /// "Too many requests" has lowered the limit, and it hasn't recovered.
    is_throttled: bool,
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

impl Places {
    /// At most `most` requests at once for each host.
    pub(super) fn new(most: u32) -> Self {
        Self { most: most.max(1), hosts: Mutex::new(LruCache::new(MAX_HOSTS, usize::MAX, Host::bytes)) }
    }

    /// Waits for a place, which it needs before `deadline`. The caller bounds the time.
    ///
    /// What is urgent takes a place before all others, and one beyond the limit of a host that doesn't throttle. A host that asked to be left
    /// alone holds it back.
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
        // A waiter that is dropped must not lose the wake-up of the next waiter.
        let baton = Baton::new(&host, urgent);
        loop {
            let held_until = {
                let mut state = lock(&host.state);
                let now = Instant::now();
                match state.held_until {
                    Some(until) if until > now && until >= deadline => return Err(until - now),
                    Some(until) if until > now => Some(until),
                    _ if state.has_place(urgent) => {
                        state.in_flight += 1;
                        state.most_in_flight = state.most_in_flight.max(state.in_flight);
                        drop(state);
                        // The next waiter may find a place too; it passes the wake-up on in its turn.
                        drop(baton);
                        return Ok(Permit { host, begun: now });
                    }
                    _ => None,
                }
            };
            match held_until {
                Some(until) => sleep_until(until).await,
                None if urgent => host.freed_urgent.notified().await,
                None => host.freed.notified().await,
            }
        }
    }

    fn host(&self, origin: &str) -> Arc<Host> {
        lock(&self.hosts).get(origin, || {
            let state = State {
                limit: self.most,
                in_flight: 0,
                most_in_flight: 0,
                urgent_waiting: 0,
                is_throttled: false,
                well: 0,
                held_until: None,
                lowered: Instant::now(),
                quickest: Vec::new(),
            };
            Host {
                most: self.most,
                state: Mutex::new(state),
                freed: Notify::new(),
                freed_urgent: Notify::new(),
            }
        })
    }
}

impl Host {
    /// All have the same size.
    fn bytes(&self) -> usize {
        0
    }

    /// Wakes who waits for a place, what is urgent first.
    fn wake(&self) {
        match lock(&self.state).urgent_waiting {
            0 => self.freed.notify_one(),
            _ => self.freed_urgent.notify_one(),
        }
    }
}

impl Permit {
    /// The answer to a request of this method came and did not complain.
    pub(super) fn went_well(&self, method: &Method) {
        let took = self.begun.elapsed();
        let mut state = lock(&self.host.state);
        // A host that throttled gets so few requests that none of them waits for another: a slow answer counts as good there. Otherwise
        // the limit would stay where "too many requests" left it.
        if state.queued(method, took) && !state.is_throttled {
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
                state.is_throttled &= state.limit < self.host.most;
            }
        }
    }

    /// The answer was "too many requests", to be held back for `wait` if it said so.
    pub(super) fn throttled(&self, wait: Option<Duration>) {
        let mut state = lock(&self.host.state);
        let now = Instant::now();
        // Of the requests that were under way together, only the first lowers the limit.
        if self.begun >= state.lowered {
            state.limit = (state.limit.min(state.most_in_flight) / 2).max(1);
            state.most_in_flight = 0;
            state.is_throttled = true;
            state.lowered = now;
            state.well = 0;
        }
        if let Some(until) = wait.and_then(|wait| now.checked_add(wait.min(LONGEST_HOLD))) {
            state.held_until = state.held_until.max(Some(until));
        }
    }
}

impl State {
    /// Whether a request may be sent.
    fn has_place(&self, urgent: bool) -> bool {
        match urgent {
            true => !self.is_throttled || self.in_flight < self.limit,
            false => self.urgent_waiting == 0 && self.in_flight < self.limit,
        }
    }

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
        self.host.wake();
    }
}

/// A request that waits for a place. Dropping it wakes the next one.
struct Baton<'a> {
    host: &'a Host,
    urgent: bool,
}

impl<'a> Baton<'a> {
    fn new(host: &'a Host, urgent: bool) -> Self {
        lock(&host.state).urgent_waiting += u32::from(urgent);
        Self { host, urgent }
    }
}

impl Drop for Baton<'_> {
    fn drop(&mut self) {
        lock(&self.host.state).urgent_waiting -= u32::from(self.urgent);
        self.host.wake();
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
        places: &'a Places,
        origin: &'a str,
        urgent: bool,
    ) -> Pin<Box<dyn Future<Output = Permit> + Send + 'a>> {
        let later = Instant::now() + Duration::from_secs(3600);
        Box::pin(async move { places.permit(origin, urgent, later).await.unwrap() })
    }

    #[tokio::test]
    async fn a_host_that_asks_for_more_time_than_there_is_ends_all_that_wait_at_once() {
        for wait in [Duration::from_secs(60), Duration::from_secs(u64::MAX), Duration::MAX] {
            let places = Places::new(1);
            let deadline = Instant::now() + Duration::from_secs(30);
            let only = places.permit("h", false, deadline).await.unwrap();
            let mut waiting = Box::pin(places.permit("h", false, deadline));
            assert!(waiting.as_mut().now_or_never().is_none());
            only.throttled(Some(wait));
            drop(only);
            assert!(waiting.await.unwrap_err() > Duration::from_secs(30));
            assert!(places.permit("h", true, deadline).await.is_err());
            assert!(places.permit("other", false, deadline).await.is_ok());
        }
    }

    fn limit(places: &Places) -> u32 {
        lock(&places.host("h").state).limit
    }

    #[tokio::test]
    async fn no_more_than_the_limit_at_once_and_each_host_has_its_own() {
        let places = Places::new(2);
        let (one, _two) = (permit(&places, "h", false).await, permit(&places, "h", false).await);
        assert!(permit(&places, "h", false).now_or_never().is_none());
        assert!(permit(&places, "h", true).now_or_never().is_some(), "urgent");
        assert!(permit(&places, "other", false).now_or_never().is_some());
        drop(one);
        assert!(permit(&places, "h", false).now_or_never().is_some());
    }

    #[tokio::test]
    async fn too_many_requests_halves_once_a_round_and_good_answers_raise_it_again() {
        let places = Places::new(8);
        let round: Vec<Permit> = under_way(&places, 8).await;
        for permit in &round {
            permit.throttled(None);
        }
        assert_eq!(limit(&places), 4);
        drop(round);
        for _ in 0..4 {
            permit(&places, "h", false).await.went_well(&Method::GET);
        }
        assert_eq!(limit(&places), 5);
        for _ in 0..1000 {
            permit(&places, "h", false).await.went_well(&Method::GET);
        }
        assert_eq!(limit(&places), 8);
    }

    /// So many requests that are under way.
    async fn under_way(places: &Places, requests: usize) -> Vec<Permit> {
        futures_util::future::join_all((0..requests).map(|_| permit(places, "h", false))).await
    }

    #[tokio::test]
    async fn half_of_what_was_under_way_remains_where_that_was_less_than_the_limit() {
        for (at_once, left) in [(1, 1), (2, 1), (10, 5), (31, 15), (32, 16)] {
            let places = Places::new(32);
            let round = under_way(&places, at_once).await;
            round.iter().for_each(|permit| permit.throttled(None));
            assert_eq!(limit(&places), left, "{at_once} at once");
        }
    }

    #[tokio::test]
    async fn what_is_urgent_goes_first_and_keeps_to_the_limit_of_a_host_that_throttles() {
        let places = Places::new(8);
        let round = under_way(&places, 8).await;
        round[0].throttled(None);
        let mut round = round.into_iter();
        let mut first = permit(&places, "h", false);
        assert!((&mut first).now_or_never().is_none());
        let mut urgent = permit(&places, "h", true);
        assert!((&mut urgent).now_or_never().is_none(), "eight are under way, and four may be");
        round.by_ref().take(4).for_each(drop);
        assert!((&mut first).now_or_never().is_none() && (&mut urgent).now_or_never().is_none());
        drop(round.next());
        assert!((&mut first).now_or_never().is_none(), "it waits behind what is urgent");
        let urgent = urgent.await;
        assert!((&mut first).now_or_never().is_none());
        drop(urgent);
        drop(first.await);
        // An urgent request that was given up doesn't hold other requests back.
        let _full = round.chain([permit(&places, "h", false).await]).collect::<Vec<_>>();
        let mut given_up = permit(&places, "h", true);
        assert!((&mut given_up).now_or_never().is_none());
        drop(given_up);
        assert_eq!(lock(&places.host("h").state).urgent_waiting, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_wait_in_a_queue_lower_the_limit_but_not_to_nothing() {
        let places = Places::new(32);
        permit(&places, "h", false).await.went_well(&Method::GET);
        permit(&places, "h", false).await.went_well(&Method::PUT);
        for _ in 0..20 {
            let round: Vec<Permit> =
                vec![permit(&places, "h", false).await, permit(&places, "h", false).await];
            tokio::time::sleep(Duration::from_millis(50)).await;
            for permit in &round {
                permit.went_well(&Method::GET);
            }
        }
        assert_eq!(limit(&places), LEAST_FOR_QUEUEING);
        for _ in 0..2000 {
            permit(&places, "h", false).await.went_well(&Method::PUT);
        }
        assert_eq!(limit(&places), 32);
    }

    /// The quickest answer needed no work, such as a challenge, or all are slow for a while.
    #[tokio::test(start_paused = true)]
    async fn a_host_that_throttled_gets_more_again_although_its_answers_are_slow() {
        let places = Places::new(8);
        permit(&places, "h", false).await.went_well(&Method::GET);
        for limit_before in [8, 4, 2] {
            let round = under_way(&places, limit_before).await;
            tokio::time::sleep(Duration::from_millis(80)).await;
            round.iter().for_each(|permit| permit.throttled(None));
        }
        assert_eq!(limit(&places), 1);
        for _ in 0..40 {
            let permit = permit(&places, "h", false).await;
            tokio::time::sleep(Duration::from_millis(80)).await;
            permit.went_well(&Method::GET);
        }
        assert!(limit(&places) > 4, "{}", limit(&places));
    }

    #[tokio::test]
    async fn a_held_host_waits_and_then_all_go_on() {
        let places = Arc::new(Places::new(8));
        let wait = Duration::from_millis(50);
        permit(&places, "h", false).await.throttled(Some(wait));
        let begun = Instant::now();
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let places = Arc::clone(&places);
                tokio::spawn(async move { drop(permit(&places, "h", false).await) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(begun.elapsed() >= wait - Duration::from_millis(5));
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_does_not_take_the_place_with_it() {
        let places = Arc::new(Places::new(1));
        let only = permit(&places, "h", false).await;
        let spawn = || {
            let places = Arc::clone(&places);
            tokio::spawn(async move { drop(permit(&places, "h", false).await) })
        };
        let (first, second) = (spawn(), spawn());
        tokio::task::yield_now().await;
        first.abort();
        drop(only);
        second.await.unwrap();
    }
}
