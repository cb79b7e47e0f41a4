//! Protects this process: limits what other processes can see of it, and what it can do itself.
//!
//! Call [`start`] before everything else. It removes secrets from the environment, then forbids core dumps, access by other
//! processes, and new privileges. If the kernel or a sandbox refuses a setting, that is logged and never fails a run. [`Protection`]
//! reports the active protection. It queries the kernel, so a refused setting is not reported as active.

pub mod arguments;
pub(crate) mod environment;
pub mod landlock;
mod memory;
pub(crate) mod programs;

use std::ffi::OsString;
use std::sync::OnceLock;

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use serde::Serialize;

pub use environment::{EnvironmentState, SecretNames, Variables};
pub use landlock::Landlock;
pub use programs::ProgramEnvironment;

/// The result of [`start`].
static STARTED: OnceLock<StartState> = OnceLock::new();

struct StartState {
    environment: EnvironmentState,
    /// The refused settings, with the reasons.
    refused: Vec<String>,
}

/// Reads the environment, overwrites the secrets in it and in the arguments, and protects this process. Call it once, before the
/// first thread starts. Later, other code may have read the environment, and other threads would keep their privileges.
///
/// `names` defines which variables and flags are secret. `arguments` are searched for variables in the form `env://NAME`.
pub fn start(arguments: &[OsString], names: &SecretNames<'_>) -> Variables {
    let variables = Variables::read(arguments, names);
    // This comes first: only root can open the memory of a process that isn't dumpable, even its own.
    let environment = variables.overwrite();
    let in_arguments = arguments::overwrite(&names.flags);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let settings = [
        ("PR_SET_DUMPABLE", rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)),
        ("RLIMIT_CORE", rustix::process::setrlimit(Resource::Core, none)),
        ("PR_SET_NO_NEW_PRIVS", rustix::thread::set_no_new_privs(true)),
    ];
    let refused = settings.into_iter().filter_map(|(name, set)| Some(format!("{name}: {}", set.err()?)));
    let refused =
        refused.chain(in_arguments.err().map(|why| format!("overwriting secrets in the arguments: {why}")));
    // A second call, as in tests, keeps the result of the first.
    let _ = STARTED.set(StartState { environment, refused: refused.collect() });
    variables
}

/// Logs the refused settings. Call it after the log is set up.
pub(crate) fn log_refused() {
    let Some(StartState { refused, .. }) = STARTED.get() else { return };
    for refused in refused {
        tracing::debug!(refused, "process protection: the system refuses a setting");
    }
}

/// The active protection of this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protection {
    /// Whether other processes of the same user may read the memory and environment of this process (`PR_GET_DUMPABLE`).
    pub dumpable: bool,
    /// The largest core dump, in bytes; `None`: unlimited (`RLIMIT_CORE`).
    pub core_limit: Option<u64>,
    /// Whether programs that this process starts are kept from gaining privileges (`PR_GET_NO_NEW_PRIVS`).
    pub no_new_privs: bool,
    /// Whether secrets in the environment are overwritten.
    pub environment: EnvironmentState,
    /// The state of Landlock, which restricts access to files.
    pub landlock: Landlock,
}

impl Protection {
    /// Queries the active protection, with the given state of Landlock.
    pub(crate) fn now(landlock: Landlock) -> Self {
        Self {
            dumpable: !matches!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable)),
            core_limit: rustix::process::getrlimit(Resource::Core).current,
            no_new_privs: rustix::thread::no_new_privs().unwrap_or(false),
            environment: STARTED.get().map_or_else(
                || EnvironmentState::NotOverwritten { why: "the environment was not examined".into() },
                |started| started.environment.clone(),
            ),
            landlock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_documented_form() {
        let protection = Protection {
            dumpable: false,
            core_limit: Some(0),
            no_new_privs: true,
            environment: EnvironmentState::Overwritten,
            landlock: Landlock::Enforced { abi: 7 },
        };
        let json = serde_json::to_string(&protection).unwrap();
        let landlock = r#"{"state":"enforced","abi":7}"#;
        let environment = r#"{"state":"overwritten"}"#;
        let settings = r#""dumpable":false,"coreLimit":0,"noNewPrivs":true"#;
        assert_eq!(json, format!(r#"{{{settings},"environment":{environment},"landlock":{landlock}}}"#));
    }
}
