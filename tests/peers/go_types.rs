//! Does Stepseal write Tekton's types as Go does?
//!
//! The judge is a Go program on the real types (`tests/peers/go-types`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use stepseal::go_json;
use stepseal::run::go_types::{GoType, normalise};

/// How many values are generated.
const VALUES: usize = 5000;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What the Go program says, with the file `input` to read.
fn go(job: &str, input: &Path) -> String {
    let output = Command::new("go-types")
        .arg(job)
        .stdin(Stdio::from(File::open(input).unwrap()))
        .output()
        .expect("go-types runs; tests/peers/run installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs Tekton's Go types: tests/peers/run go_types"]
fn the_table_of_types_is_current() {
    let table = std::fs::read_to_string(repository("src/run/go_types/schema.rs")).unwrap();
    assert_eq!(go("schema", Path::new("/dev/null")), table, "make it anew, as its first lines say");
}

#[test]
#[ignore = "needs Tekton's Go types: tests/peers/run go_types"]
fn the_answers_that_are_kept_are_current() {
    let answers = std::fs::read_to_string(repository("tests/data/go-types/answers.jsonl")).unwrap();
    assert_eq!(go("normalise", &repository("tests/data/go-types/cases.jsonl")), answers);
}

/// Texts that are odd as durations, quantities, times, or at all.
fn text() -> impl Strategy<Value = String> {
    let odd = ["", "0", "true", "a<b>&c", "\u{2028}é😀", "null"].map(str::to_owned);
    prop_oneof![
        3 => select(odd.to_vec()),
        2 => "[-+]?[0-9]{0,20}(\\.[0-9]{0,20})?(|n|u|m|k|K|Ki|M|Mi|G|Gi|Ti|P|Pi|E|Ei|e[-+]?[0-9]{1,2}|E[0-9])",
        2 => "[-+]?([0-9]{0,6}(\\.[0-9]{0,12})?(ns|us|µs|ms|s|m|h)){1,3}",
        2 => "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2]?[0-9]:[0-5][0-9]:[0-6][0-9]([.,][0-9]{0,10})?(Z|[-+][0-2][0-9]:[0-6][0-9])",
        1 => "\\PC{0,8}",
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => text().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => (-3..100_i64).prop_map(Value::from),
        1 => any::<f32>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| json!(f64::from(number))),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

/// Names of fields, some of them spelled oddly.
fn key() -> impl Strategy<Value = String> {
    let keys = [
        "params",
        "name",
        "value",
        "default",
        "taskSpec",
        "steps",
        "timeout",
        "computeResources",
        "limits",
        "cpu",
        "env",
        "podTemplate",
        "workspaces",
        "emptyDir",
        "sizeLimit",
        "metadata",
        "labels",
        "creationTimestamp",
        "spec",
        "status",
        "startTime",
        "results",
        "pipelineSpec",
        "tasks",
        "retries",
        "port",
        "httpGet",
        "sidecars",
        "Steps",
        "NAME",
        "timeouts",
        "pipeline",
        "taskRunTemplate",
        "when",
        "matrix",
        "conditions",
        "lastTransitionTime",
        "provenance",
        "featureFlags",
        "refSource",
        "digest",
        "volumes",
        "stepTemplate",
        "securityContext",
        "unknown",
    ];
    select(keys.map(str::to_owned).to_vec())
}

/// Any JSON from such names: mostly not what a type takes.
fn wild() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::Array),
            3 => vec((key(), inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Values in places that take their kind.
fn placed() -> impl Strategy<Value = (GoType, Value)> {
    prop_oneof![
        text().prop_map(|text| (GoType::TaskRunSpec, json!({"timeout": text}))),
        prop_oneof![text().prop_map(Value::from), leaf()]
            .prop_map(|value| (GoType::TaskRunSpec, json!({"computeResources": {"limits": {"cpu": value}}}))),
        text().prop_map(|text| (
            GoType::TaskRunStatus,
            json!({"startTime": text, "conditions": [{"lastTransitionTime": text}]})
        )),
        wild().prop_map(|value| (GoType::ParamValue, value)),
        wild()
            .prop_map(|value| (GoType::PipelineRunSpec, json!({"params": [{"name": "p", "value": value}]}))),
        wild().prop_map(|value| (
            GoType::PipelineRunSpec,
            json!({"pipelineSpec": {"tasks": [{"taskSpec": {"spec": value}}]}})
        )),
        leaf().prop_map(|value| (
            GoType::TaskRunSpec,
            json!({"taskSpec": {"sidecars": [{"readinessProbe": {"httpGet": {"port": value}}}]}})
        )),
    ]
}

fn case() -> impl Strategy<Value = (GoType, Value)> {
    let types = select(vec![
        GoType::TaskRun,
        GoType::TaskRunSpec,
        GoType::TaskRunStatus,
        GoType::PipelineRun,
        GoType::PipelineRunSpec,
        GoType::PipelineRunStatus,
    ]);
    prop_oneof![2 => placed(), 1 => (types, wild())]
}

#[test]
#[ignore = "needs Tekton's Go types: tests/peers/run go_types"]
fn generated_values_are_written_as_go_writes_them() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let strategy = case();
    let cases: Vec<(GoType, Value)> =
        (0..VALUES).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let folder = tempfile::tempdir().unwrap();
    let questions = folder.path().join("questions");
    let mut lines = Vec::new();
    for (of, value) in &cases {
        // As an API server gives it.
        let mut line = json!({"type": of.name(), "value": value});
        line.sort_all_objects();
        lines.extend(go_json::to_vec(&line).unwrap());
        lines.push(b'\n');
    }
    std::fs::write(&questions, lines).unwrap();
    let answers = go("normalise", &questions);
    assert_eq!(answers.lines().count(), cases.len());
    let (mut written, mut wrong) = (0, Vec::new());
    for ((of, value), answer) in cases.iter().zip(answers.lines()) {
        let mut value = value.clone();
        value.sort_all_objects();
        let stepseal = normalise(*of, &value);
        // As bytes: reading the answer would lose the last digit of some floats.
        let same = match &stepseal {
            Ok(stepseal) => {
                answer
                    == format!(
                        "{{\"ok\":{}}}",
                        String::from_utf8(go_json::to_vec(stepseal).unwrap()).unwrap()
                    )
            }
            Err(_) => answer.starts_with("{\"error\":"),
        };
        written += usize::from(stepseal.is_ok());
        if !same {
            wrong.push(format!("{of:?} {value}\n  Go   {answer}\n  stepseal {stepseal:?}"));
        }
    }
    println!(
        "{} values, {written} written, {} refused, {} differ",
        cases.len(),
        cases.len() - written,
        wrong.len()
    );
    assert!(written > cases.len() / 4, "{written} of {} are written", cases.len());
    wrong.sort_by_key(String::len);
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.iter().take(10).cloned().collect::<Vec<_>>().join("\n")
    );
}
