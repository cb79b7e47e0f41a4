//! The cluster, as the measurement needs it: a namespace with the key, and Chains set up, on or off.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::registry::Registry;

/// The namespace of everything that is created.
pub(crate) const NAMESPACE: &str = "stepseal-bench";
const CHAINS: &str = "tekton-chains";

/// The signer of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    Nobody,
    Chains,
    Step,
}

/// Where the measurement takes place.
pub(crate) struct Site {
    pub(crate) registry: Registry,
    /// The image with crane and a shell.
    pub(crate) tools: String,
    /// The image of Stepseal.
    pub(crate) stepseal: String,
    /// `cosign.pub`, with which all signatures verify.
    pub(crate) keys: TempDir,
}

impl Site {
    /// One key for both, encrypted, made by cosign.
    pub(crate) fn prepare() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        let site = Self {
            registry: Registry::start(&variable("STEPSEAL_NODE_IP")),
            tools: variable("STEPSEAL_TOOLS_IMAGE"),
            stepseal: variable("STEPSEAL_IMAGE"),
            keys: tempfile::tempdir().unwrap(),
        };
        let mut cosign = Command::new("cosign");
        cosign.arg("generate-key-pair").current_dir(site.keys.path()).env("COSIGN_PASSWORD", "measured");
        assert!(cosign.output().expect("cosign runs").status.success());
        let _ = run("kubectl", &["delete", "namespace", NAMESPACE, "--ignore-not-found"]);
        kubectl(&["create", "namespace", NAMESPACE]);
        for namespace in [NAMESPACE, CHAINS] {
            site.secret(namespace);
        }
        let config = json!({"data": {
            "artifacts.taskrun.storage": "", "artifacts.pipelinerun.storage": "",
            "artifacts.oci.storage": "oci", "artifacts.oci.format": "simplesigning",
            "transparency.enabled": "false",
        }});
        let config = config.to_string();
        kubectl(&["-n", CHAINS, "patch", "configmap", "chains-config", "--type=merge", "-p", &config]);
        // A controller that runs already has read the old Secret.
        site.chains(false);
        site
    }

    fn secret(&self, namespace: &str) {
        let file = |name: &str| format!("--from-file={}", self.keys.path().join(name).display());
        let _ =
            run("kubectl", &["-n", namespace, "delete", "secret", "signing-secrets", "--ignore-not-found"]);
        kubectl(&[
            "-n",
            namespace,
            "create",
            "secret",
            "generic",
            "signing-secrets",
            &file("cosign.key"),
            &file("cosign.pub"),
            "--from-literal=cosign.password=measured",
        ]);
    }

    /// Starts or ends the controller.
    pub(crate) fn chains(&self, on: bool) {
        let replicas = format!("--replicas={}", u8::from(on));
        let controller = "deployment/tekton-chains-controller";
        kubectl(&["-n", CHAINS, "scale", controller, &replicas]);
        let app = "app=tekton-chains-controller";
        if on {
            kubectl(&["-n", CHAINS, "rollout", "status", controller, "--timeout=60s"]);
        } else {
            kubectl(&["-n", CHAINS, "wait", "pod", "-l", app, "--for=delete", "--timeout=60s"]);
        }
    }

    /// The id of the controller's container.
    pub(crate) fn controller(&self) -> String {
        let pods = get(&["-n", CHAINS, "pods", "-l", "app=tekton-chains-controller"]);
        let id = pods["items"][0]["status"]["containerStatuses"][0]["containerID"].as_str();
        id.expect("the controller runs").trim_start_matches("containerd://").to_owned()
    }

    /// Whether `cosign verify` accepts the image.
    pub(crate) fn verify(&self, image: &str) {
        let key = self.keys.path().join("cosign.pub");
        let key = Path::new(&key).display().to_string();
        succeed("cosign", &["verify", "--key", &key, "--insecure-ignore-tlog=true", image]);
    }
}

/// Runs a program; its standard output.
fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn succeed(program: &str, arguments: &[&str]) -> String {
    run(program, arguments).unwrap_or_else(|error| panic!("{program} {arguments:?}: {error}"))
}

pub(crate) fn kubectl(arguments: &[&str]) -> String {
    succeed("kubectl", arguments)
}

/// `kubectl get … -o json`
pub(crate) fn get(arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = [&["get", "-o", "json"], arguments].concat();
    serde_json::from_str(&kubectl(&arguments)).unwrap()
}

/// `kubectl create -f -`
pub(crate) fn create(objects: &[Value]) {
    let mut command = Command::new("kubectl");
    command.args(["create", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().expect("kubectl runs");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    child.stdin.take().unwrap().write_all(list.to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Waits until `done`, at most two minutes.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("gave up waiting for {what}");
}
