//! Redirects: where an answer sends a call on to, and what goes along.
//!
//! They are followed by hand: at most [`MAX_REDIRECTS`], never from HTTPS to plain HTTP, and the login goes along only while
//! scheme, host and port stay the same. What writes is sent on only there, and only by a 307 or 308, which keep method and body.
//!
//! Gets a call, gives the answer of the address that it ends at. How long the whole way took counts for the call's registry.

use std::sync::Arc;

use http::header::LOCATION;
use http::{HeaderValue, Method, StatusCode};
use tokio::time::Duration;
use url::Url;

use super::answer::Answer;
use super::answer_times::{AnswerTimes, Measured};
use super::bad_answer::BadAnswer;
use super::call::{Call, Fault, Hop, NoAnswer};
use super::endpoint;
use super::failure::Failure;
use super::throttle::Throttle;
use crate::net;
use crate::net::retry;

/// Registries send to their storage, which may send on once; five is what the specification's clients allow.
const MAX_REDIRECTS: usize = 5;

/// Follows redirects.
pub(super) struct Redirect {
    pub(super) next: Throttle,
    pub(super) times: Arc<AnswerTimes>,
}

impl Redirect {
    /// Sends `call`, and follows redirects: what writes only to the same origin.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Answer, NoAnswer> {
        let reads = matches!(*call.method, Method::GET | Method::HEAD);
        let mut url = call.url.clone();
        let mut took = Duration::ZERO;
        for _ in 0..=MAX_REDIRECTS {
            let authorization = call.authorization.filter(|_| endpoint::same_origin(call.url, &url));
            let (answer, took_this) = self.next.send(call, Hop { url: &url, authorization }).await?;
            took += took_this;
            let location = match answer.headers.get(LOCATION) {
                Some(location) if reads && answer.status.is_redirection() => location,
                Some(location) if keeps_method(answer.status) => location,
                _ => {
                    self.note(call, answer.status, took);
                    return Ok(answer);
                }
            };
            let next = match follow(location, &url) {
                Ok(next) => next,
                Err(bad) => return Err(Fault { url, failure: Failure::BadAnswer(bad) }.into()),
            };
            let leaves = !endpoint::same_origin(call.url, &next);
            if leaves && !reads {
                self.note(call, answer.status, took);
                return Ok(answer);
            }
            if leaves && !call.leaves_origin {
                let failure = Failure::TokenServiceRedirect { to: endpoint::redacted(&next) };
                return Err(Fault { url, failure }.into());
            }
            url = next;
        }
        let failure = Failure::BadAnswer(BadAnswer::Redirects(MAX_REDIRECTS));
        Err(Fault { url, failure }.into())
    }

    /// Takes in how long an answer to `call` took.
    fn note(&self, call: &Call<'_>, status: StatusCode, took: Duration) {
        let Some(home) = call.registry else { return };
        let measured = Measured {
            took,
            // Storage may be closer than its registry, and a proxy that refuses for the moment may be in front of it.
            shows_distance: endpoint::same_origin(home, call.url) && !retry::status_is_transient(status),
            is_write: *call.method == Method::PUT,
        };
        self.times.note(net::origin(home), measured);
    }
}

/// Whether a redirect with this status asks for the same request again, with its body.
fn keeps_method(status: StatusCode) -> bool {
    matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
}

/// Where a `Location` leads, if it may be followed from `url`.
pub(super) fn follow(location: &HeaderValue, url: &Url) -> Result<Url, BadAnswer> {
    let text = String::from_utf8_lossy(location.as_bytes());
    if text.trim().is_empty() {
        return Err(BadAnswer::EmptyLocation);
    }
    let Some(next) = endpoint::named_by(&text, url) else {
        return Err(BadAnswer::Location(crate::foreign::escape(
            text.split('?').next().unwrap_or_default(),
            200,
        )));
    };
    if url.scheme() == "https" && next.scheme() != "https" {
        return Err(BadAnswer::Downgrade(endpoint::redacted(&next)));
    }
    Ok(next)
}
