//! `stepseal import-key-pair`: a key that another program made, as the two files that cosign makes of it.

use std::path::PathBuf;

use clap::ArgMatches;

use super::environment::Environment;
use super::key_files::{KeyFiles, KeyFilesError, password};
use super::output::Output;
use super::own_flags::OwnFlags;
use super::sign::fail;
use crate::config::ConfigError;
use crate::exit::ExitCode;
use crate::explain::explain;
use crate::sign::{self, KeyError, KeyPair};

/// cosign's default.
const PREFIX: &str = "import-cosign";

/// Why nothing is imported.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Files(#[from] KeyFilesError),
    #[error("--key is not given: there is no key to import")]
    NoKey,
}

explain! { ImportError,
    Self::Config(error) => [of error],
    Self::Key(error) => [of error],
    Self::Files(KeyFilesError::Exists(_)) => ["key-files-replace", Usage,
        "choose another --output-key-prefix, or give --yes to replace both files"],
    Self::Files(error) => [of error],
    Self::NoKey => ["import-no-key", Usage, "give --key FILE, or set COSIGN_KEY: a private key in PEM, not encrypted"],
}

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    match import(matches, environment, out) {
        Ok(()) => ExitCode::Done,
        Err(error) => fail(&error, out),
    }
}

fn import(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> Result<(), ImportError> {
    let flags = OwnFlags::new(matches, environment);
    let from = PathBuf::from(flags.text("key")?.ok_or(ImportError::NoKey)?);
    let files = KeyFiles::new(&flags.text("output-key-prefix")?.unwrap_or_else(|| PREFIX.to_owned()));
    let replaces = flags.switch("yes")?.unwrap_or_default();
    let key = sign::read_plain(&from)?;
    if !replaces {
        files.are_free()?;
    }
    let pair = KeyPair::of(&key, &password(environment)?)?;
    if replaces {
        files.replace(&pair)?
    } else {
        files.create(&pair)?
    }
    files.say(out);
    Ok(())
}
