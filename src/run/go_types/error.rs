//! Why a value isn't what its Go type takes.

use serde_json::Value;

use super::GoType;
use crate::explain::explain;

/// The longest part of a wrong value that is shown.
const SHOWN_CHARS: usize = 60;

/// A value that doesn't fit its Go type.
#[derive(Debug, thiserror::Error)]
#[error("{}{} {fault}", .of.map_or("", GoType::name), path(.place))]
pub struct GoTypeError {
    /// The type that was asked for.
    of: Option<GoType>,
    /// The way to the value, innermost first.
    place: Vec<String>,
    /// What is wrong there.
    fault: Fault,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("is {found}, and {wanted} is needed")]
    Type { wanted: &'static str, found: &'static str },
    #[error("is {number}, which is no integer of {bits} bits")]
    Range { number: String, bits: u32 },
    #[error("is {text:?}, which is no {what}")]
    Form { text: String, what: &'static str },
    #[error("has no value")]
    NoValue,
}

impl GoTypeError {
    /// The way to the value, as `steps[2].timeout`; empty for the value itself.
    pub fn place(&self) -> String {
        let place = path(&self.place);
        place.strip_prefix('.').map(str::to_owned).unwrap_or(place)
    }

    pub(super) fn of(self, of: GoType) -> Self {
        Self { of: Some(of), ..self }
    }

    pub(super) fn below_field(mut self, name: &str) -> Self {
        self.place.push(format!(".{name}"));
        self
    }

    pub(super) fn below_index(mut self, index: usize) -> Self {
        self.place.push(format!("[{index}]"));
        self
    }

    /// `found` isn't a `wanted`.
    pub(super) fn wrong_type(wanted: &'static str, found: &Value) -> Self {
        Fault::Type { wanted, found: type_name(found) }.into()
    }

    /// `text` isn't a well-formed `what`.
    pub(super) fn form(what: &'static str, text: &str) -> Self {
        Fault::Form { text: text.chars().take(SHOWN_CHARS).collect(), what }.into()
    }
}

impl From<Fault> for GoTypeError {
    fn from(fault: Fault) -> Self {
        Self { of: None, place: Vec::new(), fault }
    }
}

explain! { GoTypeError,
    Self { fault: Fault::NoValue, .. } => ["run-no-value", Failed, "give it a value: Tekton can't write a parameter or result without one"],
    _ => ["run-other-type", Failed, "take the run as Tekton has it: kubectl get taskrun or pipelinerun NAME -o yaml"],
}

fn path(place: &[String]) -> String {
    place.iter().rev().map(String::as_str).collect()
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
