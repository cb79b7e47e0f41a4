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
    /// How many of these runs got no statement from either.
    refused: usize,
    listed: BTreeMap<Reason, usize>,
    wrong: BTreeMap<String, Wrong>,
}

impl Tally {
    fn count(&mut self, runs: &[Given]) {
        let asks = oracle::asks();
        for (given, chains) in runs.iter().zip(oracle::chains(runs, &asks)) {
            for ((ask, stepseal), chains) in asks.iter().zip(oracle::stepseal(given, &asks)).zip(chains) {
                self.compared += 1;
                self.refused +=
                    usize::from(matches!((&stepseal, &chains), (Answer::Refused(_), Answer::Refused(_))));
                match judge(given, &stepseal, &chains) {
                    Ok(reasons) if reasons.is_empty() => self.same += 1,
                    Ok(reasons) => {
                        reasons.into_iter().for_each(|reason| *self.listed.entry(reason).or_default() += 1)
                    }
                    Err(()) => self.add(given, &format!("{ask:?}"), &stepseal, &chains),
                }
            }
        }
    }

    fn add(&mut self, given: &Given, ask: &str, stepseal: &Answer, chains: &Answer) {
        let run = json!([given.object, given.task_runs]).to_string();
        let (kind, text) = told(stepseal, chains);
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
fn told(stepseal: &Answer, chains: &Answer) -> (String, String) {
    match (stepseal, chains) {
        (Answer::Statement(stepseal), Answer::Statement(chains)) => {
            let at = match (&stepseal["predicate"], &chains["predicate"]) {
                (stepseal, chains) if stepseal != chains => first_difference(stepseal, chains, "/predicate"),
                _ => subjects(stepseal, chains),
            };
            let kind: String =
                at.split_whitespace().next().unwrap_or("").chars().filter(|c| !c.is_ascii_digit()).collect();
            (kind, at)
        }
        (Answer::Refused(stepseal), Answer::Statement(_)) => {
            (format!("refused by us: {}", first_words(stepseal)), stepseal.clone())
        }
        (_, Answer::Refused(chains)) => {
            (format!("refused by Chains: {}", first_words(chains)), chains.clone())
        }
    }
}

/// The subjects that only one of both has.
fn subjects(stepseal: &Value, chains: &Value) -> String {
    let named = |statement: &Value| -> BTreeSet<String> {
        statement["subject"].as_array().into_iter().flatten().map(Value::to_string).collect()
    };
    let (stepseal, chains) = (named(stepseal), named(chains));
    let only = |of: &BTreeSet<String>, other: &BTreeSet<String>| -> Vec<String> {
        of.difference(other).cloned().collect()
    };
    format!("/subject stepseal {:?} chains {:?}", only(&stepseal, &chains), only(&chains, &stepseal))
}

fn first_words(text: &str) -> String {
    text.split_whitespace().take(4).collect::<Vec<_>>().join(" ")
}

/// The way to the first difference, and both values there.
fn first_difference(stepseal: &Value, chains: &Value, at: &str) -> String {
    match (stepseal, chains) {
        (Value::Object(stepseal), Value::Object(chains)) => {
            let keys: BTreeSet<&String> = stepseal.keys().chain(chains.keys()).collect();
            let (key, stepseal, chains) = keys
                .into_iter()
                .map(|key| (key, stepseal.get(key), chains.get(key)))
                .find(|(_, stepseal, chains)| stepseal != chains)
                .unwrap();
            match (stepseal, chains) {
                (Some(stepseal), Some(chains)) => first_difference(stepseal, chains, &format!("{at}/{key}")),
                _ => format!("{at}/{key} {stepseal:?} {chains:?}"),
            }
        }
        (Value::Array(stepseal), Value::Array(chains)) if stepseal.len() == chains.len() => {
            let index =
                stepseal.iter().zip(chains).position(|(stepseal, chains)| stepseal != chains).unwrap();
            first_difference(&stepseal[index], &chains[index], &format!("{at}/{index}"))
        }
        _ => format!("{at} {stepseal} {chains}"),
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
