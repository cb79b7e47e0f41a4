//! Tekton's `ParamValue`: the value of a parameter, and of a result.
//!
//! A list of texts or an object of texts is taken as such. Everything else is text, if need be that of its JSON:
//! Tekton sees that as the API server gives it, compact and with sorted keys.

use serde::Serialize;
use serde_json::{Number, Value};

use crate::go_json;

/// What Go writes of `value`.
pub(super) fn read(value: &Value) -> Value {
    match value {
        Value::Null => Value::String(String::new()),
        Value::String(_) => value.clone(),
        Value::Array(items) => match items.iter().map(text).collect::<Option<Vec<_>>>() {
            Some(items) => Value::Array(items),
            None => as_text(value),
        },
        Value::Object(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            let entries = sorted.into_iter().map(|(key, value)| Some((key.clone(), text(value)?)));
            entries.collect::<Option<_>>().map_or_else(|| as_text(value), Value::Object)
        }
        Value::Bool(_) | Value::Number(_) => as_text(value),
    }
}

/// `value` if Go reads it as text: null is an empty one.
fn text(value: &Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(value.clone()),
        Value::Null => Some(Value::String(String::new())),
        _ => None,
    }
}

fn as_text(value: &Value) -> Value {
    Value::String(json(&sorted(value)))
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        other => other.clone(),
    }
}

/// A number's text as Go writes it.
pub(super) fn number(number: &Number) -> String {
    json(number)
}

fn json(value: &impl Serialize) -> String {
    // A JSON value can always be written.
    let bytes = go_json::to_vec(value).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
