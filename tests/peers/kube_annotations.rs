//! Signatures in a run's annotations, on the real API server: is nothing lost, nothing half written, and each obstacle said?

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stepseal::chains::{AnnotationValues, ChainsSignature, ShortKey};
use stepseal::cluster::{Annotated, AnnotationError, Cluster, Kind, Wanted};
use stepseal::explain::{Explain as _, Explanation};
use stepseal::object_name::ObjectName;

use crate::kit::Namespace;

/// The smallest Role for writing annotations.
fn rules() -> Value {
    json!([{"apiGroups": ["tekton.dev"], "resources": ["taskruns"], "verbs": ["get", "patch"]}])
}

fn run(namespace: &Namespace, name: &str) -> (ObjectName, String) {
    let made = namespace.create(json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": name, "annotations": {"mine": "kept"}},
        "spec": {"taskSpec": {"steps": [{"name": "a", "image": "r/x", "script": "x"}]}},
    }));
    (namespace.named(name).parse().unwrap(), made["metadata"]["uid"].as_str().unwrap().to_owned())
}

fn entry(key: ShortKey, payload: &[u8]) -> ChainsSignature {
    ChainsSignature {
        key,
        payload: payload.to_vec(),
        signature: b"signature".to_vec(),
        cert: String::new(),
        chain: String::new(),
    }
}

/// These entries, which count if they are there as they are.
fn wanted(entries: &[ChainsSignature], mark: bool) -> Wanted<'_> {
    let counts = &|entry: &ChainsSignature, standing: &AnnotationValues<'_>| {
        standing.payload == STANDARD.encode(&entry.payload)
            && standing.signature == STANDARD.encode(&entry.signature)
    };
    Wanted { entries, counts, mark }
}

async fn annotate(
    cluster: &Cluster,
    run: &(ObjectName, String),
    entries: &[ChainsSignature],
) -> Result<Annotated, AnnotationError> {
    cluster.annotate(Kind::TaskRun, &run.0, &run.1, wanted(entries, false)).await
}

fn annotations(namespace: &Namespace, name: &str) -> Value {
    namespace.get("taskrun", name)["metadata"]["annotations"].clone()
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_annotations"]
async fn they_are_kept_under_chains_names_and_a_second_run_adds_nothing() {
    let namespace = Namespace::new();
    namespace.allow(&rules());
    let (cluster, run) = (namespace.cluster(None).await, run(&namespace, "build"));
    let image = |end: char| {
        let digest = format!("sha256:0123456789ab{}", end.to_string().repeat(52));
        let payload = format!(r#"{{"critical":{{"image":{{"docker-manifest-digest":"{digest}"}}}}}}"#);
        entry(ShortKey::Image(digest.parse().unwrap()), payload.as_bytes())
    };
    // Two images whose digests begin alike, and the run.
    let entries = [image('c'), image('d'), entry(ShortKey::TaskRun(run.1.parse().unwrap()), b"statement")];
    let done = annotate(&cluster, &run, &entries).await.unwrap();
    assert_eq!(done, Annotated { added: 3, marked: false });
    assert_eq!(cluster.requests(), 2);
    let there = annotations(&namespace, "build");
    let payload = |key: &str| {
        STANDARD.decode(there[format!("chains.tekton.dev/payload-{key}")].as_str().unwrap()).unwrap()
    };
    assert_eq!(payload(&format!("taskrun-{}", run.1)), b"statement");
    assert_eq!(payload("0123456789ab"), entries[0].payload);
    assert_eq!(payload(&format!("0123456789ab{}", "d".repeat(12))), entries[1].payload);
    assert_eq!(there["chains.tekton.dev/cert-0123456789ab"], "");
    assert_eq!(there["mine"], "kept");
    assert!(there.get("chains.tekton.dev/signed").is_none());

    let before = namespace.get("taskrun", "build");
    let done = annotate(&cluster, &run, &entries).await.unwrap();
    assert_eq!(done, Annotated { added: 0, marked: false });
    assert_eq!(namespace.get("taskrun", "build"), before);
    let done = cluster.annotate(Kind::TaskRun, &run.0, &run.1, wanted(&entries, true)).await.unwrap();
    assert_eq!(done, Annotated { added: 0, marked: true });
    let marked = annotations(&namespace, "build");
    assert_eq!(marked["chains.tekton.dev/signed"], "true");
    assert_eq!(marked.as_object().unwrap().len(), there.as_object().unwrap().len() + 1);
    // An apply removes what it leaves out: adding an entry keeps the existing entries.
    annotate(&cluster, &run, &[entry(ShortKey::TaskRun(run.1.parse().unwrap()), b"later")]).await.unwrap();
    let later = annotations(&namespace, "build");
    assert_eq!(later["chains.tekton.dev/signed"], "true");
    assert_eq!(later[format!("chains.tekton.dev/payload-taskrun-{}-2", run.1)], STANDARD.encode("statement"));
    assert_eq!(later[format!("chains.tekton.dev/payload-taskrun-{}", run.1)], STANDARD.encode("later"));
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_annotations"]
async fn near_the_limit_nothing_is_half_written_and_the_other_store_is_named() {
    let namespace = Namespace::new();
    namespace.allow(&rules());
    let (cluster, run) = (namespace.cluster(None).await, run(&namespace, "build"));
    let key = || ShortKey::TaskRun(run.1.parse().unwrap());
    let names: usize = ["payload", "signature", "cert", "chain"]
        .iter()
        .map(|part| format!("chains.tekton.dev/{part}-taskrun-{}", run.1).len())
        .sum();
    let there = "mine".len() + "kept".len();
    // base64 makes four of three: up to the last byte, with an annotation of others to fill the rest.
    let room = 256 * 1024 - names - there - STANDARD.encode("signature").len();
    let fits = vec![b'x'; room / 4 * 3];
    let too_large = vec![b'x'; room / 4 * 3 + 3];
    let error = annotate(&cluster, &run, &[entry(key(), &too_large)]).await.unwrap_err();
    assert!(matches!(error, AnnotationError::TooLarge { size, .. } if size > 256 * 1024), "{error}");
    assert!(Explanation::of(&error).to_string().contains("to oci"));
    assert_eq!(annotations(&namespace, "build").as_object().unwrap().len(), 1);
    annotate(&cluster, &run, &[entry(key(), &fits)]).await.unwrap();
    // A second one beside it: the first stays as it is.
    let before = annotations(&namespace, "build");
    let error = annotate(&cluster, &run, &[entry(ShortKey::PipelineRun("p".parse().unwrap()), &[b'y'; 30])])
        .await
        .unwrap_err();
    assert!(matches!(error, AnnotationError::TooLarge { .. }), "{error}");
    assert_eq!(annotations(&namespace, "build"), before);
    // The API server has the same limit.
    let more = ["annotate", "taskrun", "build", "other=xxxxxxxxxx"];
    let refused = namespace.kubectl(&more);
    assert!(refused.code != 0 && refused.stderr.contains("262144"), "{refused}");
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_annotations"]
async fn what_another_manager_owns_is_not_overwritten() {
    let namespace = Namespace::new();
    namespace.allow(&rules());
    let (cluster, run) = (namespace.cluster(None).await, run(&namespace, "build"));
    // Chains has signed it.
    let chains = entry(ShortKey::TaskRun(run.1.parse().unwrap()), b"by chains");
    let names = ["payload", "signature", "cert", "chain"]
        .map(|part| format!("chains.tekton.dev/{part}-taskrun-{}", run.1));
    let values =
        [STANDARD.encode(&chains.payload), STANDARD.encode(&chains.signature), String::new(), String::new()];
    let pairs: Vec<String> =
        names.iter().zip(&values).map(|(name, value)| format!("{name}={value}")).collect();
    let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
    namespace.kubectl(&[&["annotate", "taskrun", "build"], &pairs[..]].concat()).ok();
    let before = annotations(&namespace, "build");
    let done = annotate(&cluster, &run, &[entry(ShortKey::TaskRun(run.1.parse().unwrap()), b"stepseal")])
        .await
        .unwrap();
    assert_eq!(done.added, 1);
    let after = annotations(&namespace, "build");
    for (name, value) in before.as_object().unwrap() {
        assert_eq!(&after[name], value, "{name}");
    }
    assert_eq!(after[format!("{}-2", names[0])], STANDARD.encode("stepseal"));
    // The mark, as another wrote it, is a conflict that names who.
    namespace.kubectl(&["annotate", "taskrun", "build", "chains.tekton.dev/signed=failed"]).ok();
    let entries = [entry(ShortKey::TaskRun(run.1.parse().unwrap()), b"stepseal")];
    let error = cluster.annotate(Kind::TaskRun, &run.0, &run.1, wanted(&entries, true)).await.unwrap_err();
    assert!(matches!(error, AnnotationError::Owned { .. }), "{error}");
    assert!(error.to_string().contains("kubectl"), "{error}");
    assert_eq!(annotations(&namespace, "build")["chains.tekton.dev/signed"], "failed");
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_annotations"]
async fn writers_at_the_same_time_lose_nothing() {
    let namespace = Namespace::new();
    namespace.allow(&rules());
    let run = run(&namespace, "build");
    let clusters =
        [namespace.cluster(None).await, namespace.cluster(None).await, namespace.cluster(None).await];
    let key = |number: usize| ShortKey::PipelineRun(format!("u{number}").parse().unwrap());
    let payloads: Vec<Vec<u8>> = (0..3).map(|number: u8| vec![number; 40]).collect();
    let entries: Vec<ChainsSignature> =
        payloads.iter().enumerate().map(|(number, payload)| entry(key(number), payload)).collect();
    // Another client writes at the same time.
    let noise = {
        let kube = namespace.kube.clone();
        let name = namespace.name.clone();
        std::thread::spawn(move || {
            for number in 0..10 {
                let value = format!("noise={number}");
                crate::kit::run(&mut kube.kubectl(&[
                    "-n",
                    &name,
                    "annotate",
                    "--overwrite",
                    "taskrun",
                    "build",
                    &value,
                ]))
                .ok();
            }
        })
    };
    let (a, b, c) = tokio::join!(
        annotate(&clusters[0], &run, &entries[..1]),
        annotate(&clusters[1], &run, &entries[1..2]),
        annotate(&clusters[2], &run, &entries[2..]),
    );
    for done in [a, b, c] {
        assert_eq!(done.unwrap().added, 1);
    }
    noise.join().unwrap();
    let there = annotations(&namespace, "build");
    for (number, payload) in payloads.iter().enumerate() {
        assert_eq!(
            there[format!("chains.tekton.dev/payload-pipelinerun-u{number}")],
            STANDARD.encode(payload)
        );
    }
    assert_eq!((&there["mine"], &there["noise"]), (&json!("kept"), &json!("9")));
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_annotations"]
async fn a_run_that_is_deleted_or_made_again_is_said_and_stays_gone() {
    let namespace = Namespace::new();
    namespace.allow(&rules());
    let (cluster, first) = (namespace.cluster(None).await, run(&namespace, "build"));
    let entries = [entry(ShortKey::TaskRun(first.1.parse().unwrap()), b"x")];
    namespace.kubectl(&["delete", "taskrun", "build"]).ok();
    let error = annotate(&cluster, &first, &entries).await.unwrap_err();
    assert!(matches!(error, AnnotationError::Deleted { again: "", .. }), "{error}");
    assert_ne!(namespace.kubectl(&["get", "taskrun", "build"]).code, 0);
    run(&namespace, "build");
    let error = annotate(&cluster, &first, &entries).await.unwrap_err();
    assert!(error.to_string().contains("another of the same name is there now"), "{error}");
    assert_eq!(annotations(&namespace, "build"), json!({"mine": "kept"}));
}

#[tokio::test]
#[ignore = "needs an API server: tests/peers/run kube_annotations"]
async fn without_one_of_its_verbs_writing_is_refused_and_the_verb_is_named() {
    let namespace = Namespace::new();
    let run = run(&namespace, "build");
    for (left, missing) in [("get", "patch"), ("patch", "get")] {
        namespace.allow(&json!([{"apiGroups": ["tekton.dev"], "resources": ["taskruns"], "verbs": [left]}]));
        let cluster = namespace.cluster(None).await;
        let error = annotate(&cluster, &run, &[entry(ShortKey::TaskRun(run.1.parse().unwrap()), b"x")])
            .await
            .unwrap_err();
        let text = Explanation::of(&error).to_string();
        assert!(text.contains(&format!("verbs: [\"{missing}\"]")) && text.contains("403"), "{text}");
        assert_eq!(error.exit().number(), 4);
        assert_eq!(annotations(&namespace, "build"), json!({"mine": "kept"}));
    }
}
