//! The error of a request to a registry, and of what comes before it.
//!
//! A failed request keeps its method and its address (without what must not be shown), what came back,
//! the logins it was tried with, and whether asking again can help.

use std::fmt;
use std::time::Duration;

use http::{Method, StatusCode};

use super::failure::Failure;
use super::hint;
use super::peer::Peer;
use super::refusal::{Refusal, Said};
use super::setup_error::SetupError;
use crate::explain::explain;
use crate::net::proxy::ThroughProxy;
use crate::net::retry::Until;
use crate::oci::reference::Repository;
use crate::registry::credentials::CredentialError;

/// Why a registry could not be worked with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The client can't be made as it was asked for. Nothing was sent.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The credentials can't be known. Nothing was sent.
    #[error("cannot find the credentials for {repository}")]
    Credentials {
        /// The repository they are for.
        repository: Repository,
        /// Why not.
        #[source]
        source: Box<CredentialError>,
    },
    /// A request failed.
    #[error(transparent)]
    Request(Box<RequestError>),
}

/// A request that failed.
#[derive(Debug)]
pub struct RequestError {
    /// The HTTP method of the request.
    pub method: Method,
    /// The address, without what must not be shown.
    pub url: String,
    /// The host that answered, or should have answered.
    pub peer: Peer,
    /// The repository it was about.
    pub repository: Repository,
    /// Whether it was to change something in the repository.
    pub writes: bool,
    /// What went wrong.
    pub failure: Failure,
    /// The logins that were tried, as [`Credential`](crate::registry::Credential) shows itself. Empty: none was configured.
    pub used: Vec<String>,
    /// Whether no login did: none was accepted, or none may do this.
    pub denied: bool,
    /// Credentials that are there and were not read, and why: set where `denied` is.
    pub unread: Option<String>,
    /// What to do, where the logins show it.
    pub advice: Option<String>,
    /// Until when the registry wants to be left alone: set where it was given up on, and the registry said so.
    pub until: Option<Until>,
    /// The host that it was sent to without the login, as that is for another scheme, host or port.
    pub without_login: Option<String>,
    /// The proxy that it went through, where that can have to do with the failure.
    pub through: Option<ThroughProxy>,
    /// How often it was sent.
    pub attempts: u32,
    /// Whether it was given up on after trying as often as makes sense.
    pub given_up: bool,
}

impl RequestError {
    /// A request that was sent once, without a login, to `peer`: what else is known of it is set afterwards.
    pub(super) fn new(
        (method, url): (Method, String),
        (repository, writes): (Repository, bool),
        peer: Peer,
        failure: Failure,
    ) -> Self {
        Self {
            method,
            url,
            peer,
            repository,
            writes,
            failure,
            used: Vec::new(),
            denied: false,
            unread: None,
            advice: None,
            until: None,
            without_login: None,
            through: None,
            attempts: 1,
            given_up: false,
        }
    }

    /// The logins that were tried, as one text.
    fn logins(&self) -> Option<String> {
        (!self.used.is_empty()).then(|| self.used.join("; then "))
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.method, self.url)?;
        // A 401 or 403 there is what a refused login usually is.
        let is_usual = self.denied;
        match (&self.failure, self.peer) {
            (Failure::Refused(refusal), Peer::TokenService) if !is_usual => {
                write!(f, "the token service answered {refusal}")?;
            }
            (Failure::Refused(refusal), Peer::Elsewhere) => {
                write!(f, "the host that {} redirects to answered {refusal}", self.repository.registry())?;
            }
            (failure, _) => write!(f, "{failure}")?,
        }
        if let Some(ThroughProxy { variable, address }) = &self.through {
            write!(f, " (through the proxy {address} of {variable})")?;
        }
        if self.attempts > 1 {
            write!(f, " (sent {} times)", self.attempts)?;
        }
        if let Some(until) = &self.until {
            write!(f, "; it asks to be left alone {until}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.failure {
            Failure::Proxy { failure, .. } => failure.source(),
            failure => failure.source(),
        }
    }
}

impl RegistryError {
    /// Whether the same call may fare better later. After retries that were given up on it may not.
    pub(crate) fn is_transient(&self) -> bool {
        self.request().is_some_and(|request| !request.given_up && request.failure.is_transient())
    }

    /// How long the registry wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal_by_any().and_then(|refusal| refusal.retry_after)
    }

    /// The request that failed, if it came to one.
    pub fn request(&self) -> Option<&RequestError> {
        match self {
            Self::Request(request) => Some(request),
            _ => None,
        }
    }

    /// The registry's own refusing answer, if it came to one: what a token service or another host says is not about the content.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal_by_any().filter(|_| self.peer() == Some(Peer::Registry))
    }

    /// Returns the host that answered the failed request, or should have answered it.
    pub fn peer(&self) -> Option<Peer> {
        self.request().map(|request| request.peer)
    }

    fn refusal_by_any(&self) -> Option<&Refusal> {
        match &self.request()?.failure {
            Failure::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the registry says that the content isn't there. A registry that throttles says nothing about that.
    pub(crate) fn is_absence(&self) -> bool {
        self.refusal().is_some_and(|refusal| {
            refusal.status == StatusCode::NOT_FOUND && !refusal.has_code("TOOMANYREQUESTS")
        })
    }

    /// Whether it was not sent because what it replaces was read too long ago.
    pub(crate) fn is_outdated(&self) -> bool {
        self.request().is_some_and(|request| matches!(request.failure, Failure::Outdated))
    }

    /// Whether the answer is a web page, which no registry gives.
    pub(crate) fn is_page(&self) -> bool {
        self.refusal().is_some_and(|refusal| matches!(refusal.said, Said::Html { .. }))
    }

    /// Whether the registry (or its token service) doesn't accept the login, or what it may do.
    pub(crate) fn is_denied(&self) -> bool {
        self.request().is_some_and(|request| request.denied)
    }
}

explain! { RegistryError,
    Self::Setup(error) => [of error],
    Self::Credentials { source, .. } => [of source],
    Self::Request(request) => [of request],
}

explain! { RequestError,
    request @ Self { denied: true, .. } => ["registry-denied", Refused, hint hint::of(request), used request.logins()],
    request @ Self { failure: Failure::Proxy { .. } | Failure::ProxyLogin { .. }, .. } => ["registry-proxy", Failed, hint hint::of(request), used request.logins()],
    request @ Self { failure: Failure::TimedOut { .. } | Failure::Deadline | Failure::Outdated, .. } => ["registry-slow", Failed, hint hint::of(request), used request.logins()],
    request @ Self { failure: Failure::LeftAlone { .. }, .. } => ["registry-asks-to-wait", Failed, hint hint::of(request), used request.logins()],
    request if request.failure.is_of_tls() => ["registry-tls", Failed, hint hint::of(request), used request.logins()],
    request @ Self { failure: Failure::NotHttps | Failure::NotHttp, .. } => ["registry-scheme", Failed, hint hint::of(request), used request.logins()],
    request if request.failure.is_of_connection() => ["registry-unreachable", Failed, hint hint::of(request), used request.logins()],
    request @ Self { failure: Failure::Refused(_) | Failure::OtherHost { .. }, .. } => ["registry-refused", Failed, hint hint::of(request), used request.logins()],
    request @ Self { failure: Failure::WrongBytes { .. } | Failure::Schema1 { .. } | Failure::TooLarge { .. }, .. } => ["registry-content", Failed, hint hint::of(request), used request.logins()],
    request => ["registry-answer", Failed, hint hint::of(request), used request.logins()],
}
