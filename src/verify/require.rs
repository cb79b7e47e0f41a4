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

use crate::explain::explain;
use crate::foreign;
use crate::json::{KeptPaths, PathStep};

/// A path into the statement and the value that must be there.
#[derive(Clone, Debug)]
pub struct Require {
    text: String,
    path: JsonPath,
    /// The steps that the path begins with, as far as they are names and each of many.
    steps: Vec<PathStep>,
    value: String,
}

/// Why a text is not a requirement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequireError {
    /// There is no `=`.
    #[error("{0:?} is not PATH=VALUE")]
    NoValue(String),
    /// The part before the operator is not a path.
    #[error("{path:?} is not a JSONPath")]
    Path {
        /// The path, cut.
        path: String,
        /// What is wrong with it.
        source: serde_json_path::ParseError,
    },
}

explain! { RequireError,
    _ => ["require-malformed", Usage, "write a JSONPath (RFC 9535) into the statement and the text that must be there, as \
         '$.predicate.builder.id=https://tekton.dev/chains/v2'"],
}

impl FromStr for Require {
    type Err = RequireError;

    fn from_str(text: &str) -> Result<Self, RequireError> {
        let shown = |text: &str| foreign::escape(text, 200);
        // An `=` within the path's brackets or quotes belongs to the path: the first one that makes a path counts.
        let mut first = None;
        for (at, _) in text.match_indices('=') {
            let (path, value) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
            match JsonPath::parse(path.trim()) {
                Ok(parsed) => {
                    let (steps, value) = (steps(path.trim()), value.to_owned());
                    return Ok(Self { text: text.to_owned(), path: parsed, steps, value });
                }
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
        f.write_str(&foreign::escape(&self.text, 400))
    }
}

/// The steps that a path begins with. What comes behind them may be anything: a filter, a slice, all descendants.
fn steps(path: &str) -> Vec<PathStep> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$').unwrap_or_default();
    while let Some((step, behind)) = step(rest) {
        steps.push(step);
        rest = behind;
    }
    steps
}

/// The first step of a path that is one, and what is behind it; `None`: it is something else.
fn step(path: &str) -> Option<(PathStep, &str)> {
    if let Some(rest) = path.strip_prefix("[*]").or_else(|| path.strip_prefix(".*")) {
        return Some((PathStep::Each, rest));
    }
    if let Some(rest) = path.strip_prefix('.') {
        let is_name = |of: char| of.is_ascii_alphanumeric() || of == '_' || !of.is_ascii();
        let (name, behind) = rest.split_at(rest.find(|of| !is_name(of)).unwrap_or(rest.len()));
        return (!name.is_empty()).then(|| (PathStep::Name(name.to_owned()), behind));
    }
    let inner = path.strip_prefix('[')?;
    if let Some(quote @ ('"' | '\'')) = inner.chars().next() {
        let (name, behind) = inner.strip_prefix(quote)?.split_once(quote)?;
        let behind = behind.strip_prefix(']').filter(|_| !name.contains('\\'))?;
        return Some((PathStep::Name(name.to_owned()), behind));
    }
    let (number, behind) = inner.split_once(']')?;
    number.parse::<i64>().ok().map(|_| (PathStep::Each, behind))
}

impl Require {
    /// What of a statement is needed to check all of `requires`.
    pub fn parts(requires: &[Self]) -> KeptPaths {
        let mut parts = KeptPaths::default();
        requires.iter().for_each(|one| parts.add(&one.steps));
        parts
    }

    /// As the user wrote it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Checks that `statement` meets the requirement; an error says what it contains instead.
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
                foreign::escape(&beginning(other), 200),
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

/// The beginning of a value as JSON: all of it could be as long as the statement.
fn beginning(value: &Value) -> String {
    let mut text = [0; 1024];
    let mut room = &mut text[..];
    // It ends with an error where there is no more room.
    let _ = serde_json::to_writer(&mut room, value);
    let left = room.len();
    let written = text.len() - left;
    String::from_utf8_lossy(text.get(..written).unwrap_or_default()).into_owned()
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

    /// The verdict on the parts that a path needs is that on the whole.
    #[test]
    fn the_parts_that_are_kept_are_enough() {
        let text = r#"{"a":{"b":[{"c":"x","d":2},{"c":"x"},["x"],"x"],"e":"x","b c":"x"},"é":"x","f":{"g":"x","h":{"c":"x"}},"x":"x"}"#;
        let whole: Value = serde_json::from_str(text).unwrap();
        let limit = crate::json::MemoryLimit::memory(1024 * 1024);
        for path in [
            "$",
            "$.a",
            "$.a.e",
            "$['a'].e",
            "$[\"a\"]['e']",
            "$.a['b c']",
            "$.a[\"b c\"]",
            "$['\\u0061'].e",
            "$.é",
            "$.a.b[*].c",
            "$.a.b[0].c",
            "$.a.b[1].c",
            "$.a.b[-1]",
            "$.a.b[-2][0]",
            "$.a.b[0:2].c",
            "$.a.b[0,1].c",
            "$.a.b[?@.d==2].c",
            "$..c",
            "$.a..c",
            "$.*.e",
            "$.f.*",
            "$.f[*].c",
            "$['f','x']",
            "$ .a .e",
            "$.a.z",
            "$.a.e.y",
            "$.a.b.c",
            "$.x[0]",
            "$[0]",
            "$.*",
            "$.a.b[*]",
            "$.f['g']",
            "$.a.b[ 0 ].c",
            "$.a[?@=='x']",
        ] {
            for value in ["x", "2", "y"] {
                let require: Require = format!("{path}={value}").parse().unwrap();
                let parts = Require::parts(std::slice::from_ref(&require));
                let kept = crate::json::value_with(text.as_bytes(), &parts, limit).unwrap();
                assert_eq!(
                    require.check(&kept).is_ok(),
                    require.check(&whole).is_ok(),
                    "{path}={value}: {kept}"
                );
            }
        }
        let of = |texts: &[&str]| {
            let all: Vec<Require> = texts.iter().map(|text| text.parse().unwrap()).collect();
            let kept = crate::json::value_with(text.as_bytes(), &Require::parts(&all), limit).unwrap();
            kept.to_string()
        };
        assert_eq!(of(&["$.a.e=x", "$.f.g=x"]), r#"{"a":{"e":"x"},"f":{"g":"x"}}"#);
        assert_eq!(of(&["$.a.b[0].d=2"]), r#"{"a":{"b":[{"d":2},{},[],"x"]}}"#);
    }

    #[test]
    fn what_is_said_instead_is_cut() {
        assert_eq!(beginning(&json!({ "a": [1, "x"] })), r#"{"a":[1,"x"]}"#);
        assert!(beginning(&json!(vec!["é"; 100_000])).chars().count() <= 1024);
    }
}
