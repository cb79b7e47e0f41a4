//! Retries: what may pass with time is sent again, within the time of the run.
//!
//! The outermost wrapper. Gets a request, gives its reply, or the error of the last attempt. [`Backoff`] alone decides whether and when
//! something is sent again; [`ping`](super::ping) and [`token`](super::token) send their own questions again by it, because
//! what led to them would send the login once more.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use tokio::time::{Duration, Instant, sleep};

use super::error::RegistryError;
use super::failure::Failure;
use super::login::Login;
use super::refusal::Refusal;
use super::request::{Reply, Request};
use super::stats::Counters;
use crate::net::retry;
use crate::net::retry::Until;

/// Sends requests, and again while that can help.
pub(super) struct Retry {
    pub(super) next: Login,
    pub(super) backoff: Arc<Backoff>,
}

impl Retry {
    /// Sends `request`, and again while that can help.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Reply, RegistryError> {
        self.backoff.run(|| self.next.send(request)).await
    }

    /// Sends `request` once: what must look at what happened in between before it writes again.
    pub(super) async fn send_once(&self, request: &Request<'_>) -> Result<Reply, RegistryError> {
        self.next.send(request).await
    }
}

/// Whether something is tried again, and after which wait.
pub(super) struct Backoff {
    /// When everything must be done.
    pub(super) deadline: Instant,
    pub(super) counters: Arc<Counters>,
}

impl Backoff {
    /// Does `attempt` until it works, can't, or there is no time left.
    pub(super) async fn run<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let (mut number, mut before) = (0, None);
        loop {
            match attempt().await {
                Err(error) if error.is_transient() => {
                    if !self.pause(number, &error).await {
                        return Err(given_up(error, number + 1));
                    }
                    number += 1;
                    before = Some(error);
                }
                // What went wrong says more than that it wasn't sent once more.
                Err(error) if is_too_late(&error) => {
                    return Err(before.map_or(error, |before| given_up(before, number)));
                }
                result => return result,
            }
        }
    }

    /// Waits as is right after attempt `attempt` (the first is 0) failed with `error`; `false` at once if
    /// trying again makes no sense, or the wait is longer than the time left.
    pub(super) async fn pause(&self, attempt: u32, error: &RegistryError) -> bool {
        if !error.is_transient() || attempt + 1 >= retry::MAX_ATTEMPTS {
            return false;
        }
        let wait = retry::wait(attempt, error.retry_after());
        let left = self.deadline.saturating_duration_since(Instant::now());
        if wait >= left {
            return false;
        }
        self.counters.retries.fetch_add(1, Ordering::Relaxed);
        let ms = wait.as_millis();
        // The log says what the client waits for, but not each lost connection.
        if wait >= Duration::from_secs(1) {
            tracing::info!(%error, attempt, ms, "again in a moment");
        } else {
            tracing::debug!(%error, attempt, ms, "again in a moment");
        }
        sleep(wait).await;
        true
    }
}

fn is_too_late(error: &RegistryError) -> bool {
    error.request().is_some_and(|request| matches!(request.failure, Failure::Deadline))
}

/// The error of what was sent `attempts` times, and won't be again.
pub(super) fn given_up(error: RegistryError, attempts: u32) -> RegistryError {
    match error {
        RegistryError::Request(mut request) => {
            if let Failure::Refused(Refusal { retry_after: Some(wait), .. }) = &request.failure {
                request.until = Some(Until::after(*wait, SystemTime::now()));
            }
            request.attempts = attempts;
            request.given_up = true;
            RegistryError::Request(request)
        }
        other => other,
    }
}
