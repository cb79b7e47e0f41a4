//! Where a key comes from: a mounted directory, a file, an environment variable, a Secret of the cluster.
//!
//! A directory holds what Tekton Chains' `signing-secrets` Secret holds: `cosign.key` with `cosign.password` and perhaps `cosign.pub`,
//! or `x509.pem` (<https://github.com/tektoncd/chains/blob/v0.26.2/docs/signing.md>). Where both keys are, Chains picks
//! one; here it is an error.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zeroize::Zeroizing;

use super::file::{self, KEY_BYTES, PASSWORD_BYTES};
use super::{KeyError, MemoryKey, ParsedKey, SealedKey, Signer, parse_private};
use crate::cluster::{Cluster, SecretData};
use crate::key::{OtherForm, PublicKey, armor};
use crate::object_name::ObjectName;
use crate::secret::Secret;
use crate::{foreign, redact};

const COSIGN_KEY: &str = "cosign.key";
const COSIGN_PASSWORD_FILE: &str = "cosign.password";
pub(super) const COSIGN_PUB: &str = "cosign.pub";
const X509_PEM: &str = "x509.pem";
/// The files of a folder with a key.
pub const KEY_FILES: [&str; 4] = [COSIGN_KEY, COSIGN_PASSWORD_FILE, COSIGN_PUB, X509_PEM];
/// cosign's own variable, so that what works for it works here.
const COSIGN_PASSWORD: &str = "COSIGN_PASSWORD";

/// How many names of a directory without a key an error shows, and how long they are: enough to see a wrong mount.
const SHOWN_NAMES: usize = 8;
pub(super) const SHOWN_NAME_BYTES: usize = 60;

/// The environment, as a look-up: only the configuration knows the real one.
type Environment<'a> = &'a dyn Fn(&str) -> Option<Secret>;

/// Where a private key is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySource {
    /// A directory, or one file; which of the two is seen when it is read.
    Path(PathBuf),
    /// The PEM text in an environment variable.
    Env(String),
    /// A Secret in the cluster, as cosign makes it: `k8s://NAMESPACE/NAME`.
    Secret(ObjectName),
}

/// A key that is read and checked, and perhaps still encrypted.
pub struct LockedKey {
    origin: String,
    state: State,
    /// `cosign.pub` beside an encrypted key; it can be compared only when the key is open.
    public: Option<(PathBuf, PublicKey)>,
}

enum State {
    Open(Box<MemoryKey>),
    Sealed { key: SealedKey, password: Password },
}

/// A password, and where it was found.
struct Password {
    secret: Secret,
    origin: String,
}

impl Password {
    /// That it doesn't open the key from `origin`.
    fn wrong(&self, origin: String) -> KeyError {
        let password = self.origin.clone();
        match OtherForm::of_bytes(self.secret.expose()) {
            _ if self.secret.expose().starts_with(b"\xef\xbb\xbf") => {
                KeyError::PasswordWithMark { origin, password }
            }
            Some(OtherForm::Utf16 { .. }) => KeyError::PasswordInUtf16 { origin, password },
            _ => KeyError::WrongPassword { origin, password },
        }
    }
}

impl FromStr for KeySource {
    type Err = KeyError;

    /// Reads the `--key` setting.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.trim().is_empty() {
            return Err(KeyError::NoSetting);
        }
        // `--key "$(cat cosign.key)"`: as a path it would end up in the message that the file is missing.
        let is_pem = text.contains("-----") || text.contains('\n') || armor::is_encoded(text);
        if is_pem || redact::holds_private_key(text) {
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

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "env://{name}"),
            Self::Secret(name) => write!(f, "k8s://{name}"),
        }
    }
}

/// A name that a shell can set.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Returns whether text is a scheme of RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

impl KeySource {
    /// The Secret that holds the key, if it is one of the cluster's: [`LockedKey::from_secret`] reads it.
    pub fn secret(&self) -> Option<&ObjectName> {
        match self {
            Self::Secret(name) => Some(name),
            _ => None,
        }
    }

    /// The folder with the key, if the place is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Path(path) if path.is_dir() => Some(path),
            _ => None,
        }
    }

    /// Every file that [`read`](Self::read) may open.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let Self::Path(path) = self else { return Vec::new() };
        if path.is_dir() {
            return KEY_FILES.map(|name| path.join(name)).into();
        }
        let password = path.file_name().is_some_and(|name| name == COSIGN_KEY);
        let password = password.then(|| path.with_file_name(COSIGN_PASSWORD_FILE));
        std::iter::once(path.clone()).chain(password).collect()
    }

    /// Reads the key, and its password if it is encrypted; fast, and without a derivation.
    ///
    /// # Errors
    ///
    /// Everything that can be wrong with a key, but for a wrong password and what is inside an encrypted key; and a key in the cluster,
    /// which is not read here.
    pub fn read(&self, env: Environment<'_>) -> Result<LockedKey, KeyError> {
        match self {
            Self::Env(name) => {
                let pem = env(name).ok_or_else(|| KeyError::EnvUnset { name: name.clone() })?;
                LockedKey::new(self.to_string(), pem.expose(), || Ok(environment_password(env)), None)
            }
            Self::Path(path) if !exists(path)? => Err(KeyError::Missing { path: path.clone() }),
            Self::Path(path) if path.is_dir() => read_pieces(&Pieces::Folder(path), env),
            // Whatever else it is, reading it says.
            Self::Path(path) => read_file(path, env),
            Self::Secret(_) => Err(KeyError::Scheme { scheme: "k8s".to_owned() }),
        }
    }
}

/// The named pieces that make a key: a mounted Secret, or the Secret itself.
enum Pieces<'a> {
    Folder(&'a Path),
    Secret(&'a SecretData),
}

impl Pieces<'_> {
    /// Where they are, for messages.
    fn place(&self) -> PathBuf {
        match self {
            Self::Folder(path) => path.to_path_buf(),
            Self::Secret(secret) => format!("k8s://{}", secret.name()).into(),
        }
    }

    fn has(&self, name: &str) -> Result<bool, KeyError> {
        match self {
            Self::Folder(path) => exists(&path.join(name)),
            Self::Secret(secret) => Ok(secret.value(name).is_some()),
        }
    }

    fn read(&self, name: &str, limit: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match self {
            Self::Folder(path) => file::read(&path.join(name), limit),
            Self::Secret(secret) => match secret.value(name).map(Secret::expose) {
                Some(bytes) if bytes.len() > limit => {
                    Err(KeyError::TooLarge { path: self.place().join(name), limit })
                }
                bytes => Ok(Zeroizing::new(bytes.unwrap_or_default().to_vec())),
            },
        }
    }

    /// What there is, for an error.
    fn names(&self) -> Result<String, KeyError> {
        match self {
            Self::Folder(path) => names(path),
            Self::Secret(secret) => {
                Ok(listed(secret.keys().map(|name| foreign::escape(name, SHOWN_NAME_BYTES)).collect()))
            }
        }
    }

    fn password(&self, env: Environment<'_>) -> Result<Option<Password>, KeyError> {
        if !self.has(COSIGN_PASSWORD_FILE)? {
            return Ok(environment_password(env));
        }
        let secret = Secret::new(std::mem::take(&mut *self.read(COSIGN_PASSWORD_FILE, PASSWORD_BYTES)?));
        Ok(Some(Password { secret, origin: self.place().join(COSIGN_PASSWORD_FILE).display().to_string() }))
    }
}

fn read_pieces(pieces: &Pieces<'_>, env: Environment<'_>) -> Result<LockedKey, KeyError> {
    let name = match (pieces.has(COSIGN_KEY)?, pieces.has(X509_PEM)?) {
        (true, true) => return Err(KeyError::TwoKeys { path: pieces.place() }),
        (true, false) => COSIGN_KEY,
        (false, true) => X509_PEM,
        (false, false) => return Err(KeyError::NoKey { path: pieces.place(), found: pieces.names()? }),
    };
    let path = pieces.place().join(COSIGN_PUB);
    let public = if pieces.has(COSIGN_PUB)? {
        let key = PublicKey::parse(&pieces.read(COSIGN_PUB, KEY_BYTES)?)
            .map_err(|source| KeyError::PublicFile { path: path.clone(), source })?;
        Some((path, key))
    } else {
        None
    };
    let pem = pieces.read(name, KEY_BYTES)?;
    // The password belongs to cosign.key; beside another key it may be another key's.
    let password = || if name == COSIGN_KEY { pieces.password(env) } else { Ok(environment_password(env)) };
    LockedKey::new(pieces.place().join(name).display().to_string(), &pem, password, public)
}

fn read_file(path: &Path, env: Environment<'_>) -> Result<LockedKey, KeyError> {
    let pem = file::read(path, KEY_BYTES)?;
    let password = || match path.parent() {
        // The password file belongs to cosign.key; beside another key it may be another key's.
        Some(folder) if path.file_name().is_some_and(|name| name == COSIGN_KEY) => {
            Pieces::Folder(folder).password(env)
        }
        _ => Ok(environment_password(env)),
    };
    LockedKey::new(path.display().to_string(), &pem, password, None)
}

fn environment_password(env: Environment<'_>) -> Option<Password> {
    env(COSIGN_PASSWORD).map(|secret| Password { secret, origin: COSIGN_PASSWORD.to_owned() })
}

/// Whether the directory has an entry of this name; a link that leads nowhere is one, and reading it then says so.
fn exists(path: &Path) -> Result<bool, KeyError> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(KeyError::Read { path: path.into(), source }),
    }
}

/// The names in a directory, for an error; what Kubernetes puts there itself (`..data`) is left out.
fn names(directory: &Path) -> Result<String, KeyError> {
    let failed = |source| KeyError::Read { path: directory.into(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") {
            names.push(foreign::escape(&name, SHOWN_NAME_BYTES));
        }
    }
    Ok(listed(names))
}

pub(super) fn listed(mut names: Vec<String>) -> String {
    names.sort();
    let more = names.len().saturating_sub(SHOWN_NAMES);
    names.truncate(SHOWN_NAMES);
    match (names.is_empty(), more) {
        (true, _) => "it is empty".to_owned(),
        (false, 0) => format!("only {}", names.join(", ")),
        (false, more) => format!("only {} and {more} more", names.join(", ")),
    }
}

impl LockedKey {
    /// Reads the key in the Secret `name` of the cluster: the same pieces as in a directory, by the same rules.
    ///
    /// # Errors
    ///
    /// The Secret can't be read, and everything that can be wrong with a key in a directory.
    pub async fn from_secret(
        cluster: &Cluster,
        name: &ObjectName,
        env: Environment<'_>,
    ) -> Result<Self, KeyError> {
        let secret = cluster.secret(name).await;
        let secret =
            secret.map_err(|source| KeyError::Cluster { name: name.clone(), source: Box::new(source) })?;
        read_pieces(&Pieces::Secret(&secret), env)
    }

    fn new(
        origin: String,
        pem: &[u8],
        password: impl FnOnce() -> Result<Option<Password>, KeyError>,
        public: Option<(PathBuf, PublicKey)>,
    ) -> Result<Self, KeyError> {
        let parsed =
            parse_private(pem).map_err(|source| KeyError::Unusable { origin: origin.clone(), source })?;
        let state = match parsed {
            ParsedKey::Open(key) => {
                belongs(&key, public.as_ref(), &origin)?;
                State::Open(key)
            }
            ParsedKey::Sealed(key) => {
                let password = password()?.ok_or_else(|| KeyError::NoPassword { origin: origin.clone() })?;
                State::Sealed { key, password }
            }
        };
        Ok(Self { origin, state, public })
    }

    /// Opens the key. If it is encrypted, this runs scrypt, about 0.2 s and 64 MiB, and a second time if the password ends in a
    /// newline and doesn't open the key as it is; call it on a thread that may block.
    ///
    /// # Errors
    ///
    /// The password is wrong, or what it opens is not a key that can sign.
    pub fn unlock(self) -> Result<Box<dyn Signer>, KeyError> {
        let Self { origin, state, public } = self;
        match state {
            State::Open(key) => Ok(key),
            State::Sealed { key, password } => {
                let der = open(&key, &password.secret).ok_or_else(|| password.wrong(origin.clone()))?;
                let key = MemoryKey::from_pkcs8(&der)
                    .map_err(|source| KeyError::Unusable { origin: origin.clone(), source })?;
                belongs(&key, public.as_ref(), &origin)?;
                Ok(Box::new(key))
            }
        }
    }

    /// Where the key came from, for people.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }
}

/// Opens with the password as it is, then without one newline at its end: `echo secret > cosign.password` puts it there.
fn open(key: &SealedKey, password: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    key.open(password).or_else(|| {
        let bytes = password.expose();
        let bytes = bytes.strip_suffix(b"\n")?;
        key.open(&Secret::new(bytes.strip_suffix(b"\r").unwrap_or(bytes)))
    })
}

/// Users verify with the public key beside the private key; a wrong public key makes every check fail later.
fn belongs(key: &MemoryKey, public: Option<&(PathBuf, PublicKey)>, origin: &str) -> Result<(), KeyError> {
    match public {
        Some((path, public)) if public != key.public_key() => {
            Err(KeyError::Mismatch { path: path.clone(), origin: origin.to_owned() })
        }
        _ => Ok(()),
    }
}

impl fmt::Debug for LockedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Open(_) => "open",
            State::Sealed { .. } => "encrypted",
        };
        f.debug_struct("LockedKey")
            .field("origin", &self.origin)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
