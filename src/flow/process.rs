//! What the flow asks of the process that it runs in; `cli/` gives it.

use crate::process::ProgramEnvironment;
use crate::secret::Secret;

/// The variables of the process, as they were when it began.
pub(crate) trait ProcessEnvironment {
    /// The value, unless it is not UTF-8. A secret one is copied: wrap it, or take it from [`secret`](Self::secret).
    fn get(&self, name: &str) -> Option<String>;

    /// The value as a secret; it need not be UTF-8.
    fn secret(&self, name: &str) -> Option<Secret>;

    /// What credential helpers and plugins get.
    fn for_programs(&self) -> ProgramEnvironment;

    /// Wipes the secrets that are not needed once the signing key is read.
    fn forget_keys(&self);
}

/// Is called with each line that people are to see: a note or a warning.
pub(crate) type Notices<'a> = dyn FnMut(&str) + 'a;
