//! Whatever an object holds, there are bytes or an error.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Names that mean something somewhere in a run, so that what is generated gets past the first field.
const NAMES: &[&str] = &[
    "name",
    "value",
    "type",
    "steps",
    "results",
    "params",
    "provenance",
    "refSource",
    "uri",
    "digest",
    "default",
    "imageID",
    "taskSpec",
    "pipelineSpec",
    "tasks",
    "finally",
    "taskRef",
    "resolver",
    "sidecars",
    "conditions",
    "status",
    "startTime",
    "completionTime",
    "childReferences",
    "kind",
    "labels",
    "annotations",
    "when",
    "matrix",
    "runAfter",
    "env",
    "valueFrom",
    "script",
    "command",
    "args",
    "featureFlags",
    "entryPoint",
    "taskRunTemplate",
    "serviceAccountName",
    "tekton.dev/pipelineTask",
    "include",
    "isBuildArtifact",
    "sha256",
];
const TEXTS: &[&str] = &[
    "",
    "t",
    "True",
    "TaskRun",
    "IMAGES",
    "a-IMAGE_URL",
    "a-IMAGE_DIGEST",
    "x-ARTIFACT_OUTPUTS",
    "x-ARTIFACT_INPUTS",
    "CHAINS-GIT_COMMIT",
    "reg.example/app",
    "true",
    "2025-03-04T05:06:07.5Z",
    "$(tasks.t.results.r)",
    "a@b:c",
    "git",
    "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
    "\u{2028}<é",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(TEXTS).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 96, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES), inner), 0..7).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

fn run(kind: &str, name: &str, metadata: Value, spec: Value, status: Value) -> Value {
    let mut metadata = metadata;
    if !metadata.is_object() {
        metadata = json!({});
    }
    metadata["name"] = name.into();
    metadata["namespace"] = "ci".into();
    json!({"apiVersion": "tekton.dev/v1", "kind": kind, "metadata": metadata, "spec": spec, "status": status})
}

fn every_format(run: &Run) {
    for format in [RunFormat::SlsaV1, RunFormat::SlsaV2Alpha3, RunFormat::SlsaV2Alpha4, RunFormat::Tekton] {
        for build_type in [BuildType::Slsa, BuildType::SlsaTekton] {
            let options =
                ProvenanceOptions { build_type, deep_inspection: true, ..ProvenanceOptions::default() };
            if let Ok(made) = payload(run, format, &options) {
                let again = payload(run, format, &options).unwrap();
                assert_eq!(made.payload, again.payload);
                serde_json::from_slice::<Value>(&made.payload.bytes).unwrap();
            }
            let _ = image_subjects(run, format, &options);
        }
    }
    let _ = plan(&hints(run, &HintOptions { deep: true, steps: true }), &PlanOptions::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_object_has_bytes_or_an_error(
        metadata in any_json(), spec in any_json(), status in any_json(), child in any_json(),
        tasks in any_json(), version in prop::sample::select(&["tekton.dev/v1", "tekton.dev/v1beta1"][..]),
    ) {
        let mut task_run = run("TaskRun", "t", metadata.clone(), spec.clone(), status.clone());
        task_run["apiVersion"] = version.into();
        if let Ok(parsed) = Run::parse(task_run.to_string().as_bytes()) {
            every_format(&parsed);
        }
        let mut status = if status.is_object() { status } else { json!({}) };
        status["childReferences"] = json!([{"kind": "TaskRun", "name": "t"}, child]);
        status["pipelineSpec"] = json!({"tasks": [{"name": "t"}, tasks], "finally": tasks});
        let mut child = child;
        if child.is_object() {
            child["completionTime"] = "2025-03-04T05:06:37Z".into();
        }
        let child = run("TaskRun", "t", json!({"labels": {"tekton.dev/pipelineTask": "t"}}), metadata, child);
        let pipeline_run = run("PipelineRun", "p", json!({}), spec, status);
        if let Ok(parsed) = Run::from_objects(pipeline_run, vec![child]) {
            every_format(&parsed);
        }
    }

    #[test]
    fn any_bytes_are_a_run_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        text in r##"[\[\]{}:,\-&*!|>'"#a-z0-9 \n]{0,120}"##,
    ) {
        for bytes in [&bytes[..], text.as_bytes()] {
            let _ = Run::parse(bytes);
        }
    }
}
