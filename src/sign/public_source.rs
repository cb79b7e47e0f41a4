//! Where a public key comes from: a file, a mounted directory, an environment variable, a Secret of the cluster.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::KeyError;
use super::file::KEY_BYTES;
use super::source::{COSIGN_PUB, KeySource, SHOWN_NAME_BYTES, listed};
use crate::cluster::Cluster;
use crate::foreign;
use crate::input::{self, Folder, InputError};
use crate::key::PublicKey;
use crate::object_name::ObjectName;

/// The most names of a directory without a public key that are looked at.
const MAX_ENTRIES: usize = 4096;

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
        // The same places as a private key's, named the same way.
        Ok(match text.parse()? {
            KeySource::Path(path) => Self::Path(path),
            KeySource::Env(name) => Self::Env(name),
            KeySource::Secret(name) => Self::Secret(name),
        })
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

    /// The file or the directory that [`read`](Self::read) opens.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Env(_) | Self::Secret(_) => None,
        }
    }

    /// The one file that [`read`](Self::read) reads: `cosign.pub` in a directory.
    pub fn file(&self) -> Option<PathBuf> {
        let path = self.path()?;
        Some(if path.is_dir() { path.join(COSIGN_PUB) } else { path.to_owned() })
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
            Self::Path(path) => match Folder::open(path) {
                Ok(folder) => in_folder(path, &folder),
                Err(InputError::NotAFolder) => read(path),
                Err(error) if error.is_missing() => Err(KeyError::PublicMissing { path: path.clone() }),
                Err(source) => Err(KeyError::PublicRead { path: path.clone(), source }),
            },
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
            let found = listed(secret.keys().map(|key| foreign::escape(key, SHOWN_NAME_BYTES)).collect());
            return Err(KeyError::NoPublicKey { path: place, found });
        };
        let path = place.join(COSIGN_PUB);
        if pem.expose().len() > KEY_BYTES {
            return Err(KeyError::TooLarge { path, limit: KEY_BYTES });
        }
        Self::parse(pem.expose()).map_err(|source| KeyError::PublicFile { path, source })
    }
}

/// The key in a mounted directory; what Kubernetes puts there itself (`..data`) is not shown.
fn in_folder(path: &Path, folder: &Folder) -> Result<PublicKey, KeyError> {
    if folder.entry(COSIGN_PUB.as_ref()).is_ok() {
        return read(&path.join(COSIGN_PUB));
    }
    let names = folder.names(MAX_ENTRIES);
    let names = names.map_err(|source| KeyError::PublicRead { path: path.into(), source })?;
    let names = names.iter().map(|name| name.to_string_lossy()).filter(|name| !name.starts_with(".."));
    let found = listed(names.map(|name| foreign::escape(&name, SHOWN_NAME_BYTES)).collect());
    Err(KeyError::NoPublicKey { path: path.into(), found })
}

fn read(path: &Path) -> Result<PublicKey, KeyError> {
    let bytes = input::read(path, KEY_BYTES as u64);
    let bytes = bytes.map_err(|source| KeyError::PublicRead { path: path.into(), source })?;
    PublicKey::parse(&bytes).map_err(|source| KeyError::PublicFile { path: path.into(), source })
}
