//! How a registry wants logins, asked without one.
//!
//! Gets a request that was refused with a login, gives what the registry offers in `WWW-Authenticate`; the answer is taken for nothing
//! else. Other clients ask this first; this client asks only if the answer to a login doesn't say it.

use std::sync::Arc;

use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;

use super::answer::Answer;
use super::challenge::Offered;
use super::error::RegistryError;
use super::error_maker::ErrorMaker;
use super::origin::Origin;
use super::request::{Reply, Request};
use super::retry::Backoff;
use crate::net::retry;

/// The longest `WWW-Authenticate` header that is read, in bytes: an address, a name and a scope. What it says is kept.
const MAX_CHALLENGE_BYTES: usize = 4096;

/// Asks registries how they want logins.
pub(super) struct Ping {
    pub(super) next: Arc<Origin>,
    pub(super) backoff: Arc<Backoff>,
    pub(super) errors: Arc<ErrorMaker>,
}

impl Ping {
    /// What the registry offers to a request without a login: to the same one where it only reads, as some answer differently from place
    /// to place, and where that says nothing, to one for its root. Whatever else the answers are is not looked at.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Offered, RegistryError> {
        let mut offered = Offered::default();
        if request.reads() {
            match self.ask(&request.again()).await {
                Ok(found) => offered = found,
                // An answer that can't be used is ignored: the request is only for the challenge.
                Err(error) if error.request().is_some_and(|request| request.failure.is_bad_answer()) => {}
                Err(error) => return Err(error),
            }
        }
        if offered.is_empty() {
            offered = self.ask(&request.for_root()).await?;
        }
        Ok(offered)
    }

    async fn ask(&self, question: &Request<'_>) -> Result<Offered, RegistryError> {
        // Retried by itself: what led here would send the login again.
        self.backoff
            .run(|| async {
                let answer = self.next.send_anywhere(question, None).await?;
                if retry::status_is_transient(answer.status) {
                    return Err(self.errors.refused(question, &Reply { answer, used: None }));
                }
                Ok(offered_by(question, &answer))
            })
            .await
    }
}

/// How the registry wants logins; nothing also where the answer is another host's.
pub(super) fn offered_by(request: &Request<'_>, answer: &Answer) -> Offered {
    if !request.is_home(&answer.url) {
        return Offered::default();
    }
    let headers = answer.headers.get_all(WWW_AUTHENTICATE).iter();
    Offered::of(headers.map(HeaderValue::as_bytes).filter(|header| header.len() <= MAX_CHALLENGE_BYTES))
}
