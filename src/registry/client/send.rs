//! A request to a registry: with a login if one is needed, again if that can help.
//!
//! The first request to a registry goes alone, the others wait for what it learns: how the registry
//! wants logins. It carries the first password login at once, since most registries with a password
//! take it, and that saves a request on each; one that gives tokens answers with its challenge.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Method, StatusCode};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep};
use url::Url;

use super::auth::{Account, Kind, Pass, Rebuff, Scheme, Session, State, Tried, first_basic};
use super::challenge::{self, Bearer, Challenge};
use super::error::{Failure, RegistryError, RequestError};
use super::options::Access;
use super::retry;
use super::token::NoToken;
use super::transport::{Answer, Call};
use super::{Inner, endpoint};
use crate::registry::keychain::Credential;
use crate::registry::reference::Repository;

/// How often one request is sent with another login, or another token, at most.
const LOGIN_ROUNDS: usize = 16;

/// A request to a registry.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) repository: &'a Repository,
    pub(super) method: Method,
    pub(super) url: Url,
    /// Whether it needs to be allowed to push.
    pub(super) writes: bool,
    /// Whether the login may go along: not to an upload's address at another host.
    pub(super) with_login: bool,
    pub(super) accept: Option<&'static str>,
    pub(super) content_type: Option<HeaderValue>,
    pub(super) body: Option<Bytes>,
    /// The largest body of a success.
    pub(super) limit_bytes: u64,
}

/// An answer that is not about logins or passing trouble, and the login it was given to.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    pub(super) used: Option<Arc<Credential>>,
}

/// The repository's side of a request.
struct Caller<'a> {
    account: &'a Account,
    session: &'a Session,
    access: Access,
    credentials: &'a [Arc<Credential>],
}

enum Grant {
    /// Send with this.
    Pass(Pass),
    /// Nobody knows yet how this registry wants logins: find out. The others wait.
    Probe(Probe),
    /// Nothing is left to try.
    Nothing,
}

struct Probe {
    state: OwnedMutexGuard<State>,
    scheme: OwnedMutexGuard<Option<Scheme>>,
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
        let mut number = 0;
        loop {
            match attempt().await {
                Err(error) if error.is_transient() => {
                    if !self.pause(number, &error).await {
                        return Err(given_up(error, number + 1));
                    }
                    number += 1;
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
        tracing::debug!(%error, attempt, ms = wait.as_millis(), "again in a moment");
        sleep(wait).await;
        true
    }

    /// Sends `request` once, with whatever login it needs.
    pub(super) async fn attempt(&self, request: &Request<'_>) -> Result<Reply, RegistryError> {
        if !request.with_login {
            let answer = self.exchange(request, None).await?;
            return self.settled(request, Reply { answer, used: None });
        }
        let account = self.auth.account(request.repository);
        let credentials = self.auth.credentials(&account, request.repository).await?;
        let access = match self.transport.options.access {
            _ if request.writes => Access::PullPush,
            Access::PullPush if account.pull_only.load(Ordering::Relaxed) => Access::Pull,
            access => access,
        };
        let caller =
            |access| Caller { account: &account, session: account.session(access), access, credentials };
        let mut tried = Tried::default();
        if let Some(reply) = self.with_logins(request, &caller(access), &mut tried).await? {
            return self.settled(request, reply);
        }
        // Some token services give nothing at all to a login that may not have everything it asks for.
        let at_token_service = tried.last.as_ref().is_some_and(|last| last.by_token_service);
        if at_token_service && !request.writes && access == Access::PullPush {
            account.pull_only.store(true, Ordering::Relaxed);
            let mut again = Tried::default();
            if let Some(reply) = self.with_logins(request, &caller(Access::Pull), &mut again).await? {
                return self.settled(request, reply);
            }
        }
        Err(self.denied(request, credentials, tried))
    }

    /// Sends `request` with one login after the other; `None` when all were refused.
    async fn with_logins(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        tried: &mut Tried,
    ) -> Result<Option<Reply>, RegistryError> {
        for _ in 0..LOGIN_ROUNDS {
            match self.grant(request, caller, tried).await? {
                Grant::Nothing => return Ok(None),
                Grant::Probe(probe) => {
                    if let Some((answer, kind)) = self.probe(request, caller, probe, tried).await? {
                        return Ok(Some(caller.reply(answer, kind)));
                    }
                }
                Grant::Pass(pass) => {
                    let answer = self.exchange(request, pass.header.as_ref()).await?;
                    if !refuses_login(&answer) {
                        return Ok(Some(caller.reply(answer, pass.kind)));
                    }
                    self.reconsider(request, caller, &pass, &answer, tried).await;
                }
            }
        }
        Ok(None)
    }

    /// What to send next.
    async fn grant(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        tried: &mut Tried,
    ) -> Result<Grant, RegistryError> {
        let mut state = caller.session.lock().await;
        for (login, rebuff) in &state.rejected {
            if !tried.logins.contains(login) {
                tried.refuse(Kind::Basic(*login), rebuff.clone());
            }
        }
        if let Some(pass) = state.pass(Instant::now())
            && !tried.refuses(pass.kind)
        {
            return Ok(Grant::Pass(pass.clone()));
        }
        let scheme = Arc::clone(&caller.account.scheme).lock_owned().await;
        let bearer = match &*scheme {
            None => return Ok(Grant::Probe(Probe { state, scheme })),
            Some(Scheme::Bearer(bearer)) => Arc::clone(bearer),
            Some(Scheme::Open) if !tried.refuses(Kind::Bare) => {
                return Ok(Grant::Pass(state.use_pass(None, Kind::Bare, None)));
            }
            Some(Scheme::Open | Scheme::Basic) => {
                if let Some((login, header)) = first_basic(caller.credentials, tried) {
                    return Ok(Grant::Pass(state.use_pass(Some(header), Kind::Basic(login), None)));
                }
                if caller.credentials.is_empty() && !tried.refuses(Kind::Bare) {
                    return Ok(Grant::Pass(state.use_pass(None, Kind::Bare, None)));
                }
                return Ok(Grant::Nothing);
            }
        };
        // The token is this repository's own affair; other repositories need not wait for it.
        drop(scheme);
        self.grant_token(request, caller, &mut state, &bearer, tried).await
    }

    async fn grant_token(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        state: &mut State,
        bearer: &Bearer,
        tried: &mut Tried,
    ) -> Result<Grant, RegistryError> {
        let mut logins: Vec<Option<usize>> = (0..caller.credentials.len()).map(Some).collect();
        // The one that worked last goes first.
        logins.sort_by_key(|login| *login != state.last_login());
        if logins.is_empty() {
            logins.push(None);
        }
        for login in logins {
            let kind = Kind::Token(login);
            if tried.refuses(kind) {
                continue;
            }
            let credential = login.and_then(|at| caller.credentials.get(at)).map(Arc::as_ref);
            let renewed =
                state.renewed.iter().rev().find(|(at, _)| Some(*at) == login).map(|(_, token)| token);
            match self.token(request, caller.access, bearer, credential, renewed).await {
                Ok(token) => {
                    if let (Some(at), Some(refresh)) = (login, token.refresh) {
                        state.renewed.retain(|(have, _)| *have != at);
                        state.renewed.push((at, refresh));
                    }
                    let renew_at = Instant::now() + token.use_for;
                    return Ok(Grant::Pass(state.use_pass(Some(token.header), kind, Some(renew_at))));
                }
                Err(NoToken::Rejected(rebuff)) => {
                    state.reject(kind, rebuff.clone());
                    tried.refuse(kind, rebuff);
                }
                Err(NoToken::Failed(error)) => return Err(error),
            }
        }
        Ok(Grant::Nothing)
    }

    /// Sends the first request to a registry and learns from the answer how it wants logins. `None`: it
    /// was refused, and now it is known what to do about it.
    async fn probe(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        mut probe: Probe,
        tried: &mut Tried,
    ) -> Result<Option<(Answer, Kind)>, RegistryError> {
        let (kind, header) = match first_basic(caller.credentials, tried) {
            Some((login, header)) => (Kind::Basic(login), Some(header)),
            None => (Kind::Bare, None),
        };
        let answer = self.exchange(request, header.as_ref()).await?;
        if !refuses_login(&answer) {
            let sent_login = header.is_some();
            // A refusal for the moment says nothing about logins.
            if !retry::status_is_transient(answer.status) {
                *probe.scheme = Some(if sent_login { Scheme::Basic } else { Scheme::Open });
                probe.state.use_pass(header, kind, None);
            }
            return Ok(Some((answer, kind)));
        }
        let rebuff = rebuff(request, &answer);
        tried.refuse(kind, rebuff.clone());
        match (challenge_of(&answer), kind) {
            (Some(Challenge::Bearer(bearer)), _) => {
                if let Kind::Basic(login) = kind {
                    tried.take_back(login);
                }
                *probe.scheme = Some(Challenge::Bearer(bearer).into());
            }
            (Some(Challenge::Basic), _) | (None, Kind::Bare | Kind::Token(_)) => {
                if answer.status == StatusCode::UNAUTHORIZED {
                    probe.state.reject(kind, rebuff);
                }
                *probe.scheme = Some(Scheme::Basic);
            }
            // Nothing was learned: some registries only tell what they want to who sends nothing.
            (None, Kind::Basic(login)) => {
                let bare = self.exchange(request, None).await?;
                if !refuses_login(&bare) {
                    if !retry::status_is_transient(bare.status) {
                        *probe.scheme = Some(Scheme::Open);
                        probe.state.use_pass(None, Kind::Bare, None);
                    }
                    return Ok(Some((bare, Kind::Bare)));
                }
                let scheme = challenge_of(&bare).map_or(Scheme::Basic, Scheme::from);
                if matches!(scheme, Scheme::Bearer(_)) {
                    tried.take_back(login);
                }
                *probe.scheme = Some(scheme);
            }
        }
        Ok(None)
    }

    /// Takes in that `request` was refused with `pass`.
    async fn reconsider(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        pass: &Pass,
        answer: &Answer,
        tried: &mut Tried,
    ) {
        let mut state = caller.session.lock().await;
        if !state.is_current(pass) {
            return;
        }
        let rebuff = rebuff(request, answer);
        let challenge = challenge_of(answer);
        let unauthorized = answer.status == StatusCode::UNAUTHORIZED;
        match (pass.kind, &challenge) {
            // Expired before its time, or too narrow: once, a new one may do better.
            (Kind::Token(login), _) if unauthorized && !tried.renewed.contains(&login) => {
                tried.renewed.push(login);
                tried.last = Some(rebuff);
                state.expire();
            }
            (Kind::Basic(_), Some(Challenge::Bearer(_))) => {
                tried.last = Some(rebuff);
                state.expire();
            }
            (kind, _) => {
                if unauthorized && matches!(kind, Kind::Basic(_)) && !caller.session.is_proven(kind) {
                    state.reject(kind, rebuff.clone());
                }
                tried.refuse(kind, rebuff);
            }
        }
        let mut scheme = caller.account.scheme.lock().await;
        match challenge {
            Some(challenge) => *scheme = Some(challenge.into()),
            None if pass.kind == Kind::Bare => *scheme = Some(Scheme::Basic),
            None => {}
        }
    }

    async fn exchange(
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
            limit_bytes: request.limit_bytes,
        };
        self.transport.exchange(&call).await.map_err(|error| {
            error.into_error(|fault| self.fail(request, &request.method, &fault.url, fault.failure))
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
        let mut error = request_error(request, &request.method, &reply.answer.url, failure);
        error.used = reply.used.iter().map(ToString::to_string).collect();
        // The storage behind an upload knows no logins, so it can't refuse one.
        error.denied = request.with_login
            && matches!(reply.answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        RegistryError::Request(Box::new(error))
    }

    pub(super) fn fail(
        &self,
        request: &Request<'_>,
        method: &Method,
        url: &Url,
        failure: Failure,
    ) -> RegistryError {
        RegistryError::Request(Box::new(request_error(request, method, url, failure)))
    }

    /// The error of a request for which no login did.
    fn denied(&self, request: &Request<'_>, credentials: &[Arc<Credential>], tried: Tried) -> RegistryError {
        let deadline = Failure::Deadline;
        let mut error = request_error(request, &request.method, &request.url, deadline);
        let order = tried.logins.iter().copied();
        let rest = (0..credentials.len()).filter(|at| !tried.logins.contains(at));
        error.used =
            order.chain(rest).filter_map(|at| credentials.get(at)).map(ToString::to_string).collect();
        error.denied = true;
        if let Some(last) = tried.last {
            (error.method, error.url) = (last.method, last.url);
            error.failure = Failure::Refused(last.refusal);
        }
        RegistryError::Request(Box::new(error))
    }
}

impl Caller<'_> {
    /// The answer to what was let through with this kind of pass.
    fn reply(&self, answer: Answer, kind: Kind) -> Reply {
        // A refusal for the moment says nothing about logins.
        if !retry::status_is_transient(answer.status) {
            self.session.accepted(kind);
        }
        let used = match kind {
            Kind::Basic(login) | Kind::Token(Some(login)) => self.credentials.get(login).cloned(),
            Kind::Bare | Kind::Token(None) => None,
        };
        Reply { answer, used }
    }
}

fn refuses_login(answer: &Answer) -> bool {
    matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn challenge_of(answer: &Answer) -> Option<Challenge> {
    let headers = answer.headers.get_all(WWW_AUTHENTICATE).iter();
    challenge::best(headers.filter_map(|header| header.to_str().ok()))
}

fn rebuff(request: &Request<'_>, answer: &Answer) -> Rebuff {
    Rebuff {
        method: request.method.clone(),
        url: endpoint::redacted(&answer.url),
        refusal: answer.refusal(),
        by_token_service: false,
    }
}

fn request_error(request: &Request<'_>, method: &Method, url: &Url, failure: Failure) -> RequestError {
    RequestError {
        method: method.clone(),
        url: endpoint::redacted(url),
        repository: request.repository.clone(),
        writes: request.writes,
        failure,
        used: Vec::new(),
        denied: false,
        attempts: 1,
        given_up: false,
    }
}

fn given_up(error: RegistryError, attempts: u32) -> RegistryError {
    match error {
        RegistryError::Request(mut request) => {
            request.attempts = attempts;
            request.given_up = true;
            RegistryError::Request(request)
        }
        other => other,
    }
}
