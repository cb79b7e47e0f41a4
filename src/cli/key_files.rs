//! The two files of a key pair, and the password that encrypts it: what `generate-key-pair` and `import-key-pair` share.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::environment::Environment;
use super::output::Output;
use crate::explain::explain;
use crate::foreign;
use crate::secret::Secret;
use crate::sign::KeyPair;

/// The variable that cosign reads the password from.
const PASSWORD_VARIABLE: &str = "COSIGN_PASSWORD";
/// Nobody but its owner reads a private key.
const PRIVATE_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;

/// Why a key pair isn't written.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyFilesError {
    #[error("{} is there already; it was not overwritten", foreign::escape(&.0.display().to_string(), 512))]
    Exists(PathBuf),
    #[error("cannot write {}", foreign::escape(&path.display().to_string(), 512))]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot ask for a password: there is no terminal, and COSIGN_PASSWORD is not set")]
    NoPassword,
    #[error("cannot read the password from the terminal")]
    Terminal(#[source] io::Error),
    #[error("the two passwords are not the same")]
    Mismatch,
}

explain! { KeyFilesError,
    Self::Exists(_) => ["key-files-exist", Usage, "choose another --output-key-prefix, or move the old key away"],
    Self::Write { .. } => ["key-files-unwritable", Failed, "choose a folder that can be written with --output-key-prefix"],
    Self::NoPassword => ["key-files-password", Usage, "set COSIGN_PASSWORD; an empty one is allowed"],
    Self::Terminal(_) => ["key-files-password", Failed, "try again, or set COSIGN_PASSWORD"],
    Self::Mismatch => ["key-files-password", Usage, "try again, or set COSIGN_PASSWORD"],
}

/// `PREFIX.key` and `PREFIX.pub`.
pub(super) struct KeyFiles {
    key: PathBuf,
    public: PathBuf,
}

impl KeyFiles {
    pub(super) fn new(prefix: &str) -> Self {
        Self { key: format!("{prefix}.key").into(), public: format!("{prefix}.pub").into() }
    }

    /// Checks that neither is there: before a password is asked for.
    pub(super) fn are_free(&self) -> Result<(), KeyFilesError> {
        match [&self.key, &self.public].into_iter().find(|path| path.symlink_metadata().is_ok()) {
            Some(there) => Err(KeyFilesError::Exists(there.clone())),
            None => Ok(()),
        }
    }

    /// Writes both as new files, or neither.
    pub(super) fn create(&self, pair: &KeyPair) -> Result<(), KeyFilesError> {
        create(&self.key, pair.private_pem.expose(), PRIVATE_MODE)?;
        if let Err(error) = create(&self.public, pair.public_pem.as_bytes(), PUBLIC_MODE) {
            // A private key without its public half is of no use: neither is left behind.
            let _ = std::fs::remove_file(&self.key);
            return Err(error);
        }
        Ok(())
    }

    /// Writes both in place of what is there: each whole, and neither before both are on the disk. A link is replaced, not followed.
    pub(super) fn replace(&self, pair: &KeyPair) -> Result<(), KeyFilesError> {
        let key = prepare(&self.key, pair.private_pem.expose(), PRIVATE_MODE)?;
        let public = prepare(&self.public, pair.public_pem.as_bytes(), PUBLIC_MODE)?;
        for (file, path) in [(key, &self.key), (public, &self.public)] {
            file.persist(path).map_err(|failed| failure(path, failed.error))?;
        }
        Ok(())
    }

    /// Tells people where they are.
    pub(super) fn say(&self, out: &mut Output) {
        out.line(&format!("private key written to {}", self.key.display()));
        out.line(&format!("public key written to {}", self.public.display()));
    }
}

/// A file beside `path`, which can take its place.
fn prepare(path: &Path, bytes: &[u8], mode: u32) -> Result<NamedTempFile, KeyFilesError> {
    // Found here, as the other file is replaced first.
    if path.is_dir() {
        return Err(failure(path, io::ErrorKind::IsADirectory.into()));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    let file = builder.prefix(".stepseal-").permissions(Permissions::from_mode(mode)).tempfile_in(folder);
    let mut file = file.map_err(|source| failure(path, source))?;
    file.write_all(bytes).map_err(|source| failure(path, source))?;
    Ok(file)
}

fn failure(path: &Path, source: io::Error) -> KeyFilesError {
    KeyFilesError::Write { path: path.to_owned(), source }
}

/// Writes a new file; an existing file is never touched.
pub(super) fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyFilesError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFilesError::Exists(path.to_owned()),
        _ => failure(path, source),
    })
}

/// The password for a new key file: of the environment, or else typed twice.
pub(super) fn password(environment: &Environment) -> Result<Secret, KeyFilesError> {
    if let Some(password) = environment.secret(PASSWORD_VARIABLE) {
        return Ok(password);
    }
    if !io::stdin().is_terminal() {
        return Err(KeyFilesError::NoPassword);
    }
    let ask = |prompt| rpassword::prompt_password(prompt).map(Secret::from).map_err(KeyFilesError::Terminal);
    let first = ask("password for the private key: ")?;
    let second = ask("the same again: ")?;
    if first == second { Ok(first) } else { Err(KeyFilesError::Mismatch) }
}
