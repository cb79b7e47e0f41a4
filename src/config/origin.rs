//! Where a value of the configuration comes from.

use std::fmt;
use std::path::PathBuf;

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
