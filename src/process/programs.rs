//! The environment for programs that this process starts.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use crate::secret::Secret;

/// The variables that a credential helper or a plugin gets: those of this process, except Stepseal's own.
///
/// The default has no variables.
#[derive(Clone, Default)]
pub struct ProgramEnvironment(Arc<ProgramVariables>);

#[derive(Default)]
struct ProgramVariables {
    ordinary: BTreeMap<OsString, OsString>,
    secret: BTreeMap<OsString, Secret>,
    left_out: BTreeSet<OsString>,
}

impl ProgramEnvironment {
    /// Creates an environment of `ordinary` and `secret` variables, except those named in `left_out`.
    pub fn new(
        ordinary: impl IntoIterator<Item = (OsString, OsString)>,
        secret: impl IntoIterator<Item = (OsString, Secret)>,
        left_out: impl IntoIterator<Item = OsString>,
    ) -> Self {
        let left_out: BTreeSet<OsString> = left_out.into_iter().collect();
        Self(Arc::new(ProgramVariables {
            ordinary: ordinary.into_iter().filter(|(name, _)| !left_out.contains(name)).collect(),
            secret: secret.into_iter().filter(|(name, _)| !left_out.contains(name)).collect(),
            left_out,
        }))
    }

    /// All variables that programs get.
    pub fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let ordinary = self.0.ordinary.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        ordinary.chain(self.secret())
    }

    /// The variables that this process has overwritten, so that programs wouldn't inherit them.
    pub fn secret(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let secret = self.0.secret.iter();
        secret.map(|(name, value)| (name.as_os_str(), OsStr::from_bytes(value.expose())))
    }

    /// The value that programs get; `None` if they don't get the variable.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The names of this process' variables that programs don't get.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = &OsStr> {
        self.0.left_out.iter().map(OsString::as_os_str)
    }
}

impl fmt::Debug for ProgramEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgramEnvironment").field("left_out", &self.0.left_out).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn omitted_variables_are_not_passed_on_and_debug_shows_no_value() {
        let programs = ProgramEnvironment::new(
            [("PATH".into(), "/bin".into()), ("USER".into(), "ci".into())],
            [
                ("HTTPS_PROXY".into(), Secret::new("http://u:hunter2@h")),
                ("PW".into(), Secret::new("hunter2")),
            ],
            ["USER".into(), "PW".into()],
        );
        let names: Vec<_> = programs.variables().map(|(name, _)| name).collect();
        assert_eq!(names, ["PATH", "HTTPS_PROXY"]);
        assert_eq!(programs.get("HTTPS_PROXY"), Some(OsStr::new("http://u:hunter2@h")));
        assert_eq!(programs.get("USER"), None);
        let debug = format!("{programs:?}");
        assert!(debug.contains("USER") && !debug.contains("hunter2") && !debug.contains("/bin"), "{debug}");
    }
}
