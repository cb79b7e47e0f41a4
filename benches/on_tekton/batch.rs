//! TaskRuns that are created at once, and what they took.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cgroup::Watch;
use super::site::{NAMESPACE, Signing, Site, create, get, kubectl, wait_until};

/// What one batch took.
#[derive(Debug)]
pub(crate) struct Ran {
    /// From the image to its signature, of each TaskRun that was signed.
    pub(crate) signing: Vec<Duration>,
    /// From its creation to its end, of each.
    pub(crate) taking: Vec<Duration>,
    /// Until the last was done and signed.
    pub(crate) whole: Duration,
    /// The most memory of a signer.
    pub(crate) peak_mib: Option<f64>,
    /// The signer's CPU time a TaskRun.
    pub(crate) cpu_seconds: Option<f64>,
    /// What was asked of the registry after the images were there.
    pub(crate) requests: usize,
}

/// A number of TaskRuns, before they run.
pub(crate) struct Batch<'a> {
    site: &'a Site,
    signing: Signing,
    size: usize,
    name: String,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(site: &'a Site, signing: Signing, size: usize) -> Self {
        let name = format!("{signing:?}-{size}").to_lowercase();
        Self { site, signing, size, name }
    }

    pub(crate) fn run(&self) -> Ran {
        if self.signing == Signing::Chains {
            self.site.chains(true);
        }
        let controller = (self.signing == Signing::Chains).then(|| self.site.controller());
        self.site.registry.clear();
        let (watch, ended) = (Watch::start(), Ended::watch());
        let objects: Vec<Value> = (0..self.size).map(|number| self.task_run(number)).collect();
        let begun = Instant::now();
        create(&objects);
        wait_until("the TaskRuns", || ended.all().len() == self.size);
        if self.signing != Signing::Nobody {
            wait_until("the signatures", || self.signed().len() == self.size);
        }
        let ends = ended.all();
        let done = ends.values().max().copied().unwrap();
        let seen = self.site.registry.seen();
        let whole = seen.values().filter_map(|repository| repository.signature).fold(done, Instant::max);
        // The counters of what happens after the last signature belong to it too.
        std::thread::sleep(Duration::from_secs(1));
        let usage = watch.end();
        let signers = controller.map_or_else(|| self.steps(), |controller| vec![controller]);
        let signers: Vec<_> = signers.iter().filter_map(|id| usage.get(id)).collect();
        let peak = |usage: &&super::cgroup::Usage| match self.signing {
            // The controller's high-water mark is of its whole life.
            Signing::Chains => usage.most_mib,
            _ => usage.peak_mib,
        };
        let cpu: f64 = signers
            .iter()
            .map(|usage| match self.signing {
                Signing::Chains => usage.cpu_at_last - usage.cpu_at_first,
                _ => usage.cpu_at_last,
            })
            .sum();
        let ran = Ran {
            signing: self.signed(),
            taking: ends.values().map(|end| end.duration_since(begun)).collect(),
            whole: whole.duration_since(begun),
            peak_mib: signers.iter().map(peak).reduce(f64::max),
            cpu_seconds: (!signers.is_empty()).then(|| cpu / self.size as f64),
            requests: self.site.registry.seen().values().map(|repository| repository.requests).sum(),
        };
        self.end();
        ran
    }

    /// The times from image to signature of those that have both.
    fn signed(&self) -> Vec<Duration> {
        let seen = self.site.registry.seen();
        let times = seen.values().filter_map(|repository| {
            Some(repository.signature?.saturating_duration_since(repository.image?))
        });
        times.collect()
    }

    /// Checks the last image, and leaves nothing for Chains to find when it starts again.
    fn end(&self) {
        let runs = get(&["-n", NAMESPACE, "taskruns"]);
        for run in runs["items"].as_array().unwrap() {
            assert_eq!(run["status"]["conditions"][0]["status"], "True", "{run:#}");
        }
        if self.signing != Signing::Nobody {
            let results = runs["items"][0]["status"]["results"].as_array().unwrap();
            let of = |name: &str| {
                results.iter().find(|result| result["name"] == name).unwrap()["value"].as_str().unwrap()
            };
            self.site.verify(&format!("{}@{}", of("IMAGE_URL"), of("IMAGE_DIGEST")));
        }
        if self.signing == Signing::Chains {
            self.site.chains(false);
        }
        // Chains' finalizers would hold TaskRuns that it has not signed.
        for run in runs["items"].as_array().unwrap() {
            let name = run["metadata"]["name"].as_str().unwrap();
            let none = r#"{"metadata":{"finalizers":null}}"#;
            kubectl(&["-n", NAMESPACE, "patch", "taskrun", name, "--type=merge", "-p", none]);
        }
        kubectl(&["-n", NAMESPACE, "delete", "taskruns", "--all", "--wait=true"]);
        kubectl(&["-n", NAMESPACE, "wait", "pods", "--all", "--for=delete", "--timeout=60s"]);
    }

    /// The ids of the signing steps' containers.
    fn steps(&self) -> Vec<String> {
        let runs = get(&["-n", NAMESPACE, "taskruns"]);
        let steps = runs["items"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|run| run["status"]["steps"].as_array().cloned().unwrap_or_default());
        steps
            .filter(|step| step["name"] == "sign")
            .filter_map(|step| step["terminated"]["containerID"].as_str().map(str::to_owned))
            .map(|id| id.trim_start_matches("containerd://").to_owned())
            .collect()
    }

    fn task_run(&self, number: usize) -> Value {
        let host = self.site.registry.host();
        let name = format!("{}-{number}", self.name);
        let script = format!(
            r#"#!/bin/sh
set -e
head -c 100000 /dev/urandom >/tmp/blob
tar -C /tmp -cf /tmp/layer.tar blob
ref=$(crane append --insecure --oci-empty-base -f /tmp/layer.tar -t "{host}/{name}:1")
printf %s "{host}/{name}" >$(results.IMAGE_URL.path)
printf %s "${{ref##*@}}" >$(results.IMAGE_DIGEST.path)
"#
        );
        let mut steps = vec![json!({"name": "build", "image": self.site.tools, "script": script})];
        if self.signing == Signing::Step {
            steps.push(json!({
                "name": "sign", "image": self.site.stepseal, "command": ["/stepseal"],
                "args": ["sign", "--insecure-registry", host],
                "computeResources": {"limits": {"memory": "128Mi"}},
                "securityContext": {
                    "runAsNonRoot": true, "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
                },
                "volumeMounts": [{"name": "key", "mountPath": "/etc/signing-secrets", "readOnly": true}],
            }));
        }
        json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"taskSpec": {
                "results": [{"name": "IMAGE_URL"}, {"name": "IMAGE_DIGEST"}],
                "volumes": [{"name": "key", "secret": {"secretName": "signing-secrets"}}],
                "steps": steps,
            }},
        })
    }
}

/// Notes when each TaskRun is seen to have ended.
struct Ended {
    kubectl: Child,
    seen: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Ended {
    fn watch() -> Self {
        let columns = "jsonpath={.metadata.name} {.status.completionTime}{\"\\n\"}";
        let mut command = Command::new("kubectl");
        command.args(["-n", NAMESPACE, "get", "taskruns", "--watch", "-o", columns]);
        let mut kubectl = command.stdout(Stdio::piped()).spawn().expect("kubectl runs");
        let lines = BufReader::new(kubectl.stdout.take().unwrap()).lines();
        let seen: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
        let found = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((name, time)) = line.split_once(' ')
                    && !time.is_empty()
                {
                    found.lock().unwrap().entry(name.to_owned()).or_insert_with(Instant::now);
                }
            }
        });
        Self { kubectl, seen }
    }

    fn all(&self) -> HashMap<String, Instant> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}
