//! Who an answer is from.
//!
//! Only the registry itself can say that something isn't there, or that it has no referrers API, and only in answer to the very request.
//! What a token service answers, or a host that the registry redirects to, says nothing about that: a signature that "isn't there" would be
//! overwritten.

use url::Url;

use super::endpoint;
use super::error::{Failure, RequestError};
use super::send::Request;

/// Who gave an answer, or was to give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// The registry, or the address that it named for an upload.
    Registry,
    /// The token service that the registry names.
    TokenService,
    /// A host that the registry redirects to.
    Elsewhere,
}

impl Request<'_> {
    /// Who answers this request from `url`. The registry answers over HTTPS too where its own name over plain HTTP redirects there.
    pub(super) fn peer(&self, url: &Url) -> Peer {
        let is_upgrade = self.url.scheme() == "http" && url.scheme() == "https";
        match endpoint::same_origin(&self.url, url) || (is_upgrade && endpoint::same_host(&self.url, url)) {
            true => Peer::Registry,
            false => Peer::Elsewhere,
        }
    }

    /// Whether the answer from `url` is the registry's own.
    pub(super) fn is_answered_by_registry(&self, url: &Url) -> bool {
        self.peer(url) == Peer::Registry
    }
}

/// What to do about a token service that doesn't speak what its address says: the registry named it so.
pub(super) fn misnamed(request: &RequestError) -> Option<String> {
    let speaks = match (request.peer, &request.failure) {
        (Peer::TokenService, Failure::NotHttps) => "plain HTTP only",
        (Peer::TokenService, Failure::NotHttp) => "HTTPS",
        _ => return None,
    };
    let realm = request.url.split('?').next().unwrap_or_default();
    Some(format!(
        "let {} name its token service by the scheme that it speaks (realm, external address, or X-Forwarded-Proto at the proxy in \
         front of it): {realm} has {speaks}",
        request.repository.registry()
    ))
}
