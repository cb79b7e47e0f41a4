//! The process environment, read once; an empty one for the demo.
//!
//! Nothing else reads it: [`process::start`] overwrites what is secret in it. The secrets are kept apart from the other variables,
//! in memory that is wiped.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use crate::config::{ConfigError, secret_variables, sources};
use crate::process::{self, ProgramEnvironment};
use crate::secret::Secret;

/// The variables; a name that is there twice has its last value.
#[derive(Default)]
pub(super) struct Environment {
    ordinary: BTreeMap<OsString, OsString>,
    /// `None`: the value is needed no more.
    secret: RefCell<BTreeMap<OsString, Option<Secret>>>,
}

impl Environment {
    /// The process' own, with the protection of the process: the first thing that the program does.
    pub(super) fn of_process(arguments: &[OsString]) -> Self {
        let process::Variables { ordinary, secret } = process::start(arguments, &secret_variables::names());
        let secret = secret.into_iter().map(|(name, value)| (name, Some(value))).collect();
        Self { ordinary: ordinary.into_iter().collect(), secret: RefCell::new(secret) }
    }

    /// Checks what no command may read as "not set": a variable of a setting that is blank, or not UTF-8.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let secret = self.secret.borrow();
        let secret = secret.iter().filter_map(|(name, value)| {
            Some((name.as_os_str(), OsStr::from_bytes(value.as_ref()?.expose())))
        });
        let ordinary = self.ordinary.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        sources::check_variables(ordinary.chain(secret))
    }

    /// The value, unless it is not UTF-8. A secret one is copied: wrap it, or take it from [`secret`](Self::secret).
    pub(super) fn get(&self, name: &str) -> Option<String> {
        match self.ordinary.get(OsStr::new(name)) {
            Some(value) => value.to_str().map(str::to_owned),
            None => self.secret.borrow().get(OsStr::new(name))?.as_ref()?.expose_str().map(str::to_owned),
        }
    }

    /// The value as a secret; it need not be UTF-8.
    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        let secret = self.secret.borrow().get(OsStr::new(name)).cloned().flatten();
        secret.or_else(|| self.ordinary.get(OsStr::new(name)).map(|value| Secret::new(value.as_bytes())))
    }

    /// The variables that are UTF-8 text; no secrets.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let text = self.ordinary.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
        text.map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    /// What credential helpers and plugins get.
    pub(super) fn for_programs(&self) -> ProgramEnvironment {
        let secret = self.secret.borrow().clone().into_iter();
        let secret = secret.map(|(name, value)| (name, value.unwrap_or_else(|| Secret::new(""))));
        secret_variables::for_programs(self.ordinary.clone(), secret, &|name| self.get(name))
    }

    /// Wipes the secrets that are needed no more once the signing key is read: all but those of proxies.
    pub(super) fn forget_keys(&self) {
        for (name, value) in self.secret.borrow_mut().iter_mut() {
            if !secret_variables::is_proxy(name) {
                *value = None;
            }
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<OsString> = self.secret.borrow().keys().cloned().collect();
        f.debug_struct("Environment").field("secret", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let secret = |name: &str, value: &[u8]| (name.into(), Some(Secret::new(value)));
        Environment {
            ordinary: BTreeMap::from([("STEPSEAL_KEY".into(), "env://PEM".into()), ("A".into(), "b".into())]),
            secret: RefCell::new(BTreeMap::from([
                secret("COSIGN_PASSWORD", b""),
                secret("PEM", b"hunter2"),
                secret("ODD", b"hunter2\xff"),
                secret("HTTPS_PROXY", b"http://u:hunter2@h"),
            ])),
        }
    }

    #[test]
    fn secrets_are_served_by_name_and_never_listed() {
        let environment = environment();
        let names: Vec<String> = environment.variables().map(|(name, _)| name).collect();
        assert_eq!(names, ["A", "STEPSEAL_KEY"]);
        assert_eq!(environment.get("PEM").as_deref(), Some("hunter2"));
        assert_eq!(environment.get("COSIGN_PASSWORD").as_deref(), Some(""), "set, and empty");
        assert_eq!(environment.get("ODD"), None);
        assert_eq!(environment.secret("ODD").unwrap().expose(), b"hunter2\xff");
        assert_eq!(environment.secret("A").unwrap().expose(), b"b");
        assert_eq!(environment.secret("COSIGN_PASSWORD"), Some(Secret::new("")));
        assert_eq!(environment.secret("UNSET"), None);
    }

    #[test]
    fn a_forgotten_key_is_gone_and_a_proxy_stays() {
        let environment = environment();
        environment.forget_keys();
        assert_eq!((environment.secret("PEM"), environment.secret("COSIGN_PASSWORD")), (None, None));
        assert!(environment.get("HTTPS_PROXY").is_some());
        let left_out: Vec<_> = environment.for_programs().left_out().map(OsStr::to_owned).collect();
        assert_eq!(
            left_out,
            ["COSIGN_PASSWORD", "ODD", "PEM", "STEPSEAL_KEY"],
            "forgotten, and still secret"
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let debug = format!("{:?} {:?}", environment(), environment().for_programs());
        assert!(debug.contains("COSIGN_PASSWORD") && !debug.contains("hunter2"), "{debug}");
    }
}
