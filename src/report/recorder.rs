//! Records a run in progress: what is to be signed, and each outcome.
//!
//! The report is made from this record alone, so it can't omit anything that was to be signed. Anything
//! without an outcome at the end of the run has failed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{ExpectedOutcome, OutcomeLabel, Report, ReportSubject, SubjectOutcome};
use crate::exit::ExitCode;
use crate::explain::Explanation;
use crate::registry::client::Stats;

/// An event during a run.
#[derive(Clone, Copy, Debug)]
pub enum RunEvent<'a> {
    /// An index lists a subject that the plan didn't have.
    Found(&'a ExpectedOutcome),
    /// Signing a subject in a store ended.
    Ended(&'a SubjectOutcome),
}

/// The expected outcomes, and the outcomes so far.
#[derive(Debug)]
pub struct RunRecorder {
    expected: Vec<ExpectedOutcome>,
    known: HashSet<(OutcomeLabel, ReportSubject)>,
    outcomes: Vec<SubjectOutcome>,
}

impl RunRecorder {
    /// Starts with the plan's expected outcomes.
    pub fn new(expected: Vec<ExpectedOutcome>) -> Self {
        let known = expected.iter().map(|expected| (expected.label, expected.subject.clone())).collect();
        Self { expected, known, outcomes: Vec::new() }
    }

    /// Adds an event to the record.
    pub fn note(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::Found(found) => {
                if self.known.insert((found.label, found.subject.clone())) {
                    self.expected.push(found.clone());
                }
            }
            RunEvent::Ended(outcome) => self.outcomes.push(outcome.clone()),
        }
    }

    /// The report of a run that finished. Anything without an outcome has failed; `seen` is called with each of these outcomes.
    pub(crate) fn finished(
        self,
        elapsed: Duration,
        stats: Stats,
        seen: &mut dyn FnMut(&SubjectOutcome),
    ) -> Report {
        let why = explained(
            "Stepseal recorded no outcome, so this counts as not signed",
            "run again; if it happens again, this is a bug in Stepseal; please report it",
        );
        self.report(&why, elapsed, stats, seen)
    }

    /// The explanation for a run that `why` interrupted.
    pub(crate) fn interruption(why: &str) -> Explanation {
        explained(why, "run again; what is signed stays signed")
    }

    /// The report of an interrupted run: unfinished work failed because of `why`, and `seen` is called with each of these
    /// outcomes.
    pub(crate) fn interrupted(
        self,
        why: &Explanation,
        elapsed: Duration,
        stats: Stats,
        seen: &mut dyn FnMut(&SubjectOutcome),
    ) -> Report {
        let report = self.report(why, elapsed, stats, seen);
        Report { interrupted: true, ..report }
    }

    /// The report of a run that refused to sign, for a reason found after it started. Anything without an outcome failed
    /// because of `why`, and `seen` is called with each of these outcomes.
    pub fn refused(
        self,
        why: &Explanation,
        elapsed: Duration,
        stats: Stats,
        seen: &mut dyn FnMut(&SubjectOutcome),
    ) -> Report {
        self.report(why, elapsed, stats, seen)
    }

    fn report(
        mut self,
        why: &Explanation,
        elapsed: Duration,
        stats: Stats,
        seen: &mut dyn FnMut(&SubjectOutcome),
    ) -> Report {
        let missing: Vec<SubjectOutcome> =
            self.missing().iter().map(|expected| expected.failed(why)).collect();
        missing.iter().for_each(seen);
        self.outcomes.extend(missing);
        Report::new(self.outcomes, elapsed, stats)
    }

    /// The expected outcomes that are missing. If several runs attest to the same image, `from` distinguishes them where
    /// it is equal in the expected and the actual outcome.
    fn missing(&self) -> Vec<&ExpectedOutcome> {
        let mut ended: HashMap<(OutcomeLabel, &ReportSubject), Vec<&[String]>> = HashMap::new();
        for outcome in &self.outcomes {
            ended.entry((outcome.label, &outcome.subject)).or_default().push(&outcome.from);
        }
        let mut missing: Vec<&ExpectedOutcome> = self.expected.iter().collect();
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
    use crate::report::SignedOutcome;

    fn expected(number: u32, from: &str) -> ExpectedOutcome {
        let digest = Digest::of(&number.to_be_bytes());
        let image = format!("registry.example/app@{digest}").parse().unwrap();
        ExpectedOutcome {
            label: OutcomeLabel::IMAGE,
            subject: ReportSubject::Image(image),
            from: vec![from.to_owned()],
        }
    }

    fn done(expected: &ExpectedOutcome, from: &str) -> SubjectOutcome {
        let done =
            SignedOutcome { location: "x".into(), added: 1, present: 0, replaced: 0, key_id: "k".into() };
        SubjectOutcome {
            label: expected.label,
            subject: expected.subject.clone(),
            from: vec![from.to_owned()],
            result: Ok(done),
        }
    }

    fn refused(expected: &ExpectedOutcome) -> SubjectOutcome {
        expected.failed(&Explanation { exit: ExitCode::Refused, ..explained("no", "do") })
    }

    /// The report of a run with these subjects and outcomes. An index lists all subjects but the first.
    fn report(expected: &[ExpectedOutcome], outcomes: &[SubjectOutcome], interrupted: bool) -> Report {
        let mut recorder = RunRecorder::new(expected.iter().take(1).cloned().collect());
        expected.iter().skip(1).for_each(|found| recorder.note(RunEvent::Found(found)));
        outcomes.iter().for_each(|outcome| recorder.note(RunEvent::Ended(outcome)));
        let (why, mut added) = (RunRecorder::interruption("SIGTERM interrupted the run"), 0);
        let mut seen = |outcome: &SubjectOutcome| {
            assert!(outcome.result.is_err());
            added += 1;
        };
        let report = match interrupted {
            true => recorder.interrupted(&why, Duration::ZERO, Stats::default(), &mut seen),
            false => recorder.finished(Duration::ZERO, Stats::default(), &mut seen),
        };
        assert_eq!(outcomes.len() + added, report.outcomes().len(), "added outcomes are passed on");
        report
    }

    #[test]
    fn an_interrupted_run_is_never_done() {
        let all = [expected(1, "argument 1"), expected(2, "index 1")];
        let (one, two) = (done(&all[0], "argument 1"), done(&all[1], "index 1"));
        let cases: [(&[SubjectOutcome], ExitCode, ExitCode); 6] = [
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
                assert_eq!(report.outcomes().len(), 2, "every subject is in the report");
            }
        }
        let nothing = |interrupted| report(&[], &[], interrupted).exit();
        assert_eq!((nothing(true), nothing(false)), (ExitCode::Failed, ExitCode::Results));
    }

    #[test]
    fn the_missing_run_of_two_that_attest_to_one_image_is_named() {
        let all = [expected(1, "taskrun ci/a"), expected(1, "taskrun ci/b")];
        let mut recorder = RunRecorder::new(all.to_vec());
        recorder.note(RunEvent::Ended(&done(&all[0], "taskrun ci/b")));
        let missing = recorder.missing();
        assert_eq!(missing, [&all[0]]);
        recorder.note(RunEvent::Ended(&done(&all[0], "taskrun ci/a, so far")));
        assert!(recorder.missing().is_empty());
    }

    #[test]
    fn a_subject_that_is_found_twice_is_expected_once() {
        let all = [expected(1, "argument 1"), expected(1, "index 1"), expected(2, "x"), expected(2, "y")];
        assert_eq!(report(&all, &[], true).outcomes().len(), 2);
    }
}
