//! The children that a v1beta1 PipelineRun has in its own status.

use serde_json::json;

use super::{gaps, reference};
use crate::run::*;

/// The status of a TaskRun that is done.
fn done(image: &str) -> Value {
    json!({ "startTime": "2022-03-04T05:06:07Z", "completionTime": "2022-03-04T05:06:37Z", "podName": "pod",
        "conditions": [{ "type": "Succeeded", "status": "True" }],
        "taskResults": [{ "name": "r", "value": "v" }],
        "taskSpec": { "steps": [{ "name": "s", "script": "x" }] },
        "steps": [{ "name": "s", "imageID": image }] })
}

fn entry(task: &str, status: Value) -> Value {
    json!({ "pipelineTaskName": task, "status": status })
}

fn old(status: Value) -> Value {
    let mut run = json!({ "apiVersion": "tekton.dev/v1beta1", "kind": "PipelineRun",
        "metadata": { "name": "pr", "namespace": "ci", "uid": "u-2" },
        "status": { "pipelineSpec": { "tasks": [{ "name": "two" }, { "name": "one" }], "finally": [{ "name": "end" }] } } });
    if let (Some(own), Value::Object(fields)) = (run["status"].as_object_mut(), status) {
        own.extend(fields);
    }
    run
}

fn read(status: Value) -> Result<Run, RunError> {
    Run::from_objects(old(status), Vec::new())
}

fn names(run: &Run) -> Vec<&str> {
    run.children().iter().map(RunObject::name).collect()
}

const ALONE: &str = "this TaskRun is known from the status of the PipelineRun alone: its UID, labels, annotations, parameters and \
                     ServiceAccount are left out";

#[test]
fn children_in_the_status_are_read_in_the_order_of_the_pipeline() {
    let run = read(json!({ "taskRuns": {
        "a": entry("end", done("i")), "b": entry("one", done("i")), "c": entry("two", done("i")), "a-2": entry("one", done("i")),
        "z": entry("none", done("i")), "y": { "status": done("i") }, "x": entry("two", json!({})), "w": entry("two", Value::Null),
    } }))
    .unwrap();
    assert_eq!(names(&run), ["c", "w", "x", "a-2", "b", "a", "y", "z"]);
    let executed: Vec<&str> = run.executed().into_iter().map(RunObject::name).collect();
    assert_eq!(executed, ["c", "a-2", "b", "a"]);
    let child = &run.children()[0];
    assert_eq!((child.namespace(), child.uid(), child.pipeline_task()), ("ci", None, Some("two")));
    assert_eq!((child.labels(), child.annotations(), child.spec()), (vec![], vec![], &Value::Null));
    assert_eq!(child.results()[0].name, "r");
    assert_eq!(run.object()["status"].get("taskRuns"), None, "an object of v1 has none");
    let no_task = "the status of the PipelineRun names no task of the Pipeline that this TaskRun ran";
    let want = [
        ("c", ALONE),
        ("w", "this TaskRun has not completed"),
        ("x", "this TaskRun has not completed"),
        ("a-2", ALONE),
        ("b", ALONE),
        ("a", ALONE),
        ("y", no_task),
        ("z", no_task),
    ];
    assert_eq!(gaps(&run), want.map(|(name, why)| format!("{name}: {why}")));
}

#[test]
fn what_is_no_task_run_is_named() {
    let run = read(json!({
        "taskRuns": { "a": { "pipelineTaskName": "one", "status": done("i"), "conditionChecks": { "check": { "conditionName": "c" } } } },
        "runs": { "wait": { "pipelineTaskName": "two", "status": { "results": [] } }, "ask": { "pipelineTaskName": "end" } },
    }))
    .unwrap();
    let nothing = |name: &str, kind: &str| {
        format!("{name}: this child in the status of the PipelineRun is a {kind}, of which nothing is read")
    };
    let others = [nothing("ask", "Run"), nothing("check", "ConditionCheck"), nothing("wait", "Run")];
    assert_eq!(gaps(&run), [&others[..], &[format!("a: {ALONE}")]].concat());
    let not_in_status: Vec<String> = run.not_in_status().iter().map(Gap::to_string).collect();
    assert!(
        not_in_status[0].starts_with("a: this TaskRun is left out: the format tekton"),
        "{not_in_status:?}"
    );
    assert_eq!(not_in_status[1..], others);
}

/// `embedded-status: both`, with the TaskRuns' own objects or without.
#[test]
fn a_child_that_is_known_in_two_ways_is_taken_once() {
    let both = |references: &[(&str, &str)]| {
        let references: Vec<Value> = references.iter().map(|(kind, name)| reference(kind, name)).collect();
        let mut status = json!({ "taskRuns": { "a": entry("t", done("i")), "b": entry("t", done("i")) }, "runs": { "w": entry("t", json!({})) } });
        status["childReferences"] = references.into();
        status
    };
    let beside = |image: &str| {
        json!({ "apiVersion": "tekton.dev/v1beta1", "kind": "TaskRun", "status": done(image),
            "metadata": { "name": "a", "namespace": "ci", "uid": "u-a", "labels": { "tekton.dev/pipelineTask": "t" } } })
    };
    let run = read(both(&[("Run", "w"), ("TaskRun", "b"), ("TaskRun", "a"), ("TaskRun", "gone")])).unwrap();
    assert_eq!(names(&run), ["b", "a"], "in the order of childReferences");
    assert_eq!(
        gaps(&run)[..2],
        [
            "w: this child is a Run, of which nothing is known",
            "gone: the object of this TaskRun was not given, or is gone"
        ]
    );
    assert_eq!(gaps(&run).len(), 4);
    // A reference without a task contradicts nothing, and a repeated name is not a gap.
    let mut status = both(&[("TaskRun", "a"), ("TaskRun", "a")]);
    status["childReferences"][0].as_object_mut().unwrap().remove("pipelineTaskName");
    let run = read(status).unwrap();
    assert_eq!(names(&run), ["a", "b"]);
    assert!(
        gaps(&run).contains(
            &"a: the PipelineRun names this TaskRun twice among its children, and it is taken once"
                .to_owned()
        ),
        "{:?}",
        gaps(&run)
    );
    for references in [&[][..], &[("TaskRun", "a")]] {
        let run = Run::from_objects(old(both(references)), vec![beside("i")]).unwrap();
        let given: Vec<bool> = run.children().iter().map(|child| child.uid().is_some()).collect();
        assert_eq!((names(&run), given), (vec!["a", "b"], vec![true, false]));
    }
    let error = Run::from_objects(old(both(&[])), vec![beside("other")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "TaskRun a differs from what the status of the PipelineRun says of it: steps"
    );
    let mut status = both(&[("TaskRun", "a")]);
    status["childReferences"][0]["pipelineTaskName"] = "another".into();
    assert!(matches!(read(status), Err(RunError::Contradiction { what: "the task of the Pipeline", .. })));
}

#[test]
fn an_object_that_says_something_else_than_the_status_is_refused() {
    let child = || {
        json!({ "apiVersion": "tekton.dev/v1beta1", "kind": "TaskRun", "status": done("i"),
            "metadata": { "name": "a", "namespace": "ci", "uid": "u-a", "labels": { "tekton.dev/pipelineTask": "one" } } })
    };
    let beside = |change: &dyn Fn(&mut Value)| {
        let mut child = child();
        change(&mut child);
        Run::from_objects(old(json!({ "taskRuns": { "a": entry("one", done("i")) } })), vec![child])
    };
    assert!(beside(&|_| {}).is_ok());
    for (pointer, value, what) in [
        ("/metadata/labels/tekton.dev~1pipelineTask", json!("two"), "the task of the Pipeline"),
        ("/status/startTime", json!("2022-03-04T05:06:08Z"), "start time"),
        ("/status/completionTime", json!("2022-03-04T05:06:38Z"), "completion time"),
        ("/status/completionTime", Value::Null, "completion time"),
        ("/status/conditions/0/status", json!("False"), "outcome"),
        ("/status/podName", json!("other"), "Pod"),
        ("/status/taskResults/0/value", json!("w"), "results"),
        ("/status/taskSpec/steps/0/script", json!("y"), "taskSpec"),
        ("/status/steps/0/imageID", json!("j"), "steps"),
        ("/status/steps/0/results", json!([{ "name": "n", "value": "v" }]), "steps"),
        ("/status/provenance", json!({ "refSource": { "uri": "u" } }), "source"),
    ] {
        let changed = beside(&|child| {
            let (above, last) = pointer.rsplit_once('/').unwrap();
            child.pointer_mut(above).unwrap()[last.replace("~1", "/")] = value.clone();
        });
        assert!(
            matches!(&changed, Err(RunError::Contradiction { what: found, .. }) if *found == what),
            "{pointer}: {changed:?}"
        );
    }
    // Tekton writes these later, or in another way.
    for (field, value) in [("sidecars", json!([{ "imageID": "nop" }])), ("observedGeneration", json!(2))] {
        assert!(beside(&|child| child["status"][field] = value.clone()).is_ok(), "{field}");
    }
    // The object may be newer.
    let running =
        old(json!({ "taskRuns": { "a": entry("one", json!({ "startTime": "2022-03-04T05:06:07Z" })) } }));
    assert_eq!(Run::from_objects(running, vec![child()]).unwrap().executed().len(), 1);
}

#[test]
fn what_tekton_does_not_write_there_is_refused() {
    let of = |name: &str, value: Value| read(json!({ "taskRuns": { name: value } }));
    for (run, want) in [
        (read(json!({ "taskRuns": [] })), "status.taskRuns is a JSON array, and an object is needed"),
        (read(json!({ "taskRuns": "x" })), "status.taskRuns is a JSON string"),
        (read(json!({ "runs": [{}] })), "status.runs is a JSON array"),
        (read(json!({ "runs": { "r": 1 } })), "status.runs[r] is a JSON number"),
        (of("a", json!(7)), "status.taskRuns[a] is a JSON number"),
        (of("a", json!([done("i")])), "status.taskRuns[a] is a JSON array"),
        (of("a", json!({ "status": "Succeeded" })), "status.taskRuns[a].status is a JSON string"),
        (of("a", json!({ "conditionChecks": [] })), "status.taskRuns[a].conditionChecks is a JSON array"),
        (of("../a", json!({})), "a name in status.taskRuns cannot be used"),
        (of("", json!({})), "a name in status.taskRuns cannot be used"),
        (of("A\u{1b}[2J", json!({})), "a name in status.taskRuns cannot be used"),
        (read(json!({ "runs": { "a/b": {} } })), "a name in status.runs cannot be used"),
        (
            of("a", entry("one", json!({ "conditions": [{ "type": "Succeeded", "status": "maybe" }] }))),
            "TaskRun a does not say clearly whether it succeeded",
        ),
        (
            of("a", json!({ "status": { "steps": vec![json!({}); MAX_STEPS + 1] } })),
            "steps and sidecars, and at most",
        ),
    ] {
        let error = run.unwrap_err().to_string();
        assert!(error.contains(want) && !error.contains('\u{1b}'), "{error}");
    }
    for nothing in [json!({ "taskRuns": null, "runs": null }), json!({ "taskRuns": {} })] {
        assert!(gaps(&read(nothing).unwrap()).is_empty());
    }
    let many = |count: usize| {
        let entries = (0..count).map(|at| (format!("t{at}"), json!({ "pipelineTaskName": "one" })));
        read(json!({ "taskRuns": entries.collect::<serde_json::Map<_, _>>() }))
    };
    assert_eq!(many(1000).unwrap().children().len(), 1000);
    assert!(matches!(many(MAX_CHILDREN + 1), Err(RunError::TooManyChildren { .. })));
    let large = of("a", entry("one", json!({ "podName": "<".repeat(1024 * 1024) })));
    assert!(matches!(large, Err(RunError::LargeObject { kind: RunKind::PipelineRun, .. })));
}

/// As after an upgrade to Tekton 0.45, whose webhook drops the children in the status.
#[test]
fn a_task_of_which_nothing_is_said_is_named() {
    let over = |more: Value, succeeded: &str| {
        let mut status = json!({ "completionTime": "2022-03-04T05:06:37Z", "conditions": [{ "type": "Succeeded", "status": succeeded }] });
        if let (Some(own), Value::Object(fields)) = (status.as_object_mut(), more) {
            own.extend(fields);
        }
        let mut run = old(status);
        run["apiVersion"] = "tekton.dev/v1".into();
        gaps(&Run::from_objects(run, Vec::new()).unwrap())
    };
    let untold = |task: &str| {
        format!(
            "pr: task {task} of the Pipeline is left out: the status names neither a TaskRun of it nor that it was skipped"
        )
    };
    let all = ["two", "one", "end"].map(untold);
    assert_eq!(over(json!({}), "True"), all);
    // v1 never had that field: whoever wrote it was not Tekton.
    let of_v1 = over(json!({ "taskRuns": { "a": entry("one", done("i")), "b": 7 } }), "True");
    for (gap, name) in of_v1.iter().zip(["a", "b"]) {
        let what = "this TaskRun stands in status.taskRuns, which tekton.dev/v1 does not have";
        assert!(gap.starts_with(&format!("{name}: {what}")), "{gap}");
    }
    assert_eq!(of_v1[2..], [untold("two"), untold("end")]);
    assert_eq!(
        over(json!({ "skippedTasks": [{ "name": "one" }, { "name": "end" }] }), "True"),
        [untold("two")]
    );
    let mut references = json!([reference("TaskRun", "a"), reference("CustomRun", "b")]);
    references[0]["pipelineTaskName"] = "two".into();
    references[1]["pipelineTaskName"] = "one".into();
    assert_eq!(over(json!({ "childReferences": references }), "True")[2..], [untold("end")]);
    // A run that failed or was cancelled need not say what it skipped.
    assert!(over(json!({}), "False").is_empty());
}

#[test]
fn a_task_run_that_is_known_in_two_ways_counts_once() {
    let name = |at: usize| format!("t{at}");
    let entries: serde_json::Map<String, Value> =
        (0..MAX_CHILDREN).map(|at| (name(at), entry("one", json!({})))).collect();
    let own = |at: usize| json!({ "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": { "name": name(at), "namespace": "ci" } });
    let given: Vec<Value> = (0..MAX_CHILDREN).map(own).collect();
    let status = json!({ "taskRuns": entries });
    let run = Run::from_objects(old(status.clone()), given.clone()).unwrap();
    assert_eq!((run.children().len(), run.has_embedded_beside()), (MAX_CHILDREN, true));
    let more = [given, vec![own(MAX_CHILDREN)]].concat();
    assert!(matches!(Run::from_objects(old(status), more), Err(RunError::TooManyChildren { .. })));
}
