//! Configuration: reads flags, environment and `chains-config` once into a typed [`Config`].
//!
//! Only this module knows default paths and the names of environment variables.

mod agent;
mod agent_client;
mod artifacts;
pub mod cosign;
mod duration;
pub mod home;
mod origin;
mod registry_access;
pub(crate) mod secret_variables;
pub mod settings;
pub mod sources;
pub(crate) mod stand_ins;
pub(crate) mod system;
pub(crate) mod verification;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::explain::explain;
use crate::input::InputError;
use crate::object_name::{ObjectName, Uid};
use crate::oci::reference::{Repository, is_host, is_identity};
use crate::oci::{Pattern, PatternError};
use crate::place::{Encoding, StoreKind};
use crate::sign::{KeyError, KeySource};
use crate::{blank, foreign};

pub use agent::AgentConfig;
pub use agent_client::{AgentClient, AgentKey};
use artifacts::Artifacts;
pub use artifacts::{OciStorage, RunArtifact, RunArtifacts};
pub use origin::ValueOrigin;
pub use registry_access::RegistryAccess;
use settings::{ChainsKey, Setting, SettingKind};
pub use sources::{Flags, Sources};
pub use verification::VerifyConfig;

/// The validated settings of `sign` and `plan`.
#[derive(Debug)]
pub(crate) struct Config {
    /// The directory of the Task's results.
    pub results_dir: PathBuf,
    /// The directory of the steps' results.
    pub steps_dir: PathBuf,
    /// The location of the signing key.
    pub key: KeySource,
    /// The agent that signs instead of the key.
    pub agent: Option<AgentClient>,
    /// The credential locations in the settings; `None` for the default places.
    pub registry_config: Option<Vec<PathBuf>>,
    /// The ServiceAccount whose registry credentials are used, `NAME` or `NAMESPACE/NAME`; `None` for the pod's own, if there are no other credentials.
    pub service_account: Option<String>,
    /// The directory with the pod's token for the Kubernetes API.
    pub cluster_credentials: PathBuf,
    /// The hosts that get plain HTTP.
    pub insecure_registries: Vec<String>,
    /// Additional files or directories with CA certificates.
    pub registry_ca: Vec<PathBuf>,
    /// Directories with certificates of single registries.
    pub registry_certs_dirs: Vec<PathBuf>,
    /// The values of cosign's registry flags.
    pub registry: RegistryAccess,
    /// The patterns of repositories that may be signed; empty for any repository.
    pub allow: Vec<String>,
    /// Whether image arguments with a tag are rejected.
    pub require_digest: bool,
    /// Whether the manifests of an index are signed too.
    pub recursive: bool,
    /// The identities to sign; empty for the image's own repository.
    pub identities: Vec<String>,
    /// The annotations to sign, by key.
    pub annotations: BTreeMap<String, String>,
    /// The most subjects processed at a time.
    pub jobs: usize,
    /// The time limit of the whole run.
    pub timeout: Duration,
    /// Whether to sign the rest if a type hint is malformed.
    pub lenient: bool,
    /// The file for the JSON report.
    pub report: Option<PathBuf>,
    /// The directories for the step's own results; `None` for Tekton's directory of this step.
    pub own_results: Option<Vec<PathBuf>>,
    /// The format of the output.
    pub output: OutputFormat,
    /// The stores for image signatures; empty if images are not signed.
    pub images: Vec<StoreKind>,
    /// The settings for signatures and attestations in registries.
    pub oci: OciStorage,
    /// The settings for TaskRuns and PipelineRuns.
    pub runs: RunArtifacts,
    /// The run to sign for.
    pub run: RunSource,
    /// The directory for the `directory` store.
    pub signatures_dir: Option<PathBuf>,
    /// Whether failed runs are signed too.
    pub include_failed: bool,
    /// Whether signed runs are marked, so that Tekton Chains skips them.
    pub mark_signed: bool,
    /// Whether a run that can't be checked against its Pod is rejected.
    pub require_pod: bool,
    /// `SOURCE_DATE_EPOCH`, the creation time in signatures that have a creation time.
    pub created: Option<SystemTime>,
    /// Warnings about values without effect. Each names its source.
    pub warnings: Vec<String>,
}

/// The output format of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// Lines for people on standard error.
    Human,
    /// JSON on standard output.
    Json,
}

/// Why the configuration is invalid or can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The environment can't be read.
    #[error("cannot read the STEPSEAL_ environment")]
    Environment {
        /// The error of the `envy` crate.
        source: envy::Error,
    },
    /// The mounted directory can't be read.
    #[error("cannot read the configuration {}", foreign::escape(&path.display().to_string(), 512))]
    Directory {
        /// The directory, or a file in it.
        path: PathBuf,
        /// The reason for the failure.
        source: InputError,
    },
    /// A setting has an invalid value.
    #[error("{origin}: \"{value}\" is not {wanted}")]
    Value {
        /// The source of the value.
        origin: ValueOrigin,
        /// The value, truncated and escaped.
        value: String,
        /// The form that the setting expects.
        wanted: String,
    },
    /// A repository pattern is invalid.
    #[error("{origin}: \"{value}\" is not a repository pattern")]
    Pattern {
        /// The source of the value.
        origin: ValueOrigin,
        /// The pattern, truncated and escaped.
        value: String,
        /// The reason for the failure.
        source: PatternError,
    },
    /// A value is empty, or contains only blanks and separators.
    #[error("{origin} {what}")]
    Blank {
        /// The source of the value.
        origin: ValueOrigin,
        /// The description of the blank.
        what: String,
    },
    /// A variable is not UTF-8 text.
    #[error("{origin} is not UTF-8 text")]
    NotText {
        /// The name of the variable.
        origin: ValueOrigin,
    },
    /// This version doesn't support the value of a Chains key.
    #[error("{origin}: \"{value}\" is not supported for {key} in this version; allowed: {allowed}")]
    Unsupported {
        /// The name of the key.
        key: &'static str,
        /// The source of the value.
        origin: ValueOrigin,
        /// The value, truncated and escaped.
        value: String,
        /// The values that this version supports.
        allowed: String,
    },
    /// Both an agent and a key are given.
    #[error("{one} and {other} contradict each other: an agent signs with its own key")]
    Contradiction {
        /// The source of the first value.
        one: ValueOrigin,
        /// The source of the other value.
        other: ValueOrigin,
    },
    /// Two logins are given for the same registries.
    #[error("{one} and {other} contradict each other: each is a separate login")]
    TwoLogins {
        /// The source of the first value.
        one: ValueOrigin,
        /// The source of the other value.
        other: ValueOrigin,
    },
    /// Two names of the same setting have different values.
    #[error("{one} and {other} contradict each other")]
    Both {
        /// The source of the first value.
        one: ValueOrigin,
        /// The source of the other value.
        other: ValueOrigin,
    },
    /// A setting requires another setting.
    #[error("{given} is given without --{missing}")]
    Incomplete {
        /// The source of the value.
        given: ValueOrigin,
        /// The flag of the other setting.
        missing: &'static str,
        /// The placeholder of the other setting's value.
        value: &'static str,
    },
    /// `--config` has an unknown key, or no `=`.
    #[error("--config: \"{text}\" is not KEY=VALUE with a key of chains-config")]
    Override {
        /// The value of `--config`, truncated and escaped.
        text: String,
    },
}

explain! { ConfigError,
    Self::Environment { .. } => ["config-not-text", Usage, "set the variables that begin with STEPSEAL_ to UTF-8 text"],
    Self::Directory { source: InputError::TooLarge { .. }, .. } => ["config-directory", Usage,
        "mount the chains-config ConfigMap, with one file for each key"],
    Self::Directory { source, .. } => [of source, or "config-directory", Usage, "mount the ConfigMap there, readable by this step's user"],
    Self::Value { origin, .. } => ["config-value", Usage, "correct {origin}; `stepseal sign --help` lists the settings"],
    Self::Pattern { source, .. } => [of source],
    Self::Blank { origin, .. } => ["config-blank", Usage, "leave {origin} out, or give it a value"],
    Self::NotText { origin } => ["config-not-text", Usage, "leave {origin} out, or set it to UTF-8 text"],
    Self::Unsupported { key, .. } => ["config-chains-value", Usage,
        "set {variable} for this step to one of the allowed values" with (variable = sources::variable(key))],
    Self::Contradiction { one, other } | Self::TwoLogins { one, other } | Self::Both { one, other } => ["config-contradiction", Usage,
        "leave out {one} or {other}"],
    Self::Incomplete { given, missing, value } => ["config-incomplete", Usage, "give --{missing} {value} too, or leave out {given}"],
    Self::Override { .. } => ["config-value", Usage, "see docs/configuration.md for the keys"],
}

/// How many bytes of a value an error repeats.
const SHOWN_BYTES: usize = 120;

impl Config {
    /// Reads and validates the settings.
    ///
    /// # Errors
    ///
    /// The first invalid value.
    pub(crate) fn new(sources: &Sources, source_date_epoch: Option<&str>) -> Result<Self, ConfigError> {
        if let Some(text) = sources.unknown_overrides().next() {
            return Err(ConfigError::Override { text: foreign::escape(text, SHOWN_BYTES) });
        }
        let read = ConfigReader(sources);
        let path = |setting: &Setting| Ok::<_, ConfigError>(PathBuf::from(read.text(setting)?.0));
        let paths = |values: Vec<String>| values.into_iter().map(PathBuf::from).collect::<Vec<_>>();
        let mut warnings = sources.warnings.clone();
        let Artifacts { images, runs, signatures_dir } = read.artifacts(&mut warnings)?;
        let (registry, oci) = (read.registry_access()?, read.oci(&mut warnings)?);
        if !registry.tag_prefix.is_empty() && !oci.encodings.contains(&Encoding::Dsse) {
            warnings.push(format!(
                "--{} has no effect: bundles are stored as referrers, which have no tags",
                settings::TAG_PREFIX.flag
            ));
        }
        Ok(Self {
            results_dir: path(&settings::RESULTS_DIR)?,
            steps_dir: path(&settings::STEPS_DIR)?,
            key: read.key()?,
            agent: read.agent(&mut warnings)?,
            registry_config: sources.values(&settings::REGISTRY_CONFIG)?.map(|(values, _)| paths(values)),
            service_account: read.optional(
                &settings::SERVICE_ACCOUNT,
                "a ServiceAccount, NAME or NAMESPACE/NAME",
                |text| ObjectName::within(text, "default").is_ok().then(|| text.to_owned()),
            )?,
            cluster_credentials: path(&settings::CLUSTER_CREDENTIALS)?,
            insecure_registries: read.hosts()?,
            registry_ca: paths(read.list(&settings::REGISTRY_CA)?),
            registry_certs_dirs: paths(read.list(&settings::REGISTRY_CERTS_DIR)?),
            registry,
            allow: read.list(&settings::ALLOW)?,
            require_digest: read.switch(&settings::REQUIRE_DIGEST)?,
            recursive: read.switch(&settings::RECURSIVE)?,
            identities: read.all(
                &settings::IDENTITY,
                "an image name, REGISTRY/REPOSITORY[:TAG]",
                |text| is_identity(text).then(|| text.to_owned()),
            )?,
            annotations: read.annotations(&settings::ANNOTATION)?,
            jobs: read.one(&settings::JOBS, "a number from 1 to 1000", |text| {
                text.parse().ok().filter(|jobs| (1..=1000).contains(jobs))
            })?,
            timeout: read.one(&settings::TIMEOUT, duration::WANTED, duration::limit)?,
            lenient: read.switch(&settings::LENIENT)?,
            report: read.last(&settings::REPORT)?.map(|(text, _)| PathBuf::from(text)),
            own_results: sources.values(&settings::OWN_RESULTS)?.map(|(values, _)| paths(values)),
            output: read.one(&settings::OUTPUT, "human or json", |text| match text {
                "human" => Some(OutputFormat::Human),
                "json" => Some(OutputFormat::Json),
                _ => None,
            })?,
            images,
            oci,
            runs,
            run: read.run()?,
            signatures_dir,
            include_failed: read.switch(&settings::INCLUDE_FAILED)?,
            mark_signed: read.switch(&settings::MARK_SIGNED)?,
            require_pod: read.switch(&settings::REQUIRE_POD)?,
            created: source_date_epoch.filter(|text| !text.is_empty()).map(created).transpose()?,
            warnings,
        })
    }
}

/// The source of the run to sign for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunSource {
    /// The run that this Pod belongs to.
    Own {
        /// The run's UID, if a setting gives it.
        uid: Option<Uid>,
        /// The run's name, if a setting gives it.
        name: Option<ObjectName>,
    },
    /// The run in a file; `-` for standard input.
    File(PathBuf),
    /// A TaskRun in the cluster.
    TaskRun(ObjectName),
    /// A PipelineRun in the cluster, with its TaskRuns.
    PipelineRun(ObjectName),
}

/// Typed access to [`Sources`].
struct ConfigReader<'a>(&'a Sources);

impl ConfigReader<'_> {
    /// The last given value; `None` if no value is given.
    fn last(&self, setting: &Setting) -> Result<Option<(String, ValueOrigin)>, ConfigError> {
        let given = self.0.values(setting)?;
        Ok(given.and_then(|(mut values, origin)| Some((values.pop()?, origin))))
    }

    fn text(&self, setting: &Setting) -> Result<(String, ValueOrigin), ConfigError> {
        let default = || (setting.default.to_owned(), ValueOrigin::Default(setting.flag.to_owned()));
        Ok(self.last(setting)?.unwrap_or_else(default))
    }

    fn list(&self, setting: &Setting) -> Result<Vec<String>, ConfigError> {
        Ok(self.0.values(setting)?.map(|(values, _)| values).unwrap_or_default())
    }

    fn one<T>(
        &self,
        setting: &Setting,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let (text, origin) = self.text(setting)?;
        parse(&text).ok_or_else(|| bad(origin, &text, wanted))
    }

    fn all<T>(
        &self,
        setting: &Setting,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, ConfigError> {
        let Some((values, origin)) = self.0.values(setting)? else { return Ok(Vec::new()) };
        values.iter().map(|text| parse(text).ok_or_else(|| bad(origin.clone(), text, wanted))).collect()
    }

    /// Reads a list of repository patterns.
    fn patterns(&self, setting: &Setting) -> Result<Vec<Pattern>, ConfigError> {
        let Some((values, origin)) = self.0.values(setting)? else { return Ok(Vec::new()) };
        let pattern = |text: &String| {
            text.parse().map_err(|source| ConfigError::Pattern {
                origin: origin.clone(),
                value: foreign::escape(text, SHOWN_BYTES),
                source,
            })
        };
        values.iter().map(pattern).collect()
    }

    /// Reads a setting without a default.
    fn optional<T>(
        &self,
        setting: &Setting,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((text, origin)) = self.last(setting)? else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| bad(origin, &text, wanted))
    }

    fn switch(&self, setting: &Setting) -> Result<bool, ConfigError> {
        debug_assert_eq!(setting.kind, SettingKind::Switch);
        let Some((text, origin)) = self.last(setting)? else { return Ok(false) };
        boolean(&text).ok_or_else(|| bad(origin, &text, "true or false"))
    }

    fn hosts(&self) -> Result<Vec<String>, ConfigError> {
        self.all(&settings::INSECURE_REGISTRY, "HOST or HOST:PORT", |text| {
            is_host(text).then(|| text.to_owned())
        })
    }

    /// Reads which run to sign for. More than one run is a contradiction.
    fn run(&self) -> Result<RunSource, ConfigError> {
        let name =
            |setting| self.optional(setting, "a run, NAMESPACE/NAME", |text| text.parse::<ObjectName>().ok());
        let file = self.optional(&settings::RUN, "a file", |text| Some(PathBuf::from(text)))?;
        let (task_run, pipeline_run) = (name(&settings::TASKRUN)?, name(&settings::PIPELINERUN)?);
        let uid = self.optional(&settings::TASKRUN_UID, "a UID", |text| text.parse::<Uid>().ok())?;
        let one = "the only run: give one of --run, --taskrun and --pipelinerun";
        match (file, task_run, pipeline_run) {
            (None, name, None) if uid.is_some() => Ok(RunSource::Own { uid, name }),
            (None, None, None) => Ok(RunSource::Own { uid, name: None }),
            (Some(file), None, None) => Ok(RunSource::File(file)),
            (None, Some(name), None) => Ok(RunSource::TaskRun(name)),
            (None, None, Some(name)) => Ok(RunSource::PipelineRun(name)),
            (_, Some(name), _) => Err(bad(ValueOrigin::Flag("taskrun".into()), &name.to_string(), one)),
            (_, _, Some(name)) => Err(bad(ValueOrigin::Flag("pipelinerun".into()), &name.to_string(), one)),
        }
    }

    fn key(&self) -> Result<KeySource, ConfigError> {
        let (text, origin) = self.text(&settings::KEY)?;
        KeySource::from_str(&text).map_err(|error| no_key(origin, &text, "a key", &error))
    }

    fn annotations(&self, setting: &Setting) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut annotations = BTreeMap::new();
        let Some((values, origin)) = self.0.values(setting)? else { return Ok(annotations) };
        for text in values {
            match text.split_once('=') {
                Some((key, value)) if !blank::is_blank(key) => {
                    if annotations.insert(key.to_owned(), value.to_owned()).is_some_and(|old| old != value) {
                        return Err(bad(
                            origin,
                            &text,
                            "the only value of its annotation: the annotation is given twice",
                        ));
                    }
                }
                _ => return Err(bad(origin, &text, "KEY=VALUE")),
            }
        }
        Ok(annotations)
    }

    /// Reads a `chains-config` key, and checks that this version supports its value.
    fn chains(&self, key: &ChainsKey) -> Result<(String, ValueOrigin), ConfigError> {
        let (value, origin) = self.0.chains(key)?;
        if key.allowed.is_empty() || key.allowed.contains(&value.as_str()) {
            return Ok((value, origin));
        }
        Err(self.unsupported(key, origin, &value))
    }

    fn unsupported(&self, key: &ChainsKey, origin: ValueOrigin, value: &str) -> ConfigError {
        let quoted: Vec<String> = key
            .allowed
            .iter()
            .map(|value| if value.is_empty() { "empty".to_owned() } else { format!("{value:?}") })
            .collect();
        let value = foreign::escape(value, SHOWN_BYTES);
        let several = if key.is_list() { "; separate several values with commas" } else { "" };
        let allowed = format!("{}{several}", quoted.join(", "));
        ConfigError::Unsupported { key: key.key, origin, value, allowed }
    }

    /// Reads the key `storage.oci.repository`.
    fn repository(&self) -> Result<Option<Repository>, ConfigError> {
        let (text, origin) = self.chains(&settings::OCI_REPOSITORY)?;
        match text.as_str() {
            "" => Ok(None),
            name => match name.parse() {
                Ok(repository) => Ok(Some(repository)),
                Err(error) => Err(bad(origin, name, &format!("a repository: {error}"))),
            },
        }
    }
}

fn bad(origin: ValueOrigin, value: &str, wanted: &str) -> ConfigError {
    ConfigError::Value { origin, value: foreign::escape(value, SHOWN_BYTES), wanted: wanted.to_owned() }
}

/// The error for a setting with an invalid key location. If the value is the key itself, the error doesn't repeat it.
fn no_key(origin: ValueOrigin, text: &str, wanted: &str, error: &KeyError) -> ConfigError {
    let shown = if matches!(error, KeyError::InlineKey) { "…" } else { text };
    bad(origin, shown, &format!("{wanted}: {error}"))
}

/// Parses a boolean as Go does.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "TRUE" | "True" | "t" | "T" | "1" => Some(true),
        "false" | "FALSE" | "False" | "f" | "F" | "0" => Some(false),
        _ => None,
    }
}

/// Parses the value of `--timeout`.
///
/// # Errors
///
/// The text is not a valid time limit.
pub(crate) fn time_limit(text: &str) -> Result<Duration, ConfigError> {
    let origin = || ValueOrigin::Flag(settings::TIMEOUT.flag.to_owned());
    duration::limit(text.trim()).ok_or_else(|| bad(origin(), text, duration::WANTED))
}

fn created(text: &str) -> Result<SystemTime, ConfigError> {
    // RFC 3339 can't represent years after 9999.
    let seconds = text.parse::<u64>().ok().filter(|seconds| *seconds < 253_402_300_800);
    let seconds = seconds.ok_or_else(|| {
        bad(
            ValueOrigin::Env("SOURCE_DATE_EPOCH".into()),
            text,
            "a number of seconds since 1970-01-01T00:00:00Z",
        )
    })?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
