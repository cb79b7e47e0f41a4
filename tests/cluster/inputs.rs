//! Files that a step reads and did not write: predicates, policies, and logins of a helper program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kit::place::Run;
use crate::kit::steps::{build, shell, sign, task, task_run};
use crate::kit::{Place, given, output, registry, scenario, succeed};

/// Where the step `scan` leaves its files.
const DATA: &str = "/workspace/data";

/// A signing step that runs another command.
fn step(name: &str, arguments: &[&str]) -> Value {
    let mut step = sign(&[]);
    step["name"] = json!(name);
    step["args"] = json!(arguments);
    step
}

/// A volume on the node, which any user may write to, as the claim `data` of the namespace; gone when it is dropped.
struct Claim(String);

impl Claim {
    fn new(place: &Place) -> Self {
        let folder = place.folder.path().join("volume");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        let claim = Self(place.namespace.clone());
        claim.delete();
        let common = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        let size = json!({"storage": "10Mi"});
        place.apply(&common(
            "PersistentVolume",
            &claim.0,
            json!({"capacity": size, "accessModes": ["ReadWriteOnce"], "storageClassName": claim.0,
                "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": folder}}),
        ));
        place.apply(&common(
            "PersistentVolumeClaim",
            "data",
            json!({"accessModes": ["ReadWriteOnce"], "storageClassName": claim.0, "resources": {"requests": size}}),
        ));
        claim
    }

    fn delete(&self) {
        let delete = ["delete", "persistentvolume", &self.0, "--ignore-not-found", "--wait=false"];
        let _ = output(Command::new("kubectl").args(delete));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.delete();
    }
}

/// The exit code of a step.
fn exit_code(run: &Run, step: &str) -> u64 {
    let steps = run.object["status"]["steps"].as_array().unwrap();
    let found = steps.iter().find(|found| found["name"] == step).unwrap();
    found["terminated"]["exitCode"].as_u64().unwrap()
}

/// The predicates of type `custom` beside an image that cosign accepts.
fn predicates(place: &Place, image: &str) -> Vec<String> {
    // Writes the docker config of the judges.
    place.verified(image);
    let mut cosign = Command::new("cosign");
    cosign.args([
        "verify-attestation",
        "--insecure-ignore-tlog=true",
        "--key",
        "cosign.pub",
        "--type",
        "custom",
        image,
    ]);
    cosign.current_dir(place.folder.path()).env("DOCKER_CONFIG", place.folder.path().join("docker"));
    let envelopes = succeed(cosign.env("SSL_CERT_FILE", registry::main().ca_file()));
    let mut found: Vec<String> = envelopes
        .lines()
        .map(|line| {
            let envelope: Value = serde_json::from_str(line).unwrap();
            let statement = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
            let statement: Value = serde_json::from_slice(&statement).unwrap();
            assert!(!statement.to_string().contains("auths"), "a login was published: {statement}");
            // The type `custom` takes any text, so it would publish a login as well.
            let data = statement.pointer("/predicate/Data").and_then(Value::as_str).unwrap();
            serde_json::from_str::<Value>(data).unwrap()["by"].as_str().unwrap().to_owned()
        })
        .collect();
    found.sort();
    found
}

/// What a step may read of what another step left: on a claim, by links inside of it, from a step's result. What leads
/// out of it, or isn't a file, is refused, and nothing of it is published.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_predicate_of_another_step() {
    scenario("a_predicate_of_another_step", |place| {
        let repository = place.for_main_registry();
        let claim = Claim::new(place);
        let built = place.succeeds("build", &task_run(&[build(&repository), sign(&[])]));
        let image = built.image();
        let mut scan = shell(
            "scan",
            &format!(
                "cd {DATA}; mkdir -p reports/latest\n\
                 for by in plain link folder; do echo '{{\"by\": \"'$by'\"}}' >reports/$by.json; done\n\
                 ln -s reports/link.json link.json; ln -s {DATA}/reports absolute; ln -s ../../reports reports/latest/up\n\
                 ln -s /etc/registry-credentials/.dockerconfigjson login.json; ln -s /etc/signing-secrets secrets\n\
                 mkfifo pipe.json\n\
                 printf %s '{{\"by\": \"result\"}}' >$(step.results.sbom.path)"
            ),
        );
        scan["results"] = json!([{"name": "sbom"}]);
        let mut steps = vec![scan];
        let good = [
            ("plain", format!("{DATA}/reports/plain.json")),
            ("link", format!("{DATA}/link.json")),
            ("folder", format!("{DATA}/absolute/folder.json")),
            // The same file again adds nothing.
            ("up", format!("{DATA}/reports/latest/up/folder.json")),
            ("result", "/tekton/steps/step-scan/results/sbom".to_owned()),
        ];
        let bad = [
            ("login", format!("{DATA}/login.json")),
            ("password", format!("{DATA}/secrets/cosign.password")),
            ("pipe", format!("{DATA}/pipe.json")),
        ];
        for (name, file) in good.iter().chain(&bad) {
            let attest = ["attest", &image, "--predicate", file, "--type", "custom", "--timeout", "60s"];
            let mut attest = step(name, &attest);
            attest["onError"] = json!("continue");
            steps.push(attest);
        }
        let mut spec = json!({
            "podTemplate": {"automountServiceAccountToken": false},
            "taskSpec": task(&steps),
            "workspaces": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        });
        spec["taskSpec"]["results"] = json!([]);
        spec["taskSpec"]["workspaces"] = json!([{"name": "data"}]);
        let run = place.succeeds("attest", &spec);
        let logs = place.logs(&run);
        for (name, _) in &good {
            assert_eq!(exit_code(&run, name), 0, "{name}: {logs}");
        }
        for (name, file) in &bad {
            assert_ne!(exit_code(&run, name), 0, "{name}: {logs}");
            assert!(logs.contains(file.rsplit('/').next().unwrap()), "{file}: {logs}");
        }
        for secret in [registry::PASSWORD, crate::kit::place::KEY_PASSWORD] {
            assert!(!logs.contains(secret), "{logs}");
        }
        assert!(logs.contains("/etc/registry-credentials"), "the message says where the link leads: {logs}");
        assert_eq!(predicates(place, &image), ["folder", "link", "plain", "result"]);
        drop(claim);
    });
}

/// A gate whose policy and key are entries of a ConfigMap, which are links into its `..data`.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_policy_from_a_config_map() {
    scenario("a_policy_from_a_config_map", |place| {
        let repository = place.for_main_registry();
        let policy = format!(
            "version: 1\nsigners:\n  release: {{ key: cosign.pub }}\nrules:\n  - name: signed\n    images: [\"{repository}\"]\n    \
             signature: {{ by: [release] }}\n"
        );
        let key = fs::read_to_string(place.folder.path().join("cosign.pub")).unwrap();
        place.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "policy"},
            "data": {"policy.yaml": policy, "cosign.pub": key}}));
        let gate = |steps: &[Value]| {
            let mut gate = step("gate", &["verify", "--policy", "/etc/policy/policy.yaml"]);
            let mounts = gate["volumeMounts"].as_array_mut().unwrap();
            mounts.push(json!({"name": "policy", "mountPath": "/etc/policy", "readOnly": true}));
            let mut spec = task_run(&[steps, &[gate]].concat());
            let volumes = spec["taskSpec"]["volumes"].as_array_mut().unwrap();
            volumes.push(json!({"name": "policy", "configMap": {"name": "policy"}}));
            spec
        };
        place.succeeds("signed", &gate(&[build(&repository), sign(&[])]));
        let run = place.task_run("unsigned", &gate(&[build(&format!("{repository}/other"))]));
        assert!(!run.succeeded(), "{}", place.logs(&run));
        let run = place.task_run("unsigned-too", &gate(&[build(&repository)]));
        assert!(!run.succeeded(), "{}", place.logs(&run));
    });
}

/// A docker config from a ConfigMap names a helper program, which lies in the image of the step.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_credential_helper() {
    scenario("a_credential_helper", |place| {
        let repository = place.for_main_registry();
        succeed(place.kubectl().args(["delete", "secret", "registry-credentials"]));
        let host = &registry::main().host;
        let config = json!({"credHelpers": {host: "file"}}).to_string();
        place.config_map("docker", "config.json", &config);
        let answer = json!({"Username": registry::USER, "Secret": registry::PASSWORD}).to_string();
        place.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "helper"}, "stringData": {"answer": answer}}));
        let mut step = sign(&[]);
        step["image"] = json!(image_with_helper(place));
        step["env"].as_array_mut().unwrap().push(json!({"name": "DOCKER_CONFIG", "value": "/etc/docker"}));
        step["securityContext"]["runAsUser"] = json!(65532);
        for name in ["docker", "helper"] {
            let mount = json!({"name": name, "mountPath": format!("/etc/{name}"), "readOnly": true});
            step["volumeMounts"].as_array_mut().unwrap().push(mount);
        }
        let mut spec = task_run(&[build(&repository), step]);
        let volumes = spec["taskSpec"]["volumes"].as_array_mut().unwrap();
        volumes.push(json!({"name": "docker", "configMap": {"name": "docker"}}));
        volumes.push(json!({"name": "helper", "secret": {"secretName": "helper"}}));
        let run = place.succeeds("helper", &spec);
        place.verified(&run.image());
    });
}

/// The image with a shell, and in it Stepseal and a helper that answers what is mounted.
fn image_with_helper(place: &Place) -> String {
    let folder = place.folder.path().join("layer");
    let helper = folder.join("bin/docker-credential-file");
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::copy(given("STEPSEAL_BINARY"), folder.join("stepseal")).unwrap();
    fs::write(&helper, "#!/bin/sh\nexec cat /etc/helper/answer\n").unwrap();
    for file in [folder.join("stepseal"), helper] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let layer = place.folder.path().join("layer.tar");
    succeed(
        Command::new("tar")
            .args(["--owner=0", "--group=0", "-cf"])
            .arg(&layer)
            .arg("-C")
            .arg(&folder)
            .args(["stepseal", "bin"]),
    );
    let base = given("STEPSEAL_TOOLS_IMAGE");
    let (cluster, _) = base.split_once('/').unwrap();
    let mut crane = Command::new("crane");
    crane.args(["append", "--insecure", "-b", &base, "-t", &format!("{cluster}/with-helper:1"), "-f"]);
    succeed(crane.arg(&layer)).trim().to_owned()
}
