//! Does Stepseal write of every run what Tekton Chains writes of it?
//!
//! Chains' own formatters are the judge, as a Go program (`tests/peers/chains-formats`). Where an answer differs,
//! `differences` must know why, and docs/chains-differences.md must say it.

mod differences;
mod generate;
mod oracle;

use std::collections::{BTreeMap, BTreeSet};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use stepseal::run::Run;

use differences::{Reason, judge};
use generate::Given;
use oracle::Answer;

/// How many runs are generated, unless STEPSEAL_GENERATED_RUNS says another number; each is asked in ten ways.
const RUNS: usize = 2000;
/// How many unlisted differences are shown: the smallest run of each kind.
const SHOWN: usize = 12;

const DIFFERENCES: &str = include_str!("../../../docs/chains-differences.md");

/// The smallest run of which an answer differs in some way, and how many others do.
struct Wrong {
    count: usize,
    run: String,
    text: String,
}

#[derive(Default)]
struct Tally {
    compared: usize,
    same: usize,
    /// Of the same ones: neither made a statement.
    refused: usize,
    listed: BTreeMap<Reason, usize>,
    wrong: BTreeMap<String, Wrong>,
}

impl Tally {
    fn count(&mut self, runs: &[Given]) {
        let asks = oracle::asks();
        for (given, theirs) in runs.iter().zip(oracle::chains(runs, &asks)) {
            for ((ask, ours), theirs) in asks.iter().zip(oracle::ours(given, &asks)).zip(theirs) {
                self.compared += 1;
                self.refused +=
                    usize::from(matches!((&ours, &theirs), (Answer::Refused(_), Answer::Refused(_))));
                match judge(given, &ours, &theirs) {
                    Ok(reasons) if reasons.is_empty() => self.same += 1,
                    Ok(reasons) => {
                        reasons.into_iter().for_each(|reason| *self.listed.entry(reason).or_default() += 1)
                    }
                    Err(()) => self.add(given, &format!("{ask:?}"), &ours, &theirs),
                }
            }
        }
    }

    fn add(&mut self, given: &Given, ask: &str, ours: &Answer, theirs: &Answer) {
        let run = json!([given.object, given.task_runs]).to_string();
        let (kind, text) = told(ours, theirs);
        let text = format!("{ask} {text}");
        let wrong = self.wrong.entry(kind).or_insert_with(|| Wrong {
            count: 0,
            run: run.clone(),
            text: text.clone(),
        });
        wrong.count += 1;
        if run.len() < wrong.run.len() {
            (wrong.run, wrong.text) = (run, text);
        }
    }

    fn report(self, of: &str) {
        let unlisted: usize = self.wrong.values().map(|wrong| wrong.count).sum();
        println!(
            "{of}: {} answers compared, {} the same ({} of them refusals), {unlisted} unlisted differences; listed:",
            self.compared, self.same, self.refused
        );
        for (reason, count) in &self.listed {
            println!("  {count:6} {}", reason.line());
            assert!(
                DIFFERENCES.contains(reason.line()),
                "docs/chains-differences.md has no {:?}",
                reason.line()
            );
        }
        let mut wrong: Vec<_> = self.wrong.iter().collect();
        wrong.sort_by_key(|(_, wrong)| std::cmp::Reverse(wrong.count));
        let shown: Vec<String> = wrong
            .iter()
            .take(SHOWN)
            .map(|(kind, wrong)| format!("{} times: {kind}\n{}\nrun {}", wrong.count, wrong.text, wrong.run))
            .collect();
        assert!(shown.is_empty(), "{unlisted} unlisted differences:\n{}", shown.join("\n\n"));
    }
}

/// What kind of difference it is, and where both begin to differ.
fn told(ours: &Answer, theirs: &Answer) -> (String, String) {
    match (ours, theirs) {
        (Answer::Statement(ours), Answer::Statement(theirs)) => {
            let at = match (&ours["predicate"], &theirs["predicate"]) {
                (ours, theirs) if ours != theirs => first_difference(ours, theirs, "/predicate"),
                _ => subjects(ours, theirs),
            };
            let kind: String =
                at.split_whitespace().next().unwrap_or("").chars().filter(|c| !c.is_ascii_digit()).collect();
            (kind, at)
        }
        (Answer::Refused(ours), Answer::Statement(_)) => {
            (format!("refused by us: {}", first_words(ours)), ours.clone())
        }
        (_, Answer::Refused(theirs)) => {
            (format!("refused by Chains: {}", first_words(theirs)), theirs.clone())
        }
    }
}

/// The subjects that only one of both has.
fn subjects(ours: &Value, theirs: &Value) -> String {
    let named = |statement: &Value| -> BTreeSet<String> {
        statement["subject"].as_array().into_iter().flatten().map(Value::to_string).collect()
    };
    let (ours, theirs) = (named(ours), named(theirs));
    let only = |of: &BTreeSet<String>, other: &BTreeSet<String>| -> Vec<String> {
        of.difference(other).cloned().collect()
    };
    format!("/subject ours {:?} theirs {:?}", only(&ours, &theirs), only(&theirs, &ours))
}

fn first_words(text: &str) -> String {
    text.split_whitespace().take(4).collect::<Vec<_>>().join(" ")
}

/// The way to the first difference, and both values there.
fn first_difference(ours: &Value, theirs: &Value, at: &str) -> String {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            let (key, ours, theirs) = keys
                .into_iter()
                .map(|key| (key, ours.get(key), theirs.get(key)))
                .find(|(_, ours, theirs)| ours != theirs)
                .unwrap();
            match (ours, theirs) {
                (Some(ours), Some(theirs)) => first_difference(ours, theirs, &format!("{at}/{key}")),
                _ => format!("{at}/{key} {ours:?} {theirs:?}"),
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            let index = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs).unwrap();
            first_difference(&ours[index], &theirs[index], &format!("{at}/{index}"))
        }
        _ => format!("{at} {ours} {theirs}"),
    }
}

#[test]
#[ignore = "needs Chains' formatters: tests/peers/run chains_formats"]
fn the_given_runs_have_the_provenance_that_chains_writes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chains-cases");
    let inputs = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().join("input.yaml"));
    let runs: Vec<Given> = inputs
        .filter(|input| input.is_file())
        .map(|input| {
            let run = Run::parse(&std::fs::read(input).unwrap()).unwrap();
            let task_runs = run.children().iter().map(|child| child.value().clone()).collect();
            Given { object: run.object().clone(), task_runs }
        })
        .collect();
    assert!(runs.len() >= 24, "the cases are there: {}", runs.len());
    let mut tally = Tally::default();
    tally.count(&runs);
    tally.report("given runs");
}

#[test]
#[ignore = "needs Chains' formatters: tests/peers/run chains_formats"]
fn generated_runs_have_the_provenance_that_chains_writes() {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let strategy = generate::given();
    let count =
        std::env::var("STEPSEAL_GENERATED_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(RUNS);
    let runs: Vec<Given> = (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let mut tally = Tally::default();
    tally.count(&runs);
    assert!(tally.same > tally.compared / 2, "most are the same: {} of {}", tally.same, tally.compared);
    tally.report("generated runs");
}
