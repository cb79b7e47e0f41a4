//! Standard output for machines, standard error for people.

use std::io::{self, Write as _};

use crate::explain::{Explain, Explanation};

/// Where a command prints. A reader that went away is no error of ours.
pub(super) struct Output {
    out: io::Stdout,
    err: io::Stderr,
}

impl Output {
    pub(super) fn new() -> Self {
        Self { out: io::stdout(), err: io::stderr() }
    }

    /// Text on standard output, as it is.
    pub(super) fn print(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
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
}
