//! `stepseal sign`: the main job. `flow/sign.rs` has its steps.

use std::time::Instant;

use clap::ArgMatches;

use super::environment::Environment;
use super::output::Output;
use super::own_flags::OwnFlags;
use super::progress::Progress;
use super::{confinement, given};
use crate::config::{self, ConfigError};
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::flow::session::SessionResult;
use crate::flow::sign::{self, SignCommand};

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    let request = match asked_for(matches, environment, out) {
        Ok(request) => request,
        Err(error) => return fail(&error, out),
    };
    match sign::carry_out(request, environment, &mut Progress::new(out)) {
        Ok(ended) => conclude(ended, out),
        Err(error) => fail(&error, out),
    }
}

/// What the command line asks for. From here on the process is confined to it.
fn asked_for(
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
) -> Result<SignCommand, ConfigError> {
    let begun = Instant::now();
    let config = given::signing("sign", matches, environment, out)?;
    let named = given::named(matches, "image");
    let flags = OwnFlags::new(matches, environment);
    let files = given::output_files(&flags)?;
    let uploads = flags.switch("upload")?.unwrap_or(true);
    let protection = confinement::sign(&config, &named, &files, environment);
    Ok(SignCommand { begun, config, named, files, uploads, protection })
}

/// Writes everything that programs read of a run, each whether or not another can be written.
///
/// The code that is returned says what became of the subjects, unless all is well with them.
pub(super) fn conclude(ended: SessionResult, out: &mut Output) -> ExitCode {
    let SessionResult { report, exit, output, file, own_results } = ended;
    let json = report.to_json();
    if let (Ok(json), config::OutputFormat::Json) = (&json, output) {
        out.json(json);
    }
    let written = json.and_then(|json| file.map_or(Ok(()), |file| file.write(json.as_bytes())));
    let own = own_results.map_or(Ok(()), |own_results| own_results.write(&report));
    let mut exit = exit;
    for error in [written, own].into_iter().filter_map(Result::err) {
        out.error(&error);
        exit = if exit == ExitCode::Done { ExitCode::Failed } else { exit };
    }
    exit
}

pub(super) fn fail(error: &dyn Explain, out: &mut Output) -> ExitCode {
    out.error(error);
    error.exit()
}
