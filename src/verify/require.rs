//! `--require PATH=VALUE`: what an attestation's statement must say.
//!
//! The path is a JSONPath into the statement; every value that it leads to must be the one wanted, and there must be
//! one. A path that leads nowhere is a refusal: a statement that doesn't say it, doesn't say it.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9535>

use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use serde_json_path::JsonPath;

use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::foreign;

/// A path into the statement and the value that must be there.
#[derive(Clone, Debug)]
pub struct Require {
    text: String,
    path: JsonPath,
    value: String,
}

/// Why a text is no requirement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequireError {
    /// There is no `=`.
    #[error("{0:?} is not PATH=VALUE")]
    NoValue(String),
    /// What stands before it is no path.
    #[error("{path:?} is not a JSONPath")]
    Path {
        /// The path, cut.
        path: String,
        /// What is wrong with it.
        source: serde_json_path::ParseError,
    },
}

impl Explain for RequireError {
    fn hint(&self) -> Option<String> {
        Some(
            "write a JSONPath (RFC 9535) into the statement and the text that must be there, as \
             '$.predicate.builder.id=https://tekton.dev/chains/v2'"
                .to_owned(),
        )
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Usage
    }
}

impl FromStr for Require {
    type Err = RequireError;

    fn from_str(text: &str) -> Result<Self, RequireError> {
        let shown = |text: &str| foreign::shown(text, 200);
        // An `=` within the path's brackets or quotes belongs to the path: the first one that makes a path counts.
        let mut first = None;
        for (at, _) in text.match_indices('=') {
            let (path, value) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
            match JsonPath::parse(path.trim()) {
                Ok(path) => return Ok(Self { text: text.to_owned(), path, value: value.to_owned() }),
                Err(source) => {
                    first.get_or_insert(RequireError::Path { path: shown(path), source });
                }
            }
        }
        Err(first.unwrap_or_else(|| RequireError::NoValue(shown(text))))
    }
}

impl fmt::Display for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&foreign::shown(&self.text, 400))
    }
}

impl Require {
    /// Whether `statement` says it; an error tells what it says instead.
    ///
    /// # Errors
    ///
    /// What is there instead, for people.
    pub fn check(&self, statement: &Value) -> Result<(), String> {
        let found = self.path.query(statement);
        if found.is_empty() {
            return Err(format!("it says nothing at {}, and {:?} is required", self.path, self.value));
        }
        match found.iter().find(|value| !self.is_wanted(value)) {
            None => Ok(()),
            Some(other) => Err(format!(
                "it says {} at {}, and {:?} is required",
                foreign::shown(&other.to_string(), 200),
                self.path,
                self.value
            )),
        }
    }

    /// A text is compared as it is; numbers, booleans and null as JSON writes them.
    fn is_wanted(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => *text == self.value,
            Value::Number(_) | Value::Bool(_) | Value::Null => {
                let json = value.to_string();
                json == self.value
            }
            Value::Array(_) | Value::Object(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str) -> Result<(), String> {
        let statement = json!({
            "predicate": {
                "builder": { "id": "https://b=1" },
                "materials": [{ "uri": "a", "n": 1, "b": true }, { "uri": "a", "n": 2, "b": true }],
            },
        });
        text.parse::<Require>().unwrap().check(&statement)
    }

    #[test]
    fn every_value_at_the_path_must_be_the_one_wanted() {
        for text in [
            "$.predicate.builder.id=https://b=1",
            "$.predicate.materials[*].uri=a",
            "$.predicate.materials[?@.n==2].b=true",
            "$['predicate']['builder'].id=https://b=1",
            "$.predicate.materials[0].n=1",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for (text, want) in [
            ("$.predicate.builder.id=https://b", r#"says "https://b=1""#),
            ("$.predicate.materials[*].n=1", "says 2"),
            ("$.predicate.nothing=x", "says nothing"),
            ("$.predicate.nothing=", "says nothing"),
            ("$.predicate.builder={}", "says {"),
            ("$.predicate.materials[?@.n>5].uri=a", "says nothing"),
        ] {
            let refused = check(text).unwrap_err();
            assert!(refused.contains(want), "{text}: {refused}");
        }
    }

    #[test]
    fn what_is_no_requirement_is_refused() {
        assert!(matches!("$.a".parse::<Require>(), Err(RequireError::NoValue(_))));
        assert!(matches!("predicate.a=b".parse::<Require>(), Err(RequireError::Path { .. })));
        assert!(matches!("$.a[=b".parse::<Require>(), Err(RequireError::Path { .. })));
    }
}
