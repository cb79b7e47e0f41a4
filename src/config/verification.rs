//! The configuration of the verify commands.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigError, ConfigReader, RegistryAccess, Sources, bad, duration, settings};
use crate::key::Hash;
use crate::oci::Repository;
use crate::oci::reference::is_host;

/// The validated settings of the verify commands.
#[derive(Debug)]
pub struct VerifyConfig {
    /// The locations of public keys.
    pub keys: Vec<String>,
    /// Whether a flag or variable names the keys.
    pub keys_named: bool,
    /// The accepted certificate identity, and whether it is a regular expression.
    pub identity: Option<(String, bool)>,
    /// The accepted certificate issuer, and whether it is a regular expression.
    pub issuer: Option<(String, bool)>,
    /// Further required GitHub workflow claims, by the suffixes of the flags.
    pub workflow: Vec<(&'static str, String)>,
    /// The only accepted hash of signatures; `None` for any hash.
    pub hash: Option<Hash>,
    /// The trusted root's file; `None` for the built-in public root.
    pub trusted_root: Option<PathBuf>,
    /// Whether to accept signatures without a log entry.
    pub ignore_tlog: bool,
    /// Whether to accept certificates without an SCT.
    pub ignore_sct: bool,
    /// Whether to require a timestamp.
    pub signed_timestamps: bool,
    /// Whether to accept a certificate chain in version 0.3 bundles.
    pub allow_certificate_chain: bool,
    /// Whether to print JSON.
    pub json: bool,
    /// The time limit of the whole run.
    pub timeout: Duration,
    /// Whether the manifests of an index are verified too.
    pub recursive: bool,
    /// The credential locations in the settings; `None` for the default places.
    pub registry_config: Option<Vec<PathBuf>>,
    /// The hosts that get plain HTTP.
    pub insecure_registries: Vec<String>,
    /// Additional files or directories with CA certificates.
    pub registry_ca: Vec<PathBuf>,
    /// Directories with certificates of single registries.
    pub registry_certs_dirs: Vec<PathBuf>,
    /// The values of cosign's registry flags.
    pub registry: RegistryAccess,
    /// The most images processed at a time.
    pub jobs: usize,
    /// Annotations that a signature must have.
    pub annotations: BTreeMap<String, String>,
    /// The path of the policy file.
    pub policy: Option<PathBuf>,
    /// The directory of the Task's results.
    pub results_dir: PathBuf,
    /// The directory of the steps' results.
    pub steps_dir: PathBuf,
    /// The given predicate type, unparsed.
    pub predicate_type: String,
    /// The given conditions for the statement, unparsed.
    pub requires: Vec<String>,
    /// The directory with the token for the Kubernetes API.
    pub cluster_credentials: PathBuf,
    /// The repository for signatures; `None` for the image's own.
    pub repository: Option<Repository>,
    /// Warnings about values without effect. Each names its source.
    pub warnings: Vec<String>,
}

impl VerifyConfig {
    /// Reads and validates the settings.
    ///
    /// # Errors
    ///
    /// The first invalid value, or two contradicting values.
    pub fn new(sources: &Sources) -> Result<Self, ConfigError> {
        if let Some(text) = sources.unknown_overrides().next() {
            return Err(ConfigError::Override { text: crate::foreign::escape(text, super::SHOWN_BYTES) });
        }
        let read = ConfigReader(sources);
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
                "a supported hash: sha256, sha384 or sha512",
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

impl ConfigReader<'_> {
    /// Reads the required GitHub workflow claims.
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

    /// Reads an exact text or a regular expression. Both together are a contradiction.
    fn exact_or_regexp(
        &self,
        exact: &settings::Setting,
        regexp: &settings::Setting,
    ) -> Result<Option<(String, bool)>, ConfigError> {
        match (self.last(exact)?, self.last(regexp)?) {
            (Some(_), Some((text, origin))) => {
                Err(bad(origin, &text, &format!("allowed together with --{}", exact.flag)))
            }
            (Some((text, _)), None) => Ok(Some((text, false))),
            (None, Some((text, _))) => Ok(Some((text, true))),
            (None, None) => Ok(None),
        }
    }
}
