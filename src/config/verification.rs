//! What the verify commands need to know.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigError, Reader, RegistryAccess, Sources, bad, duration, settings};
use crate::key::Hash;
use crate::oci::Repository;
use crate::oci::reference::is_host;

/// The configuration of the verify commands, checked.
#[derive(Debug)]
pub struct Verification {
    /// The places of public keys.
    pub keys: Vec<String>,
    /// Whether the keys were named, by flag or environment.
    pub keys_named: bool,
    /// The identity of certificates: text and whether it is a regular expression.
    pub identity: Option<(String, bool)>,
    /// The issuer of certificates: text and whether it is a regular expression.
    pub issuer: Option<(String, bool)>,
    /// What else certificates must say of a workflow of GitHub's, by the ends of the flags.
    pub workflow: Vec<(&'static str, String)>,
    /// The one hash that signatures may be of; `None`: any.
    pub hash: Option<Hash>,
    /// Another trusted root than the public one.
    pub trusted_root: Option<PathBuf>,
    /// Whether signatures count without a log entry.
    pub ignore_tlog: bool,
    /// Whether certificates count without a proof that they were logged.
    pub ignore_sct: bool,
    /// Whether a timestamp is required.
    pub signed_timestamps: bool,
    /// Whether bundles 0.3 may have a certificate chain.
    pub allow_certificate_chain: bool,
    /// Whether JSON is printed.
    pub json: bool,
    /// The time limit of the whole run.
    pub timeout: Duration,
    /// Whether each manifest of an index is verified too.
    pub recursive: bool,
    /// Places of credentials named explicitly; `None`: the usual places.
    pub registry_config: Option<Vec<PathBuf>>,
    /// Hosts that get plain HTTP.
    pub insecure_registries: Vec<String>,
    /// More CA certificates.
    pub registry_ca: Vec<PathBuf>,
    /// Folders with certificates of single registries.
    pub registry_certs_dirs: Vec<PathBuf>,
    /// cosign's registry flags.
    pub registry: RegistryAccess,
    /// How many images are worked on at a time.
    pub jobs: usize,
    /// Annotations that a signature must have.
    pub annotations: BTreeMap<String, String>,
    /// The policy's file.
    pub policy: Option<PathBuf>,
    /// Where the Task's results are.
    pub results_dir: PathBuf,
    /// Where the steps' folders are.
    pub steps_dir: PathBuf,
    /// The predicate type as it was given.
    pub predicate_type: String,
    /// What the statement must say, as it was given.
    pub requires: Vec<String>,
    /// Where the token for the Kubernetes API is.
    pub cluster_credentials: PathBuf,
    /// Another repository for signatures than the image's own.
    pub repository: Option<Repository>,
    /// What was given and has no effect, each naming itself.
    pub warnings: Vec<String>,
}

impl Verification {
    /// Checks everything the sources give.
    ///
    /// # Errors
    ///
    /// The first value that isn't what its setting takes, or two that contradict each other.
    pub fn new(sources: &Sources) -> Result<Self, ConfigError> {
        if let Some(text) = sources.unknown_overrides().next() {
            return Err(ConfigError::Override { text: crate::foreign::shown(text, super::SHOWN_BYTES) });
        }
        let read = Reader(sources);
        let keys = sources.values(&settings::VERIFY_KEYS)?.map(|(keys, _)| keys);
        let path = |setting| Ok::<_, ConfigError>(PathBuf::from(read.text(setting)?.0));
        let paths = |values: Vec<String>| values.into_iter().map(PathBuf::from).collect::<Vec<_>>();
        let given = |setting| Ok::<_, ConfigError>(read.last(setting)?.map(|(text, _)| PathBuf::from(text)));
        Ok(Self {
            keys_named: keys.is_some(),
            keys: keys.unwrap_or_else(|| vec![settings::VERIFY_KEYS.default.to_owned()]),
            identity: read
                .exact_or_regexp(&settings::CERTIFICATE_IDENTITY, &settings::CERTIFICATE_IDENTITY_REGEXP)?,
            issuer: read
                .exact_or_regexp(&settings::CERTIFICATE_ISSUER, &settings::CERTIFICATE_ISSUER_REGEXP)?,
            workflow: read.workflow()?,
            hash: read.optional(
                &settings::SIGNATURE_DIGEST,
                "a hash that is verified: sha256, sha384 or sha512",
                Hash::asked,
            )?,
            trusted_root: given(&settings::TRUSTED_ROOT)?,
            ignore_tlog: read.switch(&settings::IGNORE_TLOG)?,
            ignore_sct: read.switch(&settings::IGNORE_SCT)?,
            signed_timestamps: read.switch(&settings::SIGNED_TIMESTAMPS)?,
            allow_certificate_chain: read.switch(&settings::ALLOW_CERTIFICATE_CHAIN)?,
            json: read.one(&settings::VERIFY_OUTPUT, "json or text", |text| match text {
                "json" => Some(true),
                "text" | "human" => Some(false),
                _ => None,
            })?,
            timeout: read.one(&settings::VERIFY_TIMEOUT, duration::WANTED, duration::limit)?,
            recursive: read.switch(&settings::VERIFY_RECURSIVE)?,
            registry_config: sources.values(&settings::VERIFY_REGISTRY_CONFIG)?.map(|(all, _)| paths(all)),
            insecure_registries: read.all(
                &settings::VERIFY_INSECURE_REGISTRY,
                "HOST or HOST:PORT",
                |text| is_host(text).then(|| text.to_owned()),
            )?,
            registry_ca: paths(read.list(&settings::VERIFY_REGISTRY_CA)?),
            registry_certs_dirs: paths(read.list(&settings::VERIFY_REGISTRY_CERTS_DIR)?),
            registry: read.registry_access()?,
            jobs: read.one(&settings::VERIFY_JOBS, "a number from 1 to 1000", |text| {
                text.parse().ok().filter(|jobs| (1..=1000).contains(jobs))
            })?,
            annotations: read.annotations(&settings::VERIFY_ANNOTATIONS)?,
            policy: given(&settings::POLICY)?,
            results_dir: path(&settings::VERIFY_RESULTS_DIR)?,
            steps_dir: path(&settings::VERIFY_STEPS_DIR)?,
            predicate_type: read.text(&settings::PREDICATE_TYPE)?.0,
            requires: read.list(&settings::REQUIRE)?,
            cluster_credentials: path(&settings::VERIFY_CLUSTER_CREDENTIALS)?,
            repository: read.repository()?,
            warnings: sources.warnings.clone(),
        })
    }
}

impl Reader<'_> {
    /// What certificates must say of a workflow.
    fn workflow(&self) -> Result<Vec<(&'static str, String)>, ConfigError> {
        let settings = [
            ("name", settings::WORKFLOW_NAME),
            ("ref", settings::WORKFLOW_REF),
            ("repository", settings::WORKFLOW_REPOSITORY),
            ("sha", settings::WORKFLOW_SHA),
            ("trigger", settings::WORKFLOW_TRIGGER),
        ];
        let mut given = Vec::new();
        for (end, setting) in settings {
            given.extend(self.last(&setting)?.map(|(text, _)| (end, text)));
        }
        Ok(given)
    }

    /// A text, or a regular expression in its place; both at once contradict each other.
    fn exact_or_regexp(
        &self,
        exact: &settings::Setting,
        regexp: &settings::Setting,
    ) -> Result<Option<(String, bool)>, ConfigError> {
        match (self.last(exact)?, self.last(regexp)?) {
            (Some(_), Some((text, origin))) => {
                Err(bad(origin, &text, &format!("given alone: there is --{} too", exact.flag)))
            }
            (Some((text, _)), None) => Ok(Some((text, false))),
            (None, Some((text, _))) => Ok(Some((text, true))),
            (None, None) => Ok(None),
        }
    }
}
