//! Credentials from files: `auths` of a dockerconfigjson, by the registry's exact name.

use std::io;
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};

use super::keychain::{Credential, Found, Keychain, Login};
use super::reference::Repository;
use crate::exit::ExitCode;
use crate::explain::Explain;

/// The names that a dockerconfigjson has in a folder.
const NAMES: [&str; 2] = [".dockerconfigjson", "config.json"];

/// Why the credentials for a registry can't be known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// A file can't be read.
    #[error("cannot read the credentials {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file or an entry of it is malformed.
    #[error("the credentials {} are malformed", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CredentialRetrievalError,
    },
}

impl Explain for CredentialError {
    fn hint(&self) -> Option<String> {
        Some("mount a kubernetes.io/dockerconfigjson Secret, readable by this step's user".into())
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Where credentials are looked for.
#[derive(Clone, Debug)]
pub struct Places(Vec<PathBuf>);

impl Places {
    /// Folders that were named.
    pub fn explicit(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(paths.into_iter().collect())
    }
}

/// Credentials from files.
pub struct FileKeychain(Vec<(PathBuf, Vec<u8>)>);

impl std::fmt::Debug for FileKeychain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(path, _)| path)).finish()
    }
}

impl FileKeychain {
    /// Reads every file that is there.
    ///
    /// # Errors
    ///
    /// A file that can't be read, or isn't JSON.
    pub fn load(places: Places, _: &dyn Fn(&str) -> Option<String>) -> Result<Self, CredentialError> {
        let mut files = Vec::new();
        for path in places.0.iter().flat_map(|dir| NAMES.map(|name| dir.join(name))) {
            match std::fs::read(&path) {
                Ok(bytes) => {
                    find(&path, &bytes, "")?;
                    files.push((path, bytes));
                }
                Err(source) if source.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(CredentialError::Read { path, source }),
            }
        }
        Ok(Self(files))
    }
}

fn find(path: &Path, bytes: &[u8], registry: &str) -> Result<Option<Credential>, CredentialError> {
    let login = match get_credential_from_reader(bytes, registry) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Login::Basic { user, password: password.into() }
        }
        Ok(DockerCredential::IdentityToken(token)) => Login::IdentityToken(token.into()),
        Err(CredentialRetrievalError::NoCredentialConfigured) => return Ok(None),
        Err(source) => return Err(CredentialError::Malformed { path: path.to_owned(), source }),
    };
    Ok(Some(Credential { login, origin: format!("entry {registry:?} of {}", path.display()) }))
}

impl Keychain for FileKeychain {
    fn credentials<'a>(&'a self, repository: &'a Repository) -> Found<'a> {
        let found = self.0.iter().map(|(path, bytes)| find(path, bytes, repository.registry()));
        let found = found.collect::<Result<Vec<_>, _>>().map(|all| all.into_iter().flatten().collect());
        Box::pin(async move { found })
    }
}
