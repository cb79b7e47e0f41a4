//! A progress bar on a terminal; plain lines everywhere else.

use std::collections::HashSet;
use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::Output;
use crate::config::{self, Config};
use crate::explain::Explanation;
use crate::report::{Event, Outcome};

/// How far the run is.
pub(super) struct Progress {
    bar: ProgressBar,
    silent: bool,
    told: HashSet<String>,
}

impl Progress {
    /// Starts a bar for `subjects`, if a person is watching.
    pub(super) fn start(config: &Config, subjects: usize) -> Self {
        let silent = config.output == config::Output::Json;
        #[expect(clippy::disallowed_methods, reason = "asks what it is, and prints nothing")]
        let watched = !silent && subjects > 1 && std::io::stderr().is_terminal();
        let bar = if watched { ProgressBar::new(subjects as u64) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed}") {
            bar.set_style(style);
        }
        Self { bar, silent, told: HashSet::new() }
    }

    /// Shows what happened.
    pub(super) fn note(&mut self, out: &mut Output, event: Event<'_>) {
        match event {
            Event::Found(_) => self.bar.inc_length(1),
            Event::Ended(outcome) => self.ended(out, outcome),
        }
    }

    /// Shows why the run ended early; subjects that failed because of it refer to it.
    pub(super) fn interrupted(&mut self, out: &mut Output, why: &Explanation) {
        self.told.insert(why.to_string());
        self.bar.suspend(|| out.explanation(why));
    }

    /// Shows how a subject ended. Failures are shown whatever the output is, and each explanation once.
    pub(super) fn ended(&mut self, out: &mut Output, outcome: &Outcome) {
        self.bar.inc(1);
        if !self.silent || outcome.result.is_err() {
            let lines = outcome.lines(&mut self.told);
            self.bar.suspend(|| out.lines(lines));
        }
    }

    pub(super) fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}
