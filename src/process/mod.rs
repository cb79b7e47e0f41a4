//! Protection of this process: what the kernel lets others see of it, and what it lets this process do.
//!
//! [`start`] comes before everything else: it takes the secrets out of the environment, then forbids core dumps, other processes'
//! looking into this one, and new privileges. What the kernel or a sandbox refuses is noted and never fails a run. [`Protection`] says what is in force. It is asked of the kernel, so a setting that the kernel refused is not reported as set.

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

/// What [`start`] came to.
static STARTED: OnceLock<Started> = OnceLock::new();

struct Started {
    environment: EnvironmentState,
    /// What was refused, with the reason.
    refused: Vec<String>,
}

/// Reads the environment, overwrites what `names` says is secret in it and among the arguments, and protects this process. Call it once, before the
/// first thread starts: later the environment may be read elsewhere, and another thread would keep its privileges.
///
/// `arguments` are searched for variables that are named as `env://NAME`.
pub fn start(arguments: &[OsString], names: &SecretNames<'_>) -> Variables {
    let variables = Variables::read(arguments, names);
    // First: a process that isn't dumpable can't open its own memory, unless it is root's.
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
    // A second call, as tests may make it, finds what the first one left.
    let _ = STARTED.set(Started { environment, refused: refused.collect() });
    variables
}

/// Logs what of the protection was refused. Call it when the log has started.
pub(crate) fn log_refused() {
    let Some(Started { refused, .. }) = STARTED.get() else { return };
    for refused in refused {
        tracing::debug!(refused, "process protection: the system refuses a setting");
    }
}

/// What is in force for this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protection {
    /// Whether other processes of the same user may read this one's memory and environment (`PR_GET_DUMPABLE`).
    pub dumpable: bool,
    /// The largest core dump, in bytes; `None`: unlimited (`RLIMIT_CORE`).
    pub core_limit: Option<u64>,
    /// Whether programs that this process starts can gain privileges (`PR_GET_NO_NEW_PRIVS` is 1: they can't).
    pub no_new_privs: bool,
    /// Whether the secrets in the environment are overwritten.
    pub environment: EnvironmentState,
    /// What of the file system this process may use.
    pub landlock: Landlock,
}

impl Protection {
    /// What is in force now, with what is known of Landlock.
    pub(crate) fn now(landlock: Landlock) -> Self {
        Self {
            dumpable: !matches!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable)),
            core_limit: rustix::process::getrlimit(Resource::Core).current,
            no_new_privs: rustix::thread::no_new_privs().unwrap_or(false),
            environment: STARTED.get().map_or_else(
                || EnvironmentState::NotOverwritten { why: "it was not looked at".into() },
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
    fn it_is_written_as_programs_read_it() {
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
