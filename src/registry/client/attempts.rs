//! What one request has been refused with.

use std::sync::Arc;

use http::{HeaderValue, Method};

use super::authorization::basic;
use super::refusal::Refusal;
use super::session::Kind;
use crate::registry::keychain::Credential;

/// A refusal of a login, as it is told when no other login does better.
#[derive(Clone, Debug)]
pub(super) struct AuthRejection {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) refusal: Refusal,
    pub(super) by_token_service: bool,
}

/// What one request has been refused with.
#[derive(Debug, Default)]
pub(super) struct AuthAttempts {
    /// The logins, in the order in which they were refused.
    pub(super) logins: Vec<usize>,
    bare: bool,
    anonymous_token: bool,
    /// The tokens that were asked for anew.
    pub(super) renewed: Vec<Option<usize>>,
    pub(super) last: Option<AuthRejection>,
}

impl AuthAttempts {
    /// The request was refused with this kind of pass.
    pub(super) fn refuse(&mut self, kind: Kind, rejection: AuthRejection) {
        match kind {
            Kind::Basic(login) | Kind::Token(Some(login)) => {
                if !self.logins.contains(&login) {
                    self.logins.push(login);
                }
            }
            Kind::Bare => self.bare = true,
            Kind::Token(None) => self.anonymous_token = true,
        }
        // What a login was told says more than that one is needed.
        if !matches!(kind, Kind::Bare) || self.logins.is_empty() {
            self.last = Some(rejection);
        }
    }

    /// The login was sent where it wasn't wanted, which says nothing about it.
    pub(super) fn take_back(&mut self, login: usize) {
        self.logins.retain(|have| *have != login);
    }

    pub(super) fn refuses(&self, kind: Kind) -> bool {
        match kind {
            Kind::Basic(login) | Kind::Token(Some(login)) => self.logins.contains(&login),
            Kind::Bare => self.bare,
            Kind::Token(None) => self.anonymous_token,
        }
    }
}

/// The first login that can be sent to the registry itself and wasn't refused.
pub(super) fn first_basic(
    credentials: &[Arc<Credential>],
    tried: &AuthAttempts,
) -> Option<(usize, HeaderValue)> {
    let untried = credentials.iter().enumerate().filter(|(at, _)| !tried.logins.contains(at));
    untried.filter_map(|(at, credential)| Some((at, basic(credential)?))).next()
}
