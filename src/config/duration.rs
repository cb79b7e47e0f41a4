//! Durations in the formats of humantime and of Go.

use std::time::Duration;

/// The shortest and the longest allowed time limit.
const LIMITS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(24 * 3600));

/// The expected form of a time limit, for errors.
pub(super) const WANTED: &str = "a duration such as 90s, 5m or 1h30m, up to 24h";

/// Parses a time limit from a millisecond to a day: `90s`, `1h 30m`, or Go's `1h2m3.5s`. Returns `None` if it is invalid.
pub(super) fn limit(text: &str) -> Option<Duration> {
    let duration = humantime::parse_duration(text).ok().or_else(|| of_go(text))?;
    (LIMITS.0..=LIMITS.1).contains(&duration).then_some(duration)
}

/// Parses a duration as Go does: decimal numbers, each with a unit. Fractions of a nanosecond are truncated.
///
/// Spec: <https://pkg.go.dev/time#ParseDuration>
fn of_go(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut nanoseconds: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) = UNITS.iter().find_map(|(name, unit)| Some((*unit, after.strip_prefix(name)?)))?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        // A lone point is not a number, and a number has at most one point.
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nanoseconds = nanoseconds.checked_add(u128::from(whole) * u128::from(unit))?;
        let mut place = u128::from(unit);
        for digit in fraction.bytes() {
            place /= 10;
            nanoseconds += u128::from(digit - b'0') * place;
        }
        rest = after;
    }
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

/// Go's units in nanoseconds. A unit comes before its prefixes.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_parsed() {
        for (text, milliseconds) in [
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("3m0s", 180_000),
            ("1h2m3.5s", 3_723_500),
            ("1.5h", 5_400_000),
            (".5m", 30_000),
            ("1.s", 1_000),
            ("300ms", 300),
            ("+2s", 2_000),
            ("1500us", 1),
            ("1000\u{b5}s", 1),
            ("0h0m2.0009s", 2_000),
            ("24h0m0s", 86_400_000),
        ] {
            assert_eq!(limit(text).map(|limit| limit.as_millis()), Some(milliseconds), "{text}");
        }
        assert_eq!(of_go("1h2m3.000000004s"), Some(Duration::new(3723, 4)));
    }

    #[test]
    fn invalid_time_limits_are_rejected() {
        for text in [
            "",
            "0",
            "0s",
            "5",
            "-5m",
            "1..5s",
            ".s",
            "1.5.5h",
            "s",
            "5 m x",
            "24h0m0.1s",
            "9999999999999999h",
            "1e3s",
            "5M5",
            "\u{661}s",
            "+",
        ] {
            assert_eq!(limit(text), None, "{text}");
        }
    }
}
