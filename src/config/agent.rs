//! The configuration of the command `stepseal agent`.

use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigError, ConfigReader, Sources, duration, settings};
use crate::oci::Pattern;
use crate::sign::remote::Kind;
use crate::sign::{AgentAddress, KeySource};

/// The validated settings of `agent`.
#[derive(Debug)]
pub struct AgentConfig {
    /// The location of the signing key.
    pub key: KeySource,
    /// The directory with the credentials for the Kubernetes API, used if the key is a Secret in the cluster.
    pub cluster_credentials: PathBuf,
    /// The socket that it listens on.
    pub socket: AgentAddress,
    /// The credential locations in the settings; `None` for the default places.
    pub registry_config: Option<Vec<PathBuf>>,
    /// The hosts that get plain HTTP.
    pub insecure_registries: Vec<String>,
    /// Additional files or directories with CA certificates.
    pub registry_ca: Vec<PathBuf>,
    /// Directories with certificates of single registries.
    pub registry_certs_dirs: Vec<PathBuf>,
    /// The patterns of repositories that may be signed; empty for any repository.
    pub allow: Vec<Pattern>,
    /// The kinds of payloads that it signs.
    pub kinds: Vec<Kind>,
    /// The most signatures that it makes.
    pub max_signatures: u64,
    /// The directory for the count of signatures; `None` to count in memory.
    pub state_dir: Option<PathBuf>,
    /// The time limit for a request.
    pub request_timeout: Duration,
    /// Warnings about values without effect. Each names its source.
    pub warnings: Vec<String>,
}

impl AgentConfig {
    /// Reads and validates the settings.
    ///
    /// # Errors
    ///
    /// The first invalid value.
    pub fn new(sources: &Sources) -> Result<Self, ConfigError> {
        let read = ConfigReader(sources);
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
            state_dir: read
                .optional(&settings::STATE_DIR, "a directory", |text| Some(PathBuf::from(text)))?,
            request_timeout: read.one(
                &settings::REQUEST_TIMEOUT,
                "a duration such as 20s, up to 24h",
                duration::limit,
            )?,
            warnings: sources.warnings.clone(),
        })
    }
}
