mod documents;
mod embedded;
mod old_source;
mod two_versions;

use serde_json::json;

use super::*;

const TASK_RUN: &str = "apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: build, namespace: ci, uid: u-1}
status:
  conditions: [{type: Succeeded, status: 'True'}]
  startTime: '2025-03-04T05:06:07Z'
  results: [{name: a, type: string, value: x}]
";

fn task_run(name: &str, task: &str) -> Value {
    json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {"name": name, "namespace": "ci", "labels": {"tekton.dev/pipelineTask": task}},
        "status": {"startTime": "2025-03-04T05:06:07Z", "completionTime": "2025-03-04T05:06:37Z"}})
}

fn pipeline_run(references: &Value) -> Value {
    json!({"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {"name": "pr", "namespace": "ci", "uid": "u-2"},
        "status": {"childReferences": references, "pipelineSpec":
            {"tasks": [{"name": "one"}, {"name": "two"}], "finally": [{"name": "end"}]}}})
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"apiVersion": "tekton.dev/v1", "kind": kind, "name": name, "pipelineTaskName": "t"})
}

fn gaps(run: &Run) -> Vec<String> {
    run.gaps().iter().map(Gap::to_string).collect()
}

#[test]
fn a_task_run_is_read_from_yaml_and_json_alike() {
    let yaml = Run::parse(TASK_RUN.as_bytes()).unwrap();
    let json = Run::parse(yaml.object().to_string().as_bytes()).unwrap();
    for run in [yaml, json] {
        assert_eq!((run.kind(), run.name(), run.namespace()), (RunKind::TaskRun, "build", "ci"));
        assert_eq!(run.succeeded(), Some(true));
        assert_eq!(run.short_key().unwrap(), "taskrun-u-1");
        assert_eq!(run.full_key().unwrap(), "tekton.dev-v1-TaskRun-u-1");
        assert_eq!(run.run().results()[0].value, ParamValue::Text("x".into()));
        assert_eq!(run.run().start_time(), Some("2025-03-04T05:06:07Z"));
        assert_eq!(run.run().completion_time(), None);
    }
}

#[test]
fn a_pipeline_run_has_its_task_runs_in_its_own_order() {
    let references = json!([reference("TaskRun", "b"), reference("TaskRun", "a")]);
    let run = Run::from_objects(pipeline_run(&references), vec![task_run("a", "two"), task_run("b", "one")]);
    let run = run.unwrap();
    assert_eq!(run.children().iter().map(RunObject::name).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(run.executed().iter().map(|run| run.name()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(run.children_of("two").count(), 1);
    assert_eq!(gaps(&run), [""; 0]);
}

#[test]
fn what_is_not_known_of_a_pipeline_run_has_a_name() {
    let references = json!([reference("TaskRun", "gone"), reference("CustomRun", "approval"),
        reference("TaskRun", "slow"), reference("TaskRun", "lost"), 7, {"kind": [], "name": null}]);
    let mut slow = task_run("slow", "two");
    slow["status"]["completionTime"] = Value::Null;
    let run = Run::from_objects(
        pipeline_run(&references),
        vec![slow, task_run("stranger", "x"), task_run("lost", "three")],
    )
    .unwrap();
    assert_eq!(
        gaps(&run),
        [
            "gone: the object of this TaskRun was not given, or is gone",
            "approval: this child is a CustomRun, of which nothing is known",
            ": the object of this TaskRun was not given, or is gone",
            ": the object of this TaskRun was not given, or is gone",
            "stranger: this TaskRun was given and is no child of the PipelineRun",
            "slow: this TaskRun has not completed",
            "lost: the label tekton.dev/pipelineTask of this TaskRun names no task of the Pipeline",
        ]
    );
    assert_eq!(run.executed().len(), 0);
}

#[test]
fn a_task_run_of_another_namespace_is_no_child() {
    let references = json!([reference("TaskRun", "a")]);
    let mut child = task_run("a", "one");
    child["metadata"]["namespace"] = "elsewhere".into();
    let error = Run::from_objects(pipeline_run(&references), vec![child.clone()]).unwrap_err();
    assert_eq!(error.to_string(), "TaskRun a is of another namespace than the PipelineRun");
    child["metadata"].as_object_mut().unwrap().remove("namespace");
    assert_eq!(Run::from_objects(pipeline_run(&references), vec![child]).unwrap().children().len(), 1);
}

#[test]
fn aliases_cannot_fill_the_memory() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for at in 1..12 {
        let before = format!("*a{}, ", at - 1).repeat(10);
        bomb.push_str(&format!("a{at}: &a{at} [{}]\n", before.trim_end_matches(", ")));
    }
    assert!(matches!(Run::parse(bomb.as_bytes()), Err(RunError::Yaml(_))));
    let nested = |levels: usize| {
        let text = format!("  deep: {}{}\n", "[".repeat(levels), "]".repeat(levels));
        Run::parse((TASK_RUN.to_owned() + &text).as_bytes())
    };
    assert!(nested(60).is_ok() && matches!(nested(65), Err(RunError::Yaml(_))));
    let deep = "a:\n".to_owned() + &(1..400).map(|at| format!("{}b:\n", " ".repeat(at))).collect::<String>();
    assert!(matches!(Run::parse(deep.as_bytes()), Err(RunError::Yaml(_))));
}

#[test]
fn large_integers_keep_their_digits() {
    let text = TASK_RUN.to_owned() + "  exact: 9007199254740993\n  most: 18446744073709551615\n";
    let run = Run::parse(text.as_bytes()).unwrap();
    assert_eq!(run.object()["status"]["exact"].to_string(), "9007199254740993");
    assert_eq!(run.object()["status"]["most"].to_string(), "18446744073709551615");
}

#[test]
fn numbers_and_booleans_are_those_that_kubectl_reads() {
    let text = TASK_RUN.to_owned()
        + "  n: [017, 0o17, 0x1F, 1.0, 1e3, .5, 1_000, yes, 'yes', Off, 2025-03-04, 12:30:45]\n";
    let run = Run::parse(text.as_bytes()).unwrap();
    let want = json!([15, 15, 31, 1, 1000, 0.5, 1000, true, "yes", false, "2025-03-04", "12:30:45"]);
    assert_eq!(run.object()["status"]["n"], want);
    let infinite = Run::parse((TASK_RUN.to_owned() + "  n: .inf\n").as_bytes());
    assert!(matches!(infinite, Err(RunError::Yaml(_))));
}

#[test]
fn a_value_that_is_no_text_list_or_object_of_texts_is_its_json() {
    for (json, want) in [
        (json!("a"), ParamValue::Text("a".into())),
        (json!(["a", null]), ParamValue::Array(vec!["a".into(), String::new()])),
        (json!({"b": "x"}), ParamValue::Object([("b".to_owned(), "x".to_owned())].into())),
        (json!(1.0), ParamValue::Text("1".into())),
        (json!(true), ParamValue::Text("true".into())),
        (json!(["a", 1]), ParamValue::Text(r#"["a",1]"#.into())),
        (json!({"b": {"z": "<", "a": 1}}), ParamValue::Text("{\"b\":{\"a\":1,\"z\":\"\\u003c\"}}".into())),
        (Value::Null, ParamValue::Text(String::new())),
    ] {
        assert_eq!(ParamValue::read(Some(&json)), want, "{json}");
    }
}

#[test]
fn v1beta1_becomes_what_the_webhook_makes_of_it() {
    let run = Run::parse(
        br#"{"apiVersion":"tekton.dev/v1beta1","kind":"PipelineRun","metadata":{"name":"old"},
        "spec":{"serviceAccountName":"builder","timeout":"1h","pipelineRef":{"name":"p"},
            "pipelineSpec":{"params":[{"name":"a"},{"name":"b","type":"array"}],
            "tasks":[{"name":"t","taskSpec":{"steps":[{"resources":{"limits":{}}}]}}]}},
        "status":{"pipelineResults":[{"name":"r","value":"v"}],"taskRuns":{}}}"#,
    );
    let run = run.unwrap();
    assert_eq!(run.object()["apiVersion"], "tekton.dev/v1");
    assert_eq!(run.object()["spec"]["taskRunTemplate"], json!({"serviceAccountName": "builder"}));
    assert_eq!(run.object()["spec"]["timeouts"], json!({"pipeline": "1h"}));
    let spec = &run.object()["spec"]["pipelineSpec"];
    assert_eq!(spec["params"], json!([{"name": "a", "type": "string"}, {"name": "b", "type": "array"}]));
    assert_eq!(spec["tasks"][0]["taskSpec"]["steps"], json!([{"computeResources": {"limits": {}}}]));
    assert!(!run.run().is_remote());
    assert_eq!(run.run().results()[0].name, "r");
    assert!(run.short_key().is_err());
}

/// A TaskRun with `value` under an annotation.
fn annotated(value: &str) -> String {
    format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{{"name":"a","annotations":{{"x":{value}}}}}}}"#
    )
}

#[test]
fn what_would_take_too_much_memory_is_refused() {
    let list = |item: &str| format!("[{}{item}]", format!("{item},").repeat(1_200_000));
    let keys: Vec<String> = (0..300_000).map(|number| format!("\"{number}\":0")).collect();
    let text = "a".repeat(1024 * 1024);
    for hostile in [
        annotated(&list("0")),
        annotated(&list("[]")),
        annotated(&list("{}")),
        annotated(&list(r#"{"a":{}}"#)),
        annotated(&format!("{{{}}}", keys.join(","))),
        // What is left is of the whole file, and not of a document.
        annotated(&format!("[{}0]", "0,".repeat(300_000))).repeat(4),
        // YAML's aliases repeat more than nodes.
        format!("- &a {text}\n{}", "- *a\n".repeat(100)),
    ] {
        let error = Run::parse(hostile.as_bytes()).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("takes more than 36 MiB"), "{}: {error}: {cause}", &hostile[..100]);
    }
    // One document leaves nothing behind for the next.
    assert!(Run::parse(annotated("\"\"").as_bytes()).is_ok());
}

#[test]
fn an_object_larger_than_a_cluster_holds_is_refused_whichever_it_is() {
    let object = |kind: &str, name: &str, status: &Value| json!({ "apiVersion": "tekton.dev/v1", "kind": kind, "metadata": { "name": name }, "status": status });
    let (large, small) = (json!({ "podName": "<".repeat(1024 * 1024) }), json!({ "podName": "p" }));
    for (of_run, of_child, refused) in
        [(&small, &small, None), (&large, &small, Some("a")), (&small, &large, Some("b"))]
    {
        let (run, child) = (object("PipelineRun", "a", of_run), object("TaskRun", "b", of_child));
        let text = format!("{run}\n---\n{child}");
        for run in [Run::parse(text.as_bytes()), Run::from_objects(run, vec![child])] {
            match (run, refused) {
                (Ok(_), None) => {}
                (Err(RunError::LargeObject { name, .. }), Some(refused)) => {
                    assert_eq!(name.to_string(), refused)
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_run_with_hundreds_of_children_is_read() {
    let child = r#"{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"NAME","labels":{"tekton.dev/pipelineTask":"NAME"}},"status":{"steps":[STEPS]}}"#;
    let step = r#"{"name":"make","container":"step-make","imageID":"registry.example/builder@sha256:0","terminated":{"exitCode":0,"reason":"Completed"}}"#;
    let steps = vec![step; 30].join(",");
    let children: Vec<String> = (0..500)
        .map(|number| child.replace("NAME", &format!("t{number}")).replace("STEPS", &steps))
        .collect();
    let run = r#"{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","metadata":{"name":"a"}}"#;
    let json = format!("[{run},{}]", children.join(","));
    let yaml = format!("{run}\n---\n{}", children.join("\n---\n"));
    for text in [json, yaml] {
        assert!(Run::parse(text.as_bytes()).is_ok(), "{} bytes", text.len());
    }
}

#[test]
fn steps_are_counted_over_the_run_and_its_children() {
    let run = |steps: usize, sidecars: usize| {
        let status = json!({ "steps": vec![json!({}); steps], "sidecars": vec![json!({}); sidecars] });
        let child = |name: &str| json!({ "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": { "name": name }, "status": status });
        let parent =
            json!({ "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": { "name": "a" } });
        Run::from_objects(parent, vec![child("b"), child("c")])
    };
    assert!(run(MAX_STEPS / 2 - 1, 1).is_ok());
    for (steps, sidecars) in [(MAX_STEPS / 2, 1), (1, MAX_STEPS / 2)] {
        let error = run(steps, sidecars).unwrap_err().to_string();
        assert!(error.contains("at most 16384"), "{error}");
    }
}

#[test]
fn what_may_be_taken_grows_with_texts_above_16_mib_alone() {
    const MIB: usize = 1024 * 1024;
    for (text, memory) in [(0, 36), (1, 36), (16, 36), (20, 70), (64, 224)] {
        assert_eq!(super::document::max_memory(text * MIB), memory * MIB, "{text} MiB");
    }
}
