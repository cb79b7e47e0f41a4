//! Asks the real API server which run a step belongs to, what is known while it runs, and whether a finished run matches its Pod.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepseal::cluster::{ClusterError, RunsError, Told, so_far, truth};
use stepseal::explain::{Explain as _, Explanation};

use crate::kit::Namespace;

/// The rules for reading one's own run.
fn own_run() -> Value {
    json!([
        {"apiGroups": ["tekton.dev"], "resources": ["taskruns"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    ])
}

pub(crate) fn task_run(name: &str) -> Value {
    let spec = json!({"taskSpec": {"results": [{"name": "VERSION"}], "steps": [
        {"name": "build", "image": "r/build", "script": "x"}, {"name": "sign", "image": "r/sign", "script": "y"},
    ]}});
    json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": name}, "spec": spec})
}

/// Makes the Pod of a TaskRun, as Tekton does, with the container statuses `containers`.
fn pod_of(namespace: &Namespace, run: &Value, containers: &Value) -> String {
    let (run, uid) = (run["metadata"]["name"].as_str().unwrap(), &run["metadata"]["uid"]);
    let name = format!("{run}-pod");
    let owner = json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": run, "uid": uid, "controller": true});
    let container = |name: &str| json!({"name": name, "image": "r/x"});
    namespace.create(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "ownerReferences": [owner], "labels": {"tekton.dev/taskRun": run, "tekton.dev/taskRunUID": uid}},
        "spec": {
            "serviceAccountName": "signer", "automountServiceAccountToken": false,
            "containers": [container("step-build"), container("step-sign")],
        },
        "status": {"containerStatuses": containers},
    }));
    name
}

/// Makes the status of a container.
fn container(name: &str, image: &str, message: Option<&str>) -> Value {
    let state = match message {
        Some(message) => json!({"terminated": {"exitCode": 0, "message": message}}),
        None => json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}}),
    };
    json!({"name": name, "image": "r/x", "imageID": image, "ready": true, "restartCount": 0, "state": state})
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_runs"]
async fn a_step_finds_its_run_by_its_token_and_knows_what_is_known_so_far() {
    let namespace = Namespace::new();
    namespace.allow(&own_run());
    let run = namespace.create(task_run("build"));
    let containers = json!([
        container("step-build", "r/build@sha256:b", Some("[]")),
        container("step-sign", "r/sign@sha256:s", None)
    ]);
    let pod = pod_of(&namespace, &run, &containers);
    let cluster = namespace.cluster(Some(&pod)).await;
    let own = cluster.own_task_run(&Told::default(), &|_| None).await.unwrap();
    assert_eq!(own.task_run["metadata"]["uid"], run["metadata"]["uid"]);
    assert_eq!(cluster.requests(), 2);
    let known = so_far(own.task_run, own.pod.as_ref(), &[("VERSION".into(), json!("r/app"))]);
    assert_eq!(known["status"]["results"], json!([{"name": "VERSION", "type": "string", "value": "r/app"}]));
    let steps: Vec<(&Value, &Value)> = known["status"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (&step["name"], &step["imageID"]))
        .collect();
    assert_eq!(
        steps,
        [(&json!("build"), &json!("r/build@sha256:b")), (&json!("sign"), &json!("r/sign@sha256:s"))]
    );
    assert!(known["status"].get("completionTime").is_none());

    // A token that no Pod is bound to: HOSTNAME names it.
    let cluster = namespace.cluster(None).await;
    let host = |name: &str| (name == "HOSTNAME").then(|| pod.clone());
    assert!(cluster.own_task_run(&Told::default(), &host).await.is_ok());
    let nobody = cluster.own_task_run(&Told::default(), &|_| None).await.unwrap_err();
    assert!(matches!(nobody, RunsError::NoPod));
    assert!(Explanation::of(&nobody).to_string().contains("STEPSEAL_TASKRUN"));

    // Told by the Task, with the UID beside it.
    let name = namespace.named("build").parse().unwrap();
    let told = |uid: &str| Told { task_run: Some(name), uid: Some(uid.parse().unwrap()) };
    let another = cluster.own_task_run(&told("another"), &|_| None).await.unwrap_err();
    assert!(matches!(another, RunsError::Another { .. }), "{another}");
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_runs"]
async fn a_pod_that_tekton_did_not_make_belongs_to_no_run() {
    let namespace = Namespace::new();
    namespace.allow(&own_run());
    namespace.create(task_run("build"));
    // Anyone who creates Pods may write labels, so labels alone prove nothing.
    namespace.create(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fake", "labels": {"tekton.dev/taskRun": "build"}},
        "spec": {"serviceAccountName": "signer", "containers": [{"name": "step-build", "image": "r/x"}]},
    }));
    let cluster = namespace.cluster(Some("fake")).await;
    let error = cluster.own_task_run(&Told::default(), &|_| None).await.unwrap_err();
    assert!(error.to_string().contains("Pod fake: no TaskRun owns it"), "{error}");
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_runs"]
async fn without_one_of_its_rules_reading_the_own_run_is_refused_and_the_rule_is_named() {
    let namespace = Namespace::new();
    let run = namespace.create(task_run("build"));
    let pod = pod_of(&namespace, &run, &json!([]));
    for (left, missing) in [(0, "resources: [\"pods\"]"), (1, "resources: [\"taskruns\"]")] {
        namespace.allow(&json!([own_run()[left]]));
        let cluster = namespace.cluster(Some(&pod)).await;
        let error = cluster.own_task_run(&Told::default(), &|_| None).await.unwrap_err();
        let text = Explanation::of(&error).to_string();
        assert!(text.contains("403 Forbidden") && text.contains(missing), "{text}");
        assert_eq!(error.exit().number(), 4);
    }
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_runs"]
async fn two_hundred_children_are_a_few_requests_and_the_gone_are_named() {
    let namespace = Namespace::new();
    namespace.allow(
        &json!([{"apiGroups": ["tekton.dev"], "resources": ["taskruns", "pipelineruns"], "verbs": ["get", "list"]}]),
    );
    let pipeline_run = namespace.create(json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "p"}, "spec": {"pipelineSpec": {"tasks": [
            {"name": "a", "taskSpec": {"steps": [{"name": "s", "image": "r/x"}]}},
        ]}},
    }));
    let owner = json!({"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": "p", "uid": pipeline_run["metadata"]["uid"], "controller": true});
    let names: Vec<String> = (0..200).map(|number| format!("child-{number}")).collect();
    let items: Vec<Value> = names
        .iter()
        .map(|name| {
            let mut child = task_run(name);
            child["metadata"]["namespace"] = namespace.name.clone().into();
            child["metadata"]["ownerReferences"] = json!([owner]);
            // A run without the label, as if the label had been removed.
            if name != "child-5" {
                child["metadata"]["labels"] = json!({"tekton.dev/pipelineRun": "p"});
            }
            child
        })
        .collect();
    let file = namespace.folder().join("children.json");
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).unwrap();
    namespace.kubectl(&["create", "-f", &file.display().to_string()]).ok();
    let reference = |kind: &str, name: &str| json!({"apiVersion": "tekton.dev/v1", "kind": kind, "name": name, "pipelineTaskName": name});
    let mut references: Vec<Value> = names.iter().map(|name| reference("TaskRun", name)).collect();
    references.push(reference("CustomRun", "custom"));
    references.push(reference("TaskRun", "deleted"));
    namespace.patch_status("PipelineRun", "p", &json!({"childReferences": references}), "controller");

    let cluster = namespace.cluster(None).await;
    let begun = Instant::now();
    let pipeline_run = cluster.pipeline_run(&namespace.named("p").parse().unwrap()).await.unwrap();
    let children = cluster.task_runs_of(&pipeline_run).await.unwrap();
    eprintln!("200 children: {:?}, {} requests", begun.elapsed(), cluster.requests());
    let found: Vec<&str> =
        children.task_runs.iter().map(|run| run["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(found, names);
    assert_eq!(children.gone, [namespace.named("deleted")]);
    assert_eq!(children.others, ["CustomRun custom"]);
    // The PipelineRun, two pages, the TaskRun without the label and the deleted TaskRun.
    assert_eq!(cluster.requests(), 5);
    let back = cluster.pipeline_run_of(&children.task_runs[7]).await.unwrap().unwrap();
    assert_eq!(back["metadata"]["uid"], pipeline_run["metadata"]["uid"]);

    // A TaskRun under a child's name that is not the PipelineRun's.
    namespace.kubectl(&["delete", "taskrun", "child-3"]).ok();
    namespace.create(task_run("child-3"));
    let error = cluster.task_runs_of(&pipeline_run).await.unwrap_err();
    assert!(matches!(error, RunsError::NotOwned { .. }) && error.to_string().contains("child-3"), "{error}");
}

/// A finished TaskRun and its Pod.
pub(crate) fn finished(namespace: &Namespace, name: &str) -> String {
    let run = namespace.create(task_run(name));
    let message = r#"[{"key":"VERSION","value":"r/app","type":1},{"key":"StartedAt","value":"t","type":3}]"#;
    let pod = pod_of(
        namespace,
        &run,
        &json!([
            container("step-build", "r/build@sha256:b", Some(message)),
            container("step-sign", "r/sign@sha256:s", Some("[]"))
        ]),
    );
    let step = |name: &str, image: &str| json!({"name": name, "container": format!("step-{name}"), "imageID": image, "terminated": {"exitCode": 0}});
    let status = json!({
        "podName": pod, "completionTime": "2026-01-01T00:00:00Z",
        "results": [{"name": "VERSION", "type": "string", "value": "r/app"}],
        "steps": [step("build", "r/build@sha256:b"), step("sign", "r/sign@sha256:s")],
        "conditions": [{"type": "Succeeded", "status": "True"}],
    });
    namespace.patch_status("TaskRun", name, &status, "controller");
    pod
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_runs"]
async fn a_patched_status_is_refused_and_the_patch_is_named() {
    let namespace = Namespace::new();
    namespace.allow(&own_run());
    let pod = finished(&namespace, "build");
    let cluster = namespace.cluster(None).await;
    let look = || async {
        let run = cluster.task_run(&namespace.named("build").parse().unwrap()).await.unwrap();
        let pod = cluster.pod_of(&run).await.unwrap();
        truth::check(&run, pod.as_ref())
    };
    assert_eq!(look().await.verdict(true).unwrap(), Vec::<String>::new());
    // Under the controller's own name, so that only the Pod gives it away.
    let lie = json!({"results": [{"name": "VERSION", "type": "string", "value": "r/evil"}]});
    namespace.patch_status("TaskRun", "build", &lie, "controller");
    let text = Explanation::of(&look().await.verdict(false).unwrap_err()).to_string();
    assert!(text.contains("result VERSION: the run says \"r/evil\", the step reported \"r/app\""), "{text}");
    // The truth, but by another hand.
    let truth = json!({"results": [{"name": "VERSION", "type": "string", "value": "r/app"}]});
    namespace.patch_status("TaskRun", "build", &truth, "kubectl-patch");
    let text = Explanation::of(&look().await.verdict(false).unwrap_err()).to_string();
    assert!(
        text.contains("was written by \\\"kubectl-patch\\\"")
            || text.contains("was written by \"kubectl-patch\""),
        "{text}"
    );
    assert!(!text.contains("step reported"), "{text}");
    // The Pod is gone: a note says so, and `--require-pod` refuses the run.
    namespace.kubectl(&["delete", "pod", &pod, "--grace-period=0", "--force"]).ok();
    let gone = look().await;
    assert!(gone.unchecked.iter().any(|what| what.contains("is gone")), "{gone:?}");
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_runs"]
async fn what_the_api_server_says_is_each_its_own_error() {
    let namespace = Namespace::new();
    namespace.allow(&own_run());
    let name = namespace.named("none").parse().unwrap();
    let cluster = namespace.cluster(None).await;
    let missing = cluster.task_run(&name).await.unwrap_err();
    assert!(
        missing.is_not_found() && missing.to_string() == format!("cannot read TaskRun {name}"),
        "{missing}"
    );

    // A token that is renewed while it is used.
    let folder = namespace.account(None);
    let valid = std::fs::read_to_string(folder.join("token")).unwrap();
    std::fs::write(folder.join("token"), "expired").unwrap();
    let cluster = namespace.cluster_of(&folder, Duration::from_secs(10)).await;
    let unknown = cluster.task_run(&name).await.unwrap_err();
    assert_eq!((unknown.status(), unknown.exit().number()), (Some(401), 4));
    std::fs::write(folder.join("token"), valid).unwrap();
    assert!(cluster.task_run(&name).await.unwrap_err().is_not_found());
    // Taken away.
    std::fs::remove_file(folder.join("token")).unwrap();
    let error = cluster.task_run(&name).await.unwrap_err();
    assert!(Explanation::of(&error).to_string().contains("cannot be read"), "{error}");

    // The CA of another server: the certificate doesn't verify.
    let folder = namespace.account(None);
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("ca.crt"), other.cert.pem()).unwrap();
    let cluster = namespace.cluster_of(&folder, Duration::from_secs(1)).await;
    let error = cluster.task_run(&name).await.unwrap_err();
    assert!(matches!(&error, ClusterError::Request(_)), "{error}");
    let text = Explanation::of(&error).to_string();
    assert!(text.contains("certificate"), "{text}");
}
