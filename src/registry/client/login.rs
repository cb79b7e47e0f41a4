//! Which login a request goes with.
//!
//! The first request to a registry goes alone, the others wait for what it learns: how the registry
//! wants logins. It carries the first password login at once, since most registries with a password
//! take it, and that saves a request on each; one that gives tokens answers with its challenge. What a refusal means is
//! [`rejected`](super::rejected)'s.
//!
//! A request that has logins is never sent without one because they were refused: a bare request may ask how the registry wants logins,
//! and its answer is taken for nothing else.
//!
//! Only the registry itself can ask for a login, in an answer over its own connection. What the target of a redirect, or of
//! an upload's `Location`, asks for is its own affair: no login is for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::Inner;
use super::account::{Account, Manner, Scheme};
use super::attempts::{AuthAttempts, AuthRejection, first_basic, first_registry_token};
use super::error::RegistryError;
use super::line_break::is_without_line_break;
use super::options::Access;
use super::rejected::is_about_login;
use super::send::{Reply, Request};
use super::session::{Authorization, Kind, Session, State};
use super::transport::Answer;
use crate::net::retry;
use crate::registry::keychain::Credential;

/// How often one request is sent with another login, or another token, at most.
const LOGIN_ROUNDS: usize = 16;

/// The repository's side of a request.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) account: &'a Account,
    pub(super) session: &'a Session,
    pub(super) access: Access,
    pub(super) credentials: &'a [Arc<Credential>],
    /// Whether the account is the one of requests that tell nothing of the login.
    is_apart: bool,
}

pub(super) enum Grant {
    /// Send with this.
    Authorization(Authorization),
    /// Nobody knows yet how this registry wants logins: find out. The others wait.
    Probe(Probe),
    /// Nothing is left to try.
    Nothing,
}

pub(super) struct Probe {
    state: OwnedMutexGuard<State>,
    manner: OwnedMutexGuard<Manner>,
}

impl Inner {
    /// Sends `request` with one login after the other; `None` when all were refused.
    pub(super) async fn with_logins(
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
                    let answer = self.exchange(request, authorization.header.as_ref()).await?;
                    match is_about_login(request, caller, &answer, authorization.kind) {
                        false => Some(caller.reply(request, answer, authorization.kind)),
                        true => {
                            caller.keep_apart(request).await;
                            self.reconsider(request, caller, &authorization, answer, tried).await?
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
                if let Some(grant) = caller.grant_basic(&mut state, tried) {
                    return Ok(grant);
                }
                if caller.credentials.is_empty() && !tried.refuses(Kind::Bare) {
                    return Ok(Grant::Authorization(state.use_pass(None, Kind::Bare)));
                }
                return Ok(Grant::Nothing);
            }
        };
        // The token is this repository's own affair; other repositories need not wait for it.
        drop(manner);
        if let Some((login, header)) = first_registry_token(caller.credentials, tried) {
            let kind = Kind::Basic(login);
            return Ok(Grant::Authorization(state.use_pass(Some(header), kind)));
        }
        match self.grant_token(request, caller, &mut state, &tokens.services, tried).await {
            // No token service can be worked with: where the registry takes logins itself, that is left.
            Err(error) if tokens.basic && !error.is_transient() => {
                caller.grant_basic(&mut state, tried).ok_or(error)
            }
            Ok(Grant::Nothing)
                if tokens.basic && !tried.last.as_ref().is_none_or(AuthRejection::is_about_login) =>
            {
                Ok(caller.grant_basic(&mut state, tried).unwrap_or(Grant::Nothing))
            }
            granted => granted,
        }
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
        let (kind, header) = match first_basic(caller.credentials, tried) {
            Some((login, header)) => (Kind::Basic(login), Some(header)),
            None => (Kind::Bare, None),
        };
        caller.note(kind);
        let answer = self.exchange(request, header.as_ref()).await?;
        if is_about_login(request, caller, &answer, kind) {
            if !request.tells_of_login {
                // How the registry wants logins stays unknown: the next request finds it out.
                drop(probe);
                caller.keep_apart(request).await;
                let mut state = caller.session.lock().await;
                let mut manner = caller.account.manner.lock().await;
                let known = (&mut *state, &mut *manner);
                return self.refused_as(request, caller, known, kind, answer, tried).await;
            }
            let Probe { mut state, mut manner } = probe;
            return self.refused_as(request, caller, (&mut state, &mut manner), kind, answer, tried).await;
        }
        // A refusal for the moment says nothing about logins.
        if !retry::status_is_transient(answer.status) {
            probe.manner.scheme = Some(if header.is_some() { Scheme::Basic } else { Scheme::Open });
            probe.state.use_pass(header, kind);
        }
        Ok(Some(caller.reply(request, answer, kind)))
    }
}

impl<'a> Caller<'a> {
    /// What `request` goes by with this access.
    pub(super) fn of(
        request: &Request<'_>,
        account: &'a Account,
        access: Access,
        credentials: &'a [Arc<Credential>],
    ) -> Self {
        let apart = account.apart().filter(|_| !request.tells_of_login);
        let account = apart.unwrap_or(account);
        Self { account, session: account.session(access), access, credentials, is_apart: apart.is_some() }
    }

    /// Keeps apart what the refusal of a request means that tells nothing of the login: some registries refuse one address to everyone, or
    /// name another token service or scope for it, and the login is good for the rest.
    async fn keep_apart(&mut self, request: &Request<'_>) {
        if !request.tells_of_login && !self.is_apart {
            self.account = self.account.kept_apart().await;
            (self.session, self.is_apart) = (self.account.session(self.access), true);
        }
    }

    /// Whether what this request is refused is remembered.
    pub(super) fn remembers(&self, request: &Request<'_>) -> bool {
        request.tells_of_login || self.is_apart
    }

    /// The next login that can be sent to the registry itself.
    fn grant_basic(&self, state: &mut State, tried: &AuthAttempts) -> Option<Grant> {
        let (login, header) = first_basic(self.credentials, tried)?;
        self.note(Kind::Basic(login));
        Some(Grant::Authorization(state.use_pass(Some(header), Kind::Basic(login))))
    }

    /// Tells what is sent otherwise than it was configured.
    pub(super) fn note(&self, kind: Kind) {
        let (Kind::Basic(login) | Kind::Token(Some(login))) = kind else { return };
        if is_without_line_break(self.credentials, login)
            && let Some(credential) = self.credentials.get(login)
            && !self.account.told_line_break.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                login = %credential,
                "a password that ends with a line break was refused: trying it without the line break; remove it from the file"
            );
        }
    }

    /// The answer to a request that was let through with this kind of authorization.
    pub(super) fn reply(&self, request: &Request<'_>, answer: Answer, kind: Kind) -> Reply {
        // A refusal for the moment says nothing about logins.
        if !retry::status_is_transient(answer.status) {
            self.session.accepted(kind, request.writes);
        }
        self.unproven_reply(answer, kind)
    }

    /// The same for an answer that doesn't show that the login is good.
    pub(super) fn unproven_reply(&self, answer: Answer, kind: Kind) -> Reply {
        let used = match kind {
            Kind::Basic(login) | Kind::Token(Some(login)) => self.credentials.get(login).cloned(),
            Kind::Bare | Kind::Token(None) => None,
        };
        Reply { answer, used }
    }
}
