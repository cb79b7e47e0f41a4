//! Writing a Go variable as JSON, as `json.Marshal` does.

use serde_json::{Map, Value};

use super::error::GoTypeError;
use super::held::Held;
use super::kind::{Empty, Fields, Kind, Own};
use super::own;

/// What Go writes of `held`.
pub(super) fn write(kind: &Kind, held: Held) -> Result<Value, GoTypeError> {
    Ok(match (kind, held) {
        (Kind::Pointer(_) | Kind::List(_) | Kind::Map(_), Held::Zero) => Value::Null,
        (Kind::Pointer(inner), held) => write(inner, held)?,
        (Kind::Struct(fields), held) => structure(fields, held)?,
        (Kind::List(inner), Held::List(elements)) => list(inner, elements)?,
        (Kind::Map(inner), Held::Map(elements)) => map(inner, elements)?,
        (Kind::Own(_), Held::Own(value)) => value,
        (Kind::Own(own), _) => own::zero(*own)?,
        (Kind::Bool, held) => Value::Bool(matches!(held, Held::Bool(true))),
        (Kind::Int(_), Held::Int(number)) => Value::from(number),
        (Kind::Int(_), _) => Value::from(0),
        (Kind::Text, Held::Text(text)) => Value::String(text),
        (Kind::Text, _) => Value::String(String::new()),
        (Kind::List(_) | Kind::Map(_), _) => Value::Null,
    })
}

fn list(inner: &Kind, elements: Vec<Held>) -> Result<Value, GoTypeError> {
    let items = elements.into_iter().enumerate();
    let items = items.map(|(index, held)| write(inner, held).map_err(|error| error.below_index(index)));
    Ok(Value::Array(items.collect::<Result<_, _>>()?))
}

fn map(inner: &Kind, elements: std::collections::BTreeMap<String, Held>) -> Result<Value, GoTypeError> {
    let mut entries = Map::new();
    for (key, held) in elements {
        let value = write(inner, held).map_err(|error| error.below_field(&key))?;
        entries.insert(key, value);
    }
    Ok(Value::Object(entries))
}

fn structure(fields: &Fields, held: Held) -> Result<Value, GoTypeError> {
    let mut contents = match held {
        Held::Struct(contents) => contents,
        _ => Vec::new(),
    }
    .into_iter();
    let mut entries = Map::new();
    for field in fields.0 {
        let held = contents.next().unwrap_or_default();
        if is_left_out(field.empty, &field.kind, &held) {
            continue;
        }
        let value = write(&field.kind, held).map_err(|error| error.below_field(field.name))?;
        entries.insert(field.name.to_owned(), value);
    }
    Ok(Value::Object(entries))
}

fn is_left_out(empty: Empty, kind: &Kind, held: &Held) -> bool {
    match empty {
        Empty::Kept => false,
        Empty::Omitted => is_empty(kind, held),
        Empty::ZeroOmitted => is_zero(kind, held),
    }
}

fn is_empty(kind: &Kind, held: &Held) -> bool {
    match kind {
        Kind::List(_) | Kind::Map(_) => match held {
            Held::List(elements) => elements.is_empty(),
            Held::Map(elements) => elements.is_empty(),
            _ => true,
        },
        kind => is_zero(kind, held),
    }
}

fn is_zero(kind: &Kind, held: &Held) -> bool {
    match (kind, held) {
        (_, Held::Zero) => true,
        // A pointer to a zero value is not a zero value.
        (Kind::Pointer(_), _) => false,
        (Kind::Own(Own::Time), Held::Own(value)) => value.is_null(),
        (_, Held::Bool(yes)) => !yes,
        (_, Held::Int(number)) => *number == 0,
        (_, Held::Text(text)) => text.is_empty(),
        _ => false,
    }
}
