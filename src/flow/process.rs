//! The interface between the flow and its process; `cli/` implements it.

use crate::process::ProgramEnvironment;
use crate::secret::Secret;

/// The environment variables of the process, as they were at its start.
pub(crate) trait ProcessEnvironment {
    /// The value, if it is UTF-8. A secret value is copied: wrap it, or use [`secret`](Self::secret).
    fn get(&self, name: &str) -> Option<String>;

    /// The value as a secret, which needn't be UTF-8.
    fn secret(&self, name: &str) -> Option<Secret>;

    /// The variables that credential helpers and plugins get.
    fn for_programs(&self) -> ProgramEnvironment;

    /// Wipes the secrets that are not needed after the signing key is read.
    fn forget_keys(&self);
}

/// A callback for each note or warning to print.
pub(crate) type Notices<'a> = dyn FnMut(&str) + 'a;
