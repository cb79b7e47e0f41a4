//! What one request has been refused with.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::refusal::Refusal;
use super::request::Reply;
use super::session::{Ask, Authorization, Kind};

/// A refusal of a login, as reported if no other login does better.
#[derive(Clone, Debug)]
pub(super) struct AuthRejection {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) refusal: Refusal,
    pub(super) by_token_service: bool,
    /// The scheme that the registry offers, where it offers none that is spoken here.
    pub(super) unspoken: Option<&'static str>,
}

impl AuthRejection {
    /// Whether it is about the login, or what it asks for: all that the registry says; of a token service also 400, which is OAuth2's
    /// invalid_grant, where the refresh token has been used up or taken back, and its invalid_scope.
    pub(super) fn is_about_login(&self) -> bool {
        let statuses = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST];
        !self.by_token_service || statuses.contains(&self.refusal.status)
    }
}

/// What one request has been refused with.
#[derive(Default)]
pub(super) struct AuthAttempts {
    /// The logins, in the order in which they were refused.
    pub(super) logins: Vec<usize>,
    /// With these there is nothing more to try.
    refused: Vec<Kind>,
    /// Tokens that the registry refused, by what they were asked for with.
    tokens: Vec<(Option<usize>, Arc<Ask>)>,
    /// The tokens that were asked for anew.
    pub(super) renewed: Vec<Option<usize>>,
    pub(super) last: Option<AuthRejection>,
    /// An answer that another login may improve, such as a policy's. It is reported if none does.
    pub(super) useless: Option<Reply>,
}

impl AuthAttempts {
    /// Nothing tried yet, but with the answer to report if nothing does better.
    pub(super) fn anew(self) -> Self {
        Self { useless: self.useless, ..Self::default() }
    }

    /// The request was refused with this kind of authorization, and would be again.
    pub(super) fn refuse(&mut self, kind: Kind, rejection: AuthRejection) {
        self.exhaust(kind);
        // The refusal of a login says more than that a login is needed.
        if !matches!(kind, Kind::Bare) || self.logins.is_empty() {
            self.last = Some(rejection);
        }
    }

    /// There is nothing more to try with this kind of authorization.
    pub(super) fn exhaust(&mut self, kind: Kind) {
        if !self.refuses(kind) {
            self.refused.push(kind);
        }
        if let Kind::Basic(login) | Kind::Token(Some(login)) = kind
            && !self.logins.contains(&login)
        {
            self.logins.push(login);
        }
    }

    /// The registry refused a token. A token requested in another way may work.
    pub(super) fn refuse_token(&mut self, login: Option<usize>, ask: Option<&Arc<Ask>>) {
        match ask {
            Some(ask) => self.tokens.push((login, Arc::clone(ask))),
            None => self.exhaust(Kind::Token(login)),
        }
    }

    pub(super) fn refuses(&self, kind: Kind) -> bool {
        self.refused.contains(&kind)
    }

    /// Whether the registry has refused a token that was asked for like this.
    pub(super) fn refuses_token(&self, login: Option<usize>, ask: &Ask) -> bool {
        self.tokens.iter().any(|(have, refused)| *have == login && **refused == *ask)
    }

    /// Whether the registry has refused a token of this login that was new.
    pub(super) fn had_token(&self, login: Option<usize>) -> bool {
        self.tokens.iter().any(|(have, _)| *have == login)
    }

    /// Whether this authorization was refused already.
    pub(super) fn refuses_authorization(&self, authorization: &Authorization) -> bool {
        self.refuses(authorization.kind)
            || match (authorization.kind, &authorization.ask) {
                (Kind::Token(login), Some(ask)) => self.refuses_token(login, ask),
                _ => false,
            }
    }
}
