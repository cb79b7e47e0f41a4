//! What a Go variable holds between reading and writing.

use std::collections::BTreeMap;

use serde_json::Value;

/// The contents of a variable; its kind is known to who reads and writes it.
#[derive(Debug, Default)]
pub(super) enum Held {
    /// What it holds before anything was read into it: false, 0, no text, nil, or a struct of such.
    #[default]
    Zero,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
    /// A slice that isn't nil.
    List(Vec<Held>),
    /// A map that isn't nil.
    Map(BTreeMap<String, Held>),
    /// A struct's fields.
    Struct(Vec<Held>),
    /// What a type that writes itself will write.
    Own(Value),
}
