//! Where a value comes from: flag, then environment, then the mounted directory, then the default.
//!
//! A blank is refused here, whatever source it comes from: it must not be read as "no restriction". An empty variable
//! counts as unset, because a Task's parameter that is left empty makes one.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::origin::Origin;
use super::settings::{
    AGENT_SETTINGS, CHAINS_KEYS, ChainsKey, DORMANT_KEYS, Kind, OCI_REPOSITORY, SECRET_SETTINGS, SETTINGS,
    Setting, VERIFY_TABLES,
};
use super::stand_ins::StandIns;
use crate::blank::{self, is_blank};
use crate::input::{self, Folder};
use crate::secret::Secret;

/// A ConfigMap holds at most 1 MiB in all; a value here is a word or a URL.
const MAX_VALUE_BYTES: u64 = 64 * 1024;
/// Each key of a ConfigMap is an entry; `chains-config` has fewer than fifty.
const MAX_ENTRIES: usize = 4096;

/// The prefix of every environment variable of ours.
const PREFIX: &str = "STEPSEAL_";

/// Variables with our prefix that are not settings: the log filter and where `chains-config` is mounted.
const OTHER_VARIABLES: [&str; 2] = ["STEPSEAL_LOG", CONFIG_DIR];

/// The variable with the place of `chains-config`.
const CONFIG_DIR: &str = "STEPSEAL_CONFIG_DIR";

/// Variables of other programs and standards that are read too. They name files, places and times; each of them that is
/// blank is an error. What is not here is the system's (`HOME`, `PATH`, `HOSTNAME`, `KUBERNETES_SERVICE_*`), a password,
/// which may be any text, or `NO_PROXY`, which is a list that may be empty.
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

/// cosign's variable for another repository for signatures and attestations. It stands behind this program's own variable and flag, and
/// before the mounted directory.
///
/// Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/specs/SIGNATURE_SPEC.md>, `COSIGN_REPOSITORY`
pub(crate) const COSIGN_REPOSITORY: &str = "COSIGN_REPOSITORY";

/// What the flags gave: every flag's values, by the flag's name.
pub type Flags = BTreeMap<String, Vec<String>>;

/// Every source, read once.
#[derive(Debug, Default)]
pub struct Sources {
    flags: Flags,
    env: BTreeMap<String, String>,
    /// The value of [`COSIGN_REPOSITORY`], unless it is empty.
    cosign_repository: Option<String>,
    dir: BTreeMap<String, String>,
    dir_path: Option<PathBuf>,
    /// The values of settings that are secret, by their flags. They are in no other source.
    secrets: BTreeMap<&'static str, (Secret, Origin)>,
    stand_ins: StandIns,
    /// Things worth a warning, each naming what it is about.
    pub warnings: Vec<String>,
}

impl Sources {
    /// Reads the environment and, where one is named, the directory.
    ///
    /// # Errors
    ///
    /// A directory that can't be read, or holds a value that is too long or not UTF-8; a blank name of one, or a blank key.
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
            Some(text) => Some((text, Origin::Flag("config-dir".to_owned()))),
            None => env
                .get(CONFIG_DIR)
                .filter(|text| !text.is_empty())
                .map(|text| (text, Origin::Env(CONFIG_DIR.to_owned()))),
        };
        let dir_path = dir_path.map(|(text, origin)| given(text, &origin).map(PathBuf::from)).transpose()?;
        let mut sources = Self { flags, dir_path, cosign_repository, ..Self::default() };
        // envy gives the names in lower case and without the prefix, as fields would have them.
        sources.env =
            envy::prefixed(PREFIX).from_iter(env).map_err(|source| ConfigError::Environment { source })?;
        for name in unknown.keys() {
            let name = crate::foreign::shown(name, 256);
            sources.warnings.push(format!("{name} is not a setting of Stepseal's; it has no effect"));
        }
        if let Some(dir) = sources.dir_path.clone() {
            sources.read_dir(&dir)?;
        }
        sources.check_keys()?;
        Ok(sources)
    }

    /// The same with the values of settings that are secret, which neither the flags nor the environment above have; `value` finds them.
    #[must_use]
    pub(crate) fn with_secrets(mut self, value: impl Fn(&Setting) -> Option<(Secret, Origin)>) -> Self {
        let found = SECRET_SETTINGS.iter().filter_map(|setting| Some((setting.flag, value(setting)?)));
        self.secrets = found.collect();
        self
    }

    /// The value of a setting that is secret; an empty one counts as unset.
    ///
    /// # Errors
    ///
    /// Nothing but blanks and separators in it.
    pub fn secret(&self, setting: &Setting) -> Result<Option<&(Secret, Origin)>, ConfigError> {
        let Some(found) = self.secrets.get(setting.flag).filter(|(secret, _)| !secret.is_empty()) else {
            return Ok(None);
        };
        if let Some(text) = found.0.expose_str() {
            given(text, &found.1)?;
        }
        Ok(Some(found))
    }

    /// These sources, with what stands in for settings under the names of another program.
    pub fn with(self, stand_ins: StandIns) -> Self {
        Self { stand_ins, ..self }
    }

    fn read_dir(&mut self, dir: &Path) -> Result<(), ConfigError> {
        let read = |source| ConfigError::Directory { path: dir.to_owned(), source };
        let names = Folder::open(dir).and_then(|folder| folder.names(MAX_ENTRIES)).map_err(read)?;
        for name in names {
            let path = dir.join(&name);
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.') && *name != "_example")
            else {
                continue; // Kubernetes' own `..data` and its like, and the ConfigMap's comment
            };
            if !CHAINS_KEYS.iter().any(|known| known.key == name) && !DORMANT_KEYS.contains(&name) {
                self.warnings.push(format!(
                    "{} is not a key of chains-config that Stepseal knows; it has no effect",
                    crate::foreign::shown(&path.display().to_string(), 256)
                ));
                continue;
            }
            // A ConfigMap's entries are links into `..data`, on the mount that they lie on.
            let read = |source| ConfigError::Directory { path: path.clone(), source };
            let bytes = input::read(&path, MAX_VALUE_BYTES).map_err(read)?;
            let text = String::from_utf8(bytes).map_err(|_| {
                read(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8 text").into())
            })?;
            self.dir.insert(name.to_owned(), text);
        }
        Ok(())
    }

    /// The values of one of our own settings, one at least, none of them blank; an empty variable counts as unset.
    /// Of a list in a variable, elements that are empty beside others are left out: YAML ends blocks with a line break.
    ///
    /// # Errors
    ///
    /// A blank: an empty flag, or nothing but blanks and separators in a flag, a variable or an element of a list.
    pub fn values(&self, setting: &Setting) -> Result<Option<(Vec<String>, Origin)>, ConfigError> {
        let own =
            self.flags.get(setting.flag).map(|own| (own.clone(), Origin::Flag(setting.flag.to_owned())));
        let other = self.stand_ins.flags.settings.get(setting.flag).cloned();
        let (values, origin) = match (own, other) {
            (Some(own), Some(other)) => together(setting.kind, own, other)?,
            (Some(given), None) | (None, Some(given)) => given,
            (None, None) => {
                let text = self.env.get(&field(setting.env)).filter(|text| !text.is_empty());
                match (text, self.stand_ins.variables.settings.get(setting.flag)) {
                    (Some(text), _) => {
                        let origin = Origin::Env(setting.env.to_owned());
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

    /// The value of a key of `chains-config`. An empty one is a value, but in a variable: there it is one only for
    /// `artifacts.*.storage`, where it means off, as Tekton Chains has it.
    ///
    /// # Errors
    ///
    /// A value with nothing but blanks and separators in it.
    pub fn chains(&self, key: &ChainsKey) -> Result<(String, Origin), ConfigError> {
        let env = variable(key.key);
        let in_env = || self.env.get(&field(&env)).filter(|text| !text.is_empty() || key.is_storage());
        let by_key = Origin::Flag(format!("config {}", key.key));
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
            (value.as_str(), Origin::Env(env))
        } else if let Some(value) = self.cosign_value(key) {
            (value, Origin::Env(COSIGN_REPOSITORY.to_owned()))
        } else if let Some((value, origin)) = self.stand_ins.variables.keys.get(key.key) {
            (value.as_str(), origin.clone())
        } else if let (Some(value), Some(dir)) = (self.dir.get(key.key), &self.dir_path) {
            (value.as_str(), Origin::File(dir.join(key.key)))
        } else {
            (key.default, Origin::Default(key.key.to_owned()))
        };
        match text {
            "" => Ok((String::new(), origin)),
            text => Ok((given(text, &origin)?.trim().to_owned(), origin)),
        }
    }

    /// The value of cosign's variable that means the same as `key`.
    fn cosign_value(&self, key: &ChainsKey) -> Option<&str> {
        self.cosign_repository.as_deref().filter(|_| key.key == OCI_REPOSITORY.key)
    }

    /// Checks all keys of `chains-config`, also those that no command asks for: none may be blank, wherever it is given.
    fn check_keys(&self) -> Result<(), ConfigError> {
        let pairs = self.flags.get("config").into_iter().flatten().filter_map(|text| text.split_once('='));
        for (key, text) in pairs.filter(|(_, text)| !text.is_empty()) {
            given(text, &Origin::Flag(format!("config {}", crate::foreign::shown(key, 120))))?;
        }
        let mounted =
            self.dir.iter().filter(|(key, text)| DORMANT_KEYS.contains(&key.as_str()) && !text.is_empty());
        for (key, text) in mounted {
            let folder = self.dir_path.clone().unwrap_or_default();
            given(text, &Origin::File(folder.join(key)))?;
        }
        CHAINS_KEYS.iter().try_for_each(|key| self.chains(key).map(|_| ()))
    }

    /// The value that `--config KEY=VALUE` gives; the last one wins.
    fn flag_override(&self, key: &str) -> Option<&str> {
        let values = self.flags.get("config")?;
        let mut pairs = values.iter().rev().filter_map(|text| text.split_once('='));
        pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value)
    }

    /// `--config` values that name no key.
    pub(crate) fn unknown_overrides(&self) -> impl Iterator<Item = &str> {
        self.flags.get("config").into_iter().flatten().map(String::as_str).filter(|text| {
            let key = text.split_once('=').map(|(key, _)| key.trim());
            !key.is_some_and(|key| {
                CHAINS_KEYS.iter().any(|known| known.key == key) || DORMANT_KEYS.contains(&key)
            })
        })
    }
}

/// Checks every variable that Stepseal reads, whatever command reads it: none that is set may be blank, or not UTF-8.
///
/// # Errors
///
/// The first that is not UTF-8, or contains only blanks and separators.
pub(crate) fn check_variables<'a>(
    variables: impl IntoIterator<Item = (&'a OsStr, &'a OsStr)>,
) -> Result<(), ConfigError> {
    let read = |name: &str| is_variable(name) || FOREIGN_VARIABLES.contains(&name);
    let named = variables.into_iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str())));
    let (text, not_text): (Vec<_>, Vec<_>) =
        named.filter(|(name, _)| read(name)).partition(|(_, value)| value.is_some());
    if let Some((name, _)) = not_text.first() {
        return Err(ConfigError::NotText { origin: Origin::Env((*name).to_owned()) });
    }
    for (name, text) in text {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            given(text, &Origin::Env(name.to_owned()))?;
        }
    }
    Ok(())
}

/// `text`, unless it is blank.
///
/// # Errors
///
/// Nothing but blanks and separators in it.
pub fn given<'a>(text: &'a str, origin: &Origin) -> Result<&'a str, ConfigError> {
    if is_blank(text) {
        return Err(ConfigError::Blank { origin: origin.clone(), what: blank::described(text) });
    }
    Ok(text)
}

/// The environment variable of a key: `STEPSEAL_`, upper case, `.` and `-` as `_`.
pub fn variable(key: &str) -> String {
    let upper = key.to_ascii_uppercase().replace(['.', '-'], "_");
    format!("{PREFIX}{upper}")
}

/// The environment variable that cosign reads in place of a flag of its own: `COSIGN_`, upper case, `-` as `_`.
pub fn cosign_variable(flag: &str) -> String {
    format!("COSIGN_{}", flag.to_ascii_uppercase().replace('-', "_"))
}

/// The name that envy gives a variable.
fn field(variable: &str) -> String {
    variable.strip_prefix(PREFIX).unwrap_or(variable).to_ascii_lowercase()
}

/// Whether this is a variable of a setting of ours.
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

/// A value and where it stands.
type Given = (Vec<String>, Origin);

/// Both of two names of one setting are given: lists are put together, single values must not differ.
fn together(kind: Kind, own: Given, other: Given) -> Result<Given, ConfigError> {
    let ((mut values, origin), (more, other)) = (own, other);
    match kind {
        Kind::Words | Kind::Paths => values.extend(more),
        Kind::Switch | Kind::One if values.last() == more.last() => {}
        Kind::Switch | Kind::One => return Err(ConfigError::Both { one: origin, other }),
    }
    Ok((values, origin))
}

fn split(kind: Kind, text: &str) -> Vec<String> {
    let words = |separator: &[char]| {
        text.split(separator).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    match kind {
        Kind::Switch | Kind::One => vec![text.trim().to_owned()],
        // A value with a comma in it can be given on a line of its own.
        Kind::Words if text.trim().contains('\n') => words(&['\n']),
        Kind::Words => words(&[',']),
        Kind::Paths => words(&[':']),
    }
}
