//! Makes the error of a request: who failed, with which logins, through which proxy, and nothing of what was sent.
//!
//! All that a request fails with is made here. What an answer repeats of a login is hidden in it.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderValue, Method};
use tokio::time::Instant;
use url::Url;

use super::attempts::{AuthAttempts, AuthRejection};
use super::auth::Auth;
use super::call::Fault;
use super::error::{RegistryError, RequestError};
use super::failure::Failure;
use super::peer::Peer;
use super::refusal::Refusal;
use super::request::{Reply, Request};
use super::{ecr, endpoint};
use crate::net;
use crate::net::proxy::{Proxies, ThroughProxy};
use crate::net::retry;
use crate::net::retry::Until;
use crate::registry::keychain::Credential;

/// Makes errors.
pub(super) struct ErrorMaker {
    pub(super) auth: Arc<Auth>,
    pub(super) proxies: Arc<Proxies>,
    /// When everything must be done.
    pub(super) deadline: Instant,
}

impl ErrorMaker {
    /// The error of a request that has no answer.
    pub(super) fn unanswered(
        &self,
        request: &Request<'_>,
        fault: Fault,
        authorization: Option<&HeaderValue>,
    ) -> RegistryError {
        let mut error = self.request_error(request, &request.method, &fault.url, fault.failure);
        error.without_login = (!request.is_home(&fault.url)).then(|| net::host(&fault.url).to_owned());
        self.error(error, authorization)
    }

    /// The error of an answer that refuses.
    pub(super) fn refused(&self, request: &Request<'_>, reply: &Reply) -> RegistryError {
        self.failed(request, reply, Failure::Refused(reply.answer.refusal()))
    }

    /// The error of an answer that can't be used.
    pub(super) fn failed(&self, request: &Request<'_>, reply: &Reply, failure: Failure) -> RegistryError {
        let mut error = self.request_error(request, &request.method, &reply.answer.url, failure);
        let used = reply.used.iter().filter(|_| !reply.answer.withheld);
        error.used = used.map(ToString::to_string).collect();
        error.denied = reply.answer.refuses_login();
        if let (Some(used), Failure::Refused(refusal)) = (&reply.used, &error.failure)
            && ecr::refuses(used, refusal)
        {
            error.denied = true;
            error.advice = ecr::advice(std::slice::from_ref(used), refusal).map(str::to_owned);
        }
        error.unread = self.auth.unread().filter(|_| error.denied);
        let withheld = reply.answer.withheld || !request.is_home(&request.url);
        error.without_login = withheld.then(|| net::host(&reply.answer.url).to_owned());
        self.error(error, reply.answer.sent.as_ref())
    }

    /// The error of something that `request` failed with at `url`.
    pub(super) fn fail(
        &self,
        request: &Request<'_>,
        method: &Method,
        url: &Url,
        failure: Failure,
    ) -> RegistryError {
        self.error(self.request_error(request, method, url, failure), None)
    }

    fn request_error(
        &self,
        request: &Request<'_>,
        method: &Method,
        url: &Url,
        failure: Failure,
    ) -> RequestError {
        let sent = (method.clone(), endpoint::redacted(url));
        let through = self.through(url, &failure);
        let peer = request.failed_at(url, &failure);
        let error = RequestError::new(sent, (request.repository.clone(), request.writes), peer, failure);
        RequestError { through, ..error }
    }

    /// The error of a question for a token.
    pub(super) fn fail_at_token_service(
        &self,
        request: &Request<'_>,
        method: &Method,
        url: &Url,
        failure: Failure,
    ) -> RegistryError {
        let error = self.request_error(request, method, url, failure);
        self.error(RequestError { peer: Peer::TokenService, ..error }, None)
    }

    /// The error without what was sent, wherever the answer repeats it: all that a request fails with is made here.
    fn error(&self, mut error: RequestError, sent: Option<&HeaderValue>) -> RegistryError {
        if let Failure::Refused(Refusal { status, retry_after: Some(wait), .. }) = &error.failure
            && retry::status_is_transient(*status)
            && *wait >= self.deadline.saturating_duration_since(Instant::now())
        {
            error.until = Some(Until::after(*wait, SystemTime::now()));
        }
        error.hide(&self.auth.mask(sent));
        RegistryError::Request(Box::new(error))
    }

    /// The error of a request for which no login did.
    pub(super) fn denied(
        &self,
        request: &Request<'_>,
        credentials: &[Arc<Credential>],
        tried: AuthAttempts,
    ) -> RegistryError {
        let deadline = Failure::Deadline;
        let mut error = self.request_error(request, &request.method, &request.url, deadline);
        let order = tried.logins.iter().copied();
        let rest = (0..credentials.len()).filter(|at| !tried.logins.contains(at));
        error.used =
            order.chain(rest).filter_map(|at| credentials.get(at)).map(ToString::to_string).collect();
        error.denied = tried.last.as_ref().is_none_or(AuthRejection::is_about_login);
        error.unread = self.auth.unread().filter(|_| error.denied);
        if let Some(last) = tried.last {
            (error.method, error.url) = (last.method, last.url);
            if last.by_token_service {
                error.peer = Peer::TokenService;
            }
            error.advice = ecr::advice(credentials, &last.refusal).map(str::to_owned).or_else(|| {
                let scheme = last.unspoken?;
                let registry = request.repository.registry();
                Some(format!(
                    "{registry} offers only logins by {scheme}, which is not spoken here: let it offer Basic or a token service too"
                ))
            });
            error.failure = Failure::Refused(last.refusal);
            let url = Url::parse(&error.url).ok();
            error.through = url.and_then(|url| self.through(&url, &error.failure));
        }
        self.error(error, None)
    }

    /// The proxy that a request to `url` went through, where that can have to do with `failure`: over plain HTTP each answer may be the
    /// proxy's own; over HTTPS what the server behind it answers is the server's.
    fn through(&self, url: &Url, failure: &Failure) -> Option<ThroughProxy> {
        let proxy = match failure {
            Failure::Proxy { .. } | Failure::LeftAlone { .. } => None,
            Failure::Deadline => self.proxies.not_led_yet(url),
            failure if url.scheme() == "http" || failure.is_of_connection() => self.proxies.used(url),
            _ => None,
        };
        proxy.map(|proxy| proxy.told())
    }
}
