//! Times, as Go writes them in UTC.
//!
//! Spec: <https://pkg.go.dev/time@go1.26#RFC3339Nano>,
//! <https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp>

use jiff::Timestamp;

use super::ProvenanceError;
use crate::run::RunObject;

/// How many digits a fraction of a second has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fraction {
    /// As many as it needs, as Go's own JSON has it.
    Shortest,
    /// None, 3, 6 or 9, as protocol buffers have it.
    ByThree,
}

/// When `run` began, if it says so.
pub(super) fn started(run: &RunObject, fraction: Fraction) -> Result<Option<String>, ProvenanceError> {
    time(run, "startTime", run.start_time(), fraction)
}

/// When `run` was done, if it says so.
pub(super) fn finished(run: &RunObject, fraction: Fraction) -> Result<Option<String>, ProvenanceError> {
    time(run, "completionTime", run.completion_time(), fraction)
}

fn time(
    run: &RunObject,
    what: &'static str,
    text: Option<&str>,
    fraction: Fraction,
) -> Result<Option<String>, ProvenanceError> {
    let Some(text) = text else { return Ok(None) };
    let name = || run.name().to_owned();
    let time: Timestamp =
        text.parse().map_err(|_| ProvenanceError::Time { what, name: name(), text: text.to_owned() })?;
    Ok(Some(written(time, fraction)))
}

fn written(time: Timestamp, fraction: Fraction) -> String {
    let nanoseconds = time.subsec_nanosecond();
    let precision = match fraction {
        Fraction::Shortest => None,
        Fraction::ByThree if nanoseconds == 0 => Some(0),
        Fraction::ByThree if nanoseconds % 1_000_000 == 0 => Some(3),
        Fraction::ByThree if nanoseconds % 1_000 == 0 => Some(6),
        Fraction::ByThree => Some(9),
    };
    match precision {
        Some(digits) => format!("{time:.digits$}"),
        None => time.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_kept_each_in_its_way() {
        for (text, shortest, by_three) in [
            ("2025-03-04T05:06:07Z", "2025-03-04T05:06:07Z", "2025-03-04T05:06:07Z"),
            ("2025-03-04T07:06:07+02:00", "2025-03-04T05:06:07Z", "2025-03-04T05:06:07Z"),
            ("2025-03-04T05:06:07.5Z", "2025-03-04T05:06:07.5Z", "2025-03-04T05:06:07.500Z"),
            ("2025-03-04T05:06:07.1234Z", "2025-03-04T05:06:07.1234Z", "2025-03-04T05:06:07.123400Z"),
            (
                "2025-03-04T05:06:07.000000001Z",
                "2025-03-04T05:06:07.000000001Z",
                "2025-03-04T05:06:07.000000001Z",
            ),
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(written(time, Fraction::Shortest), shortest);
            assert_eq!(written(time, Fraction::ByThree), by_three);
        }
    }
}
