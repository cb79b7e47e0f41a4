//! Which login a request goes with.
//!
//! The first request to a registry goes alone, the others wait for what it learns: how the registry
//! wants logins. It carries the first password login at once, since most registries with a password
//! take it, and that saves a request on each; a registry that gives tokens answers with its challenge. What a refusal means is
//! [`rejected`]'s.
//!
//! A request that has logins is never sent without one because they were refused: a bare request may ask how the registry wants logins,
//! and its answer is taken for nothing else.
//!
//! Gets a request, gives the reply of the login that did, or the error of all that didn't. What a registry offers is
//! [`ping`](super::ping)'s to ask, headers are made by [`basic`] and [`bearer`](super::bearer), and [`origin`](super::origin) sends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::StatusCode;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::account::{Manner, Scheme};
use super::attempts::{AuthAttempts, AuthRejection};
use super::auth::Auth;
use super::basic;
use super::bearer::Bearer;
use super::caller::Caller;
use super::error::RegistryError;
use super::error_maker::ErrorMaker;
use super::options::Access;
use super::origin::Origin;
use super::ping::Ping;
use super::rejected::{self, is_about_login, refused_as};
use super::request::{Reply, Request};
use super::session::{Authorization, Kind, State};
use crate::net::retry;
use crate::registry::keychain::Credential;

/// How often one request is sent with another login, or another token, at most.
const LOGIN_ROUNDS: usize = 16;

/// Sends requests with whatever login they need.
pub(super) struct Login {
    pub(super) origin: Arc<Origin>,
    pub(super) ping: Arc<Ping>,
    pub(super) bearer: Bearer,
    pub(super) auth: Arc<Auth>,
    pub(super) errors: Arc<ErrorMaker>,
    /// What the command asks tokens for.
    pub(super) access: Access,
}

/// What to do next.
enum Grant {
    /// Send with this.
    Authorization(Authorization),
    /// Nobody knows yet how this registry wants logins: find out. The others wait.
    Probe(Probe),
    /// Nothing is left to try.
    Nothing,
}

/// The lock of the request that finds out.
struct Probe {
    state: OwnedMutexGuard<State>,
    manner: OwnedMutexGuard<Manner>,
}

impl Login {
    /// Sends `request` once, with whatever login it needs.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Reply, RegistryError> {
        // An upload may continue at another host, which the login isn't for.
        if !request.is_home(&request.url) {
            let answer = self.origin.send(request, None).await?;
            return self.settled(request, Reply { answer, used: None });
        }
        let account = self.auth.account(request.repository);
        let credentials = self.auth.credentials(&account, request.repository).await?;
        let usual = self.access;
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
            _ => Err(self.errors.denied(request, credentials, tried)),
        }
    }

    /// Sends `request` with one login after the other; `None` when all were refused.
    async fn with_logins(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        tried: &mut AuthAttempts,
    ) -> Result<Option<Reply>, RegistryError> {
        let caller = &mut { *caller };
        for _ in 0..LOGIN_ROUNDS {
            let reply = match self.grant(request, caller, tried).await? {
                Grant::Nothing => break,
                Grant::Probe(probe) => self.probe(request, caller, probe, tried).await?,
                Grant::Authorization(authorization) => {
                    let answer = self.origin.send(request, authorization.header.as_ref()).await?;
                    match is_about_login(request, caller, &answer, authorization.kind) {
                        false => Some(caller.reply(request, answer, authorization.kind)),
                        true => {
                            caller.keep_apart(request).await;
                            rejected::reconsider(&self.ping, request, caller, &authorization, answer, tried)
                                .await?
                        }
                    }
                }
            };
            if reply.is_some() {
                return Ok(reply);
            }
        }
        Ok(None)
    }

    /// What to send next.
    async fn grant(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        tried: &mut AuthAttempts,
    ) -> Result<Grant, RegistryError> {
        let mut state = caller.session.lock().await;
        for (kind, rejection) in &state.rejected {
            if !tried.refuses(*kind) {
                tried.refuse(*kind, rejection.clone());
            }
        }
        if let Some(authorization) = state.pass(Instant::now())
            && !tried.refuses_authorization(authorization)
        {
            return Ok(Grant::Authorization(authorization.clone()));
        }
        let manner = Arc::clone(&caller.account.manner).lock_owned().await;
        let tokens = match &manner.scheme {
            None => return Ok(Grant::Probe(Probe { state, manner })),
            Some(Scheme::Bearer(tokens)) => Arc::clone(tokens),
            Some(Scheme::Open) if !tried.refuses(Kind::Bare) => {
                return Ok(Grant::Authorization(state.use_pass(None, Kind::Bare)));
            }
            Some(Scheme::Open | Scheme::Basic) => {
                if let Some(authorization) = basic::grant(caller, &mut state, tried) {
                    return Ok(Grant::Authorization(authorization));
                }
                if caller.credentials.is_empty() && !tried.refuses(Kind::Bare) {
                    return Ok(Grant::Authorization(state.use_pass(None, Kind::Bare)));
                }
                return Ok(Grant::Nothing);
            }
        };
        // The token is this repository's own affair; other repositories need not wait for it.
        drop(manner);
        if let Some(authorization) = basic::grant_registry_token(caller, &mut state, tried) {
            return Ok(Grant::Authorization(authorization));
        }
        let granted = match self.bearer.grant(request, caller, &mut state, &tokens.services, tried).await {
            // No token service can be worked with: where the registry takes logins itself, that is left.
            Err(error) if tokens.basic && !error.is_transient() => {
                Some(basic::grant(caller, &mut state, tried).ok_or(error)?)
            }
            Ok(None) if tokens.basic && !tried.last.as_ref().is_none_or(AuthRejection::is_about_login) => {
                basic::grant(caller, &mut state, tried)
            }
            granted => granted?,
        };
        Ok(granted.map_or(Grant::Nothing, Grant::Authorization))
    }

    /// Sends the first request to a registry and learns from the answer how it wants logins. `None`: it
    /// was refused, and now it is known what to do about it.
    async fn probe(
        &self,
        request: &Request<'_>,
        caller: &mut Caller<'_>,
        mut probe: Probe,
        tried: &mut AuthAttempts,
    ) -> Result<Option<Reply>, RegistryError> {
        let (kind, header) = match basic::first(caller.credentials, tried) {
            Some((login, header)) => (Kind::Basic(login), Some(header)),
            None => (Kind::Bare, None),
        };
        caller.note(kind);
        let answer = self.origin.send(request, header.as_ref()).await?;
        if is_about_login(request, caller, &answer, kind) {
            if !request.tells_of_login {
                // How the registry wants logins stays unknown: the next request finds it out.
                drop(probe);
                caller.keep_apart(request).await;
                let mut state = caller.session.lock().await;
                let mut manner = caller.account.manner.lock().await;
                let known = (&mut *state, &mut *manner);
                return refused_as(&self.ping, request, caller, known, kind, answer, tried).await;
            }
            let Probe { mut state, mut manner } = probe;
            let known = (&mut *state, &mut *manner);
            return refused_as(&self.ping, request, caller, known, kind, answer, tried).await;
        }
        // A refusal for the moment says nothing about logins.
        if !retry::status_is_transient(answer.status) {
            probe.manner.scheme = Some(if header.is_some() { Scheme::Basic } else { Scheme::Open });
            probe.state.use_pass(header, kind);
        }
        Ok(Some(caller.reply(request, answer, kind)))
    }

    /// What may pass with time is an error here; everything else is for the caller to judge.
    fn settled(&self, request: &Request<'_>, reply: Reply) -> Result<Reply, RegistryError> {
        if retry::status_is_transient(reply.answer.status) {
            return Err(self.errors.refused(request, &reply));
        }
        Ok(reply)
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
