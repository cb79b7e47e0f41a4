//! Integers of more than 53 bits.
//!
//! An in-toto predicate is a protocol buffers `Struct`: its readers keep numbers as 64-bit floats, whatever stands in
//! the text. So does Chains, and what it signs is what all of them read. It is written so here too, and told.
//!
//! Spec: <https://protobuf.dev/reference/protobuf/google.protobuf/#value>,
//! <https://www.rfc-editor.org/rfc/rfc7493#section-2.2>

use serde_json::{Number, Value};

use crate::run::{Gap, GapReason, RunObject};

/// The largest integer below which a float holds every integer.
const EXACT: u64 = 1 << 53;
/// How many rounded numbers are listed.
const TOLD: usize = 16;

/// Every integer as a float holds it; those that change are named among the gaps of `run`.
pub(super) fn round(value: &mut Value, run: &RunObject, gaps: &mut Vec<Gap>) {
    let mut changed = Vec::new();
    walk(value, &mut changed);
    gaps.extend(changed.into_iter().take(TOLD).map(|number| run.gap(GapReason::Rounded(number.into()))));
}

fn walk(value: &mut Value, changed: &mut Vec<String>) {
    match value {
        Value::Number(number) => {
            if let Some(rounded) = rounded(number) {
                changed.push(number.to_string());
                *number = rounded;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, changed)),
        Value::Object(fields) => fields.values_mut().for_each(|field| walk(field, changed)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The nearest float, where it is another number.
fn rounded(number: &Number) -> Option<Number> {
    let exact = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))?;
    if exact.unsigned_abs() <= u128::from(EXACT) {
        return None;
    }
    let float = number.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 65 bits")]
    let nearest = float as i128;
    (nearest != exact).then_some(())?;
    let whole =
        u64::try_from(nearest).map(Number::from).or_else(|_| i64::try_from(nearest).map(Number::from));
    whole.ok().or_else(|| Number::from_f64(float))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_float_cannot_hold_is_rounded_and_the_rest_is_not() {
        let mut value = json!([1, -7, 1.5, 9_007_199_254_740_992_u64, 9_007_199_254_740_993_u64,
            -9_007_199_254_740_993_i64, {"most": u64::MAX}]);
        let mut changed = Vec::new();
        walk(&mut value, &mut changed);
        let text = serde_json::to_string(&value).unwrap();
        assert_eq!(
            text,
            r#"[1,-7,1.5,9007199254740992,9007199254740992,-9007199254740992,{"most":1.8446744073709552e+19}]"#
        );
        assert_eq!(changed, ["9007199254740993", "-9007199254740993", "18446744073709551615"]);
    }
}
