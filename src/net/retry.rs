//! When a request is sent again: how long to wait, and when it can't help.
//!
//! Waits grow from a tenth of a second to five, each shortened by chance, so that the clients a registry
//! has just thrown out don't all come back at once. A registry's `Retry-After` is never undercut.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9110.html#field.retry-after>

use std::fmt;
use std::time::{Duration, SystemTime};

use http::StatusCode;

/// The longest first wait. Short, as the usual cause is a connection that was cut once.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait that we choose ourselves.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How often one request is sent at most. With one in five failing, one in 200 million fails so often.
pub(crate) const MAX_ATTEMPTS: u32 = 12;

/// The longest time that is shown in full.
const LONGEST_TOLD: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

/// Until when a registry wants to be left alone, for people: `until 2026-11-30 14:32:05 UTC (in 1h 2m 3s)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    at: SystemTime,
    wait: Duration,
}

impl Until {
    /// The time that is `wait` after `now`.
    pub(crate) fn after(wait: Duration, now: SystemTime) -> Self {
        // The next whole second: earlier would be too early.
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        let wait = Duration::from_secs(seconds).min(LONGEST_TOLD);
        Self { at: now.checked_add(wait).unwrap_or(now), wait }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::try_from(self.at).ok().filter(|_| self.wait < LONGEST_TOLD);
        match time {
            Some(time) => write!(
                f,
                "until {} (in {})",
                time.strftime("%Y-%m-%d %H:%M:%S UTC"),
                humantime::format_duration(self.wait)
            ),
            None => f.write_str("for more than 1000 years"),
        }
    }
}

/// The value of a `Retry-After` header, seconds or a date, as a wait from `now` on; a date in the past says
/// nothing.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a u64 holds is still a number: longer than any deadline.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    date.duration_since(now).ok()
}

/// Whether the same request may fare better later.
pub(crate) fn status_is_transient(status: StatusCode) -> bool {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => true,
        // These say that the server will never do it.
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => false,
        status => status.is_server_error(),
    }
}

/// Whether a host wants to be left alone: 429, and 503 with the time.
pub(crate) fn leaves_alone(status: StatusCode, retry_after: Option<Duration>) -> bool {
    match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::SERVICE_UNAVAILABLE => retry_after.is_some_and(|wait| !wait.is_zero()),
        _ => false,
    }
}

/// The wait after attempt number `attempt` (the first is 0) has failed.
pub(crate) fn wait(attempt: u32, asked: Option<Duration>) -> Duration {
    // Without randomness the waits are still right, only less spread.
    let chance = getrandom::u32().unwrap_or(u32::MAX);
    wait_by_chance(attempt, asked, chance)
}

fn wait_by_chance(attempt: u32, asked: Option<Duration>, chance: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << attempt.min(10)).min(LONGEST_WAIT);
    // Between a half and the whole.
    let share = 0.5 + 0.5 * f64::from(chance) / f64::from(u32::MAX);
    let own = longest.mul_f64(share);
    match asked {
        // A little after the time that was asked for, not all at the same moment.
        Some(asked) => asked.saturating_add(FIRST_WAIT.mul_f64(share)).max(own),
        None => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let after = |text: &str| retry_after(text, now);
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after(" 0 "), Some(Duration::ZERO));
        assert_eq!(after("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        for wrong in ["Sun, 06 Nov 1994 08:49:27 GMT", "", "-1", "1.5", "soon", "+3"] {
            assert_eq!(after(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn until_when_is_a_time_of_day_and_a_wait() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (wait, want) in [
            (Duration::from_secs(3723), "until 1994-11-06 09:51:40 UTC (in 1h 2m 3s)"),
            (Duration::from_millis(1500), "until 1994-11-06 08:49:39 UTC (in 2s)"),
            (Duration::from_secs(90_000), "until 1994-11-07 09:49:37 UTC (in 1day 1h)"),
            (Duration::from_secs(u64::MAX), "for more than 1000 years"),
            (Duration::MAX, "for more than 1000 years"),
        ] {
            assert_eq!(Until::after(wait, now).to_string(), want);
        }
    }

    #[test]
    fn waits_grow_and_stay_below_five_seconds() {
        let millis = |attempt, chance| wait_by_chance(attempt, None, chance).as_millis();
        assert_eq!((millis(0, 0), millis(0, u32::MAX)), (50, 100));
        assert_eq!((millis(3, 0), millis(3, u32::MAX)), (400, 800));
        assert_eq!((millis(40, 0), millis(40, u32::MAX)), (2500, 5000));
    }

    #[test]
    fn what_the_registry_asked_for_is_never_undercut() {
        let asked = Duration::from_secs(7);
        assert_eq!(wait_by_chance(0, Some(asked), 0), Duration::from_millis(7050));
        assert_eq!(wait_by_chance(9, Some(Duration::ZERO), 0), Duration::from_millis(2500));
        assert_eq!(wait_by_chance(0, Some(Duration::MAX), 7), Duration::MAX);
    }

    #[test]
    fn a_server_that_can_not_is_not_asked_again() {
        for (code, transient) in
            [(408, true), (429, true), (500, true), (502, true), (503, true), (504, true)]
                .into_iter()
                .chain([400, 401, 403, 404, 405, 409, 413, 501, 505].map(|code| (code, false)))
        {
            assert_eq!(status_is_transient(StatusCode::from_u16(code).unwrap()), transient, "{code}");
        }
    }

    #[test]
    fn a_host_is_left_alone_where_it_says_so() {
        let wait = Some(Duration::from_secs(7));
        for (status, wait, want) in [
            (429, None, true),
            (429, wait, true),
            (503, wait, true),
            (503, Some(Duration::ZERO), false),
            (503, None, false),
            (500, wait, false),
            (403, wait, false),
        ] {
            assert_eq!(leaves_alone(StatusCode::from_u16(status).unwrap(), wait), want, "{status} {wait:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(value in ".{0,60}") {
            if let Some(wait) = retry_after(&value, SystemTime::UNIX_EPOCH) {
                let _ = Until::after(wait, SystemTime::now()).to_string();
            }
        }
    }
}
