//! Which login a request goes with, and what its refusal means.
//!
//! The first request to a registry goes alone, the others wait for what it learns: how the registry
//! wants logins. It carries the first password login at once, since most registries with a password
//! take it, and that saves a request on each; one that gives tokens answers with its challenge.
//!
//! A request that has logins is never sent without one because they were refused.
//!
//! Only the registry itself can ask for a login, in an answer over its own connection. What the target of a redirect, or of
//! an upload's `Location`, asks for is its own affair: no login is for it.

use std::sync::Arc;

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::account::{Account, Scheme};
use super::attempts::{AuthAttempts, AuthRejection, first_basic};
use super::challenge::{self, Bearer, Challenge};
use super::error::RegistryError;
use super::options::Access;
use super::send::{Reply, Request};
use super::session::{Authorization, Kind, Session, State};
use super::token::NoToken;
use super::transport::Answer;
use super::{Inner, endpoint, retry};
use crate::registry::keychain::Credential;

/// The longest `WWW-Authenticate` header that is read, in bytes: an address, a name and a scope. What it says is kept.
const MAX_CHALLENGE_BYTES: usize = 4096;

/// How often one request is sent with another login, or another token, at most.
const LOGIN_ROUNDS: usize = 16;

/// The repository's side of a request.
pub(super) struct Caller<'a> {
    pub(super) account: &'a Account,
    pub(super) session: &'a Session,
    pub(super) access: Access,
    pub(super) credentials: &'a [Arc<Credential>],
}

enum Grant {
    /// Send with this.
    Authorization(Authorization),
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
    /// Sends `request` with one login after the other; `None` when all were refused.
    pub(super) async fn with_logins(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        tried: &mut AuthAttempts,
    ) -> Result<Option<Reply>, RegistryError> {
        for _ in 0..LOGIN_ROUNDS {
            match self.grant(request, caller, tried).await? {
                Grant::Nothing => return Ok(None),
                Grant::Probe(probe) => {
                    if let Some((answer, kind)) = self.probe(request, caller, probe, tried).await? {
                        return Ok(Some(caller.reply(answer, kind)));
                    }
                }
                Grant::Authorization(pass) => {
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
        tried: &mut AuthAttempts,
    ) -> Result<Grant, RegistryError> {
        let mut state = caller.session.lock().await;
        for (login, rejection) in &state.rejected {
            if !tried.logins.contains(login) {
                tried.refuse(Kind::Basic(*login), rejection.clone());
            }
        }
        if let Some(pass) = state.pass(Instant::now())
            && !tried.refuses(pass.kind)
        {
            return Ok(Grant::Authorization(pass.clone()));
        }
        let scheme = Arc::clone(&caller.account.scheme).lock_owned().await;
        let bearer = match &*scheme {
            None => return Ok(Grant::Probe(Probe { state, scheme })),
            Some(Scheme::Bearer(bearer)) => Arc::clone(bearer),
            Some(Scheme::Open) if !tried.refuses(Kind::Bare) => {
                return Ok(Grant::Authorization(state.use_pass(None, Kind::Bare, None)));
            }
            Some(Scheme::Open | Scheme::Basic) => {
                if let Some((login, header)) = first_basic(caller.credentials, tried) {
                    return Ok(Grant::Authorization(state.use_pass(Some(header), Kind::Basic(login), None)));
                }
                if caller.credentials.is_empty() && !tried.refuses(Kind::Bare) {
                    return Ok(Grant::Authorization(state.use_pass(None, Kind::Bare, None)));
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
        tried: &mut AuthAttempts,
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
            let renewed = login.and_then(|at| state.renewed(at));
            match self.token(request, caller.access, bearer, credential, renewed.as_deref()).await {
                Ok(token) => {
                    if let (Some(at), Some(refresh)) = (login, token.refresh) {
                        state.renew(at, refresh);
                    }
                    let renew_at = Instant::now() + token.use_for;
                    return Ok(Grant::Authorization(state.use_pass(
                        Some(token.header),
                        kind,
                        Some(renew_at),
                    )));
                }
                Err(NoToken::Rejected(rejection)) => {
                    state.reject(kind, rejection.clone());
                    tried.refuse(kind, rejection);
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
        tried: &mut AuthAttempts,
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
        let rejection = rejection(request, &answer);
        tried.refuse(kind, rejection.clone());
        match (challenge_of(request, &answer), kind) {
            (Some(Challenge::Bearer(bearer)), _) => {
                if let Kind::Basic(login) = kind {
                    tried.take_back(login);
                }
                *probe.scheme = Some(Challenge::Bearer(bearer).into());
            }
            (Some(Challenge::Basic), _) | (None, Kind::Bare | Kind::Token(_)) => {
                if answer.status == StatusCode::UNAUTHORIZED {
                    probe.state.reject(kind, rejection);
                }
                *probe.scheme = Some(Scheme::Basic);
            }
            // Nothing was learned: some registries only tell what they want to who sends nothing.
            (None, Kind::Basic(login)) => {
                let scheme = self.asked_bare(request).await?;
                if matches!(scheme, Scheme::Bearer(_)) {
                    tried.take_back(login);
                }
                *probe.scheme = Some(scheme);
            }
        }
        Ok(None)
    }

    /// How a registry wants logins, if asked without one. Not by the request itself: one that has logins
    /// must not end up being done as nobody.
    async fn asked_bare(&self, request: &Request<'_>) -> Result<Scheme, RegistryError> {
        let mut question = self.request(request.repository, endpoint::root)?;
        question.writes = request.writes;
        let answer = self.exchange_anywhere(&question, None).await?;
        if retry::status_is_transient(answer.status) {
            return Err(self.refused(&question, &Reply { answer, used: None }));
        }
        Ok(challenge_of(&question, &answer).map_or(Scheme::Basic, Scheme::from))
    }

    /// Takes in that `request` was refused with `pass`.
    async fn reconsider(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        pass: &Authorization,
        answer: &Answer,
        tried: &mut AuthAttempts,
    ) {
        let mut state = caller.session.lock().await;
        if !state.is_current(pass) {
            return;
        }
        let rejection = rejection(request, answer);
        let challenge = challenge_of(request, answer);
        let unauthorized = answer.status == StatusCode::UNAUTHORIZED;
        match (pass.kind, &challenge) {
            // Expired before its time, or too narrow: once, a new one may do better.
            (Kind::Token(login), _) if unauthorized && !tried.renewed.contains(&login) => {
                tried.renewed.push(login);
                tried.last = Some(rejection);
                state.expire();
            }
            (Kind::Basic(_), Some(Challenge::Bearer(_))) => {
                tried.last = Some(rejection);
                state.expire();
            }
            (kind, _) => {
                if unauthorized && matches!(kind, Kind::Basic(_)) && !caller.session.is_proven(kind) {
                    state.reject(kind, rejection.clone());
                }
                tried.refuse(kind, rejection);
            }
        }
        let mut scheme = caller.account.scheme.lock().await;
        match challenge {
            Some(challenge) => *scheme = Some(challenge.into()),
            None if pass.kind == Kind::Bare => *scheme = Some(Scheme::Basic),
            None => {}
        }
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

/// Whether the answer is about who asks.
pub(super) fn refuses_login(answer: &Answer) -> bool {
    matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// How the registry wants logins; `None` also where the answer is another host's.
fn challenge_of(request: &Request<'_>, answer: &Answer) -> Option<Challenge> {
    if !request.is_home(&answer.url) {
        return None;
    }
    let headers = answer.headers.get_all(WWW_AUTHENTICATE).iter();
    let headers = headers.filter(|header| header.len() <= MAX_CHALLENGE_BYTES);
    challenge::best(headers.filter_map(|header| header.to_str().ok()))
}

fn rejection(request: &Request<'_>, answer: &Answer) -> AuthRejection {
    AuthRejection {
        method: request.method.clone(),
        url: answer.shown_url(),
        refusal: answer.refusal(),
        by_token_service: false,
    }
}
