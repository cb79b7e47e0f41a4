//! `stepseal attest`: signs what predicates and statements say of images. `flow/attesting.rs` has its steps.

mod files;

use std::time::Instant;

use clap::ArgMatches;

use self::files::{Files, FilesError};
use super::environment::Environment;
use super::output::Output;
use super::own_flags::OwnFlags;
use super::progress::Progress;
use super::sign::{conclude, fail};
use super::{confinement, given};
use crate::config::ConfigError;
use crate::exit::ExitCode;
use crate::explain::explain;
use crate::flow::attesting::{AttestPlan, AttestRunError};

/// Why nothing can be attested.
#[derive(Debug, thiserror::Error)]
enum AttestError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Run(#[from] AttestRunError),
}

explain! { AttestError,
    Self::Config(error) => [of error],
    Self::Files(error) => [of error],
    Self::Run(error) => [of error],
}

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    match attest(matches, environment, out) {
        Ok(code) => code,
        Err(error) => fail(&error, out),
    }
}

fn attest(
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
) -> Result<ExitCode, AttestError> {
    let begun = Instant::now();
    let config = given::signing("attest", matches, environment, out)?;
    let flags = OwnFlags::new(matches, environment);
    let named = given::named(matches, "attested");
    let files = Files::named(&flags, matches.get_many::<String>("images-file").into_iter().flatten())?;
    let protection = confinement::attest(&config, &named, files.paths(), environment);
    let plan = AttestPlan::new(config, &named, flags.switch("replace")?.unwrap_or(false))?;
    let attestations = files.read(plan.config.created)?;
    let ended = plan.attest(attestations, begun, protection, environment, &mut Progress::new(out))?;
    Ok(conclude(ended, out))
}
