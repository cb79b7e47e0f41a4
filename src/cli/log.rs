//! The log, and what is printed of a panic: on standard error, a line each.

use std::io::{self, Write};

use super::environment::Environment;
use crate::exit::ExitCode;
use crate::explain::Explanation;
use crate::{blank, foreign};

/// The environment variable with the levels of the log.
const VARIABLE: &str = "STEPSEAL_LOG";

/// Starts the log with the levels of `STEPSEAL_LOG`; `verbose`: with `debug` in their place.
///
/// # Errors
///
/// What is wrong with the variable.
pub(super) fn start(environment: &Environment, verbose: bool) -> Result<(), Explanation> {
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    std::panic::set_hook(Box::new(|panic| {
        let _ = Lines(stderr()).write_all(panic.to_string().as_bytes());
    }));
    let text = environment.get(VARIABLE).unwrap_or_default();
    let levels = match text.trim() {
        _ if verbose => "debug".parse::<Targets>().ok(),
        _ if text.is_empty() => "warn".parse::<Targets>().ok(),
        _ if blank::is_blank(&text) => None,
        text => text.parse().ok(),
    };
    let levels = levels.ok_or_else(|| Explanation {
        code: "log-levels",
        error: format!("{VARIABLE}: \"{}\" is not a list of levels", foreign::escape(&text, 80)),
        causes: Vec::new(),
        used: None,
        hint: Some(
            "set it to error, warn, info, debug or trace, or to TARGET=LEVEL,…, or leave it out".to_owned(),
        ),
        exit: ExitCode::Usage,
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Lines(stderr())).with_ansi(false);
    // A second log in the same process is a test's; the first stays.
    let _ = tracing_subscriber::registry().with(lines).with(levels).try_init();
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "each line is escaped")]
fn stderr() -> io::Stderr {
    io::stderr()
}

/// Makes one line of whatever is written at once: the log writes each event with all its fields at once.
struct Lines<W>(W);

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let line = foreign::line(text.trim_end_matches('\n'));
        self.0.write_all(format!("{line}\n").as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_field_of_an_event_begins_a_line() {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber =
            tracing_subscriber::fmt().with_writer(move || Lines(writer.clone())).with_ansi(false).finish();
        let bad = "x\nsigned     registry.example/a\r\u{1b}[2J\u{9b}\u{202e}\u{2028}y";
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(bad, shown = %bad, debug = ?bad, "first {bad}");
            tracing::warn!("second");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().all(|line| foreign::line(line) == line), "{text:?}");
    }
}
