//! What protects the processes of the shipped Tasks and StepActions, read from `/proc` while they run.
//!
//! Each process is held while it asks the registry for the image (`kit/gate.rs`). What is wrong with any of them is collected, so
//! that a failure lists all of it.

use serde_json::{Value, json};

use crate::catalog::shipped;
use crate::kit::gate::Gate;
use crate::kit::place::{KEY_PASSWORD, Run};
use crate::kit::process::Process;
use crate::kit::steps::{build, shell, task, task_run};
use crate::kit::{Place, given, log, registry, scenario, succeed};

/// A run of something shipped, and its process in the step.
struct Shipped {
    /// The TaskRun's name, which says what it runs.
    name: &'static str,
    /// How the step's command line starts.
    command: &'static str,
    spec: Value,
}

/// What was found of the processes.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn check(&mut self, whose: &str, what: &str, found: &str, holds: bool) {
        if !holds {
            self.0.push(format!("{whose}: {what}: {found}"));
        }
    }

    /// Reads what is in force for a process; prints it into the log.
    fn read(&mut self, whose: &str, process: &Process) {
        let mut line = format!("in force {whose}:");
        let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
        let user: fn(&str) -> bool = |text| text.split(' ').all(|id| id != "0");
        for (field, holds) in [
            ("Uid", user),
            ("NoNewPrivs", |text| text == "1"),
            ("Seccomp", |text| text == "2"),
            ("CapInh", zero),
            ("CapPrm", zero),
            ("CapEff", zero),
            ("CapBnd", zero),
            ("CapAmb", zero),
        ] as [(&str, fn(&str) -> bool); 8]
        {
            let found = process.status(field);
            line += &format!(" {field} {found};");
            self.check(whose, field, &found, holds(&found));
        }
        let limits = process.read("limits");
        let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
        let core = core.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        self.check(whose, "Max core file size", &core, core == "0 0");
        let owner = process.owner();
        self.check(whose, "owner of /proc/PID/environ", &owner.to_string(), owner == 0);
        let open = process.open_to_its_user();
        self.check(whose, "open to its user", &format!("{open:?}"), open.is_empty());
        let environment = process.read("environ");
        for secret in [KEY_PASSWORD, registry::PASSWORD] {
            self.check(whose, "environ", "holds a password", !environment.contains(secret));
        }
        let mounts = process.read("mountinfo");
        let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
        let root = root.split(' ').nth(5).unwrap();
        self.check(whose, "root file system", root, root.split(',').any(|option| option == "ro"));
        line += &format!(" core {core}; environ of {owner}; open to its user {open:?}; / {root}");
        log(&line);
    }

    /// Asks in the process itself what Landlock, which has no place in `/proc`, lets it read: its credentials, and nothing that
    /// isn't an input, though any user may read that.
    fn read_landlock(&mut self, whose: &str, process: &Process) {
        for (path, expected) in [
            ("/etc/registry-credentials", "ok"),
            ("/etc/registry-ca", "ok"),
            ("/", "permission denied"),
            ("/stepseal", "permission denied"),
        ] {
            let Some(found) = process.opening(path) else { continue };
            log(&format!("in force {whose}: open {path}: {found}"));
            self.check(whose, path, &found, found == expected);
        }
    }

    /// Reads what a run says of itself.
    fn read_log(&mut self, name: &str, command: &str, logs: &str) {
        for secret in [KEY_PASSWORD, registry::PASSWORD] {
            self.check(name, "log", "holds a password", !logs.contains(secret));
        }
        let lines = || logs.lines().filter(|line| line.contains("process protection"));
        lines().for_each(|line| log(&format!("in force {name}: {line}")));
        let said = lines().find(|line| line.contains("landlock=")).unwrap_or("no line");
        self.check(name, "Landlock in the log", said, said.contains("landlock=enforced, ABI "));
        if command == "/stepseal sign" {
            // Behind the step's name, which tkn puts before each line.
            let said = logs.lines().filter_map(|line| Some(line.split_once("] ")?.1));
            let report: String = said.flat_map(str::split_whitespace).collect();
            let enforced = report.contains(r#""landlock":{"state":"enforced","abi":"#);
            self.check(name, "Landlock in the report", "not enforced", enforced);
        }
    }
}

/// Variables of each step: the password of a key without `cosign.password`, the log, and a report.
fn pod_template() -> Value {
    let password = json!({"secretKeyRef": {"name": "signing-secrets", "key": "cosign.password"}});
    json!({"automountServiceAccountToken": false, "env": [
        {"name": "COSIGN_PASSWORD", "valueFrom": password},
        {"name": "STEPSEAL_LOG", "value": "debug"},
        {"name": "STEPSEAL_OUTPUT", "value": "json"},
    ]})
}

/// Parameters, with the image under test.
fn parameters(params: &[(&str, Value)]) -> Value {
    let params = params.iter().map(|(name, value)| json!({"name": name, "value": value}));
    params.chain([json!({"name": "STEPSEAL_IMAGE", "value": given("STEPSEAL_IMAGE")})]).collect()
}

/// A run of a Task of the catalog.
fn of_task(name: &str, params: &[(&str, Value)]) -> Value {
    json!({"taskRef": {"name": name}, "podTemplate": pod_template(), "params": parameters(params)})
}

/// A run of a StepAction of the catalog behind another step.
fn of_action(name: &str, params: &[(&str, Value)], before: Value) -> Value {
    let step = json!({"name": "action", "ref": {"name": name}, "params": parameters(params),
        "computeResources": {"limits": {"memory": "128Mi"}}});
    let mut spec = task_run(&[before, step]);
    spec["podTemplate"] = pod_template();
    let volumes = spec["taskSpec"]["volumes"].as_array_mut().unwrap();
    for volume in volumes.iter_mut().filter(|volume| volume["name"] == "signing-secrets") {
        volume["secret"]["secretName"] = json!("bare-key");
    }
    volumes.push(json!({"name": "image-policy", "secret": {"secretName": "signing-secrets",
        "items": [{"key": "cosign.pub", "path": "cosign.pub"}]}}));
    spec
}

/// A key without `cosign.password`, so that the variable opens it; what is shipped; and the credentials for the gate.
fn prepare(place: &Place, gate: &Gate) {
    let secret = succeed(place.kubectl().args(["get", "secret", "signing-secrets", "-o", "json"]));
    let mut secret: Value = serde_json::from_str(&secret).unwrap();
    secret["metadata"] = json!({"name": "bare-key"});
    secret["data"].as_object_mut().unwrap().remove("cosign.password");
    place.apply(&secret);
    for name in ["registry-credentials", "agent-credentials"] {
        place.login(name, &gate.host, registry::USER, registry::PASSWORD);
    }
    let tasks = ["tasks/sign-images", "tasks/sign-images-agent", "tasks/verify-images"];
    for path in tasks.into_iter().chain(["stepactions/sign-images", "stepactions/verify-images"]) {
        let name = path.rsplit('/').next().unwrap();
        place.apply_text(&shipped(&format!("{path}/0.1/{name}.yaml")));
    }
}

/// What signs; each run has an image of its own.
fn signing(images: &[String; 3]) -> [Shipped; 3] {
    let [of_task_run, of_agent, of_step] = images;
    let (repository, digest) = of_step.split_once('@').unwrap();
    let results = format!(
        "printf %s {repository} >$(results.IMAGE_URL.path); printf %s {digest} >$(results.IMAGE_DIGEST.path)"
    );
    [
        Shipped {
            name: "task-sign-images",
            command: "/stepseal sign",
            spec: of_task(
                "sign-images",
                &[("IMAGES", json!([of_task_run])), ("SIGNING_SECRET", json!("bare-key"))],
            ),
        },
        Shipped {
            name: "task-sign-images-agent",
            command: "/stepseal sign",
            spec: of_task(
                "sign-images-agent",
                &[("IMAGES", json!([of_agent])), ("AGENT_REGISTRY_SECRET", json!("agent-credentials"))],
            ),
        },
        Shipped {
            name: "stepaction-sign-images",
            command: "/stepseal sign",
            spec: of_action("sign-images", &[], shell("results", &results)),
        },
    ]
}

/// The shipped Task and StepAction that verify.
fn verifying(image: &str) -> [Shipped; 2] {
    let params = |key: &str| {
        [
            ("IMAGES", json!([image])),
            ("POLICY", json!("")),
            ("PUBLIC_KEY", json!(key)),
            ("IGNORE_TLOG", json!("true")),
        ]
    };
    [
        Shipped {
            name: "task-verify-images",
            command: "/stepseal verify",
            spec: of_task("verify-images", &params("/etc/public-key")),
        },
        Shipped {
            name: "stepaction-verify-images",
            command: "/stepseal verify",
            spec: of_action(
                "verify-images",
                &params("/etc/image-policy/cosign.pub"),
                shell("nothing", "true"),
            ),
        },
    ]
}

/// Starts all of them, reads each while it waits at the gate, and lets them end well.
fn observe(place: &Place, gate: &Gate, all: &[Shipped], findings: &mut Findings) {
    gate.close();
    for one in all {
        place.start("TaskRun", one.name, &one.spec);
    }
    for one in all {
        let pod = place.placed(&format!("{}-pod", one.name));
        gate.holds(pod["status"]["podIP"].as_str().unwrap());
        let process = Process::of(&pod, one.command);
        findings.read(one.name, &process);
        findings.read_landlock(one.name, &process);
        // What Tekton started: it has the step's environment, and keeps it.
        let entrypoint = Process::of(&pod, "/tekton/bin/entrypoint");
        let keeps = entrypoint.read("environ").contains(KEY_PASSWORD);
        let open = entrypoint.open_to_its_user();
        log(&format!("entrypoint {}: has COSIGN_PASSWORD: {keeps}; open to its user {open:?}", one.name));
        if one.name == "task-sign-images-agent" {
            let agent = Process::of(&pod, "/stepseal agent");
            agent.has("/run/stepseal/agent.sock");
            findings.read("task-sign-images-agent, agent", &agent);
        }
    }
    gate.open();
    for one in all {
        let run: Run = place.ended("TaskRun", one.name);
        let logs = place.logs(&run);
        assert!(run.succeeded(), "{}: {logs}", one.name);
        findings.read_log(one.name, one.command, &logs);
    }
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn what_is_shipped_is_protected() {
    scenario("what_is_shipped_is_protected", |place| {
        let repository = place.for_main_registry();
        let registry = registry::main();
        let gate = Gate::before(&registry.host);
        prepare(place, &gate);
        let image = place.succeeds("build", &json!({"taskSpec": task(&[build(&repository)])})).image();
        let (_, digest) = image.split_once('@').unwrap();
        let images = ["task", "agent", "action"].map(|name| {
            registry.crane(&["copy", &image, &format!("{repository}/{name}")]);
            format!("{}/{}/{name}@{digest}", gate.host, place.namespace)
        });
        let mut findings = Findings::default();
        observe(place, &gate, &signing(&images), &mut findings);
        for image in &images {
            place.verified(&image.replacen(&gate.host, &registry.host, 1));
        }
        observe(place, &gate, &verifying(&images[0]), &mut findings);
        assert!(findings.0.is_empty(), "{:#?}", findings.0);
    });
}
