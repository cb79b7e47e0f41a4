//! A container of the same user in a Pod with a shared process namespace.
//!
//! Tekton's pod template can't share it; an admission webhook can. It is the Pod that Tekton makes for the shipped Task, with
//! that setting and two containers more.
//!
//! It searches while the processes work. Between the start of a program and its first instructions its memory can be opened, and what
//! is open stays open: a neighbour that waits for that moment is not what is tested here.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::catalog::shipped;
use crate::kit::gate::Gate;
use crate::kit::place::{KEY_PASSWORD, PATIENCE};
use crate::kit::process::Process;
use crate::kit::steps::{build, locked_down, task};
use crate::kit::{Place, given, log, output, registry, scenario, succeed};

/// Tries to get at every other process; prints what it got, and of which command.
const SEARCH: &str = r#"
for process in /proc/[0-9]*; do
  command=$(tr '\0\n' '  ' <$process/cmdline | head -c 50)
  for file in environ auxv maps mem pagemap; do
    if (exec 3<$process/$file) 2>/dev/null; then echo "GOT $file of $command"; fi
  done
  for link in exe cwd root; do
    if readlink $process/$link >/dev/null 2>&1; then echo "GOT $link of $command"; fi
  done
  for folder in fd map_files root/ root/etc/signing-secrets/ root/etc/registry-credentials/; do
    if ls $process/$folder >/dev/null 2>&1; then echo "GOT $folder of $command"; fi
  done
  tr '\0' '\n' <$process/environ 2>/dev/null
  cat $process/root/etc/signing-secrets/* $process/root/etc/registry-credentials/* 2>/dev/null
done
echo searched
"#;

/// The Pod that Tekton made for a TaskRun, for a copy that only the scenario controls.
fn copy(mut pod: Value, name: &str) -> Value {
    // Tekton's entrypoint waits for this annotation.
    pod["metadata"] = json!({"name": name, "annotations": {"tekton.dev/ready": "READY"}});
    let root = pod.as_object_mut().unwrap();
    root.remove("status");
    root["spec"].as_object_mut().unwrap().remove("nodeName");
    pod
}

/// A container that waits, with the user of the image of Stepseal. Of that image's `USER` Kubernetes takes the user alone: the group
/// is 0, as the image has no `/etc/passwd`.
fn waiting(name: &str, command: &[&str]) -> Value {
    let mut context = locked_down();
    context["runAsUser"] = json!(65532);
    context["runAsGroup"] = json!(0);
    json!({"name": name, "image": given("STEPSEAL_TOOLS_IMAGE"), "command": command, "securityContext": context})
}

/// The shipped Task with the agent, in a Pod with one process namespace, whose processes have a password in their environments.
fn shared_pod(place: &Place, image: &str) -> Value {
    place.apply_text(&shipped("tasks/sign-images-agent/0.1/sign-images-agent.yaml"));
    let params = [
        json!({"name": "IMAGES", "value": [image]}),
        json!({"name": "STEPSEAL_IMAGE", "value": given("STEPSEAL_IMAGE")}),
        json!({"name": "AGENT_REGISTRY_SECRET", "value": "agent-credentials"}),
    ];
    let spec = json!({"taskRef": {"name": "sign-images-agent"}, "params": params,
        "podTemplate": {"automountServiceAccountToken": false}});
    place.start("TaskRun", "original", &spec);
    let mut pod = copy(place.placed("original-pod"), "shared");
    succeed(place.kubectl().args(["delete", "taskrun", "original"]));
    pod["spec"]["shareProcessNamespace"] = json!(true);
    let password = json!({"secretKeyRef": {"name": "signing-secrets", "key": "cosign.password"}});
    let containers = pod["spec"]["containers"].as_array_mut().unwrap();
    for container in containers.iter_mut() {
        let variable = json!({"name": "COSIGN_PASSWORD", "valueFrom": password});
        container["env"].as_array_mut().unwrap().push(variable);
    }
    containers.push(waiting("neighbour", &["sleep", "1000"]));
    let mut open = waiting("open", &["sleep", "2000"]);
    open["env"] = json!([{"name": "OPEN", "value": "can-be-read"}]);
    containers.push(open);
    pod
}

/// How the step of a Pod ended.
fn exit_code(place: &Place, pod: &str) -> Value {
    let begun = Instant::now();
    loop {
        let text = succeed(place.kubectl().args(["get", "pod", pod, "-o", "json"]));
        let object: Value = serde_json::from_str(&text).unwrap();
        let statuses = object["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
        let step = statuses.iter().find(|status| status["name"] == "step-sign").unwrap();
        if step["state"]["terminated"].is_object() {
            return step["state"]["terminated"]["exitCode"].clone();
        }
        assert!(begun.elapsed() < PATIENCE, "the step has not ended: {step:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_neighbour_of_the_same_user_gets_nothing() {
    scenario("a_neighbour_of_the_same_user_gets_nothing", |place| {
        let repository = place.for_main_registry();
        let gate = Gate::before(&registry::main().host);
        for name in ["registry-credentials", "agent-credentials"] {
            place.login(name, &gate.host, registry::USER, registry::PASSWORD);
        }
        let built = place.succeeds("build", &json!({"taskSpec": task(&[build(&repository)])})).image();
        let image = built.replacen(&registry::main().host, &gate.host, 1);
        place.apply(&shared_pod(place, &image));
        let pod = place.placed("shared");
        gate.holds(pod["status"]["podIP"].as_str().unwrap());
        let agent = Process::of(&pod, "/stepseal agent");
        agent.has("/run/stepseal/agent.sock");
        let sign = Process::of(&pod, "/stepseal sign");
        let neighbour = Process::of(&pod, "sleep 1000");
        for process in [&agent, &sign] {
            for field in ["Uid", "Gid"] {
                assert_eq!(process.status(field), neighbour.status(field));
            }
        }
        let search = ["exec", "shared", "-c", "neighbour", "--", "sh", "-c", SEARCH];
        let output = output(place.kubectl().args(search));
        let got = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(got.contains("searched"), "{got}");
        // A process that isn't protected shows that the search works.
        for word in [
            "GOT environ of sleep 2000",
            "GOT mem of sleep 2000",
            "GOT root/ of sleep 2000",
            "OPEN=can-be-read",
        ] {
            assert!(got.contains(word), "{word}: {got}");
        }
        let lines = got.lines().filter(|line| line.starts_with("GOT"));
        let of_others: Vec<&str> =
            lines.filter(|line| line.contains("stepseal") || line.contains("entrypoint")).collect();
        log(&format!("neighbour: {of_others:?}"));
        assert!(of_others.is_empty(), "{of_others:#?}");
        for secret in [KEY_PASSWORD, registry::PASSWORD, "BEGIN ENCRYPTED", "auths"] {
            assert!(!got.contains(secret), "{secret}: {got}");
        }
        gate.open();
        assert_eq!(exit_code(place, "shared"), 0);
        place.verified(&built);
    });
}
