//! The children of a v1beta1 PipelineRun, which stand in its status: what is said of them, and what is not.

use serde_json::{Value, json};

use super::*;
use crate::explain::Explain as _;

fn status(byte: &str) -> Value {
    json!({ "startTime": "2022-03-04T05:06:07Z", "completionTime": "2022-03-04T05:06:37Z", "podName": "pod",
        "conditions": [{ "type": "Succeeded", "status": "True" }],
        "taskResults": [{ "name": "IMAGE_URL", "value": format!("reg.example/{byte}") },
            { "name": "IMAGE_DIGEST", "value": format!("sha256:{}", byte.repeat(64)) }],
        "taskSpec": { "params": [{ "name": "level", "default": "low" }, { "name": "CHAINS-GIT_COMMIT", "default": "c" }],
            "steps": [{ "name": "s", "image": "t", "script": "make" }] },
        "steps": [{ "name": "s", "container": "step-s", "imageID": format!("reg.example/tool@sha256:{}", byte.repeat(64)) }] })
}

/// A PipelineRun of two tasks, of which the second is listed first in the map.
fn run(embedded: bool) -> Run {
    let tasks = [("b-fetch", "fetch", "1"), ("a-build", "build", "2")];
    let mut object = json!({ "apiVersion": "tekton.dev/v1beta1", "kind": "PipelineRun",
        "metadata": { "name": "nightly", "namespace": "ci", "uid": "u-nightly" },
        "spec": { "pipelineRef": { "name": "p" }, "serviceAccountName": "builder" },
        "status": { "startTime": "2022-03-04T05:06:07Z", "completionTime": "2022-03-04T05:07:07Z",
            "conditions": [{ "type": "Succeeded", "status": "True" }],
            "pipelineSpec": { "tasks": [{ "name": "fetch", "taskRef": { "name": "fetch" } }, { "name": "build" }] } } });
    let mut children = Vec::new();
    for (name, task, byte) in tasks {
        if embedded {
            object["status"]["taskRuns"][name] = json!({ "pipelineTaskName": task, "status": status(byte) });
            continue;
        }
        let references = &mut object["status"]["childReferences"];
        if references.is_null() {
            *references = json!([]);
        }
        references
            .as_array_mut()
            .unwrap()
            .push(json!({ "kind": "TaskRun", "name": name, "pipelineTaskName": task }));
        children.push(json!({ "apiVersion": "tekton.dev/v1beta1", "kind": "TaskRun", "status": status(byte), "spec": {},
            "metadata": { "name": name, "namespace": "ci", "uid": name, "labels": { "tekton.dev/pipelineTask": task } } }));
    }
    Run::from_objects(object, children).unwrap()
}

fn made(run: &Run, format: RunFormat, build_type: BuildType, deep_inspection: bool) -> (Value, Vec<String>) {
    let options = ProvenanceOptions { build_type, deep_inspection, ..ProvenanceOptions::default() };
    let made = payload(run, format, &options).unwrap();
    let gaps = made.gaps.iter().map(ToString::to_string).collect();
    (serde_json::from_slice(&made.payload.bytes).unwrap(), gaps)
}

/// Takes out of a statement what a status alone doesn't know: labels, and values of parameters.
fn without_what_is_unknown(mut statement: Value) -> Value {
    if let Some(tasks) = statement.pointer_mut("/predicate/buildConfig/tasks") {
        for task in tasks.as_array_mut().unwrap() {
            task["invocation"] = json!({ "configSource": {}, "parameters": {} });
        }
    }
    // The default of a parameter that may have had another value.
    let is_git = |material: &Value| material["uri"] == "git+.git";
    for place in ["/predicate/materials", "/predicate/buildDefinition/resolvedDependencies"] {
        if let Some(list) = statement.pointer_mut(place).and_then(Value::as_array_mut) {
            list.retain(|material| !is_git(material));
        }
    }
    statement
}

#[test]
fn a_statement_holds_them_as_it_holds_those_beside_it_but_for_what_is_unknown() {
    let (inside, beside) = (run(true), run(false));
    for format in [RunFormat::SlsaV1, RunFormat::SlsaV2Alpha3, RunFormat::SlsaV2Alpha4] {
        for deep in [false, true] {
            let (statement, gaps) = made(&inside, format, BuildType::Slsa, deep);
            let (other, _) = made(&beside, format, BuildType::Slsa, deep);
            assert_eq!(statement, without_what_is_unknown(other), "{format} {deep}");
            for byte in ["1", "2"] {
                assert!(statement.to_string().contains(&byte.repeat(64)), "{format} {deep}: {statement}");
            }
            let subjects = statement.get("subject").and_then(Value::as_array).map_or(0, Vec::len);
            assert_eq!(subjects, if deep { 2 } else { 0 }, "{format}");
            let alone =
                gaps.iter().filter(|gap| gap.contains("from the status of the PipelineRun alone")).count();
            assert_eq!(alone, 2, "{gaps:?}");
        }
    }
}

#[test]
fn a_whole_task_run_has_what_is_known_of_it_alone() {
    let (statement, _) = made(&run(true), RunFormat::SlsaV2Alpha4, BuildType::SlsaTekton, false);
    let dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    let contents: Vec<Value> = dependencies
        .iter()
        .filter(|one| one["name"] == "pipelineTask")
        .map(|one| {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD.decode(one["content"].as_str().unwrap());
            serde_json::from_slice(&bytes.unwrap()).unwrap()
        })
        .collect();
    assert_eq!(contents.len(), 2);
    for (content, name) in contents.iter().zip(["b-fetch", "a-build"]) {
        let metadata = content["metadata"].as_object().unwrap();
        assert_eq!((&metadata["name"], &metadata["namespace"]), (&json!(name), &json!("ci")));
        assert!(
            !["uid", "labels", "annotations"].iter().any(|field| metadata.contains_key(*field)),
            "{metadata:?}"
        );
        assert_eq!(content["status"]["steps"][0]["name"], "s");
    }
}

#[test]
fn the_format_tekton_names_what_its_status_lacks() {
    let (status, gaps) = made(&run(true), RunFormat::Tekton, BuildType::Slsa, false);
    assert_eq!(status.get("taskRuns"), None);
    let want = |name: &str| format!("{name}: this TaskRun is left out: the format tekton signs");
    assert_eq!(gaps.len(), 2);
    assert!(gaps[0].starts_with(&want("b-fetch")) && gaps[1].starts_with(&want("a-build")), "{gaps:?}");
    assert!(made(&run(false), RunFormat::Tekton, BuildType::Slsa, false).1.is_empty());
}

#[test]
fn a_field_of_v1beta1_in_a_status_of_v1_is_called_that() {
    for (field, hint) in
        [("taskRuns", "a field of tekton.dev/v1beta1"), ("other", "if a newer Tekton wrote that field")]
    {
        let mut object = run(false).object().clone();
        object["status"][field] = json!({});
        let run = Run::from_objects(object, Vec::new()).unwrap();
        let error = payload(&run, RunFormat::Tekton, &ProvenanceOptions::default()).unwrap_err();
        assert!(error.hint().unwrap().contains(hint), "{field}: {:?}", error.hint());
    }
}

/// Tekton's conversion drops the source of its own older versions, and so does each statement; what is signed without it says so.
#[test]
fn a_source_that_tekton_no_longer_reads_is_in_no_statement_and_is_named() {
    let uri = "git+https://example.com/of-old";
    let mut status = status("1");
    status["provenance"] = json!({ "configSource": { "uri": uri, "digest": { "sha1": "00" } } });
    let object = json!({ "apiVersion": "tekton.dev/v1beta1", "kind": "TaskRun", "status": status, "spec": {},
        "metadata": { "name": "build", "namespace": "ci", "uid": "u" } });
    let run = Run::from_objects(object, Vec::new()).unwrap();
    for format in [RunFormat::SlsaV1, RunFormat::SlsaV2Alpha3, RunFormat::SlsaV2Alpha4, RunFormat::Tekton] {
        let (statement, gaps) = made(&run, format, BuildType::Slsa, false);
        // The status as it is has it.
        let left_out = format != RunFormat::Tekton;
        assert_eq!(statement.to_string().contains(uri), !left_out, "{format:?}: {statement}");
        let named = gaps.iter().filter(|gap| gap.contains(uri)).count();
        assert_eq!(named, usize::from(left_out), "{format:?}: {gaps:?}");
    }
}
