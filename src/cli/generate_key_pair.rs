//! `stepseal generate-key-pair`: the same files as cosign makes.

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::output::Output;
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign;
use crate::secret::Secret;
use crate::sign::{self, KeyError};

/// The variable that cosign reads the password from.
const PASSWORD_VARIABLE: &str = "COSIGN_PASSWORD";

/// Why there is no key pair.
#[derive(Debug, thiserror::Error)]
enum PairError {
    #[error("cannot make a key pair")]
    Key(#[source] KeyError),
    #[error("{} is there already; it was not overwritten", foreign::shown(&.0.display().to_string(), 512))]
    Exists(PathBuf),
    #[error("cannot write {}", foreign::shown(&path.display().to_string(), 512))]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot ask for a password: there is no terminal, and COSIGN_PASSWORD is not set")]
    NoPassword,
    #[error("cannot read the password from the terminal")]
    Terminal(#[source] std::io::Error),
    #[error("the two passwords are not the same")]
    Mismatch,
    #[error("this version writes keys to files or, with -, to standard output; to nothing else")]
    Place,
}

impl Explain for PairError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Key(error) => return error.hint(),
            Self::Exists(_) => "choose another --output-key-prefix, or move the old key away".into(),
            Self::Write { .. } => "choose a folder that can be written with --output-key-prefix".into(),
            Self::NoPassword => "set COSIGN_PASSWORD; an empty one is allowed".into(),
            Self::Terminal(_) | Self::Mismatch => "try again, or set COSIGN_PASSWORD".into(),
            Self::Place => {
                "write files, and make the Secret of them with kubectl create secret generic".into()
            }
        })
    }

    fn exit(&self) -> ExitCode {
        match self {
            Self::NoPassword | Self::Mismatch | Self::Exists(_) | Self::Place => ExitCode::Usage,
            _ => ExitCode::Failed,
        }
    }
}

pub(super) fn run(matches: &ArgMatches, out: &mut Output) -> ExitCode {
    let prefix = matches.get_one::<String>("output-key-prefix").map_or("cosign", String::as_str);
    let result = match matches.get_one::<String>("destination").map(String::as_str) {
        None => generate(prefix, out),
        Some("-") => print(out),
        Some(_) => Err(PairError::Place),
    };
    match result {
        Ok(()) => ExitCode::Done,
        Err(error) => {
            out.error(&error);
            error.exit()
        }
    }
}

fn generate(prefix: &str, out: &mut Output) -> Result<(), PairError> {
    let key = PathBuf::from(format!("{prefix}.key"));
    let public = PathBuf::from(format!("{prefix}.pub"));
    if let Some(there) = [&key, &public].into_iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(PairError::Exists(there.clone()));
    }
    let pair = sign::generate(&password()?).map_err(PairError::Key)?;
    create(&key, pair.private_pem.expose(), 0o600)?;
    if let Err(error) = create(&public, pair.public_pem.as_bytes(), 0o644) {
        // A private key without its public half is of no use: neither is left behind.
        let _ = std::fs::remove_file(&key);
        return Err(error);
    }
    out.line(&format!("private key written to {}", key.display()));
    out.line(&format!("public key written to {}", public.display()));
    Ok(())
}

/// Prints both keys, the private one first.
fn print(out: &mut Output) -> Result<(), PairError> {
    let pair = sign::generate(&password()?).map_err(PairError::Key)?;
    out.print(pair.private_pem.expose_str().unwrap_or_default());
    out.print(&pair.public_pem);
    Ok(())
}

/// Writes a new file; one that is there already is never touched.
fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PairError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => PairError::Exists(path.to_owned()),
        _ => PairError::Write { path: path.to_owned(), source },
    })
}

fn password() -> Result<Secret, PairError> {
    if let Some(password) = std::env::var_os(PASSWORD_VARIABLE) {
        return Ok(Secret::new(std::os::unix::ffi::OsStringExt::into_vec(password)));
    }
    if !std::io::stdin().is_terminal() {
        return Err(PairError::NoPassword);
    }
    let ask = |prompt| rpassword::prompt_password(prompt).map(Secret::from).map_err(PairError::Terminal);
    let first = ask("password for the private key: ")?;
    let second = ask("the same again: ")?;
    if first == second { Ok(first) } else { Err(PairError::Mismatch) }
}
