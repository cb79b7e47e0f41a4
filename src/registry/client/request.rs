//! A request to a registry, as the operations of the client make it, and the reply that they get.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method};
use tokio::time::Instant;
use url::Url;

use super::answer::Answer;
use super::{endpoint, refusal};
use crate::oci::reference::Repository;
use crate::registry::keychain::Credential;

/// A request to a registry.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) repository: &'a Repository,
    pub(super) method: Method,
    pub(super) url: Url,
    /// The repository's own address: the only origin that its login is for.
    pub(super) home: Url,
    /// Whether it needs to be allowed to push.
    pub(super) writes: bool,
    /// Whether the command writes nothing to registries.
    pub(super) only_reads: bool,
    /// Whether a 401 says that the login doesn't do. Registries that lack an address refuse it to everyone.
    pub(super) tells_of_login: bool,
    /// Whether it goes before what waits for a place: little time may pass since what was read before it.
    pub(super) urgent: bool,
    pub(super) accept: Option<&'static str>,
    pub(super) content_type: Option<HeaderValue>,
    pub(super) body: Option<Bytes>,
    /// Until when it may be sent, however often; `None`: at any time.
    pub(super) send_by: Option<Instant>,
    /// The largest body of a success.
    pub(super) limit_bytes: u64,
}

/// An answer that is not about logins or passing trouble, and the login it was given to.
pub(super) struct Reply {
    pub(super) answer: Answer,
    pub(super) used: Option<Arc<Credential>>,
}

impl<'a> Request<'a> {
    /// A reading request for `url`, as the start of any other.
    pub(super) fn new(repository: &'a Repository, home: Url, url: Url, only_reads: bool) -> Self {
        Self {
            repository,
            method: Method::GET,
            url,
            home,
            writes: false,
            only_reads,
            tells_of_login: true,
            urgent: false,
            accept: None,
            content_type: None,
            body: None,
            send_by: None,
            limit_bytes: refusal::MAX_ERROR_BODY_BYTES as u64,
        }
    }

    /// The same once more.
    pub(super) fn again(&self) -> Self {
        Self {
            method: self.method.clone(),
            url: self.url.clone(),
            home: self.home.clone(),
            content_type: self.content_type.clone(),
            body: self.body.clone(),
            ..*self
        }
    }

    /// Makes a request for the root of the same registry, on behalf of this request.
    pub(super) fn for_root(&self) -> Self {
        let root = endpoint::root(&self.home);
        Self { writes: self.writes, ..Self::new(self.repository, self.home.clone(), root, self.only_reads) }
    }

    /// Whether an address is the registry's own: the login may go there, and what it asks for counts.
    pub(super) fn is_home(&self, url: &Url) -> bool {
        endpoint::same_origin(&self.home, url)
    }

    /// Whether it changes nothing.
    pub(super) fn reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }
}
