//! The registry client: the only part that opens sockets to a registry.
//!
//! It speaks the distribution specification as far as signing needs it, for all registries of a run, over
//! one pool of connections a host, with logins, time limits, retries and limits of size built in. What it
//! refuses: to send a login to another host or in the clear, or where another host asks for it, to take content
//! that its digest doesn't fit, to read an answer without end, and to take a web page for a registry.
//!
//! # Why not `oci-client`'s `Client`
//!
//! Its types are used here (the error list, the media types); its wire is not, as of 0.18.0:
//!
//! - pushing a manifest by digest to a registry that leaves out `Location` panics (`push_manifest_raw`);
//! - a 401's body is dropped, and an error list shows its messages without their codes, so that
//!   `{"code":"UNAUTHORIZED"}` shows nothing at all;
//! - nothing is retried, `Retry-After` is not read, and there is no time limit but the HTTP library's;
//! - each repository begins with a request to `/v2/` to learn the challenge, also where Basic would do;
//!   of several `WWW-Authenticate` headers only the first is looked at; a refresh token can't be sent;
//! - tokens go to a token service over plain HTTP if that is what the registry names;
//! - answers are read without a limit, and error answers are kept whole.
//!
//! Each has its test in `tests`: `a_registry_that_says_no_location_is_no_error`,
//! `a_refusal_keeps_code_message_and_login`, `retry_after_is_honoured`, `a_password_registry_needs_no_challenge`,
//! `challenges_in_several_headers`, `a_refresh_token_is_exchanged`, `a_token_service_in_the_clear_gets_nothing`,
//! `answers_have_limits`.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>

mod account;
mod answer;
mod answer_times;
mod attempts;
mod auth;
mod authorization;
mod bad_answer;
mod blobs;
mod body;
pub mod challenge;
mod classify;
mod client_keys;
mod connect;
mod der;
mod detail;
mod distrust;
mod ecr;
mod endpoint;
mod error;
mod failure;
mod hidden;
mod hint;
mod host_certificates;
pub mod issuer;
mod line_break;
pub mod link;
mod login;
mod manifests;
mod named;
mod options;
mod peer;
mod presence;
mod referrers;
pub mod refusal;
mod refused;
mod rejected;
mod schemes;
mod send;
mod session;
mod setup_error;
mod throttle;
mod timed_body;
mod tls;
mod token;
mod token_grant;
mod transport;
mod verifier;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use url::Url;

use answer_times::Times;
use auth::Auth;
use send::Request;
use transport::Transport;

pub use bad_answer::BadAnswer;
pub use blobs::Upload;
pub use distrust::Distrust;
pub use error::{RegistryError, RequestError};
pub use failure::Failure;
pub use options::{Access, ClientOptions, IDLE_LIMIT, NamedRegistries, REQUEST_LIMIT, REQUESTS_PER_HOST};
pub use peer::Peer;
pub(crate) use referrers::MAX_DESCRIPTOR_BYTES;
pub use referrers::{Listing, MAX_REFERRERS, MAX_REFERRERS_BYTES, NoApi, Referrers};
pub use refusal::{ListedError, Refusal, Said};
pub use schemes::without_https;
pub use setup_error::{ClientKeyFault, SetupError};

use super::keychain::Keychain;
use crate::net;
use crate::oci::digest::Digest;
use crate::oci::reference::{DEFAULT_REGISTRY, Repository, is_host};

/// How quick an answer from nearby is.
const NEAR: Duration = Duration::from_millis(10);

/// Speaks to registries. One does for a whole run; a clone is the same client.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    auth: Auth,
    insecure: HashSet<String>,
    /// The registries that keep what was overwritten.
    keeping: Mutex<HashSet<String>>,
}

/// A manifest was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The registry has taken note of the manifest's `subject`, so it has a referrers API and lists it there.
    pub subject_accepted: bool,
}

/// What a client has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// HTTP requests sent, to token services and storage too.
    pub requests: u64,
    /// Requests that were sent because an earlier one failed.
    pub retries: u64,
    /// Answers "too many requests".
    pub throttled: u64,
    /// Tokens asked for.
    pub tokens: u64,
}

impl Client {
    /// A client that takes its logins from `keychain`. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Setup`]: a CA file that can't be used, a proxy's address or an insecure registry's
    /// name that is none.
    pub fn new(options: ClientOptions, keychain: Arc<dyn Keychain>) -> Result<Self, RegistryError> {
        let insecure = options.insecure.iter().map(|name| registry_name(name)).collect::<Result<_, _>>()?;
        let auth = Auth::new(keychain, net::proxy::logins(&options.environment));
        let transport = Transport::new(options)?;
        Ok(Self { inner: Arc::new(Inner { transport, auth, insecure, keeping: Mutex::default() }) })
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        self.inner.transport.stats()
    }

    /// Whether the registry of `repository` is spoken to over plain HTTP, because it was named insecure.
    pub fn uses_plain_http(&self, repository: &Repository) -> bool {
        self.inner.is_insecure(repository)
    }

    /// Whether a request more to the registry of `repository` costs less than what could be waited for meanwhile: its quickest answer
    /// took under ten milliseconds.
    pub fn is_near(&self, repository: &Repository) -> bool {
        self.fastest(repository).is_some_and(|fastest| fastest < NEAR)
    }

    /// The time that the quickest answer of the registry of `repository` took: about the network's latency. `None`: it has not answered yet.
    pub fn fastest(&self, repository: &Repository) -> Option<Duration> {
        self.times(repository).fastest
    }

    /// The time that a slow write to the registry of `repository` took lately: of a blob or a manifest, answer included. Before the
    /// first one, nothing.
    pub fn slow_write(&self, repository: &Repository) -> Duration {
        self.times(repository).slow_write
    }

    fn times(&self, repository: &Repository) -> Times {
        let home = endpoint::base(repository, self.inner.is_insecure(repository));
        // What has no address has never answered.
        home.map(|home| self.inner.transport.times(&home)).unwrap_or_default()
    }

    /// When the run's time is over, for requests and for what is computed between them.
    pub fn deadline(&self) -> std::time::Instant {
        self.inner.transport.deadline().into_std()
    }

    /// Waits as is right after attempt number `attempt` (the first is 0) failed with `error`: longer each
    /// time, and never shorter than the registry asked for.
    ///
    /// `false`, at once, if the error won't pass, there were enough attempts, or the time that is left is
    /// shorter than the wait.
    pub async fn pause(&self, attempt: u32, error: &RegistryError) -> bool {
        self.inner.pause(attempt, error).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Inner {
    fn is_insecure(&self, repository: &Repository) -> bool {
        // Names are compared as they are written, port included: nothing else becomes insecure with it.
        !self.insecure.is_empty() && self.insecure.contains(&repository.registry().to_ascii_lowercase())
    }

    /// Whether a token service of the registry that `home` is of may get the login over plain HTTP.
    ///
    /// The registry must be named insecure, and the token service be on its host, or be named itself: what a registry says in the
    /// clear can be anybody's, and must not lead the login further over networks that nobody said to be trusted.
    fn may_get_login_in_clear(&self, repository: &Repository, home: &Url, service: &Url) -> bool {
        let named = |name: &String| {
            let url = Url::parse(&format!("http://{name}/"));
            url.is_ok_and(|url| endpoint::same_origin(&url, service))
        };
        self.is_insecure(repository)
            && (endpoint::same_host(home, service) || self.insecure.iter().any(named))
    }

    /// A reading request for what lies below a repository's address, as the start of any other.
    fn request<'a>(
        &self,
        repository: &'a Repository,
        below: impl FnOnce(&Url) -> Url,
    ) -> Result<Request<'a>, RegistryError> {
        let base = endpoint::base(repository, self.is_insecure(repository)).map_err(|_| {
            let (sent, failure) =
                ((Method::GET, repository.to_string()), Failure::BadAnswer(BadAnswer::Address));
            let error = RequestError::new(sent, (repository.clone(), false), Peer::Registry, failure);
            RegistryError::Request(Box::new(RequestError { attempts: 0, ..error }))
        })?;
        Ok(Request {
            repository,
            method: Method::GET,
            url: below(&base),
            home: base,
            writes: false,
            only_reads: self.transport.options.access == Access::Pull,
            tells_of_login: true,
            urgent: false,
            accept: None,
            content_type: None,
            body: None,
            send_by: None,
            limit_bytes: refusal::MAX_ERROR_BODY_BYTES as u64,
        })
    }
}

/// A registry's name as it stands in a [`Repository`].
fn registry_name(name: &str) -> Result<String, SetupError> {
    let lower = name.to_ascii_lowercase();
    if !is_host(&lower) {
        return Err(SetupError::Insecure(crate::foreign::shown(name, 200)));
    }
    Ok(if lower == "docker.io" { DEFAULT_REGISTRY.to_owned() } else { lower })
}
