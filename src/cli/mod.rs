//! The commands: read arguments and environment, call the stages, print, choose the exit code.

mod access;
mod agent;
pub mod args;
mod attached;
mod attest;
mod begin;
mod completions;
mod confinement;
mod demo;
mod environment;
mod generate_key_pair;
mod import_key_pair;
mod interruption;
mod key_files;
mod log;
mod named_by_run;
mod output;
mod output_file;
mod own_flags;
mod plan;
mod predicate;
mod progress;
mod public_key;
mod registries;
mod runs;
mod runtime;
mod sign;
mod sign_blob;
mod subjects;
mod tags;
mod trust;
mod verify;
mod verify_blob;

use std::ffi::OsString;

use crate::blank;
use crate::config::settings;
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign;
use crate::process;
use crate::redact;
use environment::Environment;
use output::Output;

/// How much of an argument that is wrong is shown.
const ARGUMENT_BYTES: usize = 512;

/// A key stands in the command line, which can't be read as it is.
#[derive(Debug, thiserror::Error)]
#[error("the command line can't be read: an argument holds a private key")]
struct KeyAsArgument;

impl Explain for KeyAsArgument {
    fn hint(&self) -> Option<String> {
        let places = "a directory, a file, env://NAME or k8s://NAMESPACE/NAME";
        Some(format!("give --key the place of the key ({places}) instead of the key itself"))
    }
}

/// Runs the command line `args`, the program's name first, in the process' environment. Call it before anything else, in a process
/// with one thread.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let environment = Environment::of_process(&mut args);
    let mut out = Output::new();
    if let Err(lines) = log::start(&environment) {
        out.lines(lines);
        return ExitCode::Usage;
    }
    process::log_refused();
    let code = dispatch(args, &environment, &mut out);
    out.end(code)
}

/// Parses `args` and runs the command they name.
fn dispatch(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    out: &mut Output,
) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let matches = match args::command().try_get_matches_from(&args) {
        Ok(matches) => matches,
        Err(error)
            if error.use_stderr()
                && args.iter().any(|arg| redact::holds_private_key(&arg.to_string_lossy())) =>
        {
            out.error(&KeyAsArgument);
            return ExitCode::Usage;
        }
        Err(error) => {
            // Help and the version come as "errors" that end well.
            let escaped = args.iter().map(|arg| foreign::shown_value(&arg.to_string_lossy(), ARGUMENT_BYTES));
            out.clap(&error, || args::command().try_get_matches_from(escaped).err());
            if error.kind() == clap::error::ErrorKind::DisplayVersion {
                out.print(&format!("{}\n", trust::built_in()));
            }
            return if error.use_stderr() { ExitCode::Usage } else { ExitCode::Done };
        }
    };
    let reads_settings = !matches!(matches.subcommand_name(), Some("demo" | "completions" | "man"));
    if let Err(error) = environment.check()
        && reads_settings
    {
        out.error(&error);
        return error.exit();
    }
    if matches!(matches.subcommand_name(), Some("plan" | "agent" | "generate-key-pair" | "import-key-pair")) {
        confinement::none();
    }
    match matches.subcommand() {
        Some(("sign", matches)) => sign::run(matches, environment, out),
        Some(("plan", matches)) => plan::run(matches, environment, out),
        Some(("attest", matches)) => attest::run(matches, environment, out),
        Some(("verify", matches)) => verify::images(matches, environment, out),
        Some(("verify-run", matches)) => verify::run(matches, environment, out),
        Some(("verify-attestation", matches)) => verify::attestations(matches, environment, out),
        Some((name @ ("tree" | "triangulate" | "download" | "attach"), matches)) => {
            attached::run(name, matches, environment, out)
        }
        Some(("agent", matches)) => agent::run(matches, environment, out),
        Some(("demo", matches)) => demo::run(matches, out),
        Some(("generate-key-pair", matches)) => generate_key_pair::run(matches, environment, out),
        Some(("public-key", matches)) => public_key::run(matches, environment, out),
        Some(("import-key-pair", matches)) => import_key_pair::run(matches, environment, out),
        Some(("sign-blob", matches)) => sign_blob::run(sign_blob::Command::Sign, matches, environment, out),
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
        _ => ExitCode::Usage,
    }
}
