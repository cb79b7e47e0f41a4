//! Public keys by their place: a file, a mounted directory, an environment variable.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign;
use crate::sign::{KeyError, PublicKey};

/// The largest file of a public key.
const MAX_BYTES: u64 = 64 * 1024;

/// Why there is no public key.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyPlaceError {
    #[error("cannot read public key {}", foreign::shown(&.path.display().to_string(), 512))]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot read public key {}: it is no regular file of at most {MAX_BYTES} bytes", foreign::shown(&.0.display().to_string(), 512))]
    NotAFile(PathBuf),
    #[error("environment variable {0}, which should hold the public key, is not set")]
    Unset(String),
    #[error("cannot use public key {place}")]
    Key { place: String, source: KeyError },
}

impl Explain for KeyPlaceError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Key { source, .. } => return source.hint(),
            _ => "name the public key with --key or STEPSEAL_KEY: a file, a directory with cosign.pub, or env://NAME".to_owned(),
        })
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// The key at `place`.
pub(super) fn read(place: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<PublicKey, KeyPlaceError> {
    let pem = match place.strip_prefix("env://") {
        Some(name) => env(name).ok_or_else(|| KeyPlaceError::Unset(foreign::shown(name, 80)))?,
        None => {
            let path = Path::new(place);
            if path.is_dir() { text(&path.join("cosign.pub"))? } else { text(path)? }
        }
    };
    PublicKey::from_pem(&pem)
        .map_err(|source| KeyPlaceError::Key { place: foreign::shown(place, 200), source })
}

fn text(path: &Path) -> Result<String, KeyPlaceError> {
    let failed = |source| KeyPlaceError::Read { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(KeyPlaceError::NotAFile(path.to_owned()));
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES { Err(KeyPlaceError::NotAFile(path.to_owned())) } else { Ok(text) }
}
