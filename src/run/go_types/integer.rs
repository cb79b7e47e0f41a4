//! Whole numbers of Go's sizes.

use serde_json::Number;

use super::error::{Fault, GoTypeError};

/// `number` as a signed integer of so many bits. A whole number may be written with a fraction, as an API server
/// doesn't keep how it was written.
pub(super) fn integer(number: &Number, bits: u32) -> Result<i64, GoTypeError> {
    number
        .as_i64()
        .or_else(|| whole(number.as_f64()?))
        .filter(|n| bits >= i64::BITS || matches!(n >> (bits - 1), 0 | -1))
        .ok_or_else(|| Fault::Range { number: number.to_string(), bits }.into())
}

fn whole(number: f64) -> Option<i64> {
    /// Up to here a float holds every integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}
