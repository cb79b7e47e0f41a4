//! What is known of a run while it works: what is to be signed, and how each of it ended.
//!
//! The report is made from this alone, so that nothing that was to be signed is missing from it: what has no
//! outcome when the run ends has failed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{About, Expected, Label, Outcome, Report};
use crate::exit::ExitCode;
use crate::explain::Explanation;
use crate::registry::client::Stats;

/// Something that happens while a run works.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A subject turned up that the plan didn't have: an index lists it.
    Found(&'a Expected),
    /// A subject ended, in one store.
    Ended(&'a Outcome),
}

/// Everything that is to be signed, and every outcome so far.
#[derive(Debug)]
pub struct Recorder {
    expected: Vec<Expected>,
    known: HashSet<(Label, About)>,
    outcomes: Vec<Outcome>,
}

impl Recorder {
    /// Begins with what the plan has.
    pub fn new(expected: Vec<Expected>) -> Self {
        let known = expected.iter().map(|expected| (expected.label, expected.subject.clone())).collect();
        Self { expected, known, outcomes: Vec::new() }
    }

    /// Takes note of `event`.
    pub fn note(&mut self, event: Event<'_>) {
        match event {
            Event::Found(found) => {
                if self.known.insert((found.label, found.subject.clone())) {
                    self.expected.push(found.clone());
                }
            }
            Event::Ended(outcome) => self.outcomes.push(outcome.clone()),
        }
    }

    /// The report of a run that went to its end. What has no outcome has failed; `seen` is called with each of these.
    pub(crate) fn finished(self, elapsed: Duration, stats: Stats, seen: &mut dyn FnMut(&Outcome)) -> Report {
        let why = explained(
            "nothing says how this ended, so it counts as not signed",
            "run again; if it happens again, report it as a fault of Stepseal",
        );
        self.report(&why, elapsed, stats, seen)
    }

    /// Why nothing more is signed in a run that `why` ended before its work was over.
    pub(crate) fn interruption(why: &str) -> Explanation {
        explained(why, "run again; what is signed stays signed")
    }

    /// The report of a run that was ended before its work was over: what hadn't ended by then failed because of `why`, and
    /// `seen` is called with each of these.
    pub(crate) fn interrupted(
        self,
        why: &Explanation,
        elapsed: Duration,
        stats: Stats,
        seen: &mut dyn FnMut(&Outcome),
    ) -> Report {
        let report = self.report(why, elapsed, stats, seen);
        Report { interrupted: true, ..report }
    }

    /// The report of a run that refused to sign anything, because of what came to light after it had begun: what has no outcome of
    /// its own failed because of `why`, and `seen` is called with each of these.
    pub fn refused(
        self,
        why: &Explanation,
        elapsed: Duration,
        stats: Stats,
        seen: &mut dyn FnMut(&Outcome),
    ) -> Report {
        self.report(why, elapsed, stats, seen)
    }

    fn report(
        mut self,
        why: &Explanation,
        elapsed: Duration,
        stats: Stats,
        seen: &mut dyn FnMut(&Outcome),
    ) -> Report {
        let missing: Vec<Outcome> = self.missing().iter().map(|expected| expected.failed(why)).collect();
        missing.iter().for_each(seen);
        self.outcomes.extend(missing);
        Report::new(self.outcomes, elapsed, stats)
    }

    /// What has no outcome. Several runs may attest to one image: then what named it tells them apart, as far as it is
    /// written alike in both.
    fn missing(&self) -> Vec<&Expected> {
        let mut ended: HashMap<(Label, &About), Vec<&[String]>> = HashMap::new();
        for outcome in &self.outcomes {
            ended.entry((outcome.label, &outcome.subject)).or_default().push(&outcome.from);
        }
        let mut missing: Vec<&Expected> = self.expected.iter().collect();
        for alike in [true, false] {
            missing.retain(|expected| {
                let Some(from) = ended.get_mut(&(expected.label, &expected.subject)) else { return true };
                let at = from.iter().position(|from| !alike || *from == expected.from);
                at.map(|at| from.swap_remove(at)).is_none()
            });
        }
        missing
    }
}

fn explained(error: &str, hint: &str) -> Explanation {
    Explanation {
        code: "run-ended-early",
        error: error.to_owned(),
        causes: Vec::new(),
        used: None,
        hint: Some(hint.to_owned()),
        exit: ExitCode::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;
    use crate::report::Done;

    fn expected(number: u32, from: &str) -> Expected {
        let digest = Digest::of(&number.to_be_bytes());
        let image = format!("registry.example/app@{digest}").parse().unwrap();
        Expected { label: Label::IMAGE, subject: About::Image(image), from: vec![from.to_owned()] }
    }

    fn done(expected: &Expected, from: &str) -> Outcome {
        let done = Done { location: "x".into(), added: 1, present: 0, replaced: 0, key_id: "k".into() };
        Outcome {
            label: expected.label,
            subject: expected.subject.clone(),
            from: vec![from.to_owned()],
            result: Ok(done),
        }
    }

    fn refused(expected: &Expected) -> Outcome {
        expected.failed(&Explanation { exit: ExitCode::Refused, ..explained("no", "do") })
    }

    /// The report of a run with these subjects, the second of which an index lists, and these outcomes.
    fn report(expected: &[Expected], outcomes: &[Outcome], interrupted: bool) -> Report {
        let mut recorder = Recorder::new(expected.iter().take(1).cloned().collect());
        expected.iter().skip(1).for_each(|found| recorder.note(Event::Found(found)));
        outcomes.iter().for_each(|outcome| recorder.note(Event::Ended(outcome)));
        let (why, mut told) = (Recorder::interruption("SIGTERM came before the end"), 0);
        let mut seen = |outcome: &Outcome| {
            assert!(outcome.result.is_err());
            told += 1;
        };
        let report = match interrupted {
            true => recorder.interrupted(&why, Duration::ZERO, Stats::default(), &mut seen),
            false => recorder.finished(Duration::ZERO, Stats::default(), &mut seen),
        };
        assert_eq!(outcomes.len() + told, report.outcomes().len(), "what is added is shown");
        report
    }

    #[test]
    fn an_interrupted_run_is_never_done() {
        let all = [expected(1, "argument 1"), expected(2, "index 1")];
        let (one, two) = (done(&all[0], "argument 1"), done(&all[1], "index 1"));
        let cases: [(&[Outcome], ExitCode, ExitCode); 6] = [
            (&[], ExitCode::Failed, ExitCode::Failed),
            (std::slice::from_ref(&one), ExitCode::Partial, ExitCode::Partial),
            (&[one.clone(), two.clone()], ExitCode::Partial, ExitCode::Done),
            (&[one.clone(), refused(&all[1])], ExitCode::Partial, ExitCode::Partial),
            (&[refused(&all[0])], ExitCode::Failed, ExitCode::Failed),
            (&[refused(&all[0]), refused(&all[1])], ExitCode::Failed, ExitCode::Refused),
        ];
        for (outcomes, interrupted, finished) in cases {
            for (cut, want) in [(true, interrupted), (false, finished)] {
                let report = report(&all, outcomes, cut);
                assert_eq!(report.exit(), want, "{cut} {outcomes:?}");
                assert_eq!(report.outcomes().len(), 2, "each is in the report");
            }
        }
        let nothing = |interrupted| report(&[], &[], interrupted).exit();
        assert_eq!((nothing(true), nothing(false)), (ExitCode::Failed, ExitCode::Results));
    }

    #[test]
    fn of_two_runs_that_attest_to_one_image_the_one_that_is_missing_is_named() {
        let all = [expected(1, "taskrun ci/a"), expected(1, "taskrun ci/b")];
        let mut recorder = Recorder::new(all.to_vec());
        recorder.note(Event::Ended(&done(&all[0], "taskrun ci/b")));
        let missing = recorder.missing();
        assert_eq!(missing, [&all[0]]);
        recorder.note(Event::Ended(&done(&all[0], "taskrun ci/a, so far")));
        assert!(recorder.missing().is_empty());
    }

    #[test]
    fn a_subject_that_turns_up_twice_is_expected_once() {
        let all = [expected(1, "argument 1"), expected(1, "index 1"), expected(2, "x"), expected(2, "y")];
        assert_eq!(report(&all, &[], true).outcomes().len(), 2);
    }
}
