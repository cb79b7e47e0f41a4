//! The process environment, read once; an empty one for the demo.
//!
//! Nothing else reads it: [`process::start`] overwrites what is secret in it. The secrets are kept apart from the other variables,
//! in memory that is wiped.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::config::settings::Setting;
use crate::config::{ConfigError, ValueOrigin, secret_variables, sources};
use crate::flow::process::ProcessEnvironment;
use crate::process::{self, ProgramEnvironment};
use crate::secret::Secret;

/// The variables; a name that is there twice has its last value.
#[derive(Default)]
pub(super) struct Environment {
    ordinary: BTreeMap<OsString, OsString>,
    /// `None`: the value is needed no more.
    secret: RefCell<BTreeMap<OsString, Option<Secret>>>,
    /// The values of flags that are secret, by the flags' names; empty once they are needed no more.
    flags: RefCell<BTreeMap<String, Secret>>,
    /// The file that gets what standard output would get: it has to stay writable.
    output_file: RefCell<Option<PathBuf>>,
}

impl Environment {
    /// The process' own, with the protection of the process: the first thing that the program does. What is secret in the
    /// arguments is taken out of them.
    pub(super) fn of_process(arguments: &mut [OsString]) -> Self {
        let names = secret_variables::names();
        let flags = process::arguments::take(arguments, &names.flags).into_iter();
        let flags = flags.map(|(flag, value)| (flag.to_owned(), value)).collect();
        let process::Variables { ordinary, secret } = process::start(arguments, &names);
        let secret = secret.into_iter().map(|(name, value)| (name, Some(value))).collect();
        let ordinary = ordinary.into_iter().collect();
        Self {
            ordinary,
            secret: RefCell::new(secret),
            flags: RefCell::new(flags),
            output_file: RefCell::default(),
        }
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

    /// The value, unless it is not UTF-8. A secret value is copied: wrap it, or take it from [`secret`](Self::secret).
    pub(super) fn get(&self, name: &str) -> Option<String> {
        match self.ordinary.get(OsStr::new(name)) {
            Some(value) => value.to_str().map(str::to_owned),
            None => self.secret.borrow().get(OsStr::new(name))?.as_ref()?.expose_str().map(str::to_owned),
        }
    }

    /// The value, if it is set and not empty.
    ///
    /// # Errors
    ///
    /// A value that is blank, or not UTF-8: it must not be read as "not set".
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        let origin = || ValueOrigin::Env(name.to_owned());
        let is_set = self.ordinary.contains_key(OsStr::new(name))
            || self.secret.borrow().get(OsStr::new(name)).is_some_and(Option::is_some);
        match self.get(name) {
            None if is_set => Err(ConfigError::NotText { origin: origin() }),
            Some(text) if !text.is_empty() => sources::given(&text, &origin()).map(|_| Some(text.clone())),
            _ => Ok(None),
        }
    }

    /// The value as a secret; it need not be UTF-8.
    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        let secret = self.secret.borrow().get(OsStr::new(name)).cloned().flatten();
        secret.or_else(|| self.ordinary.get(OsStr::new(name)).map(|value| Secret::new(value.as_bytes())))
    }

    /// The value of a setting that is secret, and where it was given.
    pub(super) fn secret_setting(&self, setting: &Setting) -> Option<(Secret, ValueOrigin)> {
        if let Some(secret) = self.flags.borrow().get(setting.flag) {
            return Some((secret.clone(), ValueOrigin::Flag(setting.flag.to_owned())));
        }
        let names = [setting.env.to_owned(), sources::cosign_variable(setting.flag)];
        names.into_iter().find_map(|name| {
            let secret = self.secret(&name).filter(|secret| !secret.is_empty())?;
            Some((secret, ValueOrigin::Env(name)))
        })
    }

    /// The variables that are UTF-8 text; no secrets.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let text = self.ordinary.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
        text.map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    /// The file that gets what standard output would get.
    pub(super) fn output_file(&self) -> Option<PathBuf> {
        self.output_file.borrow().clone()
    }

    /// Remembers the file that gets what standard output would get.
    pub(super) fn set_output_file(&self, path: &Path) {
        self.output_file.replace(Some(path.to_owned()));
    }

    /// What credential helpers and plugins get.
    pub(super) fn for_programs(&self) -> ProgramEnvironment {
        let secret = self.secret.borrow().clone().into_iter();
        let secret = secret.map(|(name, value)| (name, value.unwrap_or_else(|| Secret::new(""))));
        secret_variables::for_programs(self.ordinary.clone(), secret, &|name| self.get(name))
    }

    /// Wipes the secrets that are needed no more once the signing key is read: all but those of proxies.
    pub(super) fn forget_keys(&self) {
        self.flags.borrow_mut().clear();
        for (name, value) in self.secret.borrow_mut().iter_mut() {
            if !secret_variables::is_proxy(name) {
                *value = None;
            }
        }
    }
}

impl ProcessEnvironment for Environment {
    fn get(&self, name: &str) -> Option<String> {
        self.get(name)
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        self.secret(name)
    }

    fn for_programs(&self) -> ProgramEnvironment {
        self.for_programs()
    }

    fn forget_keys(&self) {
        self.forget_keys();
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
    use crate::config::settings::{REGISTRY_PASSWORD, REGISTRY_TOKEN};

    fn environment() -> Environment {
        let secret = |name: &str, value: &[u8]| (name.into(), Some(Secret::new(value)));
        Environment {
            ordinary: BTreeMap::from([("STEPSEAL_KEY".into(), "env://PEM".into()), ("A".into(), "b".into())]),
            secret: RefCell::new(BTreeMap::from([
                secret("COSIGN_PASSWORD", b""),
                secret("PEM", b"hunter2"),
                secret("ODD", b"hunter2\xff"),
                secret("HTTPS_PROXY", b"http://u:hunter2@h"),
                secret("COSIGN_REGISTRY_TOKEN", b"hunter2"),
            ])),
            flags: RefCell::new(BTreeMap::from([("registry-password".into(), Secret::new("hunter2"))])),
            output_file: RefCell::default(),
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
            ["COSIGN_PASSWORD", "COSIGN_REGISTRY_TOKEN", "ODD", "PEM", "STEPSEAL_KEY"],
            "forgotten, and still secret"
        );
    }

    #[test]
    fn a_secret_setting_is_a_flags_or_else_a_variables() {
        let environment = environment();
        let found = |setting| environment.secret_setting(setting).map(|(_, origin)| origin.to_string());
        assert_eq!(found(&REGISTRY_PASSWORD).as_deref(), Some("--registry-password"));
        assert_eq!(found(&REGISTRY_TOKEN).as_deref(), Some("COSIGN_REGISTRY_TOKEN"));
        environment.forget_keys();
        assert_eq!((found(&REGISTRY_PASSWORD), found(&REGISTRY_TOKEN)), (None, None));
    }

    #[test]
    fn debug_shows_no_secret() {
        let debug = format!("{:?} {:?}", environment(), environment().for_programs());
        assert!(debug.contains("COSIGN_PASSWORD") && !debug.contains("hunter2"), "{debug}");
    }
}
