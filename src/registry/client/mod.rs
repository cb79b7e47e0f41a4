//! The registry client: the only part that opens sockets to a registry.
//!
//! It speaks the distribution specification as far as signing needs it, for all registries of a run, over
//! one pool of connections a host, with logins, time limits, retries and limits of size built in. What it
//! refuses: to send a login to another host or in the clear, or where another host asks for it, to take content
//! that its digest doesn't fit, to read an answer without end, and to take a web page for a registry.
//!
//! # Why not `oci-client`'s `Client`
//!
//! It is a judge of the embedded registry in our tests; its wire is not used, as of 0.18.0:
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
//! `a_refusal_keeps_code_message_and_login`, `retry_after_is_honored`, `a_password_registry_needs_no_challenge`,
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
mod basic;
mod bearer;
mod blobs;
mod body;
mod call;
mod caller;
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
mod error_maker;
mod failure;
mod hidden;
mod hint;
mod host_certificates;
mod insecure;
pub mod issuer;
mod line_break;
pub mod link;
mod login;
mod manifests;
mod named;
mod options;
mod origin;
mod peer;
mod ping;
mod places;
mod presence;
mod redirect;
mod referrers;
pub mod refusal;
mod refused;
mod rejected;
mod request;
mod retry;
mod schemes;
mod session;
mod setup_error;
mod stats;
mod throttle;
mod timed_body;
mod tls;
mod token;
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

use answer_times::{AnswerTimes, Times};
use auth::Auth;
use bearer::Bearer;
use error_maker::ErrorMaker;
use insecure::Insecure;
use login::Login;
use origin::Origin;
use ping::Ping;
use redirect::Redirect;
use request::Request;
use retry::{Backoff, Retry};
use stats::Counters;
use throttle::Throttle;
use token::TokenService;
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
pub use stats::Stats;

use super::keychain::Keychain;
use crate::net;
use crate::net::proxy::Proxies;
use crate::oci::digest::Digest;
use crate::oci::reference::Repository;

/// How quick an answer from nearby is.
const NEAR: Duration = Duration::from_millis(10);

/// Speaks to registries. One does for a whole run; a clone is the same client.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// What the clones of a client share.
struct Inner {
    /// The outermost wrapper.
    sender: Retry,
    /// The wrapper below the logins, for what is asked without one.
    origin: Arc<Origin>,
    errors: Arc<ErrorMaker>,
    auth: Arc<Auth>,
    insecure: Arc<Insecure>,
    times: Arc<AnswerTimes>,
    counters: Arc<Counters>,
    access: Access,
    deadline: std::time::Instant,
    /// The registries that keep what was overwritten.
    keeping: Mutex<HashSet<String>>,
}

/// A manifest was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The registry has taken note of the manifest's `subject`, so it has a referrers API and lists it there.
    pub subject_accepted: bool,
}

impl Client {
    /// A client that takes its logins from `keychain`. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Setup`]: a CA file that can't be used, a proxy's address or an insecure registry's
    /// name that is none.
    pub fn new(options: ClientOptions, keychain: Arc<dyn Keychain>) -> Result<Self, RegistryError> {
        let (access, deadline) = (options.access, options.deadline);
        let insecure = Arc::new(Insecure::new(&options.insecure)?);
        let (times, counters) = (Arc::new(AnswerTimes::new()), Arc::new(Counters::default()));
        let proxies = Arc::new(Proxies::new(&options.environment));
        let auth = Arc::new(Auth::new(keychain, net::proxy::logins(&options.environment)));
        let end = deadline.into();
        let errors =
            Arc::new(ErrorMaker { auth: Arc::clone(&auth), proxies: Arc::clone(&proxies), deadline: end });
        let backoff = Arc::new(Backoff { deadline: end, counters: Arc::clone(&counters) });

        // From the innermost wrapper to the outermost.
        let next = Transport::new(&options, proxies, Arc::clone(&auth), Arc::clone(&counters))?;
        let next = Throttle::new(next, options.requests_per_host, end, Arc::clone(&counters));
        let redirect = Arc::new(Redirect { next, times: Arc::clone(&times) });
        let origin = Arc::new(Origin { next: Arc::clone(&redirect), errors: Arc::clone(&errors) });
        let ping = Arc::new(Ping {
            next: Arc::clone(&origin),
            backoff: Arc::clone(&backoff),
            errors: Arc::clone(&errors),
        });
        let next = TokenService {
            next: redirect,
            backoff: Arc::clone(&backoff),
            errors: Arc::clone(&errors),
            insecure: Arc::clone(&insecure),
            counters: Arc::clone(&counters),
        };
        let next = Login {
            bearer: Bearer { next, ping: Arc::clone(&ping) },
            origin: Arc::clone(&origin),
            ping,
            auth: Arc::clone(&auth),
            errors: Arc::clone(&errors),
            access,
        };
        let sender = Retry { next, backoff };

        let keeping = Mutex::default();
        let inner =
            Inner { sender, origin, errors, auth, insecure, times, counters, access, deadline, keeping };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What was done so far.
    pub(crate) fn stats(&self) -> Stats {
        self.inner.counters.stats()
    }

    /// Whether the registry of `repository` is spoken to over plain HTTP, because it was named insecure.
    pub(crate) fn uses_plain_http(&self, repository: &Repository) -> bool {
        self.inner.insecure.names(repository)
    }

    /// Whether a request more to the registry of `repository` costs less than what could be waited for meanwhile: its quickest answer
    /// took under ten milliseconds.
    pub(crate) fn is_near(&self, repository: &Repository) -> bool {
        self.fastest(repository).is_some_and(|fastest| fastest < NEAR)
    }

    /// The time that the quickest answer of the registry of `repository` took: about the network's latency. `None`: it has not answered yet.
    pub(crate) fn fastest(&self, repository: &Repository) -> Option<Duration> {
        self.times(repository).fastest
    }

    /// The time that a slow write to the registry of `repository` took lately: of a blob or a manifest, answer included. Before the
    /// first one, nothing.
    pub(crate) fn slow_write(&self, repository: &Repository) -> Duration {
        self.times(repository).slow_write
    }

    fn times(&self, repository: &Repository) -> Times {
        let home = endpoint::base(repository, self.inner.insecure.names(repository));
        // What has no address has never answered.
        home.map(|home| self.inner.times.of(net::origin(&home))).unwrap_or_default()
    }

    /// When the run's time is over, for requests and for what is computed between them.
    pub(crate) fn deadline(&self) -> std::time::Instant {
        self.inner.deadline
    }

    /// Waits as is right after attempt number `attempt` (the first is 0) failed with `error`: longer each
    /// time, and never shorter than the registry asked for.
    ///
    /// `false`, at once, if the error won't pass, there were enough attempts, or the time that is left is
    /// shorter than the wait.
    pub(crate) async fn pause(&self, attempt: u32, error: &RegistryError) -> bool {
        self.inner.sender.backoff.pause(attempt, error).await
    }

    /// A reading request for what lies below a repository's address, as the start of any other.
    fn request<'a>(
        &self,
        repository: &'a Repository,
        below: impl FnOnce(&Url) -> Url,
    ) -> Result<Request<'a>, RegistryError> {
        let home = endpoint::base(repository, self.uses_plain_http(repository)).map_err(|_| {
            let (sent, failure) =
                ((Method::GET, repository.to_string()), Failure::BadAnswer(BadAnswer::Address));
            let error = RequestError::new(sent, (repository.clone(), false), Peer::Registry, failure);
            RegistryError::Request(Box::new(RequestError { attempts: 0, ..error }))
        })?;
        let url = below(&home);
        Ok(Request::new(repository, home, url, self.inner.access == Access::Pull))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
