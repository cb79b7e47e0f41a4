//! What the wrappers below the logins hand on: a call, and why it has no answer.

use bytes::Bytes;
use http::{HeaderValue, Method};
use tokio::time::Instant;
use url::Url;

use super::error::RegistryError;
use super::failure::Failure;
use super::setup_error::SetupError;

/// What is sent.
pub(super) struct Call<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    pub(super) authorization: Option<&'a HeaderValue>,
    pub(super) accept: Option<&'static str>,
    pub(super) content_type: Option<&'a HeaderValue>,
    pub(super) body: Option<&'a Bytes>,
    /// Until when it may be sent; `None`: at any time.
    pub(super) send_by: Option<Instant>,
    /// The largest body of a success.
    pub(super) limit_bytes: u64,
    /// Whether it goes before what waits for a place.
    pub(super) urgent: bool,
    /// Whether a redirect may lead to another scheme, host or port.
    pub(super) leaves_origin: bool,
    /// The address of the registry whose times the answer's counts for; `None`: no registry's.
    pub(super) registry: Option<&'a Url>,
}

/// One address that a call goes to: its own first, then where redirects lead.
#[derive(Clone, Copy)]
pub(super) struct Hop<'a> {
    pub(super) url: &'a Url,
    /// The call's login, where this address may have it.
    pub(super) authorization: Option<&'a HeaderValue>,
}

/// A failure, and the address it happened at.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) url: Url,
    pub(super) failure: Failure,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nothing was sent.
    Setup(SetupError),
    Fault(Fault),
}

impl From<SetupError> for NoAnswer {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl From<Fault> for NoAnswer {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl NoAnswer {
    /// As the error of a call, which knows what it was for.
    pub(super) fn into_error(self, fail: impl FnOnce(Fault) -> RegistryError) -> RegistryError {
        match self {
            Self::Setup(error) => error.into(),
            Self::Fault(fault) => fail(fault),
        }
    }
}
