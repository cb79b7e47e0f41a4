//! Reads values from their sources, in order of precedence: flag, environment, mounted directory, default.
//!
//! A blank is rejected from every source, because it must not mean "no restriction". An empty variable
//! counts as unset, because an empty parameter of a Task results in an empty variable.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::origin::ValueOrigin;
use super::settings::{
    AGENT_SETTINGS, CHAINS_KEYS, ChainsKey, DORMANT_KEYS, OCI_REPOSITORY, SECRET_SETTINGS, SETTINGS, Setting,
    SettingKind, VERIFY_TABLES,
};
use super::stand_ins::CosignValues;
use crate::blank::{self, is_blank};
use crate::input::{self, Folder};
use crate::secret::Secret;

/// The longest value in bytes. A ConfigMap has at most 1 MiB in total, and its values here are words or URLs.
const MAX_VALUE_BYTES: u64 = 64 * 1024;
/// The most entries in the mounted directory. Each key of a ConfigMap is an entry, and `chains-config` has fewer than fifty.
const MAX_ENTRIES: usize = 4096;

/// The prefix of Stepseal's environment variables.
const PREFIX: &str = "STEPSEAL_";

/// Variables with Stepseal's prefix that are not settings: the log filter and the `chains-config` directory.
const OTHER_VARIABLES: [&str; 2] = ["STEPSEAL_LOG", CONFIG_DIR];

/// The variable with the path of the mounted `chains-config`.
const CONFIG_DIR: &str = "STEPSEAL_CONFIG_DIR";

/// Variables of other programs and standards that Stepseal reads. They contain files, URLs and times, and a blank value
/// is an error. This list omits system variables (`HOME`, `PATH`, `HOSTNAME`, `KUBERNETES_SERVICE_*`), passwords,
/// which may be any text, and `NO_PROXY`, a list that may be empty.
pub const FOREIGN_VARIABLES: [&str; 14] = [
    "SOURCE_DATE_EPOCH",
    "SIGSTORE_ROOT_FILE",
    COSIGN_REPOSITORY,
    "DOCKER_CONFIG",
    "REGISTRY_AUTH_FILE",
    "KUBECONFIG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// cosign's variable for the repository of signatures and attestations. Stepseal's own flag and variable take precedence over it, and it
/// takes precedence over the mounted directory.
///
/// Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/specs/SIGNATURE_SPEC.md>, `COSIGN_REPOSITORY`
pub(crate) const COSIGN_REPOSITORY: &str = "COSIGN_REPOSITORY";

/// The values of each given flag, by the flag's name without `--`.
pub type Flags = BTreeMap<String, Vec<String>>;

/// The values from all sources.
#[derive(Debug, Default)]
pub struct Sources {
    flags: Flags,
    env: BTreeMap<String, String>,
    /// The value of [`COSIGN_REPOSITORY`], unless it is empty.
    cosign_repository: Option<String>,
    dir: BTreeMap<String, String>,
    dir_path: Option<PathBuf>,
    /// The values of secret settings, by flag. They are in no other source.
    secrets: BTreeMap<&'static str, (Secret, ValueOrigin)>,
    stand_ins: CosignValues,
    /// Warnings about the sources. Each names its source.
    pub warnings: Vec<String>,
}

impl Sources {
    /// Reads the environment, and the mounted directory if it is configured.
    ///
    /// # Errors
    ///
    /// The directory can't be read or contains a value that is too long or not UTF-8, or a value is blank.
    pub fn read(flags: Flags, env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut cosign_repository = None;
        let (env, unknown): (BTreeMap<_, _>, BTreeMap<_, _>) = env
            .into_iter()
            .inspect(|(name, value)| {
                if name == COSIGN_REPOSITORY && !value.is_empty() {
                    cosign_repository = Some(value.clone());
                }
            })
            .filter(|(name, _)| name.starts_with(PREFIX))
            .partition(|(name, _)| is_variable(name));
        let dir_path = match flags.get("config-dir").and_then(|values| values.last()) {
            Some(text) => Some((text, ValueOrigin::Flag("config-dir".to_owned()))),
            None => env
                .get(CONFIG_DIR)
                .filter(|text| !text.is_empty())
                .map(|text| (text, ValueOrigin::Env(CONFIG_DIR.to_owned()))),
        };
        let dir_path = dir_path.map(|(text, origin)| given(text, &origin).map(PathBuf::from)).transpose()?;
        let mut sources = Self { flags, dir_path, cosign_repository, ..Self::default() };
        // envy converts the names to lower case without the prefix, like field names.
        sources.env =
            envy::prefixed(PREFIX).from_iter(env).map_err(|source| ConfigError::Environment { source })?;
        for name in unknown.keys() {
            let name = crate::foreign::escape(name, 256);
            sources.warnings.push(format!("{name} is not a setting of Stepseal; it has no effect"));
        }
        if let Some(dir) = sources.dir_path.clone() {
            sources.read_dir(&dir)?;
        }
        sources.check_keys()?;
        Ok(sources)
    }

    /// The same with the values of secret settings, which the flags and the environment don't include. `value` looks them up.
    #[must_use]
    pub(crate) fn with_secrets(mut self, value: impl Fn(&Setting) -> Option<(Secret, ValueOrigin)>) -> Self {
        let found = SECRET_SETTINGS.iter().filter_map(|setting| Some((setting.flag, value(setting)?)));
        self.secrets = found.collect();
        self
    }

    /// The value of a secret setting. An empty value counts as unset.
    ///
    /// # Errors
    ///
    /// The value contains only blanks and separators.
    pub fn secret(&self, setting: &Setting) -> Result<Option<&(Secret, ValueOrigin)>, ConfigError> {
        let Some(found) = self.secrets.get(setting.flag).filter(|(secret, _)| !secret.is_empty()) else {
            return Ok(None);
        };
        if let Some(text) = found.0.expose_str() {
            given(text, &found.1)?;
        }
        Ok(Some(found))
    }

    /// The same sources with the values of cosign's flags and variables.
    pub fn with(self, stand_ins: CosignValues) -> Self {
        Self { stand_ins, ..self }
    }

    fn read_dir(&mut self, dir: &Path) -> Result<(), ConfigError> {
        let read = |source| ConfigError::Directory { path: dir.to_owned(), source };
        let names = Folder::open(dir).and_then(|folder| folder.names(MAX_ENTRIES)).map_err(read)?;
        for name in names {
            let path = dir.join(&name);
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.') && *name != "_example")
            else {
                continue; // Kubernetes' internal `..data` entries, and the ConfigMap's example comment
            };
            if !CHAINS_KEYS.iter().any(|known| known.key == name) && !DORMANT_KEYS.contains(&name) {
                self.warnings.push(format!(
                    "{} is not a known key of chains-config; it has no effect",
                    crate::foreign::escape(&path.display().to_string(), 256)
                ));
                continue;
            }
            // The entries of a mounted ConfigMap are links into `..data` on the same mount.
            let read = |source| ConfigError::Directory { path: path.clone(), source };
            let bytes = input::read(&path, MAX_VALUE_BYTES).map_err(read)?;
            let text = String::from_utf8(bytes).map_err(|_| {
                read(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8 text").into())
            })?;
            self.dir.insert(name.to_owned(), text);
        }
        Ok(())
    }

    /// The values of a setting: at least one value, and no blanks. An empty variable counts as unset.
    /// Empty elements in a variable's list are ignored, because YAML blocks end with a line break.
    ///
    /// # Errors
    ///
    /// An empty flag, or a flag, variable or list element that contains only blanks and separators.
    pub fn values(&self, setting: &Setting) -> Result<Option<(Vec<String>, ValueOrigin)>, ConfigError> {
        let own =
            self.flags.get(setting.flag).map(|own| (own.clone(), ValueOrigin::Flag(setting.flag.to_owned())));
        let other = self.stand_ins.flags.settings.get(setting.flag).cloned();
        let (values, origin) = match (own, other) {
            (Some(own), Some(other)) => together(setting.kind, own, other)?,
            (Some(given), None) | (None, Some(given)) => given,
            (None, None) => {
                let text = self.env.get(&field(setting.env)).filter(|text| !text.is_empty());
                match (text, self.stand_ins.variables.settings.get(setting.flag)) {
                    (Some(text), _) => {
                        let origin = ValueOrigin::Env(setting.env.to_owned());
                        (split(setting.kind, given(text, &origin)?), origin)
                    }
                    (None, Some(given)) => given.clone(),
                    (None, None) => return Ok(None),
                }
            }
        };
        values.iter().try_for_each(|value| given(value, &origin).map(|_| ()))?;
        Ok((!values.is_empty()).then_some((values, origin)))
    }

    /// The value of a `chains-config` key. An empty value counts as set, except in a variable. There it counts only for
    /// `artifacts.*.storage`, where it means off, as in Tekton Chains.
    ///
    /// # Errors
    ///
    /// The value contains only blanks and separators.
    pub fn chains(&self, key: &ChainsKey) -> Result<(String, ValueOrigin), ConfigError> {
        let env = variable(key.key);
        let in_env = || self.env.get(&field(&env)).filter(|text| !text.is_empty() || key.is_storage());
        let by_key = ValueOrigin::Flag(format!("config {}", key.key));
        let (text, origin) = if let Some((other, origin)) = self.stand_ins.flags.keys.get(key.key) {
            match self.flag_override(key.key) {
                Some(value) if value.trim() != other => {
                    return Err(ConfigError::Both { one: origin.clone(), other: by_key });
                }
                _ => (other.as_str(), origin.clone()),
            }
        } else if let Some(value) = self.flag_override(key.key) {
            (value, by_key)
        } else if let Some(value) = in_env() {
            (value.as_str(), ValueOrigin::Env(env))
        } else if let Some(value) = self.cosign_value(key) {
            (value, ValueOrigin::Env(COSIGN_REPOSITORY.to_owned()))
        } else if let Some((value, origin)) = self.stand_ins.variables.keys.get(key.key) {
            (value.as_str(), origin.clone())
        } else if let (Some(value), Some(dir)) = (self.dir.get(key.key), &self.dir_path) {
            (value.as_str(), ValueOrigin::File(dir.join(key.key)))
        } else {
            (key.default, ValueOrigin::Default(key.key.to_owned()))
        };
        match text {
            "" => Ok((String::new(), origin)),
            text => Ok((given(text, &origin)?.trim().to_owned(), origin)),
        }
    }

    /// The value of cosign's variable with the same meaning as `key`.
    fn cosign_value(&self, key: &ChainsKey) -> Option<&str> {
        self.cosign_repository.as_deref().filter(|_| key.key == OCI_REPOSITORY.key)
    }

    /// Checks that no key of `chains-config` is blank in any source, even if no command reads the key.
    fn check_keys(&self) -> Result<(), ConfigError> {
        let pairs = self.flags.get("config").into_iter().flatten().filter_map(|text| text.split_once('='));
        for (key, text) in pairs.filter(|(_, text)| !text.is_empty()) {
            given(text, &ValueOrigin::Flag(format!("config {}", crate::foreign::escape(key, 120))))?;
        }
        let mounted =
            self.dir.iter().filter(|(key, text)| DORMANT_KEYS.contains(&key.as_str()) && !text.is_empty());
        for (key, text) in mounted {
            let folder = self.dir_path.clone().unwrap_or_default();
            given(text, &ValueOrigin::File(folder.join(key)))?;
        }
        CHAINS_KEYS.iter().try_for_each(|key| self.chains(key).map(|_| ()))
    }

    /// The value of the last `--config KEY=VALUE` for `key`.
    fn flag_override(&self, key: &str) -> Option<&str> {
        let values = self.flags.get("config")?;
        let mut pairs = values.iter().rev().filter_map(|text| text.split_once('='));
        pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value)
    }

    /// The `--config` values without a known key.
    pub(crate) fn unknown_overrides(&self) -> impl Iterator<Item = &str> {
        self.flags.get("config").into_iter().flatten().map(String::as_str).filter(|text| {
            let key = text.split_once('=').map(|(key, _)| key.trim());
            !key.is_some_and(|key| {
                CHAINS_KEYS.iter().any(|known| known.key == key) || DORMANT_KEYS.contains(&key)
            })
        })
    }
}

/// Checks that every variable that any command reads is UTF-8 and not blank.
///
/// # Errors
///
/// The first variable that is not UTF-8, or contains only blanks and separators.
pub(crate) fn check_variables<'a>(
    variables: impl IntoIterator<Item = (&'a OsStr, &'a OsStr)>,
) -> Result<(), ConfigError> {
    let read = |name: &str| is_variable(name) || FOREIGN_VARIABLES.contains(&name);
    let named = variables.into_iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str())));
    let (text, not_text): (Vec<_>, Vec<_>) =
        named.filter(|(name, _)| read(name)).partition(|(_, value)| value.is_some());
    if let Some((name, _)) = not_text.first() {
        return Err(ConfigError::NotText { origin: ValueOrigin::Env((*name).to_owned()) });
    }
    for (name, text) in text {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            given(text, &ValueOrigin::Env(name.to_owned()))?;
        }
    }
    Ok(())
}

/// Returns `text` unless it is blank.
///
/// # Errors
///
/// The text contains only blanks and separators.
pub fn given<'a>(text: &'a str, origin: &ValueOrigin) -> Result<&'a str, ConfigError> {
    if is_blank(text) {
        return Err(ConfigError::Blank { origin: origin.clone(), what: blank::described(text) });
    }
    Ok(text)
}

/// The environment variable of a key: `STEPSEAL_` and the key in upper case, with `_` for `.` and `-`.
pub fn variable(key: &str) -> String {
    let upper = key.to_ascii_uppercase().replace(['.', '-'], "_");
    format!("{PREFIX}{upper}")
}

/// The environment variable that cosign reads for a flag: `COSIGN_` and the flag in upper case, with `_` for `-`.
pub fn cosign_variable(flag: &str) -> String {
    format!("COSIGN_{}", flag.to_ascii_uppercase().replace('-', "_"))
}

/// The name under which envy returns a variable.
fn field(variable: &str) -> String {
    variable.strip_prefix(PREFIX).unwrap_or(variable).to_ascii_lowercase()
}

/// Whether the name is a variable of Stepseal.
pub(super) fn is_variable(name: &str) -> bool {
    OTHER_VARIABLES.contains(&name)
        || SETTINGS.iter().chain(AGENT_SETTINGS).any(|setting| setting.env == name)
        || VERIFY_TABLES.iter().copied().flatten().any(|setting| setting.env == name)
        || CHAINS_KEYS
            .iter()
            .map(|key| key.key)
            .chain(DORMANT_KEYS.iter().copied())
            .any(|key| variable(key) == name)
}

/// The values of a setting, with their source.
type SourcedValues = (Vec<String>, ValueOrigin);

/// Merges the values of two names of the same setting. Lists are concatenated; single values must be equal.
fn together(
    kind: SettingKind,
    own: SourcedValues,
    other: SourcedValues,
) -> Result<SourcedValues, ConfigError> {
    let ((mut values, origin), (more, other)) = (own, other);
    match kind {
        SettingKind::Words | SettingKind::Paths => values.extend(more),
        SettingKind::Switch | SettingKind::One if values.last() == more.last() => {}
        SettingKind::Switch | SettingKind::One => return Err(ConfigError::Both { one: origin, other }),
    }
    Ok((values, origin))
}

fn split(kind: SettingKind, text: &str) -> Vec<String> {
    let words = |separator: &[char]| {
        text.split(separator).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    match kind {
        SettingKind::Switch | SettingKind::One => vec![text.trim().to_owned()],
        // Line breaks allow values that contain commas.
        SettingKind::Words if text.trim().contains('\n') => words(&['\n']),
        SettingKind::Words => words(&[',']),
        SettingKind::Paths => words(&[':']),
    }
}
