//! The Go types that read and write themselves.

mod duration;
mod param_value;
mod quantity;
mod time;

use serde_json::Value;

use super::error::{Fault, GoTypeError};
use super::held::Held;
use super::integer::integer;
use super::kind::Own;

/// Reads `value` over what `held` holds. Most types take null for their zero value.
pub(super) fn read(own: Own, held: &mut Held, value: &Value) -> Result<(), GoTypeError> {
    let taken = match (own, value) {
        (Own::Time, Value::Null) => Value::Null,
        (Own::Time, Value::String(text)) => time::read(text)?,
        (Own::Time, _) => return Err(GoTypeError::wrong_type("a time", value)),
        // Go reads null as an empty text first.
        (Own::Duration, Value::Null) => return Err(GoTypeError::form(duration::FORM, "")),
        (Own::Duration, Value::String(text)) => Value::String(duration::canonical(text)?),
        (Own::Duration, _) => return Err(GoTypeError::wrong_type("a duration", value)),
        (Own::Quantity, Value::Null) => Value::String("0".to_owned()),
        (Own::Quantity, Value::String(text)) => Value::String(quantity::canonical(text)?),
        (Own::Quantity, Value::Number(number)) => {
            Value::String(quantity::canonical(&param_value::number(number))?)
        }
        (Own::Quantity, _) => return Err(GoTypeError::wrong_type("a quantity", value)),
        (Own::IntOrString, Value::Null) => Value::from(0),
        (Own::IntOrString, Value::String(_)) => value.clone(),
        (Own::IntOrString, Value::Number(number)) => Value::from(integer(number, i32::BITS)?),
        (Own::IntOrString, _) => return Err(GoTypeError::wrong_type("an integer or text", value)),
        (Own::ParamValue, _) => param_value::read(value),
        (Own::Raw, Value::Null) => return Ok(()),
        (Own::Raw, _) => value.clone(),
    };
    *held = Held::Own(taken);
    Ok(())
}

/// What a type writes into which nothing was read.
pub(super) fn zero(own: Own) -> Result<Value, GoTypeError> {
    Ok(match own {
        Own::Time | Own::Raw => Value::Null,
        Own::Duration => Value::from("0s"),
        Own::Quantity => Value::from("0"),
        Own::IntOrString => Value::from(0),
        Own::ParamValue => return Err(Fault::NoValue.into()),
    })
}
