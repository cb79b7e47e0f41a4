//! The source of a configuration value.

use std::fmt;
use std::path::PathBuf;

/// The source of a configuration value, for errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueOrigin {
    /// A flag, without `--`.
    Flag(String),
    /// An environment variable, by its name.
    Env(String),
    /// A file in the mounted `chains-config` directory.
    File(PathBuf),
    /// The default of this setting or key.
    Default(String),
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Env(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default(name) => write!(f, "the default of {name}"),
        }
    }
}
