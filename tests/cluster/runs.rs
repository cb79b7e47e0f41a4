//! Runs, signed in their last step, in a `finally` task, and from outside when they are over; and what is refused.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::PoisonError;
use std::{fs, slice};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kit::place::Run;
use crate::kit::steps::{build, locked_down, shell, sign, task, task_run};
use crate::kit::{FEATURE_FLAGS, Place, given, output, registry, scenario, succeed};

const SMALLEST: &str = include_str!("../../tasks/sign-images/0.1/rbac/taskrun-annotations.yaml");
pub(crate) const SMALLEST_OF_PIPELINE_RUN: &str =
    include_str!("../../tasks/sign-images/0.1/rbac/pipelinerun-annotations.yaml");

/// Gives the ServiceAccount of the steps a Role of the catalog.
pub(crate) fn allow(place: &Place, role: &str) {
    place.apply_text(role);
    let name = role.lines().find_map(|line| line.strip_prefix("  name: ")).unwrap();
    let account = format!("--serviceaccount={}:default", place.namespace);
    let bind = ["create", "rolebinding", "stepseal", &format!("--role={name}"), &account];
    succeed(place.kubectl().args(bind));
}

/// A signing step that signs the runs too.
pub(crate) fn sign_runs(artifacts: &[&str], format: &str) -> Value {
    let mut step = sign(&[]);
    for artifact in artifacts {
        for (key, value) in [("STORAGE", "tekton,oci"), ("FORMAT", format)] {
            let variable = json!({"name": format!("STEPSEAL_ARTIFACTS_{artifact}_{key}"), "value": value});
            step["env"].as_array_mut().unwrap().push(variable);
        }
    }
    step
}

/// A `finally` task that signs these kinds of runs, and what their TaskRuns built.
pub(crate) fn signs_at_the_end(artifacts: &[&str]) -> Value {
    // Its own results come at the end: which images a PipelineRun built is known from its TaskRuns alone.
    let mut step = sign_runs(artifacts, "slsa/v2alpha4");
    let deep = json!({"name": "STEPSEAL_ARTIFACTS_PIPELINERUN_ENABLE_DEEP_INSPECTION", "value": "true"});
    step["env"].as_array_mut().unwrap().push(deep);
    let mut signing = task(&[step]);
    signing["results"] = json!([]);
    json!([{"name": "sign", "taskSpec": signing}])
}

/// The run's steps have the token of their ServiceAccount.
fn with_token(mut spec: Value) -> Value {
    spec["podTemplate"]["automountServiceAccountToken"] = json!(true);
    spec
}

/// The docker config of who reads or writes from outside.
fn judges_folder(place: &Place) -> PathBuf {
    let docker = place.folder.path().join("docker");
    fs::create_dir_all(&docker).unwrap();
    fs::write(docker.join("config.json"), registry::main().judges_config()).unwrap();
    docker
}

/// Stepseal outside of the cluster, with the administrator's kubeconfig.
pub(crate) fn outside(place: &Place, arguments: &[&str]) -> Output {
    let registry = registry::main();
    let docker = judges_folder(place);
    let mut command = Command::new(given("STEPSEAL_BINARY"));
    // What is for the scenarios is not for it.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STEPSEAL_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(place.folder.path());
    command.env("STEPSEAL_REGISTRY_CA", registry.ca_file());
    if arguments.first() == Some(&"sign") {
        command.env("STEPSEAL_KEY", format!("k8s://{}/signing-secrets", place.namespace));
        command.env("STEPSEAL_REGISTRY_CONFIG", docker);
    }
    output(&mut command)
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Signs a finished run from outside, in `format`; all of it must have been checked against its Pod.
fn signs_from_outside(place: &Place, name: &str, format: &str, more: &[&str]) -> Output {
    let named = format!("{}/{name}", place.namespace);
    let format = format!("artifacts.taskrun.format={format}");
    let sign = ["sign", "--taskrun", &named, "--require-pod"];
    let store = ["--config", "artifacts.taskrun.storage=tekton,oci", "--config", &format];
    outside(place, &[&sign[..], &store, more].concat())
}

pub(crate) fn signed_from_outside(place: &Place, name: &str, format: &str, more: &[&str]) {
    let signed = signs_from_outside(place, name, format, more);
    assert!(signed.status.success(), "{name}: {}", said(&signed));
}

/// Runs `stepseal verify-run` on the object in the cluster.
fn verify_run(place: &Place, kind: &str, name: &str) -> Output {
    let (flag, named) = (format!("--{kind}"), format!("{}/{name}", place.namespace));
    outside(place, &["verify-run", "--key", "cosign.pub", "--insecure-ignore-tlog", &flag, &named])
}

/// The same, which must pass; what it says.
pub(crate) fn run_verified(place: &Place, kind: &str, name: &str) -> String {
    let verified = verify_run(place, kind, name);
    let words = said(&verified);
    assert!(verified.status.success(), "{kind} {name}: {words}");
    words
}

/// The attestations beside an image, which cosign must accept: their statements.
pub(crate) fn attested(place: &Place, image: &str, kind: &str) -> Vec<Value> {
    let mut cosign = Command::new("cosign");
    cosign.args(["verify-attestation", "--insecure-ignore-tlog=true", "--key", "cosign.pub", "--type", kind]);
    cosign.arg(image).current_dir(place.folder.path()).env("DOCKER_CONFIG", judges_folder(place));
    let envelopes = succeed(cosign.env("SSL_CERT_FILE", registry::main().ca_file()));
    let statements = envelopes.lines().map(|line| {
        let envelope: Value = serde_json::from_str(line).unwrap();
        let statement = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
        serde_json::from_slice(&statement).unwrap()
    });
    statements.collect()
}

/// What the documentation of Tekton Chains has users type, with tkn, base64 and cosign; the payload.
pub(crate) fn annotated(place: &Place, kind: &str, name: &str, judge: &str) -> Value {
    let line = format!(
        "uid=$(tkn -n $NS {kind} describe {name} -o jsonpath='{{.metadata.uid}}')\n\
         for part in payload signature; do tkn -n $NS {kind} describe {name} -o \
         jsonpath=\"{{.metadata.annotations.chains\\.tekton\\.dev/$part-{kind}-$uid}}\" >$part.64; done\n\
         cp signature.64 signature; base64 -d payload.64 >payload; base64 -d signature.64 >envelope\n\
         {judge}"
    );
    let mut shell = Command::new("bash");
    shell.args(["-euc", &line]).current_dir(place.folder.path()).env("NS", &place.namespace);
    let output = output(&mut shell);
    assert!(said(&output).contains("Verified OK"), "{kind} {name}: {}", said(&output));
    serde_json::from_slice(&fs::read(place.folder.path().join("payload")).unwrap()).unwrap()
}

/// The judge of the format `tekton`.
fn of_blob(place: &Place) -> String {
    let key = format!("k8s://{}/signing-secrets", place.namespace);
    format!("cosign verify-blob --insecure-ignore-tlog=true --key {key} --signature ./signature ./payload")
}

/// The judge of the in-toto formats.
pub(crate) fn of_envelope(kind: &str) -> String {
    format!(
        "cosign verify-blob-attestation --insecure-ignore-tlog=true --key cosign.pub --signature envelope \
         --type {kind} --check-claims=false /dev/null"
    )
}

fn uid(run: &Run) -> &Value {
    &run.object["metadata"]["uid"]
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn the_last_step_signs_its_run() {
    let _flags = FEATURE_FLAGS.read().unwrap_or_else(PoisonError::into_inner);
    scenario("the_last_step_signs_its_run", |place| {
        let repository = place.for_main_registry();
        allow(place, SMALLEST);
        let formats = [("v2", "slsa/v2alpha4", "slsaprovenance1"), ("v1", "slsa/v1", "slsaprovenance")];
        for (name, format, _) in formats {
            let steps = [build(&format!("{repository}/{name}")), sign_runs(&["TASKRUN"], format)];
            place.start("TaskRun", name, &with_token(task_run(&steps)));
        }
        for (name, _, kind) in formats {
            let run = place.ended("TaskRun", name);
            assert!(run.succeeded(), "{}", place.logs(&run));
            place.verified(&run.image());
            let statement = annotated(place, "taskrun", name, &of_envelope(kind));
            assert_eq!(attested(place, &run.image(), kind), slice::from_ref(&statement));
            let hex = run.image().split_once("@sha256:").unwrap().1.to_owned();
            assert_eq!(statement["subject"][0]["digest"]["sha256"], hex, "{statement:#}");
            let metadata = match kind {
                "slsaprovenance" => &statement["predicate"]["metadata"],
                _ => &statement["predicate"]["runDetails"]["metadata"],
            };
            // It can't know when it ended.
            assert!(
                metadata["startedOn"].is_string() || metadata["buildStartedOn"].is_string(),
                "{metadata}"
            );
            assert!(metadata["finishedOn"].is_null() && metadata["buildFinishedOn"].is_null(), "{metadata}");
            run_verified(place, "taskrun", name);
        }
    });
}

/// Results of all types, of the Task and of a step; and a failure that is tried again.
fn with_results(repository: &str) -> Value {
    let script = "[ $(context.task.retry-count) = 1 ] || exit 1\n\
         printf '[\"a\",\"b\"]' >$(results.LIST.path)\n\
         printf '{\"key\":\"v\"}' >$(results.OBJECT.path)\n\
         echo 'two\nlines' >$(results.LINES.path)\n\
         printf early >$(results.CHANGED.path)\n\
         printf out >$(step.results.OUT.path)";
    let mut step = shell("results", script);
    step["results"] = json!([{"name": "OUT"}]);
    let last = shell("last", "printf late >$(results.CHANGED.path)");
    let mut spec = task_run(&[build(repository), step, last]);
    spec["retries"] = json!(1);
    let results = spec["taskSpec"]["results"].as_array_mut().unwrap();
    results.extend([
        json!({"name": "LIST", "type": "array"}),
        json!({"name": "OBJECT", "type": "object", "properties": {"key": {"type": "string"}}}),
        json!({"name": "LINES"}),
        json!({"name": "CHANGED"}),
        json!({"name": "FROM_STEP", "value": "$(steps.results.results.OUT)"}),
    ]);
    let mut sidecar = locked_down();
    sidecar["runAsUser"] = json!(4000);
    spec["taskSpec"]["sidecars"] = json!([{
        "name": "idle", "image": given("STEPSEAL_TOOLS_IMAGE"), "securityContext": sidecar,
        "script": "#!/bin/sh\nsleep 300",
    }]);
    spec
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_run_that_is_over_is_signed_from_outside() {
    let _flags = FEATURE_FLAGS.read().unwrap_or_else(PoisonError::into_inner);
    scenario("a_run_that_is_over_is_signed_from_outside", |place| {
        let repository = place.for_main_registry();
        place.start("TaskRun", "plain", &task_run(&[build(&format!("{repository}/plain"))]));
        place.start("TaskRun", "results", &with_results(&format!("{repository}/results")));
        let plain = place.ended("TaskRun", "plain");
        assert!(plain.succeeded());
        signed_from_outside(place, "plain", "slsa/v2alpha4", &[]);
        place.verified(&plain.image());
        let statement = annotated(place, "taskrun", "plain", &of_envelope("slsaprovenance1"));
        assert_eq!(attested(place, &plain.image(), "slsaprovenance1"), slice::from_ref(&statement));
        assert_eq!(statement["predicate"]["runDetails"]["metadata"]["invocationId"], *uid(&plain));
        assert!(statement["predicate"]["runDetails"]["metadata"]["finishedOn"].is_string());
        run_verified(place, "taskrun", "plain");

        let results = place.ended("TaskRun", "results");
        assert!(results.succeeded(), "{}", place.logs(&results));
        assert_eq!(results.object["status"]["retriesStatus"].as_array().map(Vec::len), Some(1));
        let marked = signs_from_outside(
            place,
            "results",
            "tekton",
            &["--config", "artifacts.taskrun.storage=tekton", "--mark-signed"],
        );
        assert!(marked.status.success(), "{}", said(&marked));
        let payload = annotated(place, "taskrun", "results", &of_blob(place));
        assert_eq!(payload["results"].as_array().map(Vec::len), Some(7), "{payload:#}");
        run_verified(place, "taskrun", "results");
        let object = place.ended("TaskRun", "results").object;
        assert_eq!(object["metadata"]["annotations"]["chains.tekton.dev/signed"], "true");
        a_changed_payload_is_named(place, &object);
    });
}

/// `verify-run` names a payload that isn't what was signed, and accepts the right payload again.
fn a_changed_payload_is_named(place: &Place, run: &Value) {
    let uid = run["metadata"]["uid"].as_str().unwrap();
    let name = format!("chains.tekton.dev/payload-taskrun-{uid}");
    let right = run["metadata"]["annotations"][&name].as_str().unwrap();
    let changed = String::from_utf8(STANDARD.decode(right).unwrap()).unwrap().replace("late", "evil");
    let annotate = |payload: &str| {
        let value = format!("{name}={payload}");
        succeed(place.kubectl().args(["annotate", "taskrun", "results", "--overwrite", &value]));
        verify_run(place, "taskrun", "results")
    };
    let refused = annotate(&STANDARD.encode(changed));
    let words = said(&refused);
    assert!(!refused.status.success() && words.contains(&format!("taskrun-{uid}")), "{words}");
    assert!(annotate(right).status.success());
    // The status says something else now than what was signed.
    patch_status(
        place,
        "results",
        &json!({"results": [{"name": "CHANGED", "type": "string", "value": "evil"}]}),
        &[],
    );
    let refused = verify_run(place, "taskrun", "results");
    let words = said(&refused);
    assert!(!refused.status.success() && words.contains("\"late\"") && words.contains("\"evil\""), "{words}");
}

fn patch_status(place: &Place, name: &str, status: &Value, more: &[&str]) {
    let patch = json!({"status": status}).to_string();
    let arguments = ["patch", "taskrun", name, "--subresource=status", "--type=merge", "-p", &patch];
    succeed(place.kubectl().args(arguments).args(more));
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_patched_status_is_refused() {
    scenario("a_patched_status_is_refused", |place| {
        let repository = place.for_main_registry();
        for name in ["kubectl", "posing"] {
            place.start("TaskRun", name, &task_run(&[build(&format!("{repository}/{name}"))]));
        }
        let digest = format!("sha256:{}", "0".repeat(64));
        let refuses = |name: &str, more: &[&str], words: &[&str]| {
            let run = place.ended("TaskRun", name);
            let mut results = run.object["status"]["results"].clone();
            for result in results.as_array_mut().unwrap() {
                if result["name"] == "IMAGE_DIGEST" {
                    result["value"] = json!(digest);
                }
            }
            patch_status(place, name, &json!({"results": results}), more);
            let refused = signs_from_outside(place, name, "slsa/v1", &[]);
            let text = said(&refused);
            assert!(!refused.status.success(), "{text}");
            for word in words {
                assert!(text.contains(word), "{word}: {text}");
            }
            let now = place.ended("TaskRun", name).object;
            let annotations = now["metadata"]["annotations"].to_string();
            assert!(!annotations.contains("chains.tekton.dev"), "{annotations}");
        };
        let lie = "result IMAGE_DIGEST: the run says \"sha256:0000";
        refuses("kubectl", &[], &["its status", "was written by \"kubectl-patch\"", lie]);
        // Under the controller's name only the Pod shows the difference.
        refuses("posing", &["--field-manager=controller"], &[lie]);
        // The Pod is gone: who wrote the status is still known.
        succeed(place.kubectl().args(["delete", "pod", "kubectl-pod", "--grace-period=0", "--force"]));
        let signed = ["sign", "--taskrun", &format!("{}/kubectl", place.namespace)];
        let store = ["--config", "artifacts.taskrun.storage=tekton"];
        let refused = outside(place, &[&signed[..], &store].concat());
        assert!(!refused.status.success() && said(&refused).contains("kubectl-patch"), "{}", said(&refused));
    });
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_finally_task_signs_the_runs_of_its_pipeline() {
    let _flags = FEATURE_FLAGS.read().unwrap_or_else(PoisonError::into_inner);
    scenario("a_finally_task_signs_the_runs_of_its_pipeline", |place| {
        let repository = place.for_main_registry();
        allow(place, SMALLEST_OF_PIPELINE_RUN);
        let building =
            |name: &str| json!({"name": name, "taskSpec": task(&[build(&format!("{repository}/{name}"))])});
        place.start(
            "PipelineRun",
            "pipeline",
            &json!({
                "taskRunTemplate": {"podTemplate": {"automountServiceAccountToken": true}},
                "pipelineSpec": {
                    "tasks": [building("one"), building("two")],
                    "finally": signs_at_the_end(&["TASKRUN", "PIPELINERUN"]),
                },
            }),
        );
        let pipeline_run = place.ended("PipelineRun", "pipeline");
        let sign = Run { name: "pipeline-sign".into(), object: Value::Null };
        assert!(pipeline_run.succeeded(), "{}", place.logs(&sign));
        let of_pipeline_run = annotated(place, "pipelinerun", "pipeline", &of_envelope("slsaprovenance1"));
        let metadata = |statement: &Value| statement["predicate"]["runDetails"]["metadata"].clone();
        assert_eq!(metadata(&of_pipeline_run)["invocationId"], *uid(&pipeline_run));
        assert!(metadata(&of_pipeline_run)["finishedOn"].is_null());
        assert_eq!(of_pipeline_run["subject"].as_array().map(Vec::len), Some(2));
        // The task that signs was still running, so it isn't part of what it signed.
        let words = run_verified(place, "pipelinerun", "pipeline");
        assert!(words.contains("signed before the run ended, without pipeline-sign)"), "{words}");
        for part in ["one", "two"] {
            let name = format!("pipeline-{part}");
            let run = place.ended("TaskRun", &name);
            let of_run = annotated(place, "taskrun", &name, &of_envelope("slsaprovenance1"));
            assert_eq!(metadata(&of_run)["invocationId"], *uid(&run));
            assert!(metadata(&of_run)["finishedOn"].is_string());
            // Both are kept beside the image.
            let beside = attested(place, &run.image(), "slsaprovenance1");
            let count = beside.len();
            assert_eq!(
                (count, beside.contains(&of_run), beside.contains(&of_pipeline_run)),
                (2, true, true),
                "{name}: {beside:#?}"
            );
            run_verified(place, "taskrun", &name);
        }
    });
}
