//! What a client is made with. Paths and variables come in from outside: only the configuration knows
//! which environment they are of, and a test can bring its own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::net::{Environment, SystemFiles};

/// The longest that one request, answer included, may take. Registries behind slow storage need ten
/// seconds for a manifest; a connection that says nothing for thirty is lost.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// The default number of requests that a host gets at once: two for each of 16 subjects.
pub const REQUESTS_PER_HOST: u32 = 32;

/// How long a connection is kept for the next request by default; more than the requests at once are never needed.
pub const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// How a [`Client`](super::Client) works.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Registries (`HOST[:PORT]`, as images are named) that are spoken to over plain HTTP. Loopback is
    /// not special.
    pub insecure: Vec<String>,
    /// PEM files with certificates that are trusted besides the system's.
    pub extra_roots: Vec<PathBuf>,
    /// Folders with certificates of single registries, `HOST[:PORT]/{ca.crt,client.cert,client.key}`, besides the system's.
    pub certs_dirs: Vec<PathBuf>,
    /// What was given for the registries of this run alone.
    pub named: NamedRegistries,
    /// When everything must be done.
    pub deadline: Instant,
    /// The longest that one request may take.
    pub request_limit: Duration,
    /// The most requests that a host gets at once.
    pub requests_per_host: u32,
    /// How many large answers are read, and kept, at once; `None`: any number.
    pub large_answers: Option<usize>,
    /// How long a connection is kept for the next request.
    pub idle_limit: Duration,
    /// What tokens are asked for.
    pub access: Access,
    /// The `User-Agent` that registries and token services see. Harbor lets what names cosign read an image that its policy withholds.
    pub user_agent: String,
    /// The environment variables that a network client honors.
    pub environment: Environment,
    /// The system's files.
    pub files: SystemFiles,
}

impl ClientOptions {
    /// The defaults, with everything to be done until `deadline`.
    pub fn new(deadline: Instant) -> Self {
        Self {
            insecure: Vec::new(),
            extra_roots: Vec::new(),
            certs_dirs: Vec::new(),
            named: NamedRegistries::default(),
            deadline,
            request_limit: REQUEST_LIMIT,
            requests_per_host: REQUESTS_PER_HOST,
            large_answers: None,
            idle_limit: IDLE_LIMIT,
            access: Access::PullPush,
            user_agent: concat!("stepseal/", env!("CARGO_PKG_VERSION"), " (cosign-compatible)").to_owned(),
            environment: Environment::default(),
            files: SystemFiles::default(),
        }
    }
}

/// What is given for the registries that a run names, and for no other host: not where they redirect to, and not for token
/// services elsewhere.
#[derive(Clone, Debug, Default)]
pub struct NamedRegistries {
    /// The registries (`HOST[:PORT]`, as images are named).
    pub registries: Vec<String>,
    /// Whether their certificates are not checked, and those of token services on the same hosts. Who controls the network between
    /// reads logins then, and changes answers.
    pub unchecked_tls: bool,
    /// PEM files with a client certificate and its key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The name that their certificates must have, which is also the name that is asked for (SNI), in place of the host's.
    pub server_name: Option<String>,
}

/// What a token service is asked to allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reading, for commands that only verify.
    Pull,
    /// Reading and writing at once, so that one token is enough for a whole signing.
    PullPush,
}

impl Access {
    pub(super) fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::PullPush => "pull,push",
        }
    }
}
