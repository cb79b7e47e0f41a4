//! Standard output for machines, standard error for people.

use std::io::{self, Write as _};

use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};

/// Where a command prints. What could not be printed is known at the end.
pub(super) struct Output {
    out: io::Stdout,
    err: io::Stderr,
    /// Why something that was asked for is not on standard output: the first reason.
    lost: Option<io::Error>,
}

/// Something that was asked for is not on standard output.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
struct Lost(#[source] io::Error);

impl Explain for Lost {
    fn hint(&self) -> Option<String> {
        Some(
            "let the program that reads it read to the end, or write to a file on a disk that has room"
                .into(),
        )
    }
}

impl Output {
    pub(super) fn new() -> Self {
        Self { out: io::stdout(), err: io::stderr(), lost: None }
    }

    /// Text for people on standard output, as it is. A closed pipe is ignored: the reader has seen enough.
    pub(super) fn print(&mut self, text: &str) {
        let kept = self.lost.take();
        self.print_data(text);
        let lost = self.lost.take().filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
        self.lost = kept.or(lost);
    }

    /// What programs read on standard output, as it is: the command has failed if any of it is lost.
    pub(super) fn print_data(&mut self, text: &str) {
        if let Err(error) = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            self.lost.get_or_insert(error);
        }
    }

    /// A line for people.
    pub(super) fn line(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}");
    }

    /// An error with its causes and what to do.
    pub(super) fn error(&mut self, error: &dyn Explain) {
        self.explanation(&Explanation::of(error));
    }

    /// An error that is explained already.
    pub(super) fn explanation(&mut self, explanation: &Explanation) {
        self.line(&explanation.to_string());
    }

    /// What clap has to say: help on standard output, errors on standard error.
    pub(super) fn clap(&mut self, error: &clap::Error) {
        let text = error.render().to_string();
        if error.use_stderr() {
            self.line(text.trim_end());
        } else {
            self.print(&text);
        }
    }

    /// The exit code of a command that ended with `code`: what was lost makes a failure of one that is done.
    pub(super) fn end(&mut self, code: ExitCode) -> ExitCode {
        let Some(lost) = self.lost.take() else { return code };
        self.error(&Lost(lost));
        if code == ExitCode::Done { ExitCode::Failed } else { code }
    }
}
