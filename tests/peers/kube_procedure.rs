//! What users do after Tekton Chains, word for word, after Stepseal: tkn, base64 and cosign on the real API server.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::kit::scene::{KEY_PASSWORD, binary, run_quietly};
use crate::kit::{Namespace, Scene, command::Ran, peer, run};
use crate::kube_runs::{finished, task_run};

/// A namespace with a key pair in the Secret `signing-secrets`, and the tools of a user outside the cluster.
struct Desk {
    namespace: Namespace,
    scene: Scene,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { namespace: Namespace::new(), scene: Scene::new() };
        let key = desk.key();
        let mut generate = desk.stepseal(&["generate-key-pair", &key, "--output-key-prefix=new"]);
        run_quietly(generate.env("COSIGN_PASSWORD", KEY_PASSWORD)).ended(0);
        desk
    }

    fn key(&self) -> String {
        format!("k8s://{}", self.namespace.named("signing-secrets"))
    }

    fn work(&self) -> std::path::PathBuf {
        self.scene.home().join("work")
    }

    /// Stepseal with the administrator's kubeconfig, and nothing that is mounted.
    fn stepseal(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .env_clear()
            .current_dir(self.work())
            .env("KUBECONFIG", self.namespace.kube.kubeconfig())
            .args(arguments);
        command
    }

    /// `stepseal sign` for runs alone, into annotations, in `format`.
    fn sign(&self, format: &str, arguments: &[&str]) -> Ran {
        let mut command = self.stepseal(&["sign"]);
        command.args(arguments).env("STEPSEAL_KEY", self.key());
        for artifact in ["TASKRUN", "PIPELINERUN"] {
            command.env(format!("STEPSEAL_ARTIFACTS_{artifact}_FORMAT"), format);
            command.env(format!("STEPSEAL_ARTIFACTS_{artifact}_STORAGE"), "tekton");
        }
        command.args(["--config", "artifacts.oci.storage="]);
        run_quietly(&mut command)
    }

    /// A line of the documentation, as it is typed into a shell.
    fn types(&self, line: &str) -> Ran {
        let mut command = peer("bash", self.scene.home());
        command.args(["-euo", "pipefail", "-c", line]).current_dir(self.work());
        run(command
            .env("KUBECONFIG", self.namespace.kube.kubeconfig())
            .env("NS", &self.namespace.name)
            .env("KEY", self.key()))
    }

    /// The documented look at a TaskRun's annotations.
    fn fetches(&self) {
        let uid = "TASKRUN_UID=$(tkn -n $NS tr describe --last -o jsonpath='{.metadata.uid}')";
        let part = |part: &str| {
            format!(
                r#"tkn -n $NS tr describe --last -o jsonpath="{{.metadata.annotations.chains\.tekton\.dev/{part}-taskrun-$TASKRUN_UID}}""#
            )
        };
        let line =
            format!("{uid}; {} > signature; {} | base64 -d > payload", part("signature"), part("payload"));
        self.types(&line).ok();
        assert!(std::fs::metadata(self.work().join("signature")).unwrap().len() > 50);
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_procedure"]
fn the_documented_procedure_says_verified_ok() {
    let desk = Desk::new();
    finished(&desk.namespace, "build");
    let name = desk.namespace.named("build");
    desk.sign("tekton", &["--taskrun", &name]).ended(0);
    desk.fetches();
    let verify =
        "cosign verify-blob --insecure-ignore-tlog=true --key $KEY --signature ./signature ./payload";
    desk.types(verify).ok().says("Verified OK");
    // Ours, in cosign's place, word for word.
    let stepseal = verify.replace("cosign", &binary().display().to_string());
    desk.types(&stepseal).ok().says("Verified OK");
    let mut payload = read(&desk.work().join("payload"));
    assert_eq!(payload["results"][0]["value"].take(), json!("r/app"));
    assert!(desk.types(&format!("echo >> payload; {verify}")).code != 0);
    assert!(desk.types(&stepseal).code != 0);

    // The same in-toto, as Chains documents it since.
    desk.sign("slsa/v1", &["--taskrun", &name, "--mark-signed"]).ended(0);
    desk.fetches();
    desk.types(
        "base64 -d signature > sig; cosign verify-blob-attestation --insecure-ignore-tlog=true --key $KEY --signature sig --type slsaprovenance \
         --check-claims=false /dev/null",
    )
    .ok()
    .says("Verified OK");
    desk.types(&format!(
        "{} verify-blob-attestation --insecure-ignore-tlog=true --key $KEY --signature sig --type slsaprovenance --check-claims=false /dev/null",
        binary().display()
    ))
    .ok()
    .says("Verified OK");
    let run = desk.namespace.get("taskrun", "build");
    assert_eq!(run["metadata"]["annotations"]["chains.tekton.dev/signed"], "true");
    // The run has two signatures, and the newest matches the run: Stepseal's verifies as well.
    assert!(run["metadata"]["annotations"].as_object().unwrap().keys().any(|name| name.ends_with("-2")));
    std::fs::write(desk.work().join("run.json"), run.to_string()).unwrap();
    for key in ["new.pub", &desk.key()] {
        let verify = ["verify-run", "--key", key, "--insecure-ignore-tlog", "--run", "run.json"];
        run_quietly(&mut desk.stepseal(&verify)).ended(0);
    }
    // A second time: nothing is added.
    desk.sign("slsa/v1", &["--taskrun", &name, "--mark-signed"]).ended(0);
    assert_eq!(desk.namespace.get("taskrun", "build"), run);
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_procedure"]
fn a_patched_status_is_not_signed_and_nothing_is_written() {
    let desk = Desk::new();
    let pod = finished(&desk.namespace, "build");
    let lie = json!({"results": [{"name": "VERSION", "type": "string", "value": "r/evil"}]});
    let name = desk.namespace.named("build");
    let before = desk.namespace.patch_status("TaskRun", "build", &lie, "controller");
    let refused = desk.sign("tekton", &["--taskrun", &name]);
    assert_ne!(refused.code, 0, "{refused}");
    refused.says("result VERSION: the run says \"r/evil\", the step reported \"r/app\"");
    assert_eq!(desk.namespace.get("taskrun", "build"), before);

    finished(&desk.namespace, "other");
    let name = desk.namespace.named("other");
    for pod in [pod, "other-pod".to_owned()] {
        desk.namespace.kubectl(&["delete", "pod", &pod, "--grace-period=0", "--force"]).ok();
    }
    let refused = desk.sign("tekton", &["--taskrun", &name, "--require-pod"]);
    assert_ne!(refused.code, 0, "{refused}");
    refused.says("is gone");
    desk.sign("tekton", &["--taskrun", &name]).ended(0).says("is gone");
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_procedure"]
fn a_step_signs_its_own_run_with_the_smallest_role() {
    let desk = Desk::new();
    let namespace = &desk.namespace;
    namespace.allow(&json!([
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["signing-secrets"], "verbs": ["get"]},
        {"apiGroups": ["tekton.dev"], "resources": ["taskruns"], "verbs": ["get", "patch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    ]));
    let run = namespace.create(task_run("build"));
    let uid = run["metadata"]["uid"].as_str().unwrap();
    let owner = json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": "build", "uid": uid, "controller": true});
    let status = |name: &str| json!({"name": name, "image": "r/x", "imageID": format!("r/{name}@sha256:{}", "a".repeat(64)), "ready": true, "restartCount": 0, "state": {"running": {}}});
    namespace.create(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "build-pod", "ownerReferences": [owner]},
        "spec": {"serviceAccountName": "signer", "automountServiceAccountToken": false, "containers": [{"name": "step-build", "image": "r/x"}, {"name": "step-sign", "image": "r/x"}]},
        "status": {"containerStatuses": [status("step-build"), status("step-sign")]},
    }));
    let results = desk.scene.folder("own-results");
    std::fs::write(results.join("VERSION"), "r/app").unwrap();
    let mut sign = Command::new(binary());
    sign.env_clear().current_dir(desk.work()).envs(namespace.kube.variables()).arg("sign");
    sign.env("STEPSEAL_CLUSTER_CREDENTIALS", namespace.account(Some("build-pod")))
        .env("STEPSEAL_KEY", desk.key());
    sign.env("STEPSEAL_ARTIFACTS_TASKRUN_FORMAT", "slsa/v2alpha4")
        .env("STEPSEAL_ARTIFACTS_TASKRUN_STORAGE", "tekton");
    sign.env("STEPSEAL_RESULTS_DIR", results).env("STEPSEAL_STEPS_DIR", desk.scene.home().join("steps"));
    sign.args(["--config", "artifacts.oci.storage="]);
    // In a pod no proxy is used.
    sign.env("HTTPS_PROXY", "http://127.0.0.1:1").env("ALL_PROXY", "http://127.0.0.1:1");
    run_quietly(&mut sign).ended(0);
    desk.fetches();
    let statement = read(&desk.work().join("payload"));
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(statement["predicate"]["runDetails"]["metadata"]["invocationId"], uid);
    assert!(statement["predicate"]["runDetails"]["metadata"].get("finishedOn").is_none());
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_procedure"]
fn a_pipeline_run_with_two_hundred_children_takes_a_few_requests() {
    let desk = Desk::new();
    let namespace = &desk.namespace;
    let pipeline_run = namespace.create(json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "p"}, "spec": {"pipelineSpec": {"tasks": [
            {"name": "a", "taskSpec": {"steps": [{"name": "s", "image": "r/x"}]}},
        ]}},
    }));
    let owner = |object: &Value| json!([{"apiVersion": "tekton.dev/v1", "kind": object["kind"], "name": object["metadata"]["name"], "uid": object["metadata"]["uid"], "controller": true}]);
    let children = 200;
    let runs: Vec<Value> = (0..children)
        .map(|number| {
            let mut child = task_run(&format!("child-{number}"));
            child["metadata"]["namespace"] = namespace.name.clone().into();
            child["metadata"]["labels"] =
                json!({"tekton.dev/pipelineRun": "p", "tekton.dev/pipelineTask": "a"});
            child["metadata"]["ownerReferences"] = owner(&pipeline_run);
            child["metadata"]["annotations"] = json!({"filler": "x".repeat(10_000)});
            child
        })
        .collect();
    let file = namespace.folder().join("children.json");
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": runs}).to_string()).unwrap();
    namespace.kubectl(&["create", "-f", &file.display().to_string()]).ok();
    let references: Vec<Value> = (0..children)
        .map(|number| json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": format!("child-{number}"), "pipelineTaskName": "a"}))
        .collect();
    let status = json!({
        "childReferences": references, "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z",
        "conditions": [{"type": "Succeeded", "status": "True"}],
    });
    namespace.patch_status("PipelineRun", "p", &status, "controller");
    namespace.allow(&json!([
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["signing-secrets"], "verbs": ["get"]},
        {"apiGroups": ["tekton.dev"], "resources": ["pipelineruns"], "verbs": ["get", "patch"]},
        {"apiGroups": ["tekton.dev"], "resources": ["taskruns"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ]));
    let begun = Instant::now();
    let mut measured = peer("/usr/bin/time", desk.scene.home());
    measured.args(["-f", "%M KiB"]).arg(binary()).args(["sign", "--pipelinerun", &namespace.named("p")]);
    measured.args(["--config", "artifacts.oci.storage="]).current_dir(desk.work());
    measured.envs(namespace.kube.variables()).env("STEPSEAL_CLUSTER_CREDENTIALS", namespace.account(None));
    measured
        .env("STEPSEAL_KEY", desk.key())
        .env("STEPSEAL_REGISTRY_CONFIG", desk.scene.home().join("docker"));
    measured
        .env("STEPSEAL_ARTIFACTS_PIPELINERUN_FORMAT", "slsa/v2alpha4")
        .env("STEPSEAL_ARTIFACTS_PIPELINERUN_STORAGE", "tekton");
    std::fs::write(desk.scene.home().join("docker/config.json"), "{}").unwrap();
    let ran = run(&mut measured);
    let took = begun.elapsed();
    let ran = ran.ended(0);
    let asked = namespace.kube.asked(&format!("system:serviceaccount:{}:signer", namespace.name));
    eprintln!("200 children: {took:?}, {} requests\n{}\n{ran}", asked.len(), asked.join("\n"));
    assert!(asked.len() <= 10, "{asked:?}");
    let name = format!(
        "chains.tekton.dev/signature-pipelinerun-{}",
        pipeline_run["metadata"]["uid"].as_str().unwrap()
    );
    assert!(namespace.get("pipelinerun", "p")["metadata"]["annotations"].get(&name).is_some());
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_procedure"]
fn a_finally_task_signs_each_child_with_one_request() {
    let desk = Desk::new();
    let namespace = &desk.namespace;
    let pipeline_run = namespace.create(json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "p"}, "spec": {"pipelineSpec": {"tasks": [
            {"name": "a", "taskSpec": {"steps": [{"name": "s", "image": "r/x"}]}},
        ]}},
    }));
    let owner = |object: &Value| json!([{"apiVersion": "tekton.dev/v1", "kind": object["kind"], "name": object["metadata"]["name"], "uid": object["metadata"]["uid"], "controller": true}]);
    let child = |name: &str, task: &str| {
        let mut child = task_run(name);
        child["metadata"]["labels"] = json!({"tekton.dev/pipelineRun": "p", "tekton.dev/pipelineTask": task});
        child["metadata"]["ownerReferences"] = owner(&pipeline_run);
        child
    };
    let children: Vec<String> = (0..20).map(|number| format!("child-{number}")).collect();
    let done = json!({
        "podName": "gone", "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z",
        "conditions": [{"type": "Succeeded", "status": "True"}],
    });
    for name in &children {
        namespace.create(child(name, "a"));
        namespace.patch_status("TaskRun", name, &done, "controller");
    }
    let signing = namespace.create(child("signing", "sign"));
    let reference = |(name, task): (&str, &str)| json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": name, "pipelineTaskName": task});
    let named = children.iter().map(|name| (name.as_str(), "a")).chain([("signing", "sign")]);
    let references: Vec<Value> = named.map(reference).collect();
    let status = json!({"childReferences": references, "startTime": "2026-01-01T00:00:00Z"});
    namespace.patch_status("PipelineRun", "p", &status, "controller");
    namespace.create(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "signing-pod", "ownerReferences": owner(&signing), "labels": {"tekton.dev/taskRun": "signing", "tekton.dev/pipelineRun": "p"}},
        "spec": {"serviceAccountName": "signer", "automountServiceAccountToken": false, "containers": [{"name": "step-sign", "image": "r/x"}]},
    }));
    namespace.allow(&json!([
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["signing-secrets"], "verbs": ["get"]},
        {"apiGroups": ["tekton.dev"], "resources": ["taskruns", "pipelineruns"], "verbs": ["get", "list", "patch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    ]));
    let (credentials, results) = (desk.scene.folder("no-credentials"), desk.scene.folder("own-results"));
    std::fs::write(credentials.join("config.json"), "{}").unwrap();
    let user = format!("system:serviceaccount:{}:signer", namespace.name);
    let signs = || {
        let before = namespace.kube.asked(&user).len();
        let mut sign = Command::new(binary());
        sign.env_clear().current_dir(desk.work()).envs(namespace.kube.variables()).arg("sign");
        sign.env("STEPSEAL_CLUSTER_CREDENTIALS", namespace.account(Some("signing-pod")));
        sign.env("STEPSEAL_KEY", desk.key());
        sign.env("STEPSEAL_REGISTRY_CONFIG", &credentials);
        sign.env("STEPSEAL_RESULTS_DIR", &results);
        sign.env("STEPSEAL_STEPS_DIR", desk.scene.home().join("steps"));
        sign.args(["--config", "artifacts.oci.storage="]);
        for artifact in ["TASKRUN", "PIPELINERUN"] {
            sign.env(format!("STEPSEAL_ARTIFACTS_{artifact}_FORMAT"), "slsa/v1");
            sign.env(format!("STEPSEAL_ARTIFACTS_{artifact}_STORAGE"), "tekton");
        }
        let ran = run_quietly(&mut sign).ended(0);
        let asked = namespace.kube.asked(&user).split_off(before);
        assert!(ran.stderr.contains(&format!(" {} requests)", asked.len())), "{ran}\n{}", asked.join("\n"));
        asked
    };
    let asked = signs();
    eprintln!("{} children: {} requests", children.len(), asked.len());
    assert!(asked.len() <= children.len() + 10, "{}", asked.join("\n"));
    for name in &children {
        let about = |line: &&String| {
            let path = line.split('?').next().unwrap_or_default();
            path.ends_with(&format!("/taskruns/{name}"))
        };
        let about: Vec<&String> = asked.iter().filter(about).collect();
        assert!(about.len() == 1 && about[0].starts_with("patch "), "{name}: {about:?}");
        let run = namespace.get("taskrun", name);
        let uid = run["metadata"]["uid"].as_str().unwrap();
        assert!(
            run["metadata"]["annotations"]
                .get(format!("chains.tekton.dev/signature-taskrun-{uid}"))
                .is_some()
        );
    }
    // A second time nothing is written.
    let asked = signs();
    assert!(asked.iter().all(|line| !line.starts_with("patch")) && asked.len() <= 10, "{}", asked.join("\n"));
}
