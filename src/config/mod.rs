//! Configuration: flags, environment and `chains-config`, read once into one typed [`Config`].
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
pub use artifacts::{OciStorage, RunArtifact, Runs};
pub use origin::Origin;
pub use registry_access::RegistryAccess;
use settings::{ChainsKey, Kind, Setting};
pub use sources::{Flags, Sources};
pub use verification::Verification;

/// Everything that `sign` and `plan` need to know, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where the Task's results are.
    pub results_dir: PathBuf,
    /// Where the steps' folders are.
    pub steps_dir: PathBuf,
    /// The signing key.
    pub key: KeySource,
    /// The agent that signs in its place.
    pub agent: Option<AgentClient>,
    /// Places of credentials named explicitly; `None`: the usual places.
    pub registry_config: Option<Vec<PathBuf>>,
    /// The ServiceAccount whose registry credentials are used, `NAME` or `NAMESPACE/NAME`; `None`: the pod's own, if there are no others.
    pub service_account: Option<String>,
    /// The folder with the pod's token for the Kubernetes API.
    pub cluster_credentials: PathBuf,
    /// Hosts that get plain HTTP.
    pub insecure_registries: Vec<String>,
    /// More CA certificates.
    pub registry_ca: Vec<PathBuf>,
    /// Folders with certificates of single registries.
    pub registry_certs_dirs: Vec<PathBuf>,
    /// cosign's registry flags.
    pub registry: RegistryAccess,
    /// Patterns of repositories; empty: any.
    pub allow: Vec<String>,
    /// Whether an argument that names its image by a tag is refused.
    pub require_digest: bool,
    /// Whether each manifest of an index is signed too.
    pub recursive: bool,
    /// Names to sign; empty: the image's own repository.
    pub identities: Vec<String>,
    /// Annotations to sign.
    pub annotations: BTreeMap<String, String>,
    /// How many subjects are worked on at a time.
    pub jobs: usize,
    /// The time limit of the whole run.
    pub timeout: Duration,
    /// Whether malformed hints let the rest be signed.
    pub lenient: bool,
    /// Where the JSON report goes.
    pub report: Option<PathBuf>,
    /// The folders that the step's own results go to; `None`: where Tekton has the step's results.
    pub own_results: Option<Vec<PathBuf>>,
    /// What is printed.
    pub output: Output,
    /// Where image signatures go; empty: none are made.
    pub images: Vec<StoreKind>,
    /// How signatures and attestations lie in registries.
    pub oci: OciStorage,
    /// What is signed for runs.
    pub runs: Runs,
    /// The run that is signed for.
    pub run: RunSource,
    /// The folder of the store `directory`.
    pub signatures_dir: Option<PathBuf>,
    /// Whether a run that failed is signed too.
    pub include_failed: bool,
    /// Whether runs that are signed are marked so, which keeps Tekton Chains from signing them.
    pub mark_signed: bool,
    /// Whether a run that can't be held against its Pod is refused.
    pub require_pod: bool,
    /// `SOURCE_DATE_EPOCH`: the time that signatures carry, where they carry one.
    pub created: Option<SystemTime>,
    /// What was given and has no effect, each naming itself.
    pub warnings: Vec<String>,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Lines for people, on standard error.
    Human,
    /// JSON on standard output.
    Json,
}

/// Why the configuration can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The environment can't be read.
    #[error("cannot read the STEPSEAL_ environment")]
    Environment {
        /// What envy says.
        source: envy::Error,
    },
    /// The mounted directory can't be read.
    #[error("cannot read the configuration {}", foreign::shown(&path.display().to_string(), 512))]
    Directory {
        /// The directory or a file in it.
        path: PathBuf,
        /// Why not.
        source: InputError,
    },
    /// A value that the setting doesn't take.
    #[error("{origin}: \"{value}\" is not {wanted}")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// The value, cut and escaped.
        value: String,
        /// What is taken.
        wanted: String,
    },
    /// A pattern of repositories that can't be used.
    #[error("{origin}: \"{value}\" is not a repository pattern")]
    Pattern {
        /// Where it stands.
        origin: Origin,
        /// The pattern, cut and escaped.
        value: String,
        /// Why not.
        source: PatternError,
    },
    /// A value with nothing in it, or nothing but blanks and separators.
    #[error("{origin} {what}")]
    Blank {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        what: String,
    },
    /// A variable that can't be read as text.
    #[error("{origin} is not UTF-8 text")]
    NotText {
        /// The variable.
        origin: Origin,
    },
    /// A value of a key of Chains' that this version can't carry out.
    #[error("{origin}: \"{value}\" is not something this version can do for {key}; allowed: {allowed}")]
    Unsupported {
        /// The key.
        key: &'static str,
        /// Where it stands.
        origin: Origin,
        /// The value, cut and escaped.
        value: String,
        /// What can be done.
        allowed: String,
    },
    /// Two settings that can't both be meant.
    #[error("{one} and {other} contradict each other: an agent signs with its own key")]
    Contradiction {
        /// Where the one stands.
        one: Origin,
        /// Where the other stands.
        other: Origin,
    },
    /// Two logins for the same registries.
    #[error("{one} and {other} contradict each other: each is a login of its own")]
    TwoLogins {
        /// Where the one stands.
        one: Origin,
        /// Where the other stands.
        other: Origin,
    },
    /// Two names of one setting with different values.
    #[error("{one} and {other} contradict each other")]
    Both {
        /// Where the one stands.
        one: Origin,
        /// Where the other stands.
        other: Origin,
    },
    /// A setting that means nothing without another.
    #[error("{given} is given without --{missing}")]
    Incomplete {
        /// Where it stands.
        given: Origin,
        /// The other one's flag.
        missing: &'static str,
        /// What the other one takes.
        value: &'static str,
    },
    /// `--config` with a key nobody knows, or without `=`.
    #[error("--config: \"{text}\" is not KEY=VALUE with a key of chains-config")]
    Override {
        /// What was given.
        text: String,
    },
}

explain! { ConfigError,
    Self::Environment { .. } => ["config-not-text", Usage, "set the variables that begin with STEPSEAL_ to UTF-8 text"],
    Self::Directory { source: InputError::TooLarge { .. }, .. } => ["config-directory", Usage,
        "mount the chains-config ConfigMap, one file a key"],
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

/// The longest piece of a value that an error repeats, in bytes.
const SHOWN_BYTES: usize = 120;

impl Config {
    /// Checks everything the sources give.
    ///
    /// # Errors
    ///
    /// The first value that isn't what its setting takes.
    pub(crate) fn new(sources: &Sources, source_date_epoch: Option<&str>) -> Result<Self, ConfigError> {
        if let Some(text) = sources.unknown_overrides().next() {
            return Err(ConfigError::Override { text: foreign::shown(text, SHOWN_BYTES) });
        }
        let read = Reader(sources);
        let path = |setting: &Setting| Ok::<_, ConfigError>(PathBuf::from(read.text(setting)?.0));
        let paths = |values: Vec<String>| values.into_iter().map(PathBuf::from).collect::<Vec<_>>();
        let mut warnings = sources.warnings.clone();
        let Artifacts { images, runs, signatures_dir } = read.artifacts(&mut warnings)?;
        let (registry, oci) = (read.registry_access()?, read.oci(&mut warnings)?);
        if !registry.tag_prefix.is_empty() && !oci.encodings.contains(&Encoding::Dsse) {
            warnings.push(format!(
                "--{} has no effect: bundles are referrers, and those have no tags of their own",
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
                "human" => Some(Output::Human),
                "json" => Some(Output::Json),
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

/// Which run is signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunSource {
    /// The one this Pod belongs to, if something is to be signed for it.
    Own {
        /// Its UID, where the step was told.
        uid: Option<Uid>,
        /// Its name, where the step was told.
        name: Option<ObjectName>,
    },
    /// The one in a file; `-`: standard input.
    File(PathBuf),
    /// A TaskRun of the cluster's.
    TaskRun(ObjectName),
    /// A PipelineRun of the cluster's, with its TaskRuns.
    PipelineRun(ObjectName),
}

/// Typed access to [`Sources`].
struct Reader<'a>(&'a Sources);

impl Reader<'_> {
    /// The last value that is given; `None`: none is.
    fn last(&self, setting: &Setting) -> Result<Option<(String, Origin)>, ConfigError> {
        let given = self.0.values(setting)?;
        Ok(given.and_then(|(mut values, origin)| Some((values.pop()?, origin))))
    }

    fn text(&self, setting: &Setting) -> Result<(String, Origin), ConfigError> {
        let default = || (setting.default.to_owned(), Origin::Default(setting.flag.to_owned()));
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

    /// Patterns of repositories.
    fn patterns(&self, setting: &Setting) -> Result<Vec<Pattern>, ConfigError> {
        let Some((values, origin)) = self.0.values(setting)? else { return Ok(Vec::new()) };
        let pattern = |text: &String| {
            text.parse().map_err(|source| ConfigError::Pattern {
                origin: origin.clone(),
                value: foreign::shown(text, SHOWN_BYTES),
                source,
            })
        };
        values.iter().map(pattern).collect()
    }

    /// A setting without a default.
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
        debug_assert_eq!(setting.kind, Kind::Switch);
        let Some((text, origin)) = self.last(setting)? else { return Ok(false) };
        boolean(&text).ok_or_else(|| bad(origin, &text, "true or false"))
    }

    fn hosts(&self) -> Result<Vec<String>, ConfigError> {
        self.all(&settings::INSECURE_REGISTRY, "HOST or HOST:PORT", |text| {
            is_host(text).then(|| text.to_owned())
        })
    }

    /// Which run is signed for; more than one is a contradiction.
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
            (_, Some(name), _) => Err(bad(Origin::Flag("taskrun".into()), &name.to_string(), one)),
            (_, _, Some(name)) => Err(bad(Origin::Flag("pipelinerun".into()), &name.to_string(), one)),
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
                            "the only value for its annotation: it is given twice",
                        ));
                    }
                }
                _ => return Err(bad(origin, &text, "KEY=VALUE")),
            }
        }
        Ok(annotations)
    }

    /// A key of `chains-config`, held against what this version can do.
    fn chains(&self, key: &ChainsKey) -> Result<(String, Origin), ConfigError> {
        let (value, origin) = self.0.chains(key)?;
        if key.allowed.is_empty() || key.allowed.contains(&value.as_str()) {
            return Ok((value, origin));
        }
        Err(self.unsupported(key, origin, &value))
    }

    fn unsupported(&self, key: &ChainsKey, origin: Origin, value: &str) -> ConfigError {
        let quoted: Vec<String> = key
            .allowed
            .iter()
            .map(|value| if value.is_empty() { "empty".to_owned() } else { format!("{value:?}") })
            .collect();
        let value = foreign::shown(value, SHOWN_BYTES);
        let several = if key.is_list() { "; several between commas" } else { "" };
        let allowed = format!("{}{several}", quoted.join(", "));
        ConfigError::Unsupported { key: key.key, origin, value, allowed }
    }

    /// `storage.oci.repository`.
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

fn bad(origin: Origin, value: &str, wanted: &str) -> ConfigError {
    ConfigError::Value { origin, value: foreign::shown(value, SHOWN_BYTES), wanted: wanted.to_owned() }
}

/// What is wrong with the value of a setting that names a key. A key in its place is not repeated.
fn no_key(origin: Origin, text: &str, wanted: &str, error: &KeyError) -> ConfigError {
    let shown = if matches!(error, KeyError::InlineKey) { "…" } else { text };
    bad(origin, shown, &format!("{wanted}: {error}"))
}

/// What Go reads as a boolean.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "TRUE" | "True" | "t" | "T" | "1" => Some(true),
        "false" | "FALSE" | "False" | "f" | "F" | "0" => Some(false),
        _ => None,
    }
}

/// The time limit that `--timeout` gives.
///
/// # Errors
///
/// A text that is none.
pub(crate) fn time_limit(text: &str) -> Result<Duration, ConfigError> {
    let origin = || Origin::Flag(settings::TIMEOUT.flag.to_owned());
    duration::limit(text.trim()).ok_or_else(|| bad(origin(), text, duration::WANTED))
}

fn created(text: &str) -> Result<SystemTime, ConfigError> {
    // Year 9999 is the last that RFC 3339 can write.
    let seconds = text.parse::<u64>().ok().filter(|seconds| *seconds < 253_402_300_800);
    let seconds = seconds.ok_or_else(|| {
        bad(Origin::Env("SOURCE_DATE_EPOCH".into()), text, "a number of seconds since 1970-01-01T00:00:00Z")
    })?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
