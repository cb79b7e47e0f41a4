//! Results under the name of another API version, or under the names of both.

use serde_json::{Value, json};

use super::gaps;
use crate::run::*;

const KINDS: [(RunKind, &str); 2] =
    [(RunKind::TaskRun, "taskResults"), (RunKind::PipelineRun, "pipelineResults")];

fn run(version: &str, kind: RunKind, status: Value) -> Result<Run, RunError> {
    let object = json!({ "apiVersion": format!("tekton.dev/{version}"), "kind": kind.name(),
        "metadata": { "name": "r", "namespace": "ci", "uid": "u" }, "status": status });
    Run::from_objects(object, Vec::new())
}

fn results(value: &str) -> Value {
    json!([{ "name": "IMAGE_URL", "value": value }, { "name": "IMAGE_DIGEST", "value": "d" }])
}

#[test]
fn of_two_names_the_filled_one_counts_and_two_contents_are_refused() {
    for (kind, field) in KINDS {
        let (one, two) = (results("a"), results("b"));
        for (old, new, want) in [
            (one.clone(), None, Some("a")),
            (one.clone(), Some(Value::Null), Some("a")),
            (one.clone(), Some(json!([])), Some("a")),
            (one.clone(), Some(one.clone()), Some("a")),
            (Value::Null, Some(one.clone()), Some("a")),
            (json!([]), Some(one.clone()), Some("a")),
            (one.clone(), Some(two), None),
            (one.clone(), Some(json!("x")), None),
            (json!({}), Some(one), None),
        ] {
            let mut status = json!({ field: old });
            if let Some(new) = new {
                status["results"] = new;
            }
            let shown = status.to_string();
            match (run("v1beta1", kind, status), want) {
                (Ok(run), Some(want)) => {
                    assert_eq!(run.run().results()[0].value.text(), want, "{shown}");
                    assert_eq!(run.object()["status"].get(field), None, "{shown}");
                    assert!(gaps(&run).is_empty(), "{shown}");
                }
                (Err(error), None) => {
                    let error = error.to_string();
                    assert!(error.contains(&format!("status.{field} and status.results")), "{error}");
                }
                (run, _) => panic!("{shown}: {run:?}"),
            }
        }
    }
}

#[test]
fn results_that_v1_does_not_have_are_named_and_hints_among_them_are_an_error() {
    for (kind, _) in KINDS {
        for field in ["taskResults", "pipelineResults"] {
            let gap = format!(
                "r: the results in status.{field}, which tekton.dev/v1 does not have, are left out (give the object as tekton.dev/v1beta1 \
                 if it is)"
            );
            let plain = json!([{ "name": "commit", "value": "c" }]);
            for (content, gap, problem) in [
                (results("a"), Some(&gap), true),
                (plain, Some(&gap), false),
                (json!("x"), Some(&gap), false),
                (json!([]), None, false),
                (Value::Null, None, false),
            ] {
                let run = run("v1", kind, json!({ "results": results("b"), field: content })).unwrap();
                let gap: Vec<String> = gap.into_iter().cloned().collect();
                assert_eq!(gaps(&run), gap, "{kind}");
                assert_eq!(run.not_in_status().iter().map(Gap::to_string).collect::<Vec<_>>(), gap, "{kind}");
                let found = hints(&run, &HintOptions::default());
                assert_eq!(found.problems.len(), usize::from(problem), "{kind} {:?}", found.problems);
                assert!(
                    found.problems.iter().all(|problem| problem.what.contains(field)),
                    "{:?}",
                    found.problems
                );
                assert_eq!(found.hints.len(), 2, "what v1 has is read");
            }
        }
    }
}

/// A TaskRun of a PipelineRun is looked at like the run itself, where its results count.
#[test]
fn results_of_a_child_that_v1_does_not_have_are_not_lost_in_silence() {
    let parent = json!({ "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": { "name": "pr" }, "status": {
        "childReferences": [{ "kind": "TaskRun", "name": "r", "pipelineTaskName": "t" }], "pipelineSpec": { "tasks": [{ "name": "t" }] } } });
    let child = json!({ "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": { "name": "r", "labels": { "tekton.dev/pipelineTask": "t" } },
        "status": { "completionTime": "2026-01-01T00:00:00Z", "conditions": [{ "type": "Succeeded", "status": "True" }],
            "taskResults": results("a") } });
    let run = Run::from_objects(parent, vec![child]).unwrap();
    assert!(gaps(&run)[0].contains("status.taskResults"), "{:?}", gaps(&run));
    for deep in [true, false] {
        let found = hints(&run, &HintOptions { deep, steps: false });
        assert_eq!(found.problems.len(), usize::from(deep), "{:?}", found.problems);
    }
}
