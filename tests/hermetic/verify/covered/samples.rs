//! Runs in which something is in every field.

use serde_json::{Value, json};

use crate::verify::run::Objects;

fn image(name: &str, digit: char) -> String {
    format!("registry.example/{name}@sha256:{}", digit.to_string().repeat(64))
}

/// A status in which something is in every field; `more` is added to it.
fn status(more: Value) -> Value {
    let digest = |digit: char| format!("sha256:{}", digit.to_string().repeat(64));
    let mut status = json!({
        "conditions": [
            { "type": "Succeeded", "status": "True", "reason": "Succeeded", "message": "done", "lastTransitionTime": "2025-01-01T00:02:00Z" },
            { "type": "Other", "status": "False", "lastTransitionTime": "2025-01-01T00:02:00Z" },
        ],
        "startTime": "2025-01-01T00:00:00Z", "completionTime": "2025-01-01T00:02:00Z",
        "provenance": {
            "refSource": { "uri": "git+https://git.example/tasks", "digest": { "sha1": "c".repeat(40) }, "entryPoint": "task.yaml" },
            "featureFlags": { "enableAPIFields": "beta", "awaitSidecarReadiness": true },
        },
        "spanContext": { "traceparent": "00-1-2-01" },
        "observedGeneration": 1,
        "results": [
            { "name": "IMAGE_URL", "type": "string", "value": "registry.example/app" },
            { "name": "IMAGE_DIGEST", "type": "string", "value": digest('1') },
            { "name": "B_IMAGE_URL", "type": "string", "value": "registry.example/bpp" },
            { "name": "B_IMAGE_DIGEST", "type": "string", "value": digest('2') },
            { "name": "HALF_IMAGE_URL", "type": "string", "value": "registry.example/half" },
            { "name": "order", "type": "array", "value": ["one", "two"] },
            { "name": "object", "type": "object", "value": { "k": "v", "content": "WzFd" } },
            { "name": "out-ARTIFACT_OUTPUTS", "type": "object",
              "value": { "uri": "pkg:generic/out", "digest": digest('3'), "isBuildArtifact": "true" } },
            { "name": "in-ARTIFACT_INPUTS", "type": "object", "value": { "uri": "pkg:generic/in", "digest": digest('4') } },
        ],
    });
    status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    status
}

/// A PipelineRun's status: its results have no type.
fn untyped(mut status: Value) -> Value {
    for result in status["results"].as_array_mut().unwrap() {
        result.as_object_mut().unwrap().remove("type");
    }
    status
}

/// The status of a TaskRun.
fn task_status(pod: &str) -> Value {
    let source = json!({ "refSource": { "uri": "git+https://git.example/actions", "digest": { "sha1": "d".repeat(40) }, "entryPoint": "a.yaml" } });
    status(json!({
        "podName": pod,
        "taskSpec": task(),
        "steps": [
            { "name": "scan", "container": "step-scan", "imageID": image("tools/scan", '5'),
              "terminated": { "exitCode": 0, "reason": "Completed", "startedAt": "2025-01-01T00:00:01Z", "finishedAt": "2025-01-01T00:00:02Z" },
              "results": [{ "name": "found", "type": "string", "value": "none" }, { "name": "more", "type": "string", "value": "some" }],
              "provenance": source },
            { "name": "push", "container": "step-push", "imageID": image("tools/push", '6') },
        ],
        "sidecars": [
            { "name": "db", "container": "sidecar-db", "imageID": image("tools/db", '7') },
            { "name": "cache", "container": "sidecar-cache", "imageID": image("tools/cache", '8') },
        ],
        "retriesStatus": [{ "podName": "earlier", "conditions": [{ "type": "Succeeded", "status": "False", "lastTransitionTime": "2025-01-01T00:00:00Z" }] }],
        "artifacts": { "outputs": [{ "name": "o", "values": [{ "uri": "u", "digest": { "sha256": "e" } }] }] },
    }))
}

fn task() -> Value {
    json!({
        "params": [
            { "name": "flag", "type": "string", "default": "off" },
            { "name": "CHAINS-GIT_URL", "type": "string", "default": "https://git.example/app" },
            { "name": "CHAINS-GIT_COMMIT", "type": "string", "default": "9".repeat(40) },
        ],
        "description": "scans and pushes",
        "steps": [
            { "name": "scan", "image": "tools/scan", "command": ["/scan", "now"], "args": ["--deny", "critical", "--allow", "low"],
              "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }], "volumeMounts": [{ "name": "v", "mountPath": "/v" }] },
            { "name": "push", "image": "tools/push", "script": "push it" },
        ],
        "sidecars": [{ "name": "db", "image": "tools/db" }, { "name": "cache", "image": "tools/cache" }],
        "volumes": [{ "name": "v", "emptyDir": {} }, { "name": "w", "emptyDir": {} }],
    })
}

fn metadata(name: &str, uid: &str, more: Value) -> Value {
    let mut metadata = json!({
        "name": name, "namespace": "ci", "uid": uid, "generation": 1, "resourceVersion": "7",
        "creationTimestamp": "2025-01-01T00:00:00Z", "finalizers": ["a.example/one", "b.example/two"],
        "labels": { "app": "x", "chains.tekton.dev/label": "y" },
        "annotations": {
            "note": "text", "kubectl.kubernetes.io/last-applied-configuration": "{}", "chains.tekton.dev/signed": "true",
        },
    });
    metadata["labels"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    metadata
}

/// TaskRuns with a Task of their own, and from a resolver.
pub(crate) fn task_runs() -> Vec<Objects> {
    let spec = json!({
        "params": [{ "name": "cmd", "value": ["cp", "good", "evil"] }, { "name": "flag", "value": "on" }, { "name": "o", "value": { "k": "v" } }],
        "serviceAccountName": "builder", "taskSpec": task(), "timeout": "1h0m0s", "retries": 1,
        "workspaces": [{ "name": "src", "emptyDir": {} }, { "name": "cfg", "configMap": { "name": "c" } }],
        "podTemplate": { "nodeSelector": { "disk": "ssd" }, "tolerations": [{ "key": "a", "operator": "Exists" }, { "key": "b", "operator": "Exists" }] },
    });
    let run = |spec: Value| Objects {
        object: json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": metadata("build", "0d3b3a9c-0000-4000-8000-000000000001", json!({})), "spec": spec, "status": task_status("build-pod"),
        }),
        children: Vec::new(),
    };
    let mut by_resolver = spec.clone();
    by_resolver.as_object_mut().unwrap().remove("taskSpec");
    by_resolver["taskRef"] = json!({ "resolver": "git", "params": [{ "name": "url", "value": "u" }, { "name": "pathInRepo", "value": "task.yaml" }] });
    vec![run(spec), run(by_resolver)]
}

fn pipeline() -> Value {
    json!({
        "description": "two tasks",
        "params": [
            { "name": "flag", "type": "string", "default": "off" },
            { "name": "CHAINS-GIT_URL", "type": "string", "default": "https://git.example/app" },
            { "name": "CHAINS-GIT_COMMIT", "type": "string", "default": "9".repeat(40) },
        ],
        "tasks": [
            { "name": "build", "taskRef": { "name": "make", "kind": "Task" }, "params": [{ "name": "m", "value": "$(params.flag)" }] },
            { "name": "test", "taskRef": { "name": "try", "kind": "Task" }, "runAfter": ["build", "lint"],
              "params": [{ "name": "o", "value": { "a": "$(tasks.a.results.r)", "b": "$(tasks.b.results.r)" } }],
              "matrix": { "params": [{ "name": "os", "value": ["linux", "mac"] }] } },
        ],
        "finally": [{ "name": "notify", "taskRef": { "name": "notify", "kind": "Task" } }],
    })
}

/// PipelineRuns with a Pipeline of their own, and from a resolver; their TaskRuns are the same.
pub(crate) fn pipeline_runs() -> Vec<Objects> {
    let child = |name: &str, task: &str, uid: char| {
        let uid = format!("0d3b3a9c-0000-4000-8000-00000000000{uid}");
        let mut status = task_status(&format!("{name}-pod"));
        // What each brought is its own: what is there twice is written once.
        status = serde_json::from_str(
            &status
                .to_string()
                .replace("registry.example/", &format!("registry.example/{name}/"))
                .replace("pkg:generic/", &format!("pkg:generic/{name}/"))
                .replace("git.example/", &format!("git.example/{name}/")),
        )
        .unwrap();
        json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": metadata(name, &uid, json!({ "tekton.dev/pipelineTask": task })),
            "spec": {
                "serviceAccountName": "builder", "taskRef": { "name": "make", "kind": "Task" }, "timeout": "1h0m0s",
                "params": [{ "name": "CHAINS-GIT_COMMIT", "value": "8".repeat(40) }, { "name": "cmd", "value": ["cp", "good", "evil"] }],
            },
            "status": status,
        })
    };
    let reference = |name: &str, task: &str| json!({ "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": name, "pipelineTaskName": task });
    let spec = json!({
        "params": [{ "name": "cmd", "value": ["cp", "good", "evil"] }, { "name": "flag", "value": "on" }],
        "pipelineSpec": pipeline(), "timeouts": { "pipeline": "1h0m0s" },
        "taskRunTemplate": { "serviceAccountName": "builder", "podTemplate": { "nodeSelector": { "disk": "ssd" } } },
        "workspaces": [{ "name": "src", "emptyDir": {} }, { "name": "cfg", "configMap": { "name": "c" } }],
        "taskRunSpecs": [{ "pipelineTaskName": "build", "serviceAccountName": "a" }, { "pipelineTaskName": "test", "serviceAccountName": "b" }],
    });
    let run = |spec: Value| Objects {
        object: json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
            "metadata": metadata("release", "0d3b3a9c-0000-4000-8000-000000000001", json!({})), "spec": spec,
            "status": untyped(status(json!({
                "pipelineSpec": pipeline(), "finallyStartTime": "2025-01-01T00:01:00Z",
                "childReferences": [reference("release-build", "build"), reference("release-test-0", "test")],
                "skippedTasks": [{ "name": "notify", "reason": "none" }, { "name": "lint", "reason": "none" }],
            }))),
        }),
        children: vec![child("release-build", "build", '2'), child("release-test-0", "test", '3')],
    };
    let mut by_resolver = spec.clone();
    by_resolver.as_object_mut().unwrap().remove("pipelineSpec");
    by_resolver["pipelineRef"] = json!({ "resolver": "git", "params": [{ "name": "url", "value": "u" }] });
    vec![run(spec), run(by_resolver)]
}

/// A PipelineRun whose TaskRuns ran in the same images and brought the same, two of them the same task.
pub(super) fn alike() -> Objects {
    let mut objects = pipeline_runs().remove(0);
    let references = &mut objects.object["status"]["childReferences"];
    references.as_array_mut().unwrap().insert(
        1,
        json!({ "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": "release-build-1", "pipelineTaskName": "build" }),
    );
    let mut status = objects.children[0]["status"].clone();
    // The source of a StepAction is written for each TaskRun.
    for step in status["steps"].as_array_mut().unwrap() {
        step.as_object_mut().unwrap().remove("provenance");
    }
    let mut second = objects.children[0].clone();
    second["metadata"]["name"] = json!("release-build-1");
    second["metadata"]["uid"] = json!("0d3b3a9c-0000-4000-8000-000000000004");
    objects.children.push(second);
    for (at, child) in objects.children.iter_mut().enumerate() {
        child["status"] = status.clone();
        child["status"]["podName"] = json!(format!("pod-{at}"));
        child["status"]["startTime"] = json!(format!("2025-01-01T00:00:1{at}Z"));
    }
    objects
}
