//! The agent as a sidecar: ordinary and native, beside steps of any user, and what it refuses.

use std::process::Command;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepseal::demo::registry::{Auth, Effect, Fault, Options, User};

use crate::kit::place::KEY_PASSWORD;
use crate::kit::process::Process;
use crate::kit::steps::{SOCKET, build, shell, sign_by_agent, task_run_with_agent, with_socket};
use crate::kit::{FEATURE_FLAGS, Place, output, registry, scenario, succeed};
use crate::runs::signed_from_outside;

/// Asks the agent to sign an image, as any client might; prints the status and the answer.
fn ask(image: &str) -> String {
    format!("ask {SOCKET} POST /v1/sign-image '{{\"image\":\"{image}\"}}'")
}

/// A step that does nothing but speak to the agent.
fn asking(name: &str, script: &str) -> Value {
    // The socket is there when the agent is.
    let wait = format!("for i in $(seq 100); do [ -S {SOCKET} ] && break; sleep 0.1; done\n");
    with_socket(shell(name, &format!("{wait}{script}")))
}

/// The decisions in the agent's log: that of the container before nop took its place, if it has.
fn decisions(place: &Place, run: &str) -> Vec<Value> {
    let mut text = String::new();
    for more in [&["--previous"][..], &[]] {
        let pod = format!("{run}-pod");
        let logs = output(place.kubectl().args(["logs", &pod, "-c", "sidecar-agent"]).args(more));
        text += &String::from_utf8_lossy(&logs.stdout);
    }
    assert!(!text.contains(KEY_PASSWORD) && !text.contains(registry::PASSWORD), "{text}");
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["event"] == "decision").collect()
}

/// Turns Tekton's native sidecars on until it is dropped. Other scenarios have no sidecars that would notice.
struct Native;

impl Native {
    fn switch(value: &str) {
        let patch = json!({"data": {"enable-kubernetes-sidecar": value}}).to_string();
        let mut kubectl = Command::new("kubectl");
        kubectl.args([
            "-n",
            "tekton-pipelines",
            "patch",
            "configmap",
            "feature-flags",
            "--type",
            "merge",
            "-p",
        ]);
        succeed(kubectl.arg(patch));
        // The controller watches its configuration.
        std::thread::sleep(Duration::from_secs(3));
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        Self::switch("false");
    }
}

/// The same with both kinds of sidecars, one after the other.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn build_and_sign_beside_an_agent() {
    scenario("build_and_sign_beside_an_agent", |place| {
        let repository = place.for_main_registry();
        let spec = task_run_with_agent(
            &[build(&repository), sign_by_agent(&[])],
            &["--allow", &repository, "--max-signatures", "1"],
        );
        let check = |name: &str, native: bool| {
            let run = place.succeeds(name, &spec);
            place.verified(&run.image());
            let pod = place.pod(name);
            let init = pod["spec"]["initContainers"].as_array().cloned().unwrap_or_default();
            let is_init = init.iter().any(|container| container["name"] == "sidecar-agent");
            assert_eq!(is_init, native, "{init:?}");
            let all = pod["spec"]["containers"].as_array().unwrap().iter().chain(&init);
            let has_key = |container: &&Value| {
                let mounts = container["volumeMounts"].as_array().unwrap();
                mounts.iter().any(|mount| mount["name"] == "signing-secrets")
            };
            let with_key = all.filter(has_key);
            let with_key: Vec<&Value> = with_key.map(|container| &container["name"]).collect();
            assert_eq!(with_key, ["sidecar-agent"]);
            // The key that is mounted at the default place pins the agent's.
            let logs = place.logs(&run);
            assert!(!logs.contains("not pinned"), "{logs}");
            // Nothing of it is left running, and the pod has not failed.
            let begun = Instant::now();
            loop {
                let phase = place.pod(name)["status"]["phase"].clone();
                if phase == "Succeeded" {
                    break;
                }
                assert!(phase != "Failed" && begun.elapsed() < Duration::from_secs(90), "{phase}");
                std::thread::sleep(Duration::from_millis(500));
            }
            // Whatever became of the sidecar, the run says what its Pod says.
            signed_from_outside(place, name, "slsa/v2alpha4", &[]);
            run
        };
        let run = check("ordinary", false);
        // Dropped after the flags are as they were.
        let _alone = FEATURE_FLAGS.write().unwrap_or_else(PoisonError::into_inner);
        let _native = Native;
        Native::switch("true");
        let native = check("native", true);
        let [decision] = &decisions(place, "native")[..] else { panic!("not one decision") };
        assert_eq!(decision["verdict"], "signed");
        assert_eq!(decision["images"], json!([native.image()]));
        assert_eq!(decision["peer"]["uid"], 65532);
        assert_ne!(run.image(), native.image());
    });
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn an_agent_beside_steps_of_other_users() {
    scenario("an_agent_beside_steps_of_other_users", |place| {
        let repository = place.for_main_registry();
        let mut steps = vec![build(&repository)];
        let users = [1_000_650_000, 4000, 65532];
        for user in users {
            let annotation = format!("user={user}");
            let mut step = sign_by_agent(&["--annotation", &annotation]);
            step["name"] = json!(format!("sign-{user}"));
            step["securityContext"]["runAsUser"] = json!(user);
            steps.push(step);
        }
        let mut spec = task_run_with_agent(&steps, &["--allow", &repository]);
        spec["taskSpec"]["sidecars"][0]["securityContext"]["runAsUser"] = json!(1_000_650_001);
        // Holds the agent until its log is read: at the end nop's takes its place.
        let run = place.succeeds("users", &spec);
        for user in users {
            let (accepted, said) = place.cosign_verify(&run.image(), &["-a", &format!("user={user}")]);
            assert!(accepted, "{said}");
        }
    });
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn what_an_agent_refuses() {
    scenario("what_an_agent_refuses", |place| {
        let repository = place.for_main_registry();
        let absent = format!("{repository}@sha256:{}", "0".repeat(64));
        let elsewhere = format!("{repository}/other");
        // Two images; the agent may sign only for the repository of the first.
        let push = format!(
            "head -c 100 /dev/urandom >/tmp/other; tar -C /tmp -cf /tmp/other.tar other\n\
             other=$(crane append --oci-empty-base -f /tmp/other.tar -t {elsewhere}:1)\n\
             echo OTHER; {}\necho ABSENT; {}",
            ask("'$other'"),
            ask(&absent)
        );
        let eleven = format!(
            "image={repository}@$(cat $(results.IMAGE_DIGEST.path))\n\
             for i in $(seq 11); do echo REQUEST $i; {}; done",
            ask("'$image'")
        );
        let mut step = sign_by_agent(&[]);
        step["onError"] = json!("continue");
        let steps = [build(&repository), asking("ask", &push), asking("eleven", &eleven), step];
        let spec = task_run_with_agent(&steps, &["--allow", &repository, "--max-signatures", "10"]);
        let run = place.succeeds("refuses", &spec);
        let logs = place.logs(&run);
        let of = |step: &str| {
            let lines = logs.lines().filter_map(|line| line.strip_prefix(&format!("[{step}] ")));
            lines.collect::<Vec<_>>().join("\n")
        };
        let asked = of("ask");
        let (other, absent) = asked.split_once("ABSENT").unwrap();
        assert!(other.contains("403") && other.contains("repository_not_allowed"), "{asked}");
        assert!(absent.contains("422") && absent.contains("not_in_registry"), "{asked}");
        let eleven = of("eleven");
        let statuses: Vec<&str> =
            eleven.lines().filter(|line| line.len() == 3 && line.parse::<u16>().is_ok()).collect();
        assert_eq!(statuses, [&["200"; 10][..], &["403"]].concat(), "{eleven}");
        assert!(eleven.contains("limit_reached"), "{eleven}");
        let sign = of("sign");
        for word in ["refuses to sign (limit_reached)", "has given all of its 10 signatures", "do:"] {
            assert!(sign.contains(word), "{word}: {logs}");
        }
        place.unsigned(&run.image());
    });
}

/// A sidecar that made the socket first, with a key of its own: the step has the public key of the agent that was meant.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn an_agent_with_another_key() {
    scenario("an_agent_with_another_key", |place| {
        let repository = place.for_main_registry();
        let mut cosign = Command::new("cosign");
        cosign.args(["generate-key-pair", &format!("k8s://{}/other-secrets", place.namespace)]);
        succeed(cosign.current_dir(place.folder.path()).env("COSIGN_PASSWORD", KEY_PASSWORD));
        let spec = |steps: &[Value]| {
            let mut spec = task_run_with_agent(steps, &["--allow", &repository]);
            for volume in spec["taskSpec"]["volumes"].as_array_mut().unwrap() {
                if volume["name"] == "signing-secrets" {
                    volume["secret"]["secretName"] = json!("other-secrets");
                }
            }
            spec
        };
        let mut step = sign_by_agent(&[]);
        step["onError"] = json!("continue");
        let run = place.succeeds("pinned", &spec(&[build(&repository), step]));
        let logs = place.logs(&run);
        for word in ["must have SHA256:", "of /etc/signing-secrets/cosign.pub", "do:"] {
            assert!(logs.contains(word), "{word}: {logs}");
        }
        place.unsigned(&run.image());
        // Without the mounted key it is believed, and each run warns of it.
        let mut step = sign_by_agent(&[]);
        let mounts = step["volumeMounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["name"] != "agent-public-key");
        let run = place.succeeds("unpinned", &spec(&[build(&repository), step]));
        let logs = place.logs(&run);
        assert!(logs.contains("warning: the agent's key is not pinned"), "{logs}");
    });
}

/// SIGTERM reaches the agent while it waits for the registry: the request that it is at is answered.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn an_agent_that_is_ended_in_the_middle_of_a_request() {
    scenario("an_agent_that_is_ended_in_the_middle_of_a_request", |place| {
        let users = vec![User::new("builder", "builder-pa55word").may_push("**").may_pull("**")];
        let options = Options { auth: Auth::Basic, users, ..Options::default() };
        let (registry, embedded) = registry::embedded(options, false);
        place.for_registry(&registry, "builder", "builder-pa55word");
        let repository = format!("{}/team/app", registry.host);
        embedded.faults().add(Fault::new(Effect::Delay(Duration::from_secs(4))).path("/manifests/sha256:"));
        let script = format!("image={repository}@$(cat $(results.IMAGE_DIGEST.path))\n{}", ask("'$image'"));
        let steps = [build(&repository), asking("ask", &script)];
        place.start("TaskRun", "term", &task_run_with_agent(&steps, &[]));
        let begun = Instant::now();
        let asked = || {
            let requests = embedded.requests();
            requests.iter().any(|request| {
                request.method == "GET" && request.path_and_query.contains("/manifests/sha256:")
            })
        };
        while !asked() {
            assert!(begun.elapsed() < Duration::from_secs(120), "the agent has not asked the registry");
            std::thread::sleep(Duration::from_millis(50));
        }
        let process = Process::of(&place.pod("term"), "/stepseal agent");
        succeed(Command::new("kill").args(["-TERM", &process.id]));
        let run = place.ended("TaskRun", "term");
        let logs = place.logs(&run);
        assert!(run.succeeded(), "{logs}");
        assert!(logs.contains("200") && logs.contains("\"signature\""), "{logs}");
    });
}
