//! A kubeconfig in `$HOME` whose exec plugin gives the token: the user's own outside a pod, and perhaps another step's in one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::kit::scene::{KEY_PASSWORD, binary, run_quietly};
use crate::kit::{Namespace, Scene};

/// Writes a kubeconfig whose exec plugin gives the token of `signer`; the file that the plugin leaves when it runs.
fn with_plugin(namespace: &Namespace, home: &Path) -> PathBuf {
    let account = namespace.account(None);
    let token = fs::read_to_string(account.join("token")).unwrap();
    let version = "client.authentication.k8s.io/v1";
    let credential = json!({"apiVersion": version, "kind": "ExecCredential", "status": {"token": token}});
    let (plugin, trace) = (home.join("bin/plugin"), home.join("trace"));
    fs::create_dir_all(home.join("bin")).unwrap();
    fs::create_dir_all(home.join(".kube")).unwrap();
    fs::write(home.join("credential.json"), credential.to_string()).unwrap();
    let script = format!("#!/bin/sh\n: >'{}'\ncat '{}/credential.json'\n", trace.display(), home.display());
    fs::write(&plugin, script).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let [(_, host), (_, port)] = namespace.kube.variables();
    let exec = json!({"apiVersion": version, "command": "../bin/plugin", "interactiveMode": "Never"});
    let kubeconfig: Value = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "k", "cluster": {
            "server": format!("https://{host}:{port}"), "certificate-authority": account.join("ca.crt"),
        }}],
        "users": [{"name": "me", "user": {"exec": exec}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "me", "namespace": namespace.name}}],
    });
    fs::write(home.join(".kube/config"), kubeconfig.to_string()).unwrap();
    trace
}

#[test]
#[ignore = "needs an API server: tests/peers/run kube_home"]
fn an_exec_plugin_of_home_runs_outside_a_pod_and_in_one_only_if_it_is_named() {
    let (namespace, scene) = (Namespace::new(), Scene::new());
    namespace.allow(&json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create"]}]));
    let home = scene.folder("home");
    let trace = with_plugin(&namespace, &home);
    let generate = |name: &str| {
        let mut command = Command::new(binary());
        command.args(["generate-key-pair", &format!("k8s://{}", namespace.named(name))]);
        command.args(["--output-key-prefix", name]).current_dir(&home);
        command
            .env_clear()
            .env("HOME", &home)
            .env("PATH", "/usr/bin:/bin")
            .env("COSIGN_PASSWORD", KEY_PASSWORD);
        command
    };
    run_quietly(&mut generate("outside")).ended(0);
    assert!(trace.exists() && namespace.get("secret", "outside")["data"].is_object());
    fs::remove_file(&trace).unwrap();

    let kubeconfig = home.join(".kube/config");
    let mut in_pod = generate("unnamed");
    in_pod.envs(namespace.kube.variables()).env("STEPSEAL_CLUSTER_CREDENTIALS", home.join("no-account"));
    run_quietly(&mut in_pod).ended(2).says(&format!("KUBECONFIG={}", kubeconfig.display()));
    assert!(!trace.exists() && !home.join("unnamed.pub").exists());

    let mut named = generate("named");
    named.envs(namespace.kube.variables()).env("KUBECONFIG", &kubeconfig);
    run_quietly(&mut named).ended(0);
    assert!(trace.exists() && namespace.get("secret", "named")["data"].is_object());
}
