//! How old something may be, said in the units that the policy's author wrote: `90d` is 90 days, not two months and 29 days.

use std::fmt;
use std::time::Duration;

/// How old something may be at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaxAge {
    /// The limit that is exceeded.
    pub limit: Duration,
    words: String,
}

/// The units of durations: every spelling of each, and the word for people.
const UNITS: [(&[&str], &str); 10] = [
    (&["nanos", "nsec", "ns"], "nanosecond"),
    (&["usec", "us", "µs"], "microsecond"),
    (&["millis", "msec", "ms"], "millisecond"),
    (&["seconds", "second", "sec", "s"], "second"),
    (&["minutes", "minute", "mins", "min", "m"], "minute"),
    (&["hours", "hour", "hrs", "hr", "h"], "hour"),
    (&["days", "day", "d"], "day"),
    (&["weeks", "week", "wks", "wk", "w"], "week"),
    (&["months", "month", "M"], "month"),
    (&["years", "year", "yrs", "yr", "y"], "year"),
];

impl MaxAge {
    /// The limit that `text` is for.
    pub fn new(text: &str, limit: Duration) -> Self {
        let words = words(text).unwrap_or_else(|| crate::foreign::escape(text.trim(), 80));
        Self { limit, words }
    }
}

impl fmt::Display for MaxAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// Each number with its unit spelled out; `None`: a unit isn't known.
fn words(text: &str) -> Option<String> {
    let mut rest = text.trim();
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|sign: char| !sign.is_ascii_digit())?);
        let behind = behind.trim_start();
        let end = behind.find(|sign: char| !sign.is_alphabetic()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at(end);
        let (_, word) = UNITS.iter().find(|(spellings, _)| spellings.contains(&unit))?;
        let number = number.parse::<u64>().ok()?;
        parts.push(format!("{number} {word}{}", if number == 1 { "" } else { "s" }));
        rest = next.trim_start();
    }
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_said_in_the_units_it_was_written_in() {
        for (text, words) in [
            ("90d", "90 days"),
            ("1d", "1 day"),
            ("30 days", "30 days"),
            ("12h", "12 hours"),
            ("1h30m", "1 hour 30 minutes"),
            ("1h 30min", "1 hour 30 minutes"),
            ("2w", "2 weeks"),
            ("3M", "3 months"),
            ("1y", "1 year"),
            (" 36hr ", "36 hours"),
            ("100ms", "100 milliseconds"),
        ] {
            let limit = humantime::parse_duration(text).unwrap();
            assert_eq!(MaxAge::new(text, limit).to_string(), words, "{text}");
        }
    }

    #[test]
    fn every_unit_that_is_read_is_said() {
        for (spellings, word) in UNITS {
            let one = humantime::parse_duration(&format!("1{}", spellings[0])).unwrap();
            for unit in spellings {
                let text = format!("2{unit}");
                let limit = humantime::parse_duration(&text).unwrap();
                assert_eq!(limit, one * 2, "{unit}");
                assert_eq!(MaxAge::new(&text, limit).to_string(), format!("2 {word}s"), "{unit}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_said_as_it_was_written() {
        let limit = Duration::from_secs(1);
        assert_eq!(MaxAge::new("1 fortnight\u{1b}", limit).to_string(), "1 fortnight\\u{1b}");
    }
}
