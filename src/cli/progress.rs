//! A progress bar on a terminal; plain lines everywhere else.

use std::collections::HashSet;
use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::Output;
use crate::config;
use crate::explain::Explanation;
use crate::flow::session::Observer;
use crate::report::{RunEvent, SubjectOutcome};

/// How far the run is.
pub(super) struct Progress<'a> {
    out: &'a mut Output,
    bar: ProgressBar,
    silent: bool,
    told: HashSet<String>,
}

impl<'a> Progress<'a> {
    /// Shows on `out` how a run goes.
    pub(super) fn new(out: &'a mut Output) -> Self {
        Self { out, bar: ProgressBar::hidden(), silent: false, told: HashSet::new() }
    }

    /// Shows how a subject ended. Failures are shown whatever the output is, and each explanation once.
    fn ended(&mut self, outcome: &SubjectOutcome) {
        self.bar.inc(1);
        if !self.silent || outcome.result.is_err() {
            let lines = outcome.lines(&mut self.told);
            self.bar.suspend(|| self.out.lines(lines));
        }
    }
}

impl Observer for Progress<'_> {
    fn line(&mut self, text: &str) {
        self.out.line(text);
    }

    fn explanation(&mut self, why: &Explanation) {
        self.out.explanation(why);
    }

    /// Starts a bar, if a person is watching.
    fn begins(&mut self, subjects: usize, output: config::OutputFormat) {
        self.silent = output == config::OutputFormat::Json;
        #[expect(clippy::disallowed_methods, reason = "asks what it is, and prints nothing")]
        let watched = !self.silent && subjects > 1 && std::io::stderr().is_terminal();
        if watched {
            self.bar = ProgressBar::new(subjects as u64);
        }
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed}") {
            self.bar.set_style(style);
        }
    }

    fn event(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::Found(_) => self.bar.inc_length(1),
            RunEvent::Ended(outcome) => self.ended(outcome),
        }
    }

    fn interrupted(&mut self, why: &Explanation) {
        self.told.insert(why.to_string());
        self.bar.suspend(|| self.out.explanation(why));
    }

    fn ends(&mut self) {
        self.bar.finish_and_clear();
    }
}
