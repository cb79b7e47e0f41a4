//! The host that an answer comes from.
//!
//! Only the registry itself can say that something isn't there, or that it has no referrers API, and only in answer to the very request.
//! What a token service answers, or a host that the registry redirects to, says nothing about that: a signature that "isn't there" would be
//! overwritten. But to who only reads, a host that the registry redirects to answers for it, where it says so in the specification's own
//! words: registry.k8s.io sends whoever pulls on to other registries, with each request.

use http::StatusCode;
use url::Url;

use super::answer::Answer;
use super::endpoint;
use super::error::RequestError;
use super::failure::Failure;
use super::refusal::Refusal;
use super::request::Request;

/// How the specification says that something isn't there.
///
/// Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>
const UNKNOWN: [&str; 3] = ["BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "NAME_UNKNOWN"];

/// The host that gave an answer, or should have given it.
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
    /// Returns the host that answers this request from `url`. The registry answers over HTTPS too where its own name over plain HTTP redirects there.
    pub(super) fn peer(&self, url: &Url) -> Peer {
        let is_upgrade = self.url.scheme() == "http" && url.scheme() == "https";
        match endpoint::same_origin(&self.url, url) || (is_upgrade && endpoint::same_host(&self.url, url)) {
            true => Peer::Registry,
            false => Peer::Elsewhere,
        }
    }

    /// Whether this refusing answer is the registry's own, or given for it.
    pub(super) fn is_answered_by_registry(&self, answer: &Answer) -> bool {
        self.peer(&answer.url) == Peer::Registry || (self.only_reads && says_unknown(&answer.refusal()))
    }

    /// Returns the host at which this request failed, from `url`.
    pub(super) fn failed_at(&self, url: &Url, failure: &Failure) -> Peer {
        match failure {
            Failure::Refused(refusal) if self.only_reads && says_unknown(refusal) => Peer::Registry,
            _ => self.peer(url),
        }
    }
}

/// Whether a registry says that something isn't there.
fn says_unknown(refusal: &Refusal) -> bool {
    refusal.status == StatusCode::NOT_FOUND && refusal.codes().any(|code| UNKNOWN.contains(&code))
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
