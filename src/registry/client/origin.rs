//! The origin of an answer: only the registry itself, at its own scheme, host and port, can ask for a login or refuse a login.
//!
//! Gets a request and the login to send it with, gives whatever answer comes back. What the target of a redirect, or of an
//! upload's `Location`, asks for is its own affair: no login is for it, and its 401 or 403 is an error.

use std::sync::Arc;

use http::HeaderValue;

use super::answer::Answer;
use super::call::Call;
use super::error::RegistryError;
use super::error_maker::ErrorMaker;
use super::redirect::Redirect;
use super::request::Request;

/// Sends requests as they are.
pub(super) struct Origin {
    pub(super) next: Arc<Redirect>,
    pub(super) errors: Arc<ErrorMaker>,
}

impl Origin {
    /// Sends `request` as it is. A 401 or 403 that comes back is the registry's own; another host's is an error.
    pub(super) async fn send(
        &self,
        request: &Request<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, RegistryError> {
        let answer = self.send_anywhere(request, authorization).await?;
        if answer.refuses_login() && !request.is_home(&answer.url) {
            let asked = format!("the registry {}", request.repository.registry());
            let failure = answer.other_host(&request.home, asked);
            return Err(self.errors.fail(request, &request.method, &answer.url, failure));
        }
        Ok(answer)
    }

    /// Sends `request` as it is. Whatever comes back may be of a host that the registry redirects to.
    pub(super) async fn send_anywhere(
        &self,
        request: &Request<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, RegistryError> {
        let call = Call {
            method: &request.method,
            url: &request.url,
            authorization,
            accept: request.accept,
            content_type: request.content_type.as_ref(),
            body: request.body.as_ref(),
            send_by: request.send_by,
            limit_bytes: request.limit_bytes,
            urgent: request.urgent,
            leaves_origin: true,
            registry: Some(&request.home),
        };
        let answer = self.next.send(&call).await;
        answer
            .map_err(|error| error.into_error(|fault| self.errors.unanswered(request, fault, authorization)))
    }
}
