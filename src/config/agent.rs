//! The configuration of `stepseal agent`.

use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigError, Reader, Sources, duration, settings};
use crate::oci::Pattern;
use crate::sign::remote::Kind;
use crate::sign::{AgentAddress, KeySource};

/// Everything that `agent` needs to know, checked.
#[derive(Debug)]
pub struct AgentConfig {
    /// The signing key.
    pub key: KeySource,
    /// The folder with the credentials for the Kubernetes API, where the key is a Secret there.
    pub cluster_credentials: PathBuf,
    /// Where it listens.
    pub socket: AgentAddress,
    /// Places of credentials named explicitly; `None`: the usual places.
    pub registry_config: Option<Vec<PathBuf>>,
    /// Hosts that get plain HTTP.
    pub insecure_registries: Vec<String>,
    /// More CA certificates.
    pub registry_ca: Vec<PathBuf>,
    /// Folders with certificates of single registries.
    pub registry_certs_dirs: Vec<PathBuf>,
    /// The repositories that may be signed; empty: any.
    pub allow: Vec<Pattern>,
    /// What it signs.
    pub kinds: Vec<Kind>,
    /// How many signatures it gives.
    pub max_signatures: u64,
    /// The folder that keeps the count of signatures; `None`: memory keeps it.
    pub state_dir: Option<PathBuf>,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// What was given and has no effect, each naming itself.
    pub warnings: Vec<String>,
}

impl AgentConfig {
    /// Checks everything the sources give.
    ///
    /// # Errors
    ///
    /// The first value that isn't what its setting takes.
    pub fn new(sources: &Sources) -> Result<Self, ConfigError> {
        let read = Reader(sources);
        let paths = |values: Vec<String>| values.into_iter().map(PathBuf::from).collect::<Vec<_>>();
        let kinds = read.all(&settings::KINDS, "image, attestation or run", |text| text.parse().ok())?;
        Ok(Self {
            key: read.key()?,
            cluster_credentials: PathBuf::from(read.text(&settings::CLUSTER_CREDENTIALS)?.0),
            socket: read
                .one(&settings::SOCKET, "unix:///PATH, at most 107 bytes long", |text| text.parse().ok())?,
            registry_config: sources.values(&settings::REGISTRY_CONFIG)?.map(|(values, _)| paths(values)),
            insecure_registries: read.hosts()?,
            registry_ca: paths(read.list(&settings::REGISTRY_CA)?),
            registry_certs_dirs: paths(read.list(&settings::REGISTRY_CERTS_DIR)?),
            allow: read.patterns(&settings::ALLOW)?,
            kinds: if kinds.is_empty() { vec![Kind::Image] } else { kinds },
            max_signatures: read.one(&settings::MAX_SIGNATURES, "a number from 1 to 1000000000", |text| {
                text.parse().ok().filter(|most| (1..=1_000_000_000).contains(most))
            })?,
            state_dir: read.optional(&settings::STATE_DIR, "a folder", |text| Some(PathBuf::from(text)))?,
            request_timeout: read.one(
                &settings::REQUEST_TIMEOUT,
                "a duration such as 20s, up to 24h",
                duration::limit,
            )?,
            warnings: sources.warnings.clone(),
        })
    }
}
