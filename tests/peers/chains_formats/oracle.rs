//! Runs Chains' own formatters and Stepseal's on the same runs.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use stepseal::go_json;
use stepseal::payload::provenance::payload;
use stepseal::run::{BuildType, ProvenanceOptions, Run, RunFormat};

use super::generate::Given;

/// What one formatter made of a run.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// The statement as JSON.
    Statement(Value),
    /// Why there is none.
    Refused(String),
}

/// What is asked of each run: the format, deep inspection, the build type.
pub(super) type Ask = (RunFormat, bool, BuildType);

/// Everything that can be asked.
pub(super) fn asks() -> Vec<Ask> {
    let mut asks = Vec::new();
    for deep in [false, true] {
        asks.push((RunFormat::SlsaV1, deep, BuildType::Slsa));
        for format in [RunFormat::SlsaV2Alpha3, RunFormat::SlsaV2Alpha4] {
            for build_type in [BuildType::Slsa, BuildType::SlsaTekton] {
                asks.push((format, deep, build_type));
            }
        }
    }
    asks
}

fn options((_, deep, build_type): Ask) -> ProvenanceOptions {
    ProvenanceOptions { build_type, deep_inspection: deep, ..ProvenanceOptions::default() }
}

/// What Chains makes of each of `runs`: an answer an ask.
pub(super) fn chains(runs: &[Given], asks: &[Ask]) -> Vec<Vec<Answer>> {
    let asked: Vec<Value> = asks
        .iter()
        .map(|ask| {
            let options = options(*ask);
            json!({"format": ask.0.name(), "deep": ask.1, "buildType": ask.2.uri(), "builderID": options.builder_id})
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let (questions, answers) = (folder.path().join("questions"), folder.path().join("answers"));
    let mut file = File::create(&questions).unwrap();
    for run in runs {
        // As the API server returns it: parameters that aren't strings show their JSON.
        let mut line = json!({"object": run.object, "taskRuns": run.task_runs, "asks": asked});
        line.sort_all_objects();
        file.write_all(&go_json::to_vec(&line).unwrap()).unwrap();
        file.write_all(b"\n").unwrap();
    }
    let status = Command::new("chains-formats")
        .stdin(File::open(&questions).unwrap())
        .stdout(Stdio::from(File::create(&answers).unwrap()))
        .status()
        .expect("chains-formats runs; tests/peers/run installs it");
    assert!(status.success(), "{status}");
    let text = std::fs::read_to_string(&answers).unwrap();
    let answers: Vec<Vec<Answer>> = text.lines().map(line).collect();
    assert_eq!(answers.len(), runs.len(), "a line of answers for each run");
    answers
}

fn line(text: &str) -> Vec<Answer> {
    let mut line: Value = serde_json::from_str(text).unwrap();
    let Value::Array(answers) = line["answers"].take() else { panic!("{text}") };
    answers.into_iter().map(answer).collect()
}

fn answer(mut answer: Value) -> Answer {
    if answer["statement"].is_object() {
        return Answer::Statement(answer["statement"].take());
    }
    let said = |name: &str| answer[name].as_str().map(|text| format!("{name}: {text}"));
    Answer::Refused(said("panic").or_else(|| said("error")).unwrap_or_else(|| panic!("{answer}")))
}

/// What Stepseal makes of `given`: an answer an ask.
pub(super) fn stepseal(given: &Given, asks: &[Ask]) -> Vec<Answer> {
    // Through its text, as a user gives it.
    let documents: Vec<&Value> = std::iter::once(&given.object).chain(&given.task_runs).collect();
    let text = serde_json::to_vec(&json!(documents)).unwrap();
    let run = match Run::parse(&text) {
        Ok(run) => run,
        Err(error) => return vec![Answer::Refused(error.to_string()); asks.len()],
    };
    asks.iter()
        .map(|ask| match payload(&run, ask.0, &options(*ask)) {
            Ok(made) => Answer::Statement(serde_json::from_slice(&made.payload.bytes).unwrap()),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                Answer::Refused(format!("{error}: {cause}"))
            }
        })
        .collect()
}
