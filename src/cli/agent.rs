//! `stepseal agent`: the key in a sidecar. `agent/start.rs` has its start.

use clap::ArgMatches;

use super::environment::Environment;
use super::given::flags;
use super::output::Output;
use super::sign::fail;
use crate::agent::{Log, live};
use crate::config::{AgentConfig, ConfigError, Sources};
use crate::exit::ExitCode;

pub(super) fn run(matches: &ArgMatches, environment: &Environment, out: &mut Output) -> ExitCode {
    let config = match config(matches, environment) {
        Ok(config) => config,
        Err(error) => return fail(&error, out),
    };
    for warning in &config.warnings {
        out.line(&format!("warning: {warning}"));
    }
    #[expect(clippy::disallowed_methods, reason = "the log writes JSON, a line each")]
    let log = Log::new(std::io::stderr());
    live(&config, environment, log).unwrap_or_else(|error| fail(&error, out))
}

fn config(matches: &ArgMatches, environment: &Environment) -> Result<AgentConfig, ConfigError> {
    AgentConfig::new(&Sources::read(flags(matches), environment.variables())?)
}
