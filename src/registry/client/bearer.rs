//! Tokens: of which service, for which login, with which scope a request gets one.
//!
//! Each login is tried at each token service that the registry names, in their order, for what we need; where that is refused, for what the
//! registry itself said that it wants.
//!
//! Gets a request and the token services that are known, gives a token that is in use from then on; `None`: no login gets one.
//! [`token`](super::token) asks the services.

use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use super::attempts::{AuthAttempts, AuthRejection};
use super::basic::is_registry_token;
use super::caller::Caller;
use super::challenge::{self, Offered};
use super::error::RegistryError;
use super::ping::Ping;
use super::request::Request;
use super::session::{Ask, Authorization, Kind, State};
use super::token::{NoToken, TokenService};

/// What came of asking for a token with one login.
enum Asked {
    Granted(Authorization),
    /// No token service gives it one.
    Refused,
    /// Not one token service can be worked with.
    Failed(RegistryError),
}

/// What token services said to one login.
#[derive(Default)]
struct Refusals {
    last: Option<AuthRejection>,
    /// Why the first of them can't be worked with.
    failed: Option<RegistryError>,
    /// Those that don't know the login.
    wrong: Vec<challenge::Bearer>,
    /// What was refused for this request alone.
    asks: Vec<Arc<Ask>>,
}

/// Gives requests their tokens.
pub(super) struct Bearer {
    pub(super) next: TokenService,
    pub(super) ping: Arc<Ping>,
}

impl Bearer {
    /// The token of the first login that gets one.
    pub(super) async fn grant(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        state: &mut State,
        services: &[challenge::Bearer],
        tried: &mut AuthAttempts,
    ) -> Result<Option<Authorization>, RegistryError> {
        let exchanged = caller.credentials.iter().enumerate().filter(|(_, login)| !is_registry_token(login));
        let mut logins: Vec<Option<usize>> = exchanged.map(|(at, _)| Some(at)).collect();
        // The service that worked last goes first.
        logins.sort_by_key(|login| *login != state.last_login());
        // Where there is a login, nothing is asked for without one.
        if caller.credentials.is_empty() {
            logins.push(None);
        }
        for login in logins {
            if tried.refuses(Kind::Token(login)) {
                continue;
            }
            match self.grant_to(request, caller, state, (services, login), tried).await? {
                Asked::Granted(authorization) => return Ok(Some(authorization)),
                Asked::Refused => {}
                Asked::Failed(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What the repository's own challenge names counts for it. If only another repository's is known, and what that names refuses, the
    /// registry is asked.
    async fn grant_to(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        state: &mut State,
        (shared, login): (&[challenge::Bearer], Option<usize>),
        tried: &mut AuthAttempts,
    ) -> Result<Asked, RegistryError> {
        let mut refusals = Refusals::default();
        let mut services = state.named.as_ref().map(Offered::token_services).unwrap_or_default();
        if services.is_empty() {
            services = shared.to_vec();
        }
        loop {
            for service in &services {
                let from = (service, login);
                let grant = self.grant_of(request, caller, state, from, (tried, &mut refusals)).await;
                if let Some(grant) = grant {
                    return Ok(Asked::Granted(grant));
                }
            }
            if refusals.last.is_none() || state.named.is_some() || !request.tells_of_login || !request.reads()
            {
                break;
            }
            let named = self.ping.send(request).await?;
            services = named.token_services();
            // A login that is wrong is wrong for every scope.
            services.retain(|service| !refusals.wrong.contains(service));
            state.named = Some(named);
        }
        let kind = Kind::Token(login);
        match (refusals.last, refusals.failed) {
            (None, Some(error)) => return Ok(Asked::Failed(error)),
            // The registry itself has refused a good token of this login: what a token service says to another question says less.
            (Some(_), _) if tried.had_token(login) => tried.exhaust(kind),
            (Some(rejection), _) => {
                if rejection.is_about_login() && caller.remembers(request) {
                    state.reject(kind, rejection.clone());
                }
                tried.refuse(kind, rejection);
            }
            (None, None) => tried.exhaust(kind),
        }
        Ok(Asked::Refused)
    }

    /// A token of one service.
    async fn grant_of(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        state: &mut State,
        (service, login): (&challenge::Bearer, Option<usize>),
        (tried, refusals): (&AuthAttempts, &mut Refusals),
    ) -> Option<Authorization> {
        let ours = format!("repository:{}:{}", request.repository.path(), caller.access.actions());
        let mut scopes = vec![ours.clone()];
        scopes.extend(other_scopes(request, state, &ours));
        for scope in scopes {
            let ask = Arc::new(Ask { service: service.clone(), scope });
            if tried.refuses_token(login, &ask)
                || state.refuses_ask(login, &ask)
                || refusals.asks.contains(&ask)
            {
                continue;
            }
            match self.ask(request, caller, state, login, &ask).await {
                Ok(grant) => return Some(grant),
                Err(NoToken::Failed(error)) => {
                    refusals.failed.get_or_insert(error);
                    break;
                }
                Err(NoToken::Rejected(rejection)) => {
                    if rejection.refusal.status == StatusCode::UNAUTHORIZED {
                        refusals.wrong.push(service.clone());
                    }
                    // Another status may be the service's trouble, and pass.
                    match rejection.is_about_login() {
                        true => state.refuse_ask(login, ask),
                        false => refusals.asks.push(ask),
                    }
                    refusals.last = Some(rejection);
                }
            }
        }
        None
    }

    async fn ask(
        &self,
        request: &Request<'_>,
        caller: &Caller<'_>,
        state: &mut State,
        login: Option<usize>,
        ask: &Arc<Ask>,
    ) -> Result<Authorization, NoToken> {
        caller.note(Kind::Token(login));
        let credential = login.and_then(|at| caller.credentials.get(at)).map(Arc::as_ref);
        let renewed = login.and_then(|at| state.renewed(at));
        let token = self.next.token(request, ask, credential, renewed.as_deref()).await?;
        if let (Some(at), Some(refresh)) = (login, token.refresh) {
            state.renew(at, refresh);
        }
        let renew_at = Instant::now() + token.use_for;
        Ok(state.use_token(token.header, login, Arc::clone(ask), renew_at))
    }
}

/// The scopes that the registry named, without those that `ours` covers.
fn other_scopes(request: &Request<'_>, state: &State, ours: &str) -> Vec<String> {
    let mut named = state.named.as_ref().map(Offered::scopes).unwrap_or_default();
    named.retain(|scope| !is_within(scope, ours) && (request.reads() || may_write(scope)));
    named
}

/// Returns whether `ours` covers all that `scope` asks for.
fn is_within(scope: &str, ours: &str) -> bool {
    let Some((resource, actions)) = ours.rsplit_once(':') else { return false };
    let is_ours = |action: &str| action.is_empty() || actions.split(',').any(|ours| ours == action);
    scope.split_ascii_whitespace().all(|part| {
        part.rsplit_once(':').is_some_and(|(other, asked)| other == resource && asked.split(',').all(is_ours))
    })
}

/// Returns whether a token for `scope` could be enough for writing: a token that only pulls can't.
fn may_write(scope: &str) -> bool {
    scope.split_ascii_whitespace().any(|part| match part.rsplit_once(':') {
        Some((_, actions)) => actions.split(',').any(|action| !matches!(action, "" | "pull")),
        None => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_says_no_more_is_not_asked_for() {
        let ours = "repository:team/app:pull,push";
        for (scope, within) in [
            ("repository:team/app:pull,push", true),
            ("repository:team/app:push,pull", true),
            ("repository:team/app:pull", true),
            ("repository:team/app:", true),
            ("repository:team/app:pull repository:team/app:push", true),
            ("", true),
            ("repository:team/app:pull,push,delete", false),
            ("repository:team/app:*", false),
            ("repository:mirror/team/app:pull,push", false),
            ("repository:team/app:pull repository:base:pull", false),
            ("repository(plugin):team/app:pull", false),
            ("registry:catalog:*", false),
            ("everything", false),
        ] {
            assert_eq!(is_within(scope, ours), within, "{scope}");
        }
    }

    #[test]
    fn what_only_pulls_is_not_asked_for_to_write() {
        for (scope, may) in [
            ("repository:a:pull", false),
            ("repository:a:", false),
            ("", false),
            ("repository:a:pull repository:b:pull,push", true),
            ("repository:a:*", true),
            ("write", true),
        ] {
            assert_eq!(may_write(scope), may, "{scope}");
        }
    }
}
