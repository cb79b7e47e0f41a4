//! Where a public key comes from: a file, a mounted directory, an environment variable.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::file::{self, KEY_BYTES};
use super::source::{COSIGN_PUB, is_scheme, is_variable, names};
use super::{KeyError, PublicKey, armor};

/// Where a public key is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKeySource {
    /// A file, or a directory with `cosign.pub`; which of the two is seen when it is read.
    Path(PathBuf),
    /// The PEM text in an environment variable.
    Env(String),
}

impl FromStr for PublicKeySource {
    type Err = KeyError;

    /// Reads the `--key` setting of the commands that verify.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.trim().is_empty() {
            return Err(KeyError::NoSetting);
        }
        if text.contains("-----") || text.contains('\n') || armor::is_encoded(text) {
            return Err(KeyError::InlineKey);
        }
        match text.split_once("://") {
            Some(("env", name)) if is_variable(name) => Ok(Self::Env(name.to_owned())),
            Some(("env", _)) => Err(KeyError::EnvName),
            Some((scheme, _)) if is_scheme(scheme) => Err(KeyError::Scheme { scheme: scheme.to_owned() }),
            _ => Ok(Self::Path(text.into())),
        }
    }
}

impl fmt::Display for PublicKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "env://{name}"),
        }
    }
}

impl PublicKeySource {
    /// Reads the key.
    ///
    /// # Errors
    ///
    /// Everything that can be wrong with it or its place.
    pub fn read(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<PublicKey, KeyError> {
        match self {
            Self::Env(name) => {
                let pem = env(name).ok_or_else(|| KeyError::EnvUnset { name: name.clone() })?;
                PublicKey::parse(pem.as_bytes()).map_err(KeyError::PublicKey)
            }
            Self::Path(path) if path.is_dir() => {
                let file = path.join(COSIGN_PUB);
                if !file.exists() {
                    return Err(KeyError::NoPublicKey { path: path.clone(), found: names(path)? });
                }
                read(&file)
            }
            Self::Path(path) => read(path),
        }
    }
}

fn read(path: &Path) -> Result<PublicKey, KeyError> {
    let bytes = file::read(path, KEY_BYTES)?;
    PublicKey::parse(&bytes).map_err(|source| KeyError::PublicFile { path: path.into(), source })
}
