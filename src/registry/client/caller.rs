//! The repository's side of a request: whose logins it goes by, and what its answer says about them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::account::Account;
use super::answer::Answer;
use super::line_break::is_without_line_break;
use super::options::Access;
use super::request::{Reply, Request};
use super::session::{Kind, Session};
use crate::net::retry;
use crate::registry::keychain::Credential;

/// The repository's side of a request.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) account: &'a Account,
    pub(super) session: &'a Session,
    pub(super) access: Access,
    pub(super) credentials: &'a [Arc<Credential>],
    /// Whether this is the account of requests that say nothing about the login.
    is_apart: bool,
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

    /// Keeps apart the refusals of requests that say nothing about the login: some registries refuse one address to everyone, or
    /// name another token service or scope for it, and the login is good for the rest.
    pub(super) async fn keep_apart(&mut self, request: &Request<'_>) {
        if !request.tells_of_login && !self.is_apart {
            self.account = self.account.kept_apart().await;
            (self.session, self.is_apart) = (self.account.session(self.access), true);
        }
    }

    /// Whether what this request is refused is remembered.
    pub(super) fn remembers(&self, request: &Request<'_>) -> bool {
        request.tells_of_login || self.is_apart
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
