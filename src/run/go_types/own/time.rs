//! `metav1.Time`: RFC 3339, read with fractions and any offset, written in UTC and whole seconds.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use serde_json::Value;

use crate::run::go_types::error::GoTypeError;

/// The text that Go writes for the time `text`; null for the zero time, which is the start of year 1.
pub(super) fn read(text: &str) -> Result<Value, GoTypeError> {
    let at = parse(text).ok_or_else(|| GoTypeError::form("RFC 3339 time", text))?;
    if at == DateTime::constant(1, 1, 1, 0, 0, 0, 0) && !has_fraction(text) {
        return Ok(Value::Null);
    }
    Ok(Value::String(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )))
}

fn has_fraction(text: &str) -> bool {
    text.split_once(['.', ',']).is_some_and(|(_, rest)| {
        // Go keeps nanoseconds; what is finer is cut off.
        rest.bytes().take_while(u8::is_ascii_digit).take(9).any(|digit| digit != b'0')
    })
}

/// The time in UTC, without its fraction.
fn parse(text: &str) -> Option<DateTime> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix('T')?;
    let [year, month, day] = numbers::<3>(date, '-', &[4, 2, 2])?;
    // Go takes an hour of one digit.
    let hour_digits = rest.find(':').filter(|digits| (1..=2).contains(digits))?;
    let (clock, rest) = rest.split_at_checked(hour_digits + 6)?;
    let [hour, minute, second] = numbers::<3>(clock, ':', &[hour_digits, 2, 2])?;
    let rest = match rest.strip_prefix(['.', ',']) {
        Some(fraction) => {
            let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            (rest.len() < fraction.len()).then_some(rest)?
        }
        None => rest,
    };
    let local = DateTime::from_parts(
        Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?,
        Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, 0)
            .ok()?,
    );
    local.checked_sub(offset(rest)?).ok()
}

/// How far the zone is ahead of UTC.
fn offset(zone: &str) -> Option<SignedDuration> {
    if zone == "Z" {
        return Some(SignedDuration::ZERO);
    }
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let [hours, minutes] = numbers::<2>(clock, ':', &[2, 2])?;
    // Go takes 24 hours and 60 minutes too.
    (hours <= 24 && minutes <= 60)
        .then(|| SignedDuration::from_secs(sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60)))
}

/// `N` numbers between separators, of exactly so many digits.
fn numbers<const N: usize>(text: &str, separator: char, digits: &[usize; N]) -> Option<[u32; N]> {
    let mut found = [0; N];
    let mut parts = text.split(separator);
    for (slot, digits) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        let plain = part.len() == *digits && part.bytes().all(|b| b.is_ascii_digit());
        *slot = plain.then(|| part.parse().ok()).flatten()?;
    }
    parts.next().is_none().then_some(found)
}
