//! The Roles in the catalog: is each enough for its job, and is nothing in it that the job doesn't need?

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stepseal::chains::{AnnotationValues, ChainsSignature, ShortKey};
use stepseal::cluster::{Cluster, Kind, Told, Wanted};
use stepseal::explain::{Explain, Explanation};
use stepseal::secret::Secret;
use stepseal::sign::LockedKey;

use crate::kit::{Namespace, run};

/// How many children are gone: enough that the others are listed.
const CHILDREN: usize = 10;

/// What is to be done with a Role.
#[derive(Clone, Copy, Debug)]
enum Job {
    Key,
    Credentials,
    KeyPair,
    TaskRun,
    TaskRunAnnotations,
    PipelineRun,
    PipelineRunAnnotations,
}

/// The rules of a Role in the catalog.
fn rules(namespace: &Namespace, file: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks/sign-images/0.1/rbac");
    let mut kubectl = namespace.kube.kubectl(&["create", "--dry-run=client", "-o", "json", "-f"]);
    let role: Value = serde_json::from_str(&run(kubectl.arg(folder.join(file))).ok().stdout).unwrap();
    role["rules"].as_array().unwrap().clone()
}

/// The rules with one resource or verb less, each with what is missing then.
fn without_one(rules: &[Value]) -> Vec<(Value, String)> {
    let mut all = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        for list in ["resources", "verbs"] {
            let items = rule[list].as_array().unwrap();
            for item in items {
                let mut less = rules.to_vec();
                if items.len() == 1 {
                    less.remove(index);
                } else {
                    let rest: Vec<&Value> = items.iter().filter(|other| *other != item).collect();
                    less[index][list] = json!(rest);
                }
                all.push((json!(less), format!("{list}: [{item}]")));
            }
        }
    }
    all
}

struct Stage {
    namespace: Namespace,
    pod: String,
}

impl Stage {
    fn new() -> Self {
        let namespace = Namespace::new();
        let literals =
            ["--from-literal=.dockerconfigjson={\"auths\":{}}", "--type=kubernetes.io/dockerconfigjson"];
        namespace
            .kubectl(&[&["create", "secret", "generic", "registry-credentials"], &literals[..]].concat())
            .ok();
        let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys/p256.pkcs8.pem");
        let key = format!("--from-file=x509.pem={}", key.display());
        namespace.kubectl(&["create", "secret", "generic", "signing-secrets", &key]).ok();
        let pull = r#"{"imagePullSecrets":[{"name":"registry-credentials"}]}"#;
        namespace.kubectl(&["patch", "serviceaccount", "signer", "-p", pull]).ok();
        let spec = json!({"taskSpec": {"steps": [{"name": "a", "image": "r/x", "script": "x"}]}});
        let pipeline = json!({"pipelineSpec": {"tasks": [{"name": "a", "taskSpec": {"steps": [{"name": "a", "image": "r/x"}]}}]}});
        let names =
            std::iter::once("t".to_owned()).chain((0..CHILDREN).map(|number| format!("gone-{number}")));
        let children: Vec<Value> = names
            .map(|name| json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": name, "pipelineTaskName": "a"}))
            .collect();
        let pipeline_run = namespace.create(json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "p"}, "spec": pipeline,
            "status": {"childReferences": children},
        }));
        let owner = |object: &Value| json!([{"apiVersion": "tekton.dev/v1", "kind": object["kind"], "name": object["metadata"]["name"], "uid": object["metadata"]["uid"], "controller": true}]);
        let labels = json!({"tekton.dev/pipelineRun": "p"});
        let task_run = namespace.create(json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "t", "labels": labels, "ownerReferences": owner(&pipeline_run)},
            "spec": spec, "status": {"podName": "t-pod"},
        }));
        namespace.create(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "t-pod", "labels": labels, "ownerReferences": owner(&task_run)},
            "spec": {"serviceAccountName": "signer", "automountServiceAccountToken": false, "containers": [{"name": "step-a", "image": "r/x"}]},
        }));
        Self { namespace, pod: "t-pod".into() }
    }

    async fn does(&self, job: Job) -> Result<(), Explanation> {
        let cluster = self.namespace.cluster(Some(&self.pod)).await;
        match job {
            Job::Key => {
                let name = self.namespace.named("signing-secrets").parse().unwrap();
                LockedKey::from_secret(&cluster, &name, &|_| None)
                    .await
                    .map(drop)
                    .map_err(|error| told(&error))
            }
            Job::Credentials => {
                let account = self.namespace.named("signer").parse().unwrap();
                cluster.registry_credentials(&account).await.map(drop).map_err(|error| told(&error))
            }
            Job::KeyPair => {
                let name = self.namespace.named("new").parse().unwrap();
                let value = Secret::new(*b"x");
                let made = cluster.create_secret(&name, &[("cosign.key", &value)]).await;
                self.namespace.kubectl(&["delete", "secret", "new", "--ignore-not-found"]).ok();
                made.map_err(|error| told(&error))
            }
            Job::TaskRun => self.runs(&cluster, false, false).await,
            Job::TaskRunAnnotations => self.runs(&cluster, false, true).await,
            Job::PipelineRun => self.runs(&cluster, true, false).await,
            Job::PipelineRunAnnotations => self.runs(&cluster, true, true).await,
        }
    }

    /// Reads the own TaskRun, or its whole PipelineRun, with Pods, and annotates what was read.
    async fn runs(&self, cluster: &Cluster, whole: bool, annotate: bool) -> Result<(), Explanation> {
        let own = cluster.own_task_run(&Told::default(), &|_| None).await.map_err(|error| told(&error))?;
        let mut found = vec![(Kind::TaskRun, own.task_run)];
        if whole {
            let (_, task_run) = &found[0];
            let pipeline_run =
                cluster.pipeline_run_of(task_run).await.map_err(|error| told(&error))?.unwrap();
            let children = cluster.task_runs_of(&pipeline_run).await.map_err(|error| told(&error))?;
            assert_eq!((children.task_runs.len(), children.gone.len()), (1, CHILDREN));
            let pods = cluster.pods_of(&pipeline_run).await.map_err(|error| told(&error))?;
            assert!(pods.of(&children.task_runs[0]).is_some());
            found.push((Kind::PipelineRun, pipeline_run));
        }
        for (kind, object) in found.iter().filter(|_| annotate) {
            let (name, uid) = (&object["metadata"]["name"], object["metadata"]["uid"].as_str().unwrap());
            let entry = ChainsSignature {
                key: ShortKey::TaskRun(uid.parse().unwrap()),
                // New each time, so that it has to be written.
                payload: format!("{:?}", std::time::Instant::now()).into(),
                signature: b"s".to_vec(),
                cert: String::new(),
                chain: String::new(),
            };
            let name = self.namespace.named(name.as_str().unwrap()).parse().unwrap();
            let payload = STANDARD.encode(&entry.payload);
            let counts = |_: &ChainsSignature, there: &AnnotationValues<'_>| there.payload == payload;
            let wanted = Wanted { entries: &[entry], counts: &counts, mark: false };
            cluster.annotate(*kind, &name, uid, wanted).await.map_err(|error| told(&error))?;
            let all = format!("chains.tekton.dev/payload-taskrun-{uid}");
            let there = self.namespace.get(&kind.name().to_lowercase(), name.name());
            assert!(there["metadata"]["annotations"].get(&all).is_some());
            // Taken away again: nine of a kind are kept.
            let remove = ["payload", "signature", "cert", "chain"]
                .map(|part| format!("chains.tekton.dev/{part}-taskrun-{uid}-"));
            let remove: Vec<&str> = remove.iter().map(String::as_str).collect();
            self.namespace.kubectl(&[&["annotate", kind.resource(), name.name()], &remove[..]].concat()).ok();
        }
        Ok(())
    }
}

fn told(error: &dyn Explain) -> Explanation {
    Explanation::of(error)
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_roles"]
async fn each_role_is_enough_and_each_of_its_rules_is_needed() {
    let stage = Stage::new();
    for (file, job) in [
        ("signing-key.yaml", Job::Key),
        ("registry-credentials.yaml", Job::Credentials),
        ("generate-key-pair.yaml", Job::KeyPair),
        ("taskrun.yaml", Job::TaskRun),
        ("taskrun-annotations.yaml", Job::TaskRunAnnotations),
        ("pipelinerun.yaml", Job::PipelineRun),
        ("pipelinerun-annotations.yaml", Job::PipelineRunAnnotations),
    ] {
        let rules = rules(&stage.namespace, file);
        stage.namespace.allow(&json!(rules));
        stage.does(job).await.unwrap_or_else(|error| panic!("{file}: {error}"));
        for (less, missing) in without_one(&rules) {
            stage.namespace.allow(&less);
            let Err(error) = stage.does(job).await else { panic!("{file} works without {missing}") };
            let text = error.to_string();
            assert!(
                text.contains("403 Forbidden") && text.contains(&missing),
                "{file} without {missing}: {text}"
            );
            assert!(text.contains("used:  ServiceAccount"), "{text}");
            assert_eq!(error.exit.number(), 4, "{text}");
        }
    }
}
