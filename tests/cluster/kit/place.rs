//! The namespace of a scenario: its key, its Secrets, and what runs in it.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{feed, output, succeed};

/// How long a run may take on a machine where others run too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// The password of every key: no log may hold it.
pub(crate) const KEY_PASSWORD: &str = "key-pa55word-Qq";

/// A namespace with the key that cosign made for it.
pub(crate) struct Place {
    pub(crate) namespace: String,
    /// `cosign.pub`, and a docker config for the judges.
    pub(crate) folder: TempDir,
}

/// A TaskRun or PipelineRun that has ended.
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) object: Value,
}

impl Run {
    pub(crate) fn succeeded(&self) -> bool {
        self.object["status"]["conditions"][0]["status"] == "True"
    }

    /// A result, as text or as JSON.
    pub(crate) fn result(&self, name: &str) -> Value {
        let results = self.object["status"]["results"].as_array().cloned().unwrap_or_default();
        let found = results.into_iter().find(|result| result["name"] == name);
        found.unwrap_or_else(|| panic!("no result {name}: {:#}", self.object["status"]))["value"].take()
    }

    /// The image that the results name.
    pub(crate) fn image(&self) -> String {
        let text = |name: &str| self.result(name).as_str().unwrap().trim().to_owned();
        format!("{}@{}", text("IMAGE_URL"), text("IMAGE_DIGEST"))
    }
}

impl Place {
    pub(crate) fn new(scenario: &str) -> Self {
        let namespace = format!("scenario-{}", scenario.replace('_', "-"));
        let place = Self { namespace, folder: tempfile::tempdir().unwrap() };
        let name = &place.namespace;
        let _ = output(Command::new("kubectl").args(["delete", "namespace", name, "--ignore-not-found"]));
        place.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}));
        // Made by cosign, as the documentation of Tekton Chains says: the Secret has the key and its password.
        let mut cosign = Command::new("cosign");
        cosign.args(["generate-key-pair", &format!("k8s://{name}/signing-secrets")]);
        succeed(cosign.current_dir(place.folder.path()).env("COSIGN_PASSWORD", KEY_PASSWORD));
        let wait = ["wait", "serviceaccount/default", "--for=create", "--timeout=30s"];
        succeed(place.kubectl().args(wait));
        place
    }

    pub(crate) fn kubectl(&self) -> Command {
        let mut command = Command::new("kubectl");
        command.args(["--namespace", &self.namespace]);
        command
    }

    pub(crate) fn tkn(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tkn");
        let output = output(command.args(arguments).args(["--namespace", &self.namespace]));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Applies an object, or the text of a YAML file.
    pub(crate) fn apply(&self, object: &Value) {
        self.apply_text(&object.to_string());
    }

    pub(crate) fn apply_text(&self, text: &str) {
        feed(self.kubectl().args(["apply", "--server-side", "-f", "-"]), text);
    }

    /// Creates a Secret with a dockerconfigjson.
    pub(crate) fn login(&self, secret: &str, entry: &str, user: &str, password: &str) {
        let auth = STANDARD.encode(format!("{user}:{password}"));
        let config = json!({"auths": {entry: {"auth": auth}}}).to_string();
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": secret}, "stringData": {".dockerconfigjson": config},
        }));
    }

    pub(crate) fn config_map(&self, name: &str, key: &str, text: &str) {
        self.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: text}}));
    }

    /// Creates a TaskRun or PipelineRun.
    pub(crate) fn start(&self, kind: &str, name: &str, spec: &Value) {
        let object =
            json!({"apiVersion": "tekton.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        feed(self.kubectl().args(["create", "-f", "-"]), &object.to_string());
    }

    /// Waits until a run has ended.
    pub(crate) fn ended(&self, kind: &str, name: &str) -> Run {
        let begun = Instant::now();
        loop {
            let text = succeed(self.kubectl().args(["get", &kind.to_lowercase(), name, "-o", "json"]));
            let object: Value = serde_json::from_str(&text).unwrap();
            if object["status"]["completionTime"].is_string() {
                return Run { name: name.to_owned(), object };
            }
            assert!(begun.elapsed() < PATIENCE, "{kind} {name} has not ended: {:#}", object["status"]);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The Pod of a TaskRun, as it is now.
    pub(crate) fn pod(&self, run: &str) -> Value {
        let text = succeed(self.kubectl().args(["get", "pod", &format!("{run}-pod"), "-o", "json"]));
        serde_json::from_str(&text).unwrap()
    }

    /// A Pod, once it has an address.
    pub(crate) fn placed(&self, pod: &str) -> Value {
        let begun = Instant::now();
        loop {
            let output = output(self.kubectl().args(["get", "pod", pod, "-o", "json"]));
            let object: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if object["status"]["podIP"].is_string() {
                return object;
            }
            assert!(begun.elapsed() < PATIENCE, "Pod {pod} has no address: {:#}", object["status"]);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs a TaskRun to its end.
    pub(crate) fn task_run(&self, name: &str, spec: &Value) -> Run {
        self.start("TaskRun", name, spec);
        self.ended("TaskRun", name)
    }

    /// The same, which must succeed.
    pub(crate) fn succeeds(&self, name: &str, spec: &Value) -> Run {
        let run = self.task_run(name, spec);
        assert!(run.succeeded(), "{}", self.tkn(&["taskrun", "logs", name]));
        run
    }

    pub(crate) fn logs(&self, run: &Run) -> String {
        self.tkn(&["taskrun", "logs", &run.name])
    }

    /// Runs `cosign verify` with the namespace's key: how it ended, and what it said.
    pub(crate) fn cosign_verify(&self, image: &str, more: &[&str]) -> (bool, String) {
        let registry = super::registry::main();
        fs::create_dir_all(self.folder.path().join("docker")).unwrap();
        fs::write(self.folder.path().join("docker/config.json"), registry.judges_config()).unwrap();
        let mut command = Command::new("cosign");
        command.args(["verify", "--insecure-ignore-tlog=true", "--key"]);
        command.arg(self.folder.path().join("cosign.pub")).args(more).arg(image);
        command.env("DOCKER_CONFIG", self.folder.path().join("docker"));
        command.env("SSL_CERT_FILE", registry.ca_file());
        let output = output(&mut command);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), said)
    }

    /// cosign must accept the image.
    pub(crate) fn verified(&self, image: &str) {
        let (accepted, said) = self.cosign_verify(image, &[]);
        assert!(accepted, "{image}: {said}");
    }

    /// cosign must find no signature.
    pub(crate) fn unsigned(&self, image: &str) {
        let (accepted, said) = self.cosign_verify(image, &[]);
        assert!(!accepted && said.contains("no signatures found"), "{image}: {said}");
    }

    /// Everything about the runs, for a scenario that failed.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for kind in ["pipelineruns", "taskruns", "pods", "events"] {
            let output = output(self.kubectl().args(["get", kind, "-o", "yaml"]));
            text += &format!("--- {kind} of {}\n{}", self.namespace, String::from_utf8_lossy(&output.stdout));
        }
        let pods = output(self.kubectl().args(["get", "pods", "-o", "name"]));
        for pod in String::from_utf8_lossy(&pods.stdout).lines() {
            let logs = output(self.kubectl().args(["logs", pod, "--all-containers", "--prefix"]));
            text += &format!("--- logs of {pod}\n{}", String::from_utf8_lossy(&logs.stdout));
        }
        text
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ =
            output(Command::new("kubectl").args(["delete", "namespace", &self.namespace, "--wait=false"]));
    }
}
