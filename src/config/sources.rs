//! Where a value comes from: flag, then environment, then the mounted directory, then the default.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::settings::{
    AGENT_SETTINGS, CHAINS_KEYS, ChainsKey, DORMANT_KEYS, Kind, SETTINGS, Setting, VERIFY_TABLES,
};

/// A ConfigMap holds at most 1 MiB in all; a value here is a word or a URL.
const MAX_VALUE_BYTES: u64 = 64 * 1024;

/// The prefix of every environment variable of ours.
const PREFIX: &str = "STEPSEAL_";

/// Variables with our prefix that are not settings: the log filter and where `chains-config` is mounted.
const OTHER_VARIABLES: [&str; 2] = ["STEPSEAL_LOG", "STEPSEAL_CONFIG_DIR"];

/// What the flags gave: every flag's values, by the flag's name.
pub type Flags = BTreeMap<String, Vec<String>>;

/// Every source, read once.
#[derive(Debug, Default)]
pub struct Sources {
    flags: Flags,
    env: BTreeMap<String, String>,
    dir: BTreeMap<String, String>,
    dir_path: Option<PathBuf>,
    /// Things worth a warning, each naming what it is about.
    pub warnings: Vec<String>,
}

/// Where a value was found, for errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag(String),
    /// An environment variable.
    Env(String),
    /// A file of the mounted `chains-config` directory.
    File(PathBuf),
    /// Nowhere: the default.
    Default(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Env(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default(name) => write!(f, "the default of {name}"),
        }
    }
}

impl Sources {
    /// Reads the environment and, where one is named, the directory.
    ///
    /// # Errors
    ///
    /// A directory that can't be read, or holds a value that is too long or not UTF-8.
    pub fn read(flags: Flags, env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let env: BTreeMap<String, String> = env.into_iter().filter(|(k, _)| k.starts_with(PREFIX)).collect();
        let dir_path = flags
            .get("config-dir")
            .and_then(|values| values.last())
            .or_else(|| env.get("STEPSEAL_CONFIG_DIR").filter(|value| !value.is_empty()))
            .map(PathBuf::from);
        let mut sources = Self { flags, dir_path, ..Self::default() };
        // envy gives the names in lower case and without the prefix, as fields would have them.
        sources.env = envy::prefixed(PREFIX)
            .from_iter(env.clone())
            .map_err(|source| ConfigError::Environment { source })?;
        for name in env.keys() {
            if !is_variable(name) {
                sources.warnings.push(format!("{name} is not a setting of Stepseal's; it has no effect"));
            }
        }
        if let Some(dir) = sources.dir_path.clone() {
            sources.read_dir(&dir)?;
        }
        Ok(sources)
    }

    fn read_dir(&mut self, dir: &Path) -> Result<(), ConfigError> {
        let read = |source| ConfigError::Directory { path: dir.to_owned(), source };
        for entry in std::fs::read_dir(dir).map_err(read)? {
            let name = entry.map_err(read)?.file_name();
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
            // A ConfigMap's entries are links into `..data`, and trusted: they are followed.
            let read = |source| ConfigError::Directory { path: path.clone(), source };
            let file = std::fs::File::open(&path).map_err(read)?;
            let mut text = String::new();
            file.take(MAX_VALUE_BYTES + 1).read_to_string(&mut text).map_err(read)?;
            if text.len() as u64 > MAX_VALUE_BYTES {
                return Err(ConfigError::TooLong { path, limit: MAX_VALUE_BYTES });
            }
            self.dir.insert(name.to_owned(), text.trim().to_owned());
        }
        Ok(())
    }

    /// The values of one of our own settings; an empty variable counts as unset.
    pub fn values(&self, setting: &Setting) -> Option<(Vec<String>, Origin)> {
        if let Some(values) = self.flags.get(setting.flag) {
            return Some((values.clone(), Origin::Flag(setting.flag.to_owned())));
        }
        let text = self.env.get(&field(setting.env)).filter(|text| !text.trim().is_empty())?;
        Some((split(setting.kind, text), Origin::Env(setting.env.to_owned())))
    }

    /// The value of a key of `chains-config`; an empty one is a value.
    pub fn chains(&self, key: &ChainsKey) -> (String, Origin) {
        if let Some(value) = self.flag_override(key.key) {
            return (value, Origin::Flag(format!("config {}", key.key)));
        }
        let env = variable(key.key);
        if let Some(value) = self.env.get(&field(&env)) {
            return (value.trim().to_owned(), Origin::Env(env));
        }
        match (self.dir.get(key.key), &self.dir_path) {
            (Some(value), Some(dir)) => (value.clone(), Origin::File(dir.join(key.key))),
            _ => (key.default.to_owned(), Origin::Default(key.key.to_owned())),
        }
    }

    /// The value that `--config KEY=VALUE` gives; the last one wins.
    fn flag_override(&self, key: &str) -> Option<String> {
        let values = self.flags.get("config")?;
        let pair = values.iter().rev().filter_map(|text| text.split_once('='));
        pair.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned()).next()
    }

    /// `--config` values that name no key.
    pub fn unknown_overrides(&self) -> impl Iterator<Item = &str> {
        self.flags.get("config").into_iter().flatten().map(String::as_str).filter(|text| {
            let key = text.split_once('=').map(|(key, _)| key.trim());
            !key.is_some_and(|key| {
                CHAINS_KEYS.iter().any(|known| known.key == key) || DORMANT_KEYS.contains(&key)
            })
        })
    }
}

/// The environment variable of a key: `STEPSEAL_`, upper case, `.` and `-` as `_`.
pub fn variable(key: &str) -> String {
    let upper = key.to_ascii_uppercase().replace(['.', '-'], "_");
    format!("{PREFIX}{upper}")
}

/// The name that envy gives a variable.
fn field(variable: &str) -> String {
    variable.strip_prefix(PREFIX).unwrap_or(variable).to_ascii_lowercase()
}

fn is_variable(name: &str) -> bool {
    OTHER_VARIABLES.contains(&name)
        || SETTINGS.iter().chain(AGENT_SETTINGS).any(|setting| setting.env == name)
        || VERIFY_TABLES.iter().copied().flatten().any(|setting| setting.env == name)
        || CHAINS_KEYS
            .iter()
            .map(|key| key.key)
            .chain(DORMANT_KEYS.iter().copied())
            .any(|key| variable(key) == name)
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
