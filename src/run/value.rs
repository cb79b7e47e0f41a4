//! The value of a parameter or result: a text, a list of texts, or an object of texts.
//!
//! Tekton takes everything else for the text of its JSON, and so it is here ([`go_types`](crate::run::go_types)).
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.15.0/docs/tasks.md#specifying-parameters>

use std::collections::BTreeMap;

use serde_json::Value;

use crate::run::go_types::{GoType, normalise};

/// A value as Tekton reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamValue {
    /// A parameter or result of type string.
    Text(String),
    /// A list of texts.
    Array(Vec<String>),
    /// An object of texts.
    Object(BTreeMap<String, String>),
}

impl ParamValue {
    /// The value of `json`; a missing value is an empty string.
    pub fn read(json: Option<&Value>) -> Self {
        let read = json.map(|json| normalise(GoType::ParamValue, json));
        match read {
            Some(Ok(Value::Array(items))) => Self::Array(items.into_iter().map(owned).collect()),
            Some(Ok(Value::Object(fields))) => {
                Self::Object(fields.into_iter().map(|(key, value)| (key, owned(value))).collect())
            }
            Some(Ok(text)) => Self::Text(owned(text)),
            // Every value is one: nothing is refused.
            Some(Err(_)) | None => Self::Text(String::new()),
        }
    }

    /// The text; empty for a list or an object, of which Tekton keeps none.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Array(_) | Self::Object(_) => "",
        }
    }

    /// The value as JSON.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Array(items) => items.iter().map(String::as_str).collect(),
            Self::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        }
    }

    /// The same of a value that isn't needed any more: its texts aren't copied.
    pub(crate) fn into_json(self) -> Value {
        match self {
            Self::Text(text) => Value::String(text),
            Self::Array(items) => items.into(),
            Self::Object(fields) => {
                Value::Object(fields.into_iter().map(|(key, text)| (key, Value::String(text))).collect())
            }
        }
    }

    /// The value as a step writes it into the file of a result.
    pub(crate) fn to_file(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Array(_) | Self::Object(_) => self.to_json().to_string(),
        }
    }
}

/// The text of `json`, which the normaliser made one.
fn owned(json: Value) -> String {
    match json {
        Value::String(text) => text,
        _ => String::new(),
    }
}
