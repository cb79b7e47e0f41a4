//! What Go itself answered, and what follows from it.
//!
//! `tests/data/go-types` says how its files are made.

use serde_json::{Value, json};

use super::{GoType, normalise};
use crate::explain::Explain;
use crate::go_json;

const CASES: &str = include_str!("../../../tests/data/go-types/cases.jsonl");
const ANSWERS: &str = include_str!("../../../tests/data/go-types/answers.jsonl");

const TYPES: [GoType; 9] = [
    GoType::TaskRun,
    GoType::TaskRunSpec,
    GoType::TaskRunStatus,
    GoType::PipelineRun,
    GoType::PipelineRunSpec,
    GoType::PipelineRunStatus,
    GoType::TaskRef,
    GoType::FeatureFlags,
    GoType::ParamValue,
];

fn go_type(name: &Value) -> GoType {
    TYPES.into_iter().find(|of| name == of.name()).unwrap()
}

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// Bytes, so that the order of the fields counts too.
fn text(value: &Value) -> String {
    String::from_utf8(go_json::to_vec(value).unwrap()).unwrap()
}

#[test]
fn every_value_is_written_as_go_wrote_it_or_refused_as_go_refused_it() {
    assert_eq!(CASES.lines().count(), ANSWERS.lines().count());
    let mut wrong = Vec::new();
    for (case, answer) in lines(CASES).zip(lines(ANSWERS)) {
        let ours = normalise(go_type(&case["type"]), &case["value"]);
        let same = match (&ours, answer.get("ok")) {
            (Ok(ours), Some(go)) => text(ours) == text(go),
            (Err(_), None) => true,
            _ => false,
        };
        if !same {
            wrong.push(format!("{case}\n  Go:   {answer}\n  ours: {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_error_names_the_field_and_what_it_holds() {
    let spec = json!({"taskSpec": {"steps": [{"name": "a"}, {"timeout": "an hour\n"}]}});
    let error = normalise(GoType::TaskRunSpec, &spec).unwrap_err();
    assert_eq!(
        error.to_string(),
        "TaskRunSpec.taskSpec.steps[1].timeout is \"an hour\\n\", which is no duration (90s, 1h30m)"
    );
    assert_eq!(error.place(), "taskSpec.steps[1].timeout");
    assert!(error.hint().is_some());

    let error = normalise(GoType::TaskRunSpec, &json!({"retries": 1.5})).unwrap_err();
    assert_eq!(error.to_string(), "TaskRunSpec.retries is 1.5, which is no integer of 64 bits");
    let error = normalise(GoType::PipelineRunSpec, &json!({"params": {"a": 1}})).unwrap_err();
    assert_eq!(error.to_string(), "PipelineRunSpec.params is an object, and a list is needed");
    let error = normalise(GoType::TaskRunSpec, &json!({"params": [{"name": "p"}]})).unwrap_err();
    assert_eq!(error.to_string(), "TaskRunSpec.params[0].value has no value");
}
