//! The commands: read arguments and environment, call the stages, print, choose the exit code.

mod agent;
pub mod args;
mod attached;
mod attest;
mod completions;
mod confinement;
mod cosign_flags;
mod demo;
mod environment;
mod generate_key_pair;
mod given;
mod globals;
mod import_key_pair;
mod key_files;
mod log;
mod output;
mod output_file;
mod own_flags;
mod plan;
mod predicate;
mod progress;
mod public_key;
mod replaced;

mod sign;
mod sign_blob;
mod trust;
mod verify;
mod verify_blob;

use std::ffi::OsString;

use clap::ArgMatches;

use crate::config::{ConfigError, cosign, settings};
use crate::exit::ExitCode;
use crate::explain::{Explain as _, explain};
use crate::{blank, foreign, process, redact};
use environment::Environment;
use output::Output;

/// How much of an argument that is wrong is shown.
const ARGUMENT_BYTES: usize = 512;

/// The command line contains a key, and can't be read as it is.
#[derive(Debug, thiserror::Error)]
#[error("the command line can't be read: an argument holds a private key")]
struct KeyAsArgument;

explain! { KeyAsArgument,
    _ => ["key-as-argument", Usage,
        "give --key the place of the key (a directory, a file, env://NAME or k8s://NAMESPACE/NAME) instead of the key itself"],
}

/// cosign has this command, and Stepseal doesn't.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` is a command of cosign's that Stepseal does not have")]
struct Lacking {
    name: String,
    instead: &'static str,
}

explain! { Lacking,
    Self { instead, .. } => ["cosign-command", Usage, text *instead],
}

/// Runs the command line `args`, the program's name first, in the process' environment. Call it before anything else, in a process
/// with one thread.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let environment = Environment::of_process(&mut args);
    let mut out = Output::new();
    let parsed = Parsed::new(args, &environment);
    let verbose = parsed.as_ref().is_ok_and(|parsed| globals::is_verbose(&parsed.matches, &environment));
    if let Err(why) = log::start(&environment, verbose) {
        out.explanation(&why);
        return why.exit;
    }
    process::log_refused();
    let code = match parsed {
        Ok(parsed) => parsed.run(&environment, &mut out),
        Err(failed) => failed.show(&mut out),
    };
    out.end(code)
}

/// Parses `args` and runs the command they name.
fn dispatch(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    out: &mut Output,
) -> ExitCode {
    match Parsed::new(args.into_iter().collect(), environment) {
        Ok(parsed) => parsed.run(environment, out),
        Err(failed) => failed.show(out),
    }
}

/// A command line that can be read.
struct Parsed {
    matches: ArgMatches,
    /// Which variables gave flags.
    note: Option<String>,
}

/// A command line that can't.
enum Unparsed {
    /// A variable that gives a flag.
    Variable(ConfigError),
    /// The arguments, of which variables gave what the note says; help is one too.
    Args(Vec<OsString>, clap::Error, Option<String>),
}

impl Parsed {
    fn new(args: Vec<OsString>, environment: &Environment) -> Result<Self, Unparsed> {
        let program = args::command();
        let args = cosign_flags::with_two_hyphens(args);
        let line = cosign_flags::with_variables(args, &program, environment);
        let line = line.map_err(Unparsed::Variable)?;
        let note = line.note();
        match program.try_get_matches_from(&line.args) {
            Ok(matches) => Ok(Self { matches, note }),
            Err(error) => Err(Unparsed::Args(line.args, error, note)),
        }
    }

    /// Runs the command.
    fn run(&self, environment: &Environment, out: &mut Output) -> ExitCode {
        let code = self.command(environment, out);
        if code != ExitCode::Done {
            self.note.iter().for_each(|note| out.line(note));
        }
        code
    }

    fn command(&self, environment: &Environment, out: &mut Output) -> ExitCode {
        let name = self.matches.subcommand_name().unwrap_or_default();
        let reads_settings = !matches!(name, "demo" | "completions" | "man" | "version");
        if reads_settings && let Err(error) = environment.check() {
            out.error(&error);
            return error.exit();
        }
        if let Some((name, matches)) = self.matches.subcommand() {
            match cosign_flags::read(name, matches, environment) {
                Ok(read) => out.lines(&read.notes),
                Err(error) => {
                    out.error(&error);
                    return error.exit();
                }
            }
            if reads_settings && let Err(error) = replaced::check(name, matches, environment) {
                out.error(&error);
                return error.exit();
            }
        }
        if let Err(error) = globals::begin(&self.matches, environment, out) {
            out.explanation(&error);
            return error.exit;
        }
        if matches!(name, "plan" | "agent" | "generate-key-pair" | "import-key-pair") {
            confinement::none();
        }
        match self.matches.subcommand() {
            Some(("sign", matches)) => sign::run(matches, environment, out),
            Some(("plan", matches)) => plan::run(matches, environment, out),
            Some(("attest", matches)) => attest::run(matches, environment, out),
            Some(("verify", matches)) => verify::images(matches, environment, out),
            Some(("verify-run", matches)) => verify::run(matches, environment, out),
            Some(("verify-attestation", matches)) => verify::attestations(matches, environment, out),
            Some(("agent", matches)) => agent::run(matches, environment, out),
            Some(("demo", matches)) => demo::run(matches, out),
            Some(("generate-key-pair", matches)) => generate_key_pair::run(matches, environment, out),
            Some((name @ ("tree" | "triangulate" | "download" | "attach"), matches)) => {
                attached::run(name, matches, environment, out)
            }
            Some(("public-key", matches)) => public_key::run(matches, environment, out),
            Some(("import-key-pair", matches)) => import_key_pair::run(matches, environment, out),
            Some(("sign-blob", matches)) => {
                sign_blob::run(sign_blob::Command::Sign, matches, environment, out)
            }
            Some(("attest-blob", matches)) => {
                sign_blob::run(sign_blob::Command::Attest, matches, environment, out)
            }
            Some(("verify-blob", matches)) => {
                verify_blob::run(verify_blob::Command::Blob, matches, environment, out)
            }
            Some(("verify-blob-attestation", matches)) => {
                verify_blob::run(verify_blob::Command::Attestation, matches, environment, out)
            }
            Some(("completions", matches)) => completions::completions(matches, out),
            Some(("man", _)) => completions::man(out),
            Some(("version", _)) => {
                out.print(&format!("{}{}\n", args::command().render_version(), trust::built_in()));
                ExitCode::Done
            }
            _ => ExitCode::Usage,
        }
    }
}

impl Unparsed {
    /// Says why, or prints the help that was asked for.
    fn show(self, out: &mut Output) -> ExitCode {
        let (args, error, note) = match self {
            Self::Variable(error) => {
                out.error(&error);
                return error.exit();
            }
            Self::Args(args, error, note) => (args, error, note),
        };
        if error.use_stderr() && args.iter().any(|arg| redact::holds_private_key(&arg.to_string_lossy())) {
            out.error(&KeyAsArgument);
            return ExitCode::Usage;
        }
        if let Some(lacking) = lacking(&error) {
            out.error(&lacking);
            return lacking.exit();
        }
        // Help and the version come as "errors" that end well.
        let escaped = args.iter().map(|arg| foreign::escape_value(&arg.to_string_lossy(), ARGUMENT_BYTES));
        out.clap(&error, || args::command().try_get_matches_from(escaped).err());
        if error.kind() == clap::error::ErrorKind::DisplayVersion {
            out.print(&format!("{}\n", trust::built_in()));
        }
        if !error.use_stderr() {
            return ExitCode::Done;
        }
        note.iter().for_each(|note| out.line(note));
        ExitCode::Usage
    }
}

/// The command of cosign's that is asked for, if that is why a command line can't be read.
fn lacking(error: &clap::Error) -> Option<Lacking> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let instead = cosign::instead_of(name)?;
    Some(Lacking { name: name.clone(), instead })
}
