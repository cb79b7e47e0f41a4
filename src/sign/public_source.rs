//! Where a public key comes from: a file, a mounted directory, an environment variable, a Secret of the cluster.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::file::{self, KEY_BYTES};
use super::source::{COSIGN_PUB, SHOWN_NAME_BYTES, is_scheme, is_variable, listed, names};
use super::{KeyError, PublicKey, armor};
use crate::cluster::{Cluster, ObjectName};
use crate::foreign;

/// Where a public key is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKeySource {
    /// A file, or a directory with `cosign.pub`; which of the two is seen when it is read.
    Path(PathBuf),
    /// The PEM text in an environment variable.
    Env(String),
    /// `cosign.pub` in a Secret of the cluster: `k8s://NAMESPACE/NAME`.
    Secret(ObjectName),
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
            Some(("k8s", name)) => name.parse().map(Self::Secret).map_err(KeyError::SecretName),
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
            Self::Secret(name) => write!(f, "k8s://{name}"),
        }
    }
}

impl PublicKeySource {
    /// The Secret that holds the key, if it is one of the cluster's: [`PublicKey::from_secret`] reads it.
    pub fn secret(&self) -> Option<&ObjectName> {
        match self {
            Self::Secret(name) => Some(name),
            _ => None,
        }
    }

    /// Reads the key.
    ///
    /// # Errors
    ///
    /// Everything that can be wrong with it or its place; and a key in the cluster, which is not read here.
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
            Self::Path(path) if path.symlink_metadata().is_err() => {
                Err(KeyError::PublicMissing { path: path.clone() })
            }
            Self::Path(path) => read(path),
            Self::Secret(_) => Err(KeyError::Scheme { scheme: "k8s".to_owned() }),
        }
    }
}

impl PublicKey {
    /// Reads `cosign.pub` in the Secret `name` of the cluster, as cosign does: no other piece of it counts.
    ///
    /// # Errors
    ///
    /// The Secret can't be read, holds no `cosign.pub`, or what it holds is no public key.
    pub async fn from_secret(cluster: &Cluster, name: &ObjectName) -> Result<Self, KeyError> {
        let secret = cluster.secret(name).await;
        let secret = secret
            .map_err(|source| KeyError::PublicCluster { name: name.clone(), source: Box::new(source) })?;
        let place = PathBuf::from(format!("k8s://{name}"));
        let Some(pem) = secret.value(COSIGN_PUB) else {
            let found = listed(secret.keys().map(|key| foreign::shown(key, SHOWN_NAME_BYTES)).collect());
            return Err(KeyError::NoPublicKey { path: place, found });
        };
        let path = place.join(COSIGN_PUB);
        if pem.expose().len() > KEY_BYTES {
            return Err(KeyError::TooLarge { path, limit: KEY_BYTES });
        }
        Self::parse(pem.expose()).map_err(|source| KeyError::PublicFile { path, source })
    }
}

fn read(path: &Path) -> Result<PublicKey, KeyError> {
    let bytes = file::read(path, KEY_BYTES)?;
    PublicKey::parse(&bytes).map_err(|source| KeyError::PublicFile { path: path.into(), source })
}
