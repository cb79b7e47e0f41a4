//! Throttling: a request waits here for its place at the host that it goes to.
//!
//! Gets one hop of a call, gives its answer and the time that the answer took without the wait. What each answer says about the
//! host's load goes to [`Places`], which decides how many requests a host gets at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use tokio::time::{Duration, Instant, timeout_at};

use super::answer::Answer;
use super::call::{Call, Fault, Hop, NoAnswer};
use super::failure::Failure;
use super::places::{Permit, Places};
use super::stats::Counters;
use super::transport::Transport;
use crate::net;
use crate::net::retry::{self, Until};

/// Sends what has a place.
pub(super) struct Throttle {
    next: Transport,
    places: Places,
    /// When everything must be done.
    deadline: Instant,
    counters: Arc<Counters>,
}

impl Throttle {
    /// At most `most` requests at once for each host.
    pub(super) fn new(next: Transport, most: u32, deadline: Instant, counters: Arc<Counters>) -> Self {
        Self { next, places: Places::new(most), deadline, counters }
    }

    /// Sends `call` to `hop`, once there is a place for it.
    pub(super) async fn send(&self, call: &Call<'_>, hop: Hop<'_>) -> Result<(Answer, Duration), NoAnswer> {
        // What can't be set up is said before anything waits or is sent.
        let route = self.next.route(hop.url)?;
        let fault = |failure| Fault { url: hop.url.clone(), failure };
        let permit = self.permit(call, hop).await.map_err(fault)?;
        let (answer, took) = self.next.send(call, hop, route).await.map_err(fault)?;
        let wait = answer.retry_after();
        if retry::leaves_alone(answer.status, wait) {
            self.counters.throttled.fetch_add(1, Ordering::Relaxed);
            permit.throttled(wait);
        } else {
            permit.went_well(call.method);
        }
        Ok((answer, took))
    }

    /// Waits for a place. That doesn't count against the request's own time, only against the run's.
    async fn permit(&self, call: &Call<'_>, hop: Hop<'_>) -> Result<Permit, Failure> {
        let permit = self.places.permit(net::origin(hop.url), call.urgent, self.deadline);
        let permit = timeout_at(self.deadline, permit).await.map_err(|_| Failure::Deadline)?;
        permit.map_err(|wait| {
            let until = Until::after(wait, SystemTime::now());
            Failure::LeftAlone { host: net::host(hop.url).to_owned(), until }
        })
    }
}
