//! Logins that are sent to the registry itself: names with passwords, and the registry's own tokens.
//!
//! Gets a repository's logins and what the request has been refused with, gives the next one as a header; it sends nothing itself.

use std::sync::Arc;

use http::HeaderValue;

use super::attempts::AuthAttempts;
use super::authorization::{basic, bearer};
use super::caller::Caller;
use super::session::{Authorization, Kind, State};
use crate::registry::keychain::{Credential, Login};

/// The next login that can be sent to the registry itself.
pub(super) fn grant(caller: &Caller<'_>, state: &mut State, tried: &AuthAttempts) -> Option<Authorization> {
    let (login, header) = first(caller.credentials, tried)?;
    caller.note(Kind::Basic(login));
    Some(state.use_pass(Some(header), Kind::Basic(login)))
}

/// The same of the tokens alone that are the registry's own.
pub(super) fn grant_registry_token(
    caller: &Caller<'_>,
    state: &mut State,
    tried: &AuthAttempts,
) -> Option<Authorization> {
    let mut tokens = untried(caller.credentials, tried).filter(|(_, login)| is_registry_token(login));
    let (login, header) = tokens.find_map(|(at, credential)| Some((at, header(credential)?)))?;
    Some(state.use_pass(Some(header), Kind::Basic(login)))
}

/// The first login that can be sent to the registry itself and wasn't refused.
pub(super) fn first(credentials: &[Arc<Credential>], tried: &AuthAttempts) -> Option<(usize, HeaderValue)> {
    untried(credentials, tried).find_map(|(at, credential)| Some((at, header(credential)?)))
}

fn untried<'a>(
    credentials: &'a [Arc<Credential>],
    tried: &'a AuthAttempts,
) -> impl Iterator<Item = (usize, &'a Arc<Credential>)> {
    credentials.iter().enumerate().filter(|(at, _)| !tried.refuses(Kind::Basic(*at)))
}

/// The `Authorization` header with which a login goes to the registry itself; `None`: this kind of login is for token services.
fn header(credential: &Credential) -> Option<HeaderValue> {
    match &credential.login {
        Login::RegistryToken(token) => bearer(token.expose_str()?),
        _ => basic(credential),
    }
}

/// Whether no token service gets this login.
pub(super) fn is_registry_token(credential: &Credential) -> bool {
    matches!(credential.login, Login::RegistryToken(_))
}
