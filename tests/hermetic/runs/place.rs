//! Runs as the cluster gives them, and what a registry holds of them.

use std::path::PathBuf;

use serde_json::{Value, json};
use stepseal::formats::dsse;
use stepseal::oci::Digest;

use crate::kit::step::{Ended, MANIFEST, Step, ended, public_key};

/// The media type of an attestation's layer.
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// The UID of [`task_run`].
pub(crate) const UID: &str = "495215fc-1bc7-4c33-894d-fb6c5ed7f30e";

/// A TaskRun with one step that ran, and results.
pub(crate) fn task_run(results: &[(&str, &str)]) -> Value {
    let results: Vec<Value> = results
        .iter()
        .map(|(name, value)| json!({ "name": name, "type": "string", "value": value }))
        .collect();
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": { "name": "build", "namespace": "ci", "uid": UID, "labels": { "app": "x" } },
        "spec": { "serviceAccountName": "builder", "taskRef": { "name": "build", "kind": "Task" } },
        "status": {
            "podName": "build-pod", "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z",
            "conditions": [{ "type": "Succeeded", "status": "True", "reason": "Succeeded" }],
            "steps": [{
                "name": "make", "container": "step-make",
                "imageID": format!("registry.example/builder@sha256:{}", "ab".repeat(32)),
                "terminated": { "exitCode": 0, "reason": "Completed" },
            }],
            "taskSpec": { "steps": [{ "name": "make", "image": "registry.example/builder", "command": ["make"] }] },
            "results": results,
        },
    })
}

/// The same with another outcome: `status` of its condition, `None` for none. With none, or `Unknown`, it is still running.
pub(crate) fn ended_with(mut run: Value, status: Option<&str>) -> Value {
    run["status"]["conditions"] = match status {
        Some(status) => json!([{ "type": "Succeeded", "status": status }]),
        None => json!([]),
    };
    if !matches!(status, Some("True" | "False")) {
        run["status"].as_object_mut().unwrap().remove("completionTime");
    }
    run
}

/// A PipelineRun with these TaskRuns, each of which is the child of a task of its name.
pub(crate) fn pipeline_run(task_runs: &[Value]) -> Value {
    let name = |run: &Value| run["metadata"]["name"].as_str().unwrap().to_owned();
    let children: Vec<Value> = task_runs
        .iter()
        .map(|run| {
            json!({ "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": name(run), "pipelineTaskName": name(run) })
        })
        .collect();
    let tasks: Vec<Value> =
        task_runs.iter().map(|run| json!({ "name": name(run), "taskRef": { "name": "t" } })).collect();
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": { "name": "all", "namespace": "ci", "uid": "f2683da7-7c7a-4bf2-83ea-133fe0b0b681" },
        "spec": { "pipelineRef": { "name": "all" } },
        "status": {
            "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:09:00Z",
            "conditions": [{ "type": "Succeeded", "status": "True" }],
            "pipelineSpec": { "tasks": tasks },
            "childReferences": children,
        },
    })
}

/// A child of [`pipeline_run`].
pub(crate) fn child(name: &str, results: &[(&str, &str)]) -> Value {
    let mut run = task_run(results);
    run["metadata"] = json!({
        "name": name, "namespace": "ci", "uid": format!("uid-{name}"),
        "labels": { "tekton.dev/pipelineTask": name },
    });
    run
}

/// A registry, and runs in files.
pub(crate) struct Place {
    pub(crate) step: Step,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { step: Step::new() }
    }

    /// Pushes an image; returns its name and digest.
    pub(crate) fn image(&self, repository: &str) -> (String, Digest) {
        let digest = self.step.image(repository, repository);
        (format!("{}/{repository}", self.step.host()), digest)
    }

    /// A TaskRun that built an image which the registry holds.
    pub(crate) fn built(&self, repository: &str) -> (Value, Digest) {
        let (name, digest) = self.image(repository);
        (task_run(&[("IMAGE_URL", &name), ("IMAGE_DIGEST", digest.as_str())]), digest)
    }

    /// Writes `runs` into a file.
    pub(crate) fn file(&self, runs: &[Value]) -> PathBuf {
        let path = self.step.path("run.json");
        let texts: Vec<String> = runs.iter().map(ToString::to_string).collect();
        std::fs::write(&path, texts.join("\n")).unwrap();
        path
    }

    /// Runs a command on `runs` with these keys of `chains-config`.
    pub(crate) fn run(&self, command: &str, runs: &[Value], keys: &[&str], args: &[&str]) -> Ended {
        let file = self.file(runs);
        let mut run = self.step.command(&[command, "--run", file.to_str().unwrap()]);
        run.args(keys.iter().flat_map(|key| ["--config", key])).args(args);
        ended(run.output().unwrap())
    }

    /// The layers of an image's `.att` tag.
    pub(crate) fn layers(&self, repository: &str, digest: &Digest) -> Vec<Value> {
        let tag = format!("sha256-{}.att", digest.hex());
        let Some((media_type, bytes)) = self.step.registry.content().manifest(repository, &tag) else {
            return Vec::new();
        };
        assert_eq!(media_type, MANIFEST);
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        let layers = manifest["layers"].as_array().unwrap().clone();
        let config = manifest["config"]["digest"].as_str().unwrap().parse().unwrap();
        let config = self.step.registry.content().blob(repository, &config).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        let ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().iter().collect::<Vec<_>>(), ids);
        layers
    }

    /// The statements beside an image, each verified with the key's public half.
    pub(crate) fn statements(&self, repository: &str, digest: &Digest) -> Vec<Value> {
        let statement = |layer: &Value| {
            assert_eq!(layer["mediaType"], ENVELOPE);
            assert_eq!(layer["annotations"]["dev.cosignproject.cosign/signature"], "");
            let blob = layer["digest"].as_str().unwrap().parse().unwrap();
            let bytes = self.step.registry.content().blob(repository, &blob).unwrap();
            let statement = verified(&bytes);
            assert_eq!(layer["annotations"]["predicateType"], statement["predicateType"]);
            statement
        };
        self.layers(repository, digest).iter().map(statement).collect()
    }
}

/// The statement in an envelope that our key signed.
pub(crate) fn verified(envelope: &[u8]) -> Value {
    let envelope = dsse::read(envelope).unwrap();
    assert_eq!(envelope.payload_type, "application/vnd.in-toto+json");
    let [signature] = &envelope.signatures[..] else { panic!("one signature: {envelope:?}") };
    assert_eq!(signature.key_id, public_key().key_id());
    let mut signed =
        format!("DSSEv1 28 application/vnd.in-toto+json {} ", envelope.payload.len()).into_bytes();
    signed.extend_from_slice(&envelope.payload);
    public_key().verify(&signed, &signature.signature).expect("our signature");
    serde_json::from_slice(&envelope.payload).unwrap()
}
