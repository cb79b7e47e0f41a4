//! Landlock: the files that this process may read and write.
//!
//! Spec: <https://docs.kernel.org/userspace-api/landlock.html>

use serde::Serialize;

/// Whether Landlock is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Landlock {
    /// The command doesn't use it.
    #[default]
    NotUsed,
    /// It is in force.
    Enforced {
        /// The version of the kernel's interface whose rights are restricted.
        abi: u32,
    },
    /// The kernel doesn't have it, or a sandbox forbids it.
    NotAvailable {
        /// What the kernel says.
        why: String,
    },
    /// It is left out, because a program may have to run whose files aren't known.
    NotEnforced {
        /// Which program.
        why: String,
    },
}
