//! `metav1.Duration`: Go's `time.Duration`, as text.

use crate::run::go_types::error::GoTypeError;

/// The forms that the error lists for a text that isn't a duration.
pub(super) const FORM: &str = "duration (90s, 1h30m)";

const MAX: u64 = 1 << 63;
const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The text that Go writes for the duration `text`.
pub(super) fn canonical(text: &str) -> Result<String, GoTypeError> {
    let (negative, nanos) = parse(text).ok_or_else(|| GoTypeError::form(FORM, text))?;
    let sign = if negative && nanos > 0 { "-" } else { "" };
    Ok(format!("{sign}{}", shown(nanos)))
}

/// The sign and the nanoseconds.
fn parse(text: &str) -> Option<(bool, u64)> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some((false, 0));
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (nanos, tail) = term(rest)?;
        total = total.checked_add(nanos).filter(|total| *total <= MAX)?;
        rest = tail;
    }
    (negative || total < MAX).then_some((negative, total))
}

/// The nanoseconds of the first number with its unit, and what follows.
fn term(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (name, rest) =
        rest.split_at(rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len()));
    let unit = match name {
        "ns" => 1,
        // The micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => MICRO,
        "ms" => MILLI,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    };
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let nanos = whole.checked_mul(unit).filter(|nanos| *nanos <= MAX)?;
    nanos.checked_add(part(fraction, unit)).filter(|nanos| *nanos <= MAX).map(|nanos| (nanos, rest))
}

/// The nanoseconds of a decimal fraction of `unit`, with Go's floating point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the same conversions as in Go; the product is below one unit"
)]
fn part(fraction: &str, unit: u64) -> u64 {
    let (mut number, mut scale) = (0_u64, 1.0_f64);
    for digit in fraction.bytes() {
        // Digits beyond what a signed integer holds are passed over.
        if number > (MAX - 1) / 10 {
            break;
        }
        let next = number * 10 + u64::from(digit - b'0');
        if next > MAX {
            break;
        }
        number = next;
        scale *= 10.0;
    }
    (number as f64 * (unit as f64 / scale)) as u64
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn shown(nanos: u64) -> String {
    match nanos {
        0 => "0s".to_owned(),
        1..MICRO => format!("{nanos}ns"),
        MICRO..MILLI => format!("{}\u{b5}s", decimal(nanos, MICRO, 3)),
        MILLI..SECOND => format!("{}ms", decimal(nanos, MILLI, 6)),
        _ => {
            let seconds = format!("{}s", decimal(nanos % MINUTE, SECOND, 9));
            match (nanos / HOUR, nanos / MINUTE % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// `nanos` in `unit`s, with so many places of which zeros at the end are left out.
fn decimal(nanos: u64, unit: u64, places: usize) -> String {
    let fraction = format!("{:0places$}", nanos % unit);
    match fraction.trim_end_matches('0') {
        "" => (nanos / unit).to_string(),
        fraction => format!("{}.{fraction}", nanos / unit),
    }
}
