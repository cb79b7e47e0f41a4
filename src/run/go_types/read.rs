//! Reading JSON into a Go variable, as `json.Unmarshal` does.
//!
//! A name may occur twice, spelled with other letters: then the second is read over what the first left. Null
//! empties pointers, lists and maps, and leaves everything else as it is.

use serde_json::Value;

use super::error::GoTypeError;
use super::held::Held;
use super::integer::integer;
use super::kind::{Field, Fields, Kind};
use super::own;

/// Reads `value` over what `held` holds.
pub(super) fn read(kind: &Kind, held: &mut Held, value: &Value) -> Result<(), GoTypeError> {
    match (kind, value) {
        (Kind::Own(own), _) => own::read(*own, held, value),
        (Kind::Pointer(_) | Kind::List(_) | Kind::Map(_), Value::Null) => {
            *held = Held::Zero;
            Ok(())
        }
        (Kind::Pointer(inner), _) => read(inner, held, value),
        (_, Value::Null) => {
            // A pointer to it would have been emptied; what is read stands for itself, and is kept.
            Ok(())
        }
        (Kind::Bool, Value::Bool(yes)) => {
            *held = Held::Bool(*yes);
            Ok(())
        }
        (Kind::Int(bits), Value::Number(number)) => {
            *held = Held::Int(integer(number, *bits)?);
            Ok(())
        }
        (Kind::Text, Value::String(text)) => {
            *held = Held::Text(text.clone());
            Ok(())
        }
        (Kind::List(inner), Value::Array(items)) => list(inner, held, items),
        (Kind::Map(inner), Value::Object(entries)) => map(inner, held, entries),
        (Kind::Struct(fields), Value::Object(entries)) => structure(fields, held, entries),
        (Kind::Bool, _) => Err(GoTypeError::wrong_type("a boolean", value)),
        (Kind::Int(_), _) => Err(GoTypeError::wrong_type("an integer", value)),
        (Kind::Text, _) => Err(GoTypeError::wrong_type("text", value)),
        (Kind::List(_), _) => Err(GoTypeError::wrong_type("a list", value)),
        (Kind::Map(_) | Kind::Struct(_), _) => Err(GoTypeError::wrong_type("an object", value)),
    }
}

fn list(inner: &Kind, held: &mut Held, items: &[Value]) -> Result<(), GoTypeError> {
    let mut elements = match std::mem::take(held) {
        Held::List(elements) => elements,
        _ => Vec::new(),
    };
    elements.truncate(items.len());
    elements.resize_with(items.len(), Held::default);
    for (index, (element, item)) in elements.iter_mut().zip(items).enumerate() {
        read(inner, element, item).map_err(|error| error.below_index(index))?;
    }
    *held = Held::List(elements);
    Ok(())
}

fn map(inner: &Kind, held: &mut Held, entries: &serde_json::Map<String, Value>) -> Result<(), GoTypeError> {
    let mut elements = match std::mem::take(held) {
        Held::Map(elements) => elements,
        _ => std::collections::BTreeMap::new(),
    };
    for (key, value) in entries {
        let mut element = Held::Zero;
        read(inner, &mut element, value).map_err(|error| error.below_field(key))?;
        elements.insert(key.clone(), element);
    }
    *held = Held::Map(elements);
    Ok(())
}

fn structure(
    fields: &Fields,
    held: &mut Held,
    entries: &serde_json::Map<String, Value>,
) -> Result<(), GoTypeError> {
    let mut contents = match std::mem::take(held) {
        Held::Struct(contents) => contents,
        _ => fields.0.iter().map(|_| Held::Zero).collect(),
    };
    for (key, value) in entries {
        let Some(index) = find(fields.0, key) else { continue };
        if let (Some(field), Some(slot)) = (fields.0.get(index), contents.get_mut(index)) {
            read(&field.kind, slot, value).map_err(|error| error.below_field(field.name))?;
        }
    }
    *held = Held::Struct(contents);
    Ok(())
}

/// The field that `key` names: exactly, or else without regard to case.
fn find(fields: &[Field], key: &str) -> Option<usize> {
    fields
        .iter()
        .position(|field| field.name == key)
        .or_else(|| fields.iter().position(|field| same_folded(field.name, key)))
}

/// Whether the field's `name`, which is ASCII, and `key` differ only in case, as Unicode folds it: two letters
/// that aren't ASCII fold to ASCII letters.
fn same_folded(name: &str, key: &str) -> bool {
    let folded = key.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    name.chars().map(|c| c.to_ascii_lowercase()).eq(folded)
}
