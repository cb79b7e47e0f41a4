//! A request to a registry: with a login if one is needed, again if that can help.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use tokio::time::{Duration, Instant, sleep};
use url::Url;

use super::attempts::{AuthAttempts, AuthRejection};
use super::error::{RegistryError, RequestError};
use super::failure::Failure;
use super::login::Caller;
use super::options::Access;
use super::peer::Peer;
use super::refusal::Refusal;
use super::rejected::refuses_login;
use super::transport::{Answer, Call, Fault};
use super::{Inner, ecr, endpoint};
use crate::net;
use crate::net::retry;
use crate::net::retry::Until;
use crate::oci::reference::Repository;
use crate::registry::keychain::Credential;

/// A request to a registry.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) repository: &'a Repository,
    pub(super) method: Method,
    pub(super) url: Url,
    /// The repository's own address: the only origin that its login is for.
    pub(super) home: Url,
    /// Whether it needs to be allowed to push.
    pub(super) writes: bool,
    /// Whether the command writes nothing to registries.
    pub(super) only_reads: bool,
    /// Whether a 401 says that the login doesn't do. Registries that lack an address refuse it to everyone.
    pub(super) tells_of_login: bool,
    /// Whether it goes before what waits for a place: little time may pass since what was read before it.
    pub(super) urgent: bool,
    pub(super) accept: Option<&'static str>,
    pub(super) content_type: Option<HeaderValue>,
    pub(super) body: Option<Bytes>,
    /// Until when it may be sent, however often; `None`: at any time.
    pub(super) send_by: Option<Instant>,
    /// The largest body of a success.
    pub(super) limit_bytes: u64,
}

/// An answer that is not about logins or passing trouble, and the login it was given to.
pub(super) struct Reply {
    pub(super) answer: Answer,
    pub(super) used: Option<Arc<Credential>>,
}

impl Request<'_> {
    /// The same once more.
    pub(super) fn again(&self) -> Self {
        Self {
            method: self.method.clone(),
            url: self.url.clone(),
            home: self.home.clone(),
            content_type: self.content_type.clone(),
            body: self.body.clone(),
            ..*self
        }
    }

    /// Whether an address is the registry's own: the login may go there, and what it asks for counts.
    pub(super) fn is_home(&self, url: &Url) -> bool {
        endpoint::same_origin(&self.home, url)
    }
}

impl Inner {
    /// Sends `request`, and again while that can help.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Reply, RegistryError> {
        self.retried(|| self.attempt(request)).await
    }

    /// Does `attempt` until it works, can't, or there is no time left.
    pub(super) async fn retried<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, RegistryError>
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
        let left = self.transport.deadline().saturating_duration_since(Instant::now());
        if wait >= left {
            return false;
        }
        self.transport.retries.fetch_add(1, Ordering::Relaxed);
        let ms = wait.as_millis();
        // Whoever watches should know what is waited for, but not hear of each lost connection.
        if wait >= Duration::from_secs(1) {
            tracing::info!(%error, attempt, ms, "again in a moment");
        } else {
            tracing::debug!(%error, attempt, ms, "again in a moment");
        }
        sleep(wait).await;
        true
    }

    /// Sends `request` once, with whatever login it needs.
    pub(super) async fn attempt(&self, request: &Request<'_>) -> Result<Reply, RegistryError> {
        // An upload may go on at another host, which isn't the one that the login is for.
        if !request.is_home(&request.url) {
            let answer = self.exchange(request, None).await?;
            return self.settled(request, Reply { answer, used: None });
        }
        let account = self.auth.account(request.repository);
        let credentials = self.auth.credentials(&account, request.repository).await?;
        let usual = self.transport.options.access;
        let caller = |access| Caller::of(request, &account, access, credentials);
        let mut access = caller(usual).account.access(request.writes, usual);
        let mut tried = AuthAttempts::default();
        loop {
            if let Some(reply) = self.with_logins(request, &caller(access), &mut tried).await? {
                return self.settled(request, reply);
            }
            // Some token services give nothing at all to a login that may not have everything it asks for.
            if access == Access::PullPush && !request.writes && asks_too_much(&tried, credentials) {
                caller(access).account.pull_only.store(true, Ordering::Relaxed);
            }
            let next = caller(access).account.access(request.writes, usual);
            if next == access {
                break;
            }
            // Not for ever: each access is left for the other once at most.
            access = next;
            tried = tried.anew();
        }
        match tried.useless.take() {
            // A policy's answer says more than that no other login may pass it.
            Some(reply) if tried.last.is_none() || reply.answer.status == StatusCode::PRECONDITION_FAILED => {
                self.settled(request, reply)
            }
            _ => Err(self.denied(request, credentials, tried)),
        }
    }

    /// Sends `request` as it is. A 401 or 403 that comes back is the registry's own; another host's is an error.
    pub(super) async fn exchange(
        &self,
        request: &Request<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, RegistryError> {
        let answer = self.exchange_anywhere(request, authorization).await?;
        if refuses_login(&answer) && !request.is_home(&answer.url) {
            let asked = format!("the registry {}", request.repository.registry());
            let failure = answer.other_host(&request.home, asked);
            return Err(self.fail(request, &request.method, &answer.url, failure));
        }
        Ok(answer)
    }

    /// Sends `request` as it is. Whatever comes back may be of a host that the registry redirects to.
    pub(super) async fn exchange_anywhere(
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
            auth: &self.auth,
            leaves_origin: true,
            registry: Some(&request.home),
        };
        self.transport.exchange(&call).await.map_err(|error| {
            let failed = |fault: Fault| {
                let mut error = self.request_error(request, &request.method, &fault.url, fault.failure);
                error.without_login =
                    (!request.is_home(&fault.url)).then(|| net::host(&fault.url).to_owned());
                error
            };
            error.into_error(|fault| self.error(failed(fault), authorization))
        })
    }

    /// What may pass with time is an error here; everything else is for the caller to judge.
    fn settled(&self, request: &Request<'_>, reply: Reply) -> Result<Reply, RegistryError> {
        if retry::status_is_transient(reply.answer.status) {
            return Err(self.refused(request, &reply));
        }
        Ok(reply)
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
        error.denied = refuses_login(&reply.answer);
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
        let through = self.transport.through(url, &failure);
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
            && *wait >= self.transport.deadline().saturating_duration_since(Instant::now())
        {
            error.until = Some(Until::after(*wait, SystemTime::now()));
        }
        error.hide(&self.auth.mask(sent));
        RegistryError::Request(Box::new(error))
    }

    /// The error of a request for which no login did.
    fn denied(
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
            error.through = url.and_then(|url| self.transport.through(&url, &error.failure));
        }
        self.error(error, None)
    }
}

/// Whether the token service may give a token to this login that allows less. To a wrong password it gives none.
fn asks_too_much(tried: &AuthAttempts, credentials: &[Arc<Credential>]) -> bool {
    let last = tried.last.as_ref().filter(|last| last.by_token_service);
    last.is_some_and(|last| match last.refusal.status {
        StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => true,
        StatusCode::UNAUTHORIZED => credentials.is_empty(),
        _ => false,
    })
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
