//! Protection of this process: what the kernel lets others see of it, and what it lets this process do.
//!
//! [`Protection`] says what is in force. It is asked of the kernel, so a setting that the kernel refused is not reported as set.

pub mod landlock;

use rustix::process::{DumpableBehavior, Resource};
use serde::Serialize;

pub use landlock::Landlock;

/// What is in force for this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Protection {
    /// Whether other processes of the same user may read this one's memory and environment (`PR_GET_DUMPABLE`).
    pub dumpable: bool,
    /// The largest core dump, in bytes; `None`: unlimited (`RLIMIT_CORE`).
    pub core_limit: Option<u64>,
    /// Whether programs that this process starts can gain privileges (`PR_GET_NO_NEW_PRIVS` is 1: they can't).
    pub no_new_privs: bool,
    /// What of the file system this process may use.
    pub landlock: Landlock,
}

impl Protection {
    /// What is in force now, with what is known of Landlock.
    pub fn now(landlock: Landlock) -> Self {
        Self {
            dumpable: !matches!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable)),
            core_limit: rustix::process::getrlimit(Resource::Core).current,
            no_new_privs: rustix::thread::no_new_privs().unwrap_or(false),
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
            landlock: Landlock::Enforced { abi: 7 },
        };
        let json = serde_json::to_string(&protection).unwrap();
        let landlock = r#"{"state":"enforced","abi":7}"#;
        assert_eq!(
            json,
            format!(r#"{{"dumpable":false,"coreLimit":0,"noNewPrivs":true,"landlock":{landlock}}}"#)
        );
    }
}
