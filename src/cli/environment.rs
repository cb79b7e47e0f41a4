//! The process environment, read once; an empty one for the demo.

use std::collections::BTreeMap;

use crate::config::{ConfigError, sources};

/// The variables that are UTF-8 text, and the names of those that are not.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    variables: BTreeMap<String, String>,
    not_text: Vec<String>,
}

impl Environment {
    /// The process' own.
    pub(super) fn of_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => {
                    environment.variables.insert(name, value);
                }
                Err(_) => environment.not_text.push(name),
            }
        }
        environment
    }

    /// Checks what no command may read as "not set": a variable of a setting that is blank, or not UTF-8.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        sources::check_variables(&self.not_text, self.variables())
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.variables.iter().map(|(name, value)| (name.clone(), value.clone()))
    }
}
