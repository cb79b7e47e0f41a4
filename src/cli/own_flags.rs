//! Flags that only some commands have, and that are no settings: from the command line, or else from `COSIGN_FLAG`, as cosign reads
//! all of its flags.
//!
//! Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/cmd/cosign/cli/options/root.go> (`bindFlags`)

use clap::ArgMatches;

use super::environment::Environment;
use crate::config::{ConfigError, ValueOrigin, boolean, sources};
use crate::foreign;

/// The longest piece of a value that an error repeats, in bytes.
const SHOWN_BYTES: usize = 120;

/// The flags of one command line, with the variables that stand in for them.
pub(super) struct OwnFlags<'a> {
    matches: &'a ArgMatches,
    environment: &'a Environment,
}

impl<'a> OwnFlags<'a> {
    pub(super) fn new(matches: &'a ArgMatches, environment: &'a Environment) -> Self {
        Self { matches, environment }
    }

    /// Its values, none of them blank, and where they come from. A variable has one value; an empty variable has none.
    pub(super) fn values(&self, flag: &str) -> Result<Vec<(String, ValueOrigin)>, ConfigError> {
        let given = self.matches.try_get_many::<String>(flag).ok().flatten();
        if let Some(values) = given {
            return Ok(values.map(|value| (value.clone(), ValueOrigin::Flag(flag.to_owned()))).collect());
        }
        let name = sources::cosign_variable(flag);
        let text = self.environment.text(&name)?;
        Ok(text.map(|text| (text, ValueOrigin::Env(name))).into_iter().collect())
    }

    /// Its last value.
    pub(super) fn text(&self, flag: &str) -> Result<Option<String>, ConfigError> {
        Ok(self.values(flag)?.pop().map(|(text, _)| text))
    }

    /// Whether it is on or off; `None`: it isn't given.
    pub(super) fn switch(&self, flag: &str) -> Result<Option<bool>, ConfigError> {
        self.one(flag, "true or false", boolean)
    }

    /// Its last value, which `read` must know; `None`: it isn't given. `wanted` says which values there are.
    pub(super) fn one<T>(
        &self,
        flag: &str,
        wanted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((text, origin)) = self.values(flag)?.pop() else { return Ok(None) };
        let value = read(text.trim()).ok_or_else(|| ConfigError::Value {
            origin,
            value: foreign::escape(&text, SHOWN_BYTES),
            wanted: wanted.to_owned(),
        })?;
        Ok(Some(value))
    }
}
