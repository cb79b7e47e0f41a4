use serde_json::json;

use super::*;
use crate::exit::ExitCode;
use crate::explain::{Explain, Explanation};

fn run() -> Value {
    json!({
        "kind": "TaskRun",
        "metadata": {"name": "build", "namespace": "ci", "uid": "u", "managedFields": [
            {"manager": "kubectl-create", "operation": "Update", "fieldsV1": {"f:spec": {}}},
            {"manager": "controller", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {"f:results": {}}}},
        ]},
        "status": {
            "podName": "build-pod",
            "completionTime": "2026-01-01T00:00:00Z",
            "taskSpec": {"results": [
                {"name": "IMAGE_URL", "type": "string"},
                {"name": "FROM_STEP", "value": "$(steps.build.results.out)"},
            ]},
            "results": [
                {"name": "IMAGE_URL", "type": "string", "value": "r/app"},
                {"name": "LIST", "type": "array", "value": ["a", "b"]},
                {"name": "FROM_STEP", "type": "string", "value": "x"},
            ],
            "steps": [
                {"name": "build", "container": "step-build", "imageID": "r/b@sha256:b", "results": [{"name": "out", "type": "string", "value": "x"}]},
                {"name": "last", "container": "step-last", "imageID": "r/l@sha256:l"},
            ],
        },
    })
}

fn pod() -> Value {
    let first = r#"[{"key":"StartedAt","value":"t","type":3},{"key":"IMAGE_URL","value":"early","type":1},{"key":"out","value":"x","type":4}]"#;
    let second = r#"[{"key":"IMAGE_URL","value":"r/app","type":1},{"key":"LIST","value":"[\"a\",\"b\"]","type":"TaskRunResult"}]"#;
    json!({
        "metadata": {"name": "build-pod", "ownerReferences": [
            {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": "build", "uid": "u", "controller": true},
        ]},
        "spec": {"containers": [{"name": "step-build"}, {"name": "step-last"}, {"name": "sidecar-x"}]},
        "status": {"containerStatuses": [
            {"name": "step-last", "imageID": "r/l@sha256:l", "state": {"terminated": {"message": second}}},
            {"name": "sidecar-x", "imageID": "r/nop@sha256:n", "state": {}},
            {"name": "step-build", "imageID": "r/b@sha256:b", "state": {"terminated": {"message": first}}},
        ]},
    })
}

fn differs(run: &Value, pod: &Value) -> Vec<String> {
    check(run, Some(pod)).differences
}

#[test]
fn a_run_that_says_what_its_pod_says_may_be_signed() {
    let truth = check(&run(), Some(&pod()));
    assert_eq!(truth, Truth { run: "TaskRun ci/build".into(), ..Truth::default() });
    assert_eq!(truth.verdict(true).unwrap(), Vec::<String>::new());
}

#[test]
fn a_patched_result_refuses_and_is_named() {
    let mut patched = run();
    patched["status"]["results"][0]["value"] = json!("evil/app");
    let error = check(&patched, Some(&pod())).verdict(false).unwrap_err();
    let text = Explanation::of(&error).to_string();
    assert!(
        text.contains("result IMAGE_URL: the run says \"evil/app\", the step reported \"r/app\""),
        "{text}"
    );
    assert_eq!(Explain::exit(&error), ExitCode::Failed);
}

#[test]
fn each_lie_is_found() {
    for (pointer, value, what) in [
        ("/status/results/1/value", json!(["a"]), "result LIST: the run says \"[\"a\"]\""),
        (
            "/status/results/2/value",
            json!("y"),
            "result FROM_STEP: the run says \"y\", the step reported \"x\"",
        ),
        (
            "/status/results/0/name",
            json!("OTHER"),
            "result OTHER: the run says \"r/app\", no step reported it",
        ),
        (
            "/status/steps/0/imageID",
            json!("r/evil@sha256:e"),
            "step step-build: the run says image \"r/evil@sha256:e\", the Pod ran \"r/b@sha256:b\"",
        ),
        ("/status/steps/0/results/0/value", json!("z"), "step-build's result out: the run says \"z\""),
        (
            "/status/steps/1/container",
            json!("step-none"),
            "the run has a step \"step-none\", the Pod has no such container",
        ),
        ("/metadata/managedFields/1/manager", json!("kubectl-patch"), "was written by \"kubectl-patch\""),
        ("/metadata/uid", json!("v"), "belongs to another run"),
    ] {
        let mut lie = run();
        *lie.pointer_mut(pointer).unwrap() = value;
        let found = differs(&lie, &pod());
        assert!(found.iter().any(|difference| difference.contains(what)), "{pointer}: {found:?}");
    }
    let mut silent = run();
    silent["status"]["results"].as_array_mut().unwrap().clear();
    assert!(
        differs(&silent, &pod()).iter().any(|difference| difference.contains("the run says nothing of it"))
    );
    let mut silent = run();
    silent["status"]["steps"].as_array_mut().unwrap().pop();
    assert!(
        differs(&silent, &pod())
            .iter()
            .any(|difference| difference.contains("of which the run says nothing"))
    );
}

#[test]
fn what_can_not_be_compared_is_told_and_refused_only_if_asked() {
    let gone = check(&run(), None);
    assert!(gone.unchecked[0].contains("build-pod") && gone.differences.is_empty());
    assert!(gone.clone().verdict(false).is_ok());
    let error = gone.verdict(true).unwrap_err();
    assert!(Explanation::of(&error).to_string().contains("--require-pod"));

    let mut sidecar = pod();
    sidecar["spec"]["containers"][2]["name"] = json!("sidecar-tekton-log-results");
    assert!(check(&run(), Some(&sidecar)).unchecked[0].contains("sidecar-logs"));
    let mut compressed = pod();
    compressed["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = json!("tknz:AAAA");
    assert!(check(&run(), Some(&compressed)).unchecked[0].contains("compressed"));
    let mut running = run();
    running["status"].as_object_mut().unwrap().remove("completionTime");
    let running = check(&running, Some(&pod()));
    assert!(running.unchecked[0].contains("goes on still") && running.differences.is_empty());
    let mut unmanaged = run();
    unmanaged["metadata"].as_object_mut().unwrap().remove("managedFields");
    assert!(check(&unmanaged, Some(&pod())).unchecked[0].contains("managedFields"));
}

#[test]
fn a_run_without_a_pod_says_why() {
    for (status, what) in [
        (json!({"podName": "build-pod", "completionTime": "t"}), "Pod \"build-pod\" is gone:"),
        (json!({"podName": "", "completionTime": "t"}), "it never had a Pod:"),
        (json!({"completionTime": "t", "steps": [], "results": []}), "it never had a Pod:"),
        // Only a change of the status makes these.
        (json!({"completionTime": "t", "steps": [{"name": "a"}]}), "its status names no Pod:"),
        (
            json!({"completionTime": "t", "results": [{"name": "a", "value": "b"}]}),
            "its status names no Pod:",
        ),
        (json!({}), "it has no Pod yet:"),
        (json!({"podName": "build-pod"}), "it goes on still:"),
    ] {
        let mut run = run();
        run["status"] = status;
        let truth = check(&run, None);
        assert!(truth.unchecked[0].starts_with(what), "{run}: {:?}", truth.unchecked);
        assert!(truth.differences.is_empty() && truth.verdict(true).is_err(), "{run}");
    }
}

#[test]
fn a_message_that_is_not_tektons_is_a_difference() {
    let mut pod = pod();
    pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = json!("hello \u{1b}[2J");
    assert!(differs(&run(), &pod).iter().any(|difference| difference.contains("is not Tekton's")));
}

#[test]
fn of_a_pipeline_run_the_writers_are_looked_at() {
    let run = json!({"kind": "PipelineRun", "metadata": {"namespace": "ci", "name": "p", "managedFields": [
        {"manager": "me", "time": "t", "fieldsV1": {"f:status": {"f:results": {}, "f:conditions": {}}}},
    ]}});
    let truth = check(&run, None);
    assert!(truth.unchecked.is_empty());
    assert_eq!(
        truth.differences,
        ["its status (results, conditions) was written by \"me\" at t, which is not Tekton's controller"]
    );
}
