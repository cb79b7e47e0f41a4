//! Standard output for machines, standard error for people. Nothing else in this program writes to either.
//!
//! Each line for people is escaped on its way out ([`foreign::line`]): what a text from outside has in it, it can't begin a line of ours.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation, explain};
use crate::foreign;
use crate::report::{PendingFile, ReportError};

/// Where a command prints. What could not be printed is known at the end.
pub(super) struct Output {
    out: io::Stdout,
    /// What takes the place of standard output, with what is printed so far.
    file: Option<(PendingFile, Vec<u8>)>,
    err: io::Stderr,
    /// Why something that was asked for is not on standard output: the first reason.
    lost: Option<io::Error>,
}

/// Something that was asked for is not on standard output.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
struct Lost(#[source] io::Error);

explain! { Lost,
    _ => ["output-lost", Failed, "let the program that reads it read to the end, or write to a file on a disk that has room"],
}

impl Output {
    #[expect(clippy::disallowed_methods, reason = "this is the way out")]
    pub(super) fn new() -> Self {
        Self { out: io::stdout(), file: None, err: io::stderr(), lost: None }
    }

    /// Lets `file` get what standard output would get, whole, when the command ends.
    pub(super) fn redirect(&mut self, file: PendingFile) {
        self.file = Some((file, Vec::new()));
    }

    /// Text on standard output, as it is: this program's own, such as a manual or a key. A closed pipe is ignored: the reader has
    /// seen enough.
    pub(super) fn print(&mut self, text: &str) {
        let kept = self.lost.take();
        self.print_data(text);
        let lost = self.lost.take().filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
        self.lost = kept.or(lost);
    }

    /// JSON on standard output, for programs: the command has failed if any of it is lost.
    pub(super) fn json(&mut self, text: &str) {
        self.print_data(&foreign::json(text));
    }

    /// What programs read on standard output, as it is: the command has failed if any of it is lost.
    pub(super) fn print_data(&mut self, text: &str) {
        self.print_bytes(text.as_bytes());
    }

    /// What somebody else wrote, byte for byte, with whatever looks like a secret in it: a program that reads it compares digests. The
    /// command has failed if any of it is lost. On a terminal, which such bytes could control, it is lines for people.
    pub(super) fn print_foreign(&mut self, bytes: &[u8]) {
        if self.file.is_none() && self.out.is_terminal() {
            return self.print_lines(String::from_utf8_lossy(bytes).lines());
        }
        self.print_bytes(bytes);
    }

    /// The same as [`print_data`](Self::print_data), for what need not be text.
    pub(super) fn print_bytes(&mut self, bytes: &[u8]) {
        if let Some((_, printed)) = &mut self.file {
            printed.extend_from_slice(bytes);
            return;
        }
        if let Err(error) = self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            self.lost.get_or_insert(error);
        }
    }

    /// Lines on standard output, for people.
    pub(super) fn print_lines<T: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = T>) {
        let text: String = lines
            .into_iter()
            .flat_map(|line| [foreign::line(line.as_ref()).into_owned(), "\n".into()])
            .collect();
        self.print(&text);
    }

    /// A line for people.
    pub(super) fn line(&mut self, text: &str) {
        let _ = writeln!(self.err, "{}", foreign::line(text));
    }

    /// Lines for people that belong together.
    pub(super) fn lines<T: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = T>) {
        lines.into_iter().for_each(|line| self.line(line.as_ref()));
    }

    /// An error with its causes and what to do.
    pub(super) fn error(&mut self, error: &dyn Explain) {
        self.explanation(&Explanation::of(error));
    }

    /// An error that is explained already.
    pub(super) fn explanation(&mut self, explanation: &Explanation) {
        self.lines(explanation.lines());
    }

    /// What clap has to say: help on standard output, errors on standard error. `again` parses the same command line with each argument escaped:
    /// clap's words are several lines with arguments between them, and an argument that a pipeline filled in must not look like one of them.
    pub(super) fn clap(&mut self, error: &clap::Error, again: impl FnOnce() -> Option<clap::Error>) {
        if !error.use_stderr() {
            return self.print(&error.render().to_string());
        }
        // Without a context it is the words of our own check of blanks, which has escaped what it repeats.
        let ours = error.context().next().is_none();
        let text = match again().filter(|escaped| escaped.kind() == error.kind()) {
            _ if ours => Cow::Owned(error.render().to_string()),
            Some(escaped) => Cow::Owned(escaped.render().to_string()),
            None => Cow::Borrowed(error.kind().as_str().unwrap_or("the command line can't be read")),
        };
        self.lines(text.trim_end().lines());
    }

    /// The exit code of a command that ended with `code`: lost output makes a success a failure.
    pub(super) fn end(&mut self, code: ExitCode) -> ExitCode {
        let written = self
            .file
            .take()
            .map_or(Ok(()), |(file, printed)| file.write(&printed).map_err(ReportError::of_file));
        let failed = match (written, self.lost.take()) {
            (Err(error), _) => {
                self.error(&error);
                true
            }
            (Ok(()), Some(lost)) => {
                self.error(&Lost(lost));
                true
            }
            (Ok(()), None) => false,
        };
        if failed && code == ExitCode::Done { ExitCode::Failed } else { code }
    }
}
