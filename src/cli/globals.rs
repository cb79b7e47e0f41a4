//! The flags that cosign has before the command too: `--timeout`, `--verbose` and `--output-file`.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;

use super::environment::Environment;
use super::output::Output;
use super::own_flags::OwnFlags;
use super::{args, cosign_flags};
use crate::config::settings::TIMEOUT;
use crate::config::{self, ConfigError};
use crate::explain::{Explanation, explain};
use crate::report::{PendingFile, ReportError};

/// A global flag that means nothing for this command.
#[derive(Debug, thiserror::Error)]
enum GlobalError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    File(#[from] ReportError),
    #[error("--timeout: `{0}` has no time limit")]
    NoTimeout(String),
    #[error("--output-file: `{0}` prints as it goes on")]
    NoFile(String),
}

explain! { GlobalError,
    Self::Config(error) => [of error],
    Self::File(error) => [of error],
    Self::NoTimeout(_) => ["flag-not-taken", Usage, "leave it out"],
    Self::NoFile(_) => ["flag-not-taken", Usage, "redirect its standard output"],
}

/// Whether everything is logged. [`begin`] reports a value that can't be read.
pub(super) fn is_verbose(matches: &ArgMatches, environment: &Environment) -> bool {
    verbose(matches, environment).unwrap_or_default()
}

fn verbose(matches: &ArgMatches, environment: &Environment) -> Result<bool, ConfigError> {
    let none = Environment::default();
    let environment = if reads_variables(matches) { environment } else { &none };
    Ok(OwnFlags::new(matches, environment).switch("verbose")?.unwrap_or_default())
}

/// Whether it is a command that cosign has too: for others, cosign's variables are another program's.
fn reads_variables(matches: &ArgMatches) -> bool {
    matches.subcommand_name().is_some_and(cosign_flags::is_cosigns)
}

/// The time limit of a command whose flags aren't settings; without a flag it is the limit of all commands.
pub(super) fn time_limit(matches: &ArgMatches) -> Result<Duration, ConfigError> {
    let text = matches.try_get_one::<String>(TIMEOUT.flag).ok().flatten();
    config::time_limit(text.map_or(TIMEOUT.default, String::as_str))
}

/// The file that gets what standard output would get.
fn output_file(matches: &ArgMatches, environment: &Environment) -> Result<Option<PathBuf>, ConfigError> {
    let none = Environment::default();
    let environment = if reads_variables(matches) { environment } else { &none };
    Ok(OwnFlags::new(matches, environment).text("output-file")?.map(PathBuf::from))
}

/// Checks the global flags and begins with the file for what is printed.
///
/// # Errors
///
/// A flag that has no meaning for the command, or a file that can't be written.
pub(super) fn begin(
    matches: &ArgMatches,
    environment: &Environment,
    out: &mut Output,
) -> Result<(), Explanation> {
    check(matches, environment, out).map_err(|error| Explanation::of(&error))
}

fn check(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> Result<(), GlobalError> {
    let name = matches.subcommand_name().unwrap_or_default();
    verbose(matches, environment)?;
    let program = args::command();
    let command = program.find_subcommand(name);
    let has = |command: &clap::Command| command.get_arguments().any(|arg| arg.get_id() == "timeout");
    let has_timeout = command.is_some_and(|command| has(command) || command.get_subcommands().any(has));
    if !has_timeout && matches.get_one::<String>("timeout").is_some() {
        return Err(GlobalError::NoTimeout(name.to_owned()));
    }
    if let Some(path) = output_file(matches, environment)? {
        if matches!(name, "agent" | "demo") {
            return Err(GlobalError::NoFile(name.to_owned()));
        }
        out.redirect(PendingFile::new(&path).map_err(ReportError::of_file)?);
        environment.set_output_file(&path);
    }
    Ok(())
}
