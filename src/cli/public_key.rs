//! `stepseal public-key`: the public key of a signing key, or of an agent.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ArgMatches;

use super::environment::Environment;
use super::output::Output;
use super::output_file::{OutputFile, OutputFileError};
use super::own_flags::OwnFlags;
use super::sign::fail;
use super::{confinement, given};
use crate::config::{Config, ConfigError};
use crate::exit::ExitCode;
use crate::explain::explain;
use crate::flow::access::{self, AccessError};
use crate::flow::job::{JobRuntime, RuntimeError};
use crate::key::{Malformed, PublicKey};
use crate::sign::{KeyError, KeySource, PublicKeySource, SignError};

/// Why no public key is printed.
#[derive(Debug, thiserror::Error)]
enum PublicKeyError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    File(#[from] OutputFileError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("{0}")]
    Interrupted(String),
}

explain! { PublicKeyError,
    Self::Config(error) => [of error],
    Self::Access(error) => [of error],
    Self::Sign(error) => [of error],
    Self::Key(error) => [of error],
    Self::File(error) => [of error],
    Self::Runtime(error) => [of error],
    Self::Interrupted(_) => ["job-interrupted", Failed, "run it again, with a longer --timeout where that was over"],
}

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    match print(matches, environment, out) {
        Ok(()) => ExitCode::Done,
        Err(error) => fail(&error, out),
    }
}

fn print(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> Result<(), PublicKeyError> {
    let begun = Instant::now();
    let config = given::signing("public-key", matches, environment, out)?;
    let path = OwnFlags::new(matches, environment).text("outfile")?.map(PathBuf::from);
    confinement::with_key(&config, environment, &[], path.as_slice());
    let inputs = config.key.paths();
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let file = path.as_deref().map(|path| OutputFile::new("public key", path, &inputs)).transpose()?;
    let deadline = begun + config.timeout;
    let key = JobRuntime::start()?.run_until(deadline, read(&config, environment, deadline));
    let pem = key.map_err(PublicKeyError::Interrupted)??.to_pem();
    match file {
        Some(file) => {
            let line = file.line();
            file.write(pem.as_bytes())?;
            out.line(&line);
        }
        None => out.print_data(&pem),
    }
    Ok(())
}

/// The key of the agent, or the one that belongs to the signing key; where there is a public key alone, that.
async fn read(
    config: &Config,
    environment: &Environment,
    deadline: Instant,
) -> Result<PublicKey, PublicKeyError> {
    let signer = match access::key(config, environment, deadline).await {
        Ok(key) => key.signer().await?,
        Err(AccessError::Key(error)) if may_be_public(&error) => {
            let public = public(&config.key).and_then(|source| source.read(&|name| environment.get(name)));
            return public.map_err(|_| error.into());
        }
        Err(error) => return Err(error.into()),
    };
    Ok(signer.public_key().clone())
}

/// Whether there may be a public key although the private key is missing.
fn may_be_public(error: &KeyError) -> bool {
    matches!(error, KeyError::Unusable { source: Malformed::PublicKey, .. } | KeyError::NoKey { .. })
}

/// The same place, for a public key.
fn public(source: &KeySource) -> Result<PublicKeySource, KeyError> {
    source.to_string().parse()
}
