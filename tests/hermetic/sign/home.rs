//! `$HOME` is shared by the steps of a Task: what one of them left there is not used by the signing step.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepseal::demo::registry::Authorization;

use crate::kit::step::{Ended, REGISTRY_PASSWORD, Step, ended, pair};

/// A login of `user` for `entry`.
fn login(entry: &str, user: &str, password: &str) -> String {
    json!({"auths": {entry: {"username": user, "password": password}}}).to_string()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The binary in a pod, with `home` as `$HOME` and no credentials that are named.
fn in_pod(step: &Step, args: &[&str]) -> Command {
    let mut command = outside(step, args);
    command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", "1");
    command
}

/// The same outside a pod.
fn outside(step: &Step, args: &[&str]) -> Command {
    let mut command = step.command(args);
    command
        .env_remove("STEPSEAL_REGISTRY_CONFIG")
        .env("HOME", step.path("home"))
        .env("STEPSEAL_CLUSTER_CREDENTIALS", step.path("account"))
        .current_dir(step.folder.path())
        .stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> Ended {
    ended(command.output().unwrap())
}

/// Whether these tests themselves run in a step of Tekton's: then nothing is outside a pod.
fn in_tekton() -> bool {
    Path::new("/tekton").exists()
}

/// The user names of all logins that the registry was sent.
fn users(step: &Step) -> Vec<String> {
    let requests = step.registry.requests().into_iter();
    let mut users: Vec<String> = requests
        .filter_map(|request| match request.authorization {
            Authorization::Basic { user } => Some(user),
            _ => None,
        })
        .collect();
    users.sort();
    users.dedup();
    users
}

/// A kubeconfig with an exec plugin that leaves a trace; the trace's path.
fn exec_plugin(step: &Step, at: &Path) -> std::path::PathBuf {
    let (plugin, trace) = (step.path("plugin"), step.path("trace"));
    write(&plugin, &format!("#!/bin/sh\n: >'{}'\nexit 1\n", trace.display()));
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "interactiveMode": "Never"});
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "me", "user": {"exec": exec}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "me"}}],
    });
    write(at, &kubeconfig.to_string());
    trace
}

/// Every way in which a command comes to ask the cluster.
const CLUSTER: &[&[&str]] = &[
    &["sign"],
    &["sign", "--mark-signed"],
    &["sign", "--taskrun", "ci/build"],
    &["sign", "--pipelinerun", "ci/build"],
    &["sign", "--key", "k8s://ci/key"],
    &["sign", "--service-account", "builder", "IMAGE"],
    &["plan"],
    &["attest", "--type", "custom", "--predicate", "predicate", "--key", "k8s://ci/key", "IMAGE"],
    &["agent", "--key", "k8s://ci/key"],
    &["generate-key-pair", "k8s://ci/key"],
    &["verify", "--key", "k8s://ci/key", "IMAGE"],
    &["verify", "--policy", "policy.yaml", "IMAGE"],
    &["verify-attestation", "--key", "k8s://ci/key", "IMAGE"],
    &["verify-run", "--taskrun", "ci/build", "--key", "signer.pub"],
    &["verify-blob", "--key", "k8s://ci/key", "--signature", "predicate", "predicate"],
];

/// A step with everything that [`CLUSTER`] names, and a kubeconfig in `$HOME` with an exec plugin.
fn with_plugin() -> (Step, String, std::path::PathBuf) {
    let step = Step::new();
    let image = format!("{}/team/app@{}", step.host(), step.built("team/app"));
    write(&step.path("predicate"), "{}");
    write(&step.path("signer.pub"), &pair().public_pem);
    let policy = "version: 1\nsigners:\n  own: {key: 'k8s://ci/key'}\nrules:\n- name: signed\n  images: ['**']\n  signature: {by: [own]}\n";
    write(&step.path("policy.yaml"), policy);
    let trace = exec_plugin(&step, &step.path("home/.kube/config"));
    (step, image, trace)
}

fn asking(mut command: Command) -> Ended {
    command
        .env("STEPSEAL_ARTIFACTS_TASKRUN_STORAGE", "oci")
        .env("STEPSEAL_TIMEOUT", "5s")
        .env("STEPSEAL_AGENT_SOCKET", "unix:///dev/null/agent")
        .env("COSIGN_PASSWORD", "pw");
    if command.get_args().any(|arg| ["--key", "--policy"].iter().any(|flag| arg == *flag)) {
        command.env_remove("STEPSEAL_KEY");
    }
    run(command)
}

#[test]
fn no_command_runs_the_exec_plugin_of_another_step() {
    let (step, image, trace) = with_plugin();
    for args in CLUSTER {
        let args: Vec<&str> = args.iter().map(|arg| if *arg == "IMAGE" { &image } else { *arg }).collect();
        let refused = asking(in_pod(&step, &args));
        assert!(!trace.exists(), "{args:?} runs it");
        assert_ne!(refused.code, 0, "{args:?}: {}", refused.stderr);
        // A policy's key is explained by its cause alone.
        if !args.contains(&"policy.yaml") {
            let setting = format!("KUBECONFIG={}", step.path("home/.kube/config").display());
            assert!(refused.stderr.contains(&setting), "{args:?}: {}", refused.stderr);
        }

        // The same where it is named, and outside a pod.
        let mut named = in_pod(&step, &args);
        named.env("KUBECONFIG", step.path("home/.kube/config"));
        for (command, counts) in [(named, true), (outside(&step, &args), !in_tekton())] {
            let ran = asking(command);
            assert!(trace.exists() || !counts, "{args:?} doesn't run it: {}", ran.stderr);
            let _ = fs::remove_file(&trace);
        }
    }
}

#[test]
fn a_login_of_another_step_does_not_win_over_the_mounted_one() {
    let step = Step::new();
    let digest = step.built("team/app");
    let image = format!("{}/team/app@{digest}", step.host());
    let planted = login(&format!("{}/team/app", step.host()), "mallory", "m");
    write(&step.path("home/.docker/config.json"), &planted);
    write(&step.path("predicate"), "{}");
    write(&step.path("signer.pub"), &pair().public_pem);
    let key = step.path("signer.pub").display().to_string();
    for args in [
        vec!["sign"],
        vec!["attest", "--type", "custom", "--predicate", "predicate", &image],
        vec!["verify", "--insecure-ignore-tlog", "--key", &key, &image],
        vec!["verify-attestation", "--insecure-ignore-tlog", "--key", &key, &image],
    ] {
        let mut command = in_pod(&step, &args);
        command.env("DOCKER_CONFIG", step.path("credentials"));
        step.registry.clear_requests();
        let signed = run(command);
        assert_eq!(signed.code, 0, "{args:?}: {}", signed.stderr);
        assert_eq!(users(&step), ["ci-bot"], "{args:?}");
    }
}

#[test]
fn a_login_below_home_is_used_where_it_is_named() {
    let step = Step::new();
    step.built("team/app");
    let folder = step.path("home/.docker");
    let file = folder.join("config.json");
    write(&file, &login(&step.host(), "ci-bot", REGISTRY_PASSWORD));
    for (variable, value) in [
        ("DOCKER_CONFIG", &folder),
        ("DOCKER_CONFIG", &file),
        ("REGISTRY_AUTH_FILE", &file),
        ("STEPSEAL_REGISTRY_CONFIG", &file),
    ] {
        let mut command = in_pod(&step, &["sign"]);
        command.env(variable, value);
        let signed = run(command);
        assert_eq!(signed.code, 0, "{variable}: {}", signed.stderr);
    }
    assert_eq!(run(in_pod(&step, &["sign", "--registry-config", folder.to_str().unwrap()])).code, 0);
    if !in_tekton() {
        assert_eq!(run(outside(&step, &["sign"])).code, 0);
    }
}

/// Without a login, and with one that is refused: the message says what lies there and how to use it.
#[test]
fn a_refused_login_mentions_the_file_that_was_not_read() {
    let step = Step::new();
    let digest = step.built("team/app");
    let image = format!("{}/team/app@{digest}", step.host());
    let folder = step.path("home/.docker");
    write(&folder.join("config.json"), "not even JSON");
    write(&step.path("wrong/config.json"), &login(&step.host(), "ci-bot", "wrong"));
    write(&step.path("predicate"), "{}");
    write(&step.path("signer.pub"), &pair().public_pem);
    let key = step.path("signer.pub").display().to_string();
    for args in [
        vec!["sign"],
        vec!["attest", "--type", "custom", "--predicate", "predicate", &image],
        vec!["verify", "--insecure-ignore-tlog", "--key", &key, &image],
    ] {
        for named in [None, Some("wrong")] {
            let mut command = in_pod(&step, &args);
            if let Some(named) = named {
                command.env("DOCKER_CONFIG", step.path(named));
            }
            let refused = run(command);
            let text = &refused.stderr;
            assert_eq!(refused.code, 4, "{args:?}: {text}");
            let hint = text.lines().find(|line| line.starts_with("  do:")).unwrap();
            assert!(hint.contains(&format!("{}/config.json", folder.display())), "{args:?}: {text}");
            assert!(hint.contains(&format!("DOCKER_CONFIG={}", folder.display())), "{args:?}: {text}");
            assert!(!text.contains("JSON"), "{text}");
        }
    }
    // Nothing lies there, or what lies there is used: nothing is said of it.
    let mut command = in_pod(&step, &["sign"]);
    command.env("DOCKER_CONFIG", step.path("wrong")).env("HOME", step.path("elsewhere"));
    assert!(!run(command).stderr.contains("$HOME"));
    let mut command = in_pod(&step, &["sign"]);
    command.env("DOCKER_CONFIG", step.path("wrong")).env("HOME", step.path("wrong"));
    symlink(".", step.path("wrong/.docker")).unwrap();
    let refused = run(command).stderr;
    assert!(!refused.contains("$HOME"), "{refused}");
}

#[test]
fn nothing_that_is_planted_below_home_stops_a_step() {
    type Plant = fn(&Path);
    let plants: &[(&str, Plant)] = &[
        ("a FIFO", |path| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }),
        ("a folder", |path| fs::create_dir(path).unwrap()),
        ("garbage", |path| fs::write(path, "hunter2").unwrap()),
        ("a link to nowhere", |path| symlink("nowhere", path).unwrap()),
        ("a circle", |path| symlink(path, path).unwrap()),
        ("a file that nobody may read", |path| {
            fs::write(path, "{}").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }),
        ("a helper", |path| {
            fs::write(path, r#"{"credsStore":"absent","credHelpers":{"127.0.0.1":"absent"}}"#).unwrap();
        }),
    ];
    for (what, plant) in plants {
        let step = Step::new();
        step.built("team/app");
        for name in [".docker/config.json", ".docker/.dockerconfigjson", ".docker/.dockercfg", ".kube/config"]
        {
            let path = step.path("home").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            plant(&path);
        }
        let begun = Instant::now();
        let mut command = in_pod(&step, &["sign"]);
        command.env("DOCKER_CONFIG", step.path("credentials")).env("STEPSEAL_TIMEOUT", "180s");
        let signed = run(command);
        assert_eq!(signed.code, 0, "{what}: {}", signed.stderr);
        assert!(begun.elapsed() < Duration::from_secs(180), "{what} is waited for");
    }
}

#[test]
fn no_value_of_home_lets_a_planted_login_in() {
    let step = Step::new();
    step.built("team/app");
    let planted = login(&format!("{}/team/app", step.host()), "mallory", "m");
    write(&step.path("home/.docker/config.json"), &planted);
    symlink("home", step.path("link")).unwrap();
    symlink("credentials", step.path("home/.kube")).unwrap();
    let path = |name: &str| step.path(name).display().to_string();
    let depth = step.folder.path().canonicalize().unwrap().components().count();
    for home in [
        String::new(),
        "home".into(),
        "./home/".into(),
        ".".into(),
        "/".into(),
        path("home///"),
        path("link"),
        path("link/"),
        path("home/../home"),
        path("home/.docker"),
        path("credentials"),
        format!("{}{}", "../".repeat(depth), path("home")),
    ] {
        let mut command = in_pod(&step, &["sign"]);
        command.env("HOME", &home).env("DOCKER_CONFIG", step.path("credentials"));
        step.registry.clear_requests();
        let signed = run(command);
        assert_eq!(signed.code, 0, "HOME={home}: {}", signed.stderr);
        assert_eq!(users(&step), ["ci-bot"], "HOME={home}");
    }
}

/// With real mounts, where this machine lets its users make some.
#[test]
fn what_is_mounted_below_home_is_used() {
    let step = Step::new();
    step.built("team/app");
    write(&step.path("secret/..1/config.json"), &login(&step.host(), "ci-bot", REGISTRY_PASSWORD));
    symlink("..1", step.path("secret/..data")).unwrap();
    symlink("..data/config.json", step.path("secret/config.json")).unwrap();
    let planted = login(&format!("{}/team/app", step.host()), "mallory", "m");
    write(&step.path("home/.docker/config.json"), &planted);
    let trace = exec_plugin(&step, &step.path("kube/config"));
    fs::create_dir(step.path("home/.kube")).unwrap();
    let mounted = |mounts: &str, args: &[&str]| {
        let inner = in_pod(&step, args);
        let script = format!("cd '{}' && {mounts} && exec \"$@\"", step.folder.path().display());
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-ec", &script, "sh"]);
        command.arg(inner.get_program()).args(inner.get_args()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
        command.output().ok().filter(|output| output.status.code() != Some(1) || !output.stderr.is_empty())
    };
    let works = mounted("mount --bind secret home/.docker && exit 77", &["sign"]);
    if works.is_none_or(|output| output.status.code() != Some(77)) {
        return;
    }
    for (what, mounts, used) in [
        ("a Secret at the folder", "mount --bind secret home/.docker", true),
        ("a Secret by sub-path", "mount --bind secret/config.json home/.docker/config.json", true),
        ("another folder", "mount --bind secret home/.kube", false),
        ("$HOME alone", "mount --bind home home", false),
        (
            "a link to a mount",
            "mount --bind secret home/.kube && mv home/.docker home/was && ln -s .kube home/.docker",
            false,
        ),
        (
            "a link in place of the file",
            "mount --bind secret home/.kube && rm -rf home/.docker && mkdir home/.docker && ln -s ../.kube/config.json home/.docker/config.json",
            false,
        ),
    ] {
        step.registry.clear_requests();
        let signed = ended(mounted(mounts, &["sign"]).unwrap());
        assert_eq!(signed.code, if used { 0 } else { 4 }, "{what}: {}", signed.stderr);
        let expected: &[&str] = if used { &["ci-bot"] } else { &[] };
        assert_eq!(users(&step), expected, "{what}");
        let _ = fs::remove_file(step.path("home/.docker/config.json"));
        let _ = fs::remove_file(step.path("home/.docker"));
        write(&step.path("home/.docker/config.json"), &planted);
    }

    // A mounted kubeconfig runs no program, and the message says so.
    let args = ["sign", "--taskrun", "ci/build"];
    let refused = ended(mounted("mount --bind kube home/.kube", &args).unwrap());
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(!trace.exists() && refused.stderr.contains("runs the program"), "{}", refused.stderr);
    let mut kubeconfig: Value = serde_json::from_slice(&fs::read(step.path("kube/config")).unwrap()).unwrap();
    kubeconfig["users"][0]["user"] = json!({"token": "t"});
    kubeconfig["clusters"][0]["cluster"]["server"] = json!("http://127.0.0.1:1/mounted");
    write(&step.path("kube/config"), &kubeconfig.to_string());
    let args = ["sign", "--taskrun", "ci/build", "--timeout", "1s"];
    let asked = ended(mounted("mount --bind kube home/.kube", &args).unwrap());
    assert!(asked.stderr.contains("127.0.0.1:1/mounted"), "{}", asked.stderr);
}

/// A helper that is named in a file that another step left is not run; one in a mounted file is.
#[test]
fn no_helper_of_another_step_is_run() {
    let step = Step::new();
    step.built("team/app");
    let trace = step.path("trace");
    let helper = step.path("bin/docker-credential-planted");
    write(&helper, &format!("#!/bin/sh\n: >'{}'\nexit 1\n", trace.display()));
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let config = json!({"credHelpers": {step.host(): "planted"}, "credsStore": "planted"}).to_string();
    write(&step.path("home/.docker/config.json"), &config);
    let mut command = in_pod(&step, &["sign"]);
    command.env("PATH", step.path("bin")).env("DOCKER_CONFIG", step.path("credentials"));
    let signed = run(command);
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    assert!(!trace.exists());
    let mut command = in_pod(&step, &["sign"]);
    command.env("PATH", step.path("bin")).env("DOCKER_CONFIG", step.path("home/.docker"));
    assert_eq!(run(command).code, 1);
    assert!(trace.exists());
}
