//! The value of a parameter or result: a text, a list of texts, or an object of texts.
//!
//! Tekton takes everything else for the text of its JSON, and so it is here.
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.15.0/docs/tasks.md#specifying-parameters>

use std::collections::BTreeMap;

use serde_json::Value;

/// A value as Tekton reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamValue {
    /// One text.
    Text(String),
    /// A list of texts.
    Array(Vec<String>),
    /// An object of texts.
    Object(BTreeMap<String, String>),
}

impl ParamValue {
    /// The value that `json` is; one that isn't there is an empty text.
    pub fn read(json: Option<&Value>) -> Self {
        match json {
            None | Some(Value::Null) => Self::Text(String::new()),
            Some(Value::String(text)) => Self::Text(text.clone()),
            Some(json @ Value::Array(items)) => {
                let texts: Option<Vec<String>> = items.iter().map(element).collect();
                texts.map_or_else(|| Self::Text(written(json)), Self::Array)
            }
            Some(json @ Value::Object(fields)) => {
                let texts: Option<BTreeMap<String, String>> =
                    fields.iter().map(|(key, value)| Some((key.clone(), element(value)?))).collect();
                texts.map_or_else(|| Self::Text(written(json)), Self::Object)
            }
            Some(json) => Self::Text(written(json)),
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
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Array(items) => items.iter().map(String::as_str).collect(),
            Self::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        }
    }

    /// The value as a step writes it into the file of a result.
    pub fn to_file(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Array(_) | Self::Object(_) => self.to_json().to_string(),
        }
    }
}

/// Go reads null into a text as an empty one.
fn element(json: &Value) -> Option<String> {
    match json {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The JSON text of `json` as an API server writes it: keys sorted, as Go escapes and writes numbers.
fn written(json: &Value) -> String {
    let mut sorted = json.clone();
    sorted.sort_all_objects();
    let bytes = crate::payload::go_json::to_vec(&sorted).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
