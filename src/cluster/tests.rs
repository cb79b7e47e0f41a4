//! The client against servers that answer as a test says: what a real API server won't do when it is asked to.

mod any_text;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::chains::{AnnotationValues, ChainsSignature, ShortKey};
use crate::explain::{Explain, Explanation};
use crate::registry::client::tests::server::{Reply, Seen, Server, answer};
use crate::secret::Secret;

/// The token of these tests; must be in nothing that is shown.
const TOKEN: &str = "hunter2";

/// A cluster at `server`, by a kubeconfig.
async fn cluster(server: &Server, limit: Duration) -> (Cluster, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": format!("http://{}", server.address)}}],
        "users": [{"name": "me", "user": {"token": TOKEN}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "me", "namespace": "ci"}}],
    });
    let path = folder.path().join("config");
    std::fs::write(&path, config.to_string()).unwrap();
    let reach = reach(Instant::now() + limit, &path);
    (Cluster::connect(&reach, &|_| None).await.unwrap(), folder)
}

/// With the kubeconfig at `path` alone.
fn reach(deadline: Instant, path: &std::path::Path) -> Reach {
    let kubeconfigs =
        Kubeconfigs { named: Some(vec![path.to_owned()]), home: None, ..Kubeconfigs::default() };
    Reach { deadline, folder: "/nonexistent".into(), kubeconfigs }
}

fn name() -> ObjectName {
    "ci/build".parse().unwrap()
}

fn run(version: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {"namespace": "ci", "name": "build", "uid": "u", "resourceVersion": version, "annotations": annotations},
    })
}

fn object(object: &Value) -> Reply {
    answer(200, &[("Content-Type", "application/json")], object.to_string())
}

fn status(code: u16, reason: &str, message: &str) -> Reply {
    status_of(
        code,
        &json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}),
    )
}

fn status_of(code: u16, status: &Value) -> Reply {
    answer(code, &[("Content-Type", "application/json")], status.to_string())
}

fn shown(error: &dyn Explain) -> String {
    let text = Explanation::of(error).to_string();
    assert!(!text.contains(TOKEN) && !format!("{error:?}").contains(TOKEN), "{text}");
    text
}

/// What comes of reading the TaskRun when the server answers like this, and how often it was asked.
async fn reading(
    limit: Duration,
    script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
) -> (Result<Value, ClusterError>, usize) {
    let server = Server::start(script).await;
    let (cluster, _folder) = cluster(&server, limit).await;
    let result = cluster.task_run(&name()).await;
    (result, server.seen().len())
}

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_request_carries_the_login_and_nothing_is_asked_twice() {
    let server = Server::start(|_, _| object(&run("1", &json!({})))).await;
    let (cluster, _folder) = cluster(&server, LIMIT).await;
    assert_eq!(cluster.task_run(&name()).await.unwrap()["metadata"]["uid"], "u");
    assert_eq!(server.lines(), ["GET /apis/tekton.dev/v1/namespaces/ci/taskruns/build hunter2"]);
    assert_eq!((cluster.requests(), cluster.namespace()), (1, "ci"));
    assert!(cluster.who().to_string().starts_with("user \"me\" of "));
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_its_wait_is_kept() {
    let begun = Instant::now();
    let (result, asked) = reading(LIMIT, |_, number| match number {
        0 => status(500, "InternalError", "etcd leader changed"),
        1 => answer(429, &[("Retry-After", "1")], "Too many requests, please try again later."),
        2 => Reply::Reset,
        3 => {
            let whole = object(&run("1", &json!({})));
            let Reply::Bytes(bytes) = whole else { unreachable!() };
            Reply::Cut(bytes[..bytes.len() - 5].to_vec())
        }
        _ => object(&run("1", &json!({}))),
    })
    .await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(asked, 5);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn what_is_refused_for_good_is_asked_once() {
    for (code, exit) in [(400, 1), (401, 4), (403, 4), (404, 1), (405, 1), (409, 1), (422, 1), (302, 1)] {
        let (result, asked) = reading(LIMIT, move |_, _| status(code, "Reason", "why not")).await;
        let error = result.unwrap_err();
        assert_eq!((asked, Explain::exit(&error).number()), (1, exit), "{code}");
        let text = shown(&error);
        assert!(text.contains(&format!("/taskruns/build: {code} Reason: why not")), "{text}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Server::start(|_, _| object(&run("1", &json!({})))).await;
    let location = format!("http://{}/apis", other.address);
    let (result, _) = reading(LIMIT, move |_, _| answer(307, &[("Location", &location)], "")).await;
    assert_eq!(result.unwrap_err().status(), Some(307));
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn a_proxys_error_page_is_shown_cut_and_harmless() {
    let page = format!("<html>\u{1b}[2J{}", "x".repeat(100_000));
    let (result, _) = reading(Duration::from_millis(300), move |_, _| answer(502, &[], &page)).await;
    let text = shown(&result.unwrap_err());
    assert!(text.contains("502: <html>\\u{1b}[2Jxxx") && text.len() < 1500, "{text}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let begun = Instant::now();
    let (result, _) = reading(Duration::from_millis(500), |_, _| Reply::Stall).await;
    let text = shown(&result.unwrap_err());
    assert!(text.contains("no answer for"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn answers_without_end_and_of_another_kind_are_refused() {
    let (result, asked) = reading(LIMIT, |_, _| Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n{".to_vec())).await;
    let text = shown(&result.unwrap_err());
    assert!(text.contains("longer than 8388608 bytes") && asked == 1, "{text}");
    let mut other = run("1", &json!({}));
    other["metadata"]["name"] = json!("other");
    let mut kind = run("1", &json!({}));
    kind["kind"] = json!("PipelineRun");
    for body in [other.to_string(), kind.to_string(), "[]".into(), "<html>".into(), String::new()] {
        let (result, asked) = reading(LIMIT, move |_, _| answer(200, &[], &body)).await;
        let text = shown(&result.unwrap_err());
        assert!(text.contains("the answer is not a TaskRun") && asked == 1, "{text}");
    }
}

#[tokio::test]
async fn a_secret_whose_answer_was_lost_is_there_once() {
    let value = Secret::new(*b"key");
    for (there, exit) in [("a2V5", None), ("b3RoZXI=", Some(409))] {
        let secret = json!({"kind": "Secret", "metadata": {"namespace": "ci", "name": "build"}, "data": {"cosign.key": there}});
        let server = Server::start(move |seen, number| match (seen.method.as_str(), number) {
            ("POST", 0) => Reply::Reset,
            ("POST", _) => status(409, "AlreadyExists", "secrets \"build\" already exists"),
            _ => object(&secret),
        })
        .await;
        let (cluster, _folder) = cluster(&server, LIMIT).await;
        let made = cluster.create_secret(&name(), &[("cosign.key", &value)]).await;
        assert_eq!(made.err().and_then(|error| error.status()), exit);
    }
}

#[tokio::test]
async fn what_a_lost_answer_left_is_seen_or_said_to_be_unknown() {
    let value = Secret::new(*b"key");
    let entries = [("cosign.key", &value)];
    for (there, left) in [(Some("a2V5"), Left::Ours), (Some("b3RoZXI="), Left::Other), (None, Left::Unknown)]
    {
        let server = Server::start(move |seen, _| match (seen.method.as_str(), there) {
            ("POST", _) => Reply::Reset,
            (_, None) => status(403, "Forbidden", "no"),
            (_, Some(there)) => object(
                &json!({"kind": "Secret", "metadata": {"namespace": "ci", "name": "build"}, "data": {"cosign.key": there}}),
            ),
        })
        .await;
        let (making, _folder) = cluster(&server, Duration::from_millis(500)).await;
        let error = making.create_secret(&name(), &entries).await.unwrap_err();
        assert!(error.leaves_open(), "{error:?}");
        let (looking, _folder) = cluster(&server, LIMIT).await;
        assert_eq!(looking.left_of(&name(), &entries).await, left);
    }
    let server = Server::start(|seen, _| match seen.method.as_str() {
        "POST" => status(403, "Forbidden", "no"),
        _ => status(404, "NotFound", "none"),
    })
    .await;
    let (cluster, _folder) = cluster(&server, LIMIT).await;
    assert!(!cluster.create_secret(&name(), &entries).await.unwrap_err().leaves_open());
    assert_eq!(cluster.left_of(&name(), &entries).await, Left::Nothing);
}

fn entry() -> ChainsSignature {
    let key = ShortKey::TaskRun("u".parse().unwrap());
    ChainsSignature {
        key,
        payload: b"p".to_vec(),
        signature: b"s".to_vec(),
        cert: String::new(),
        chain: String::new(),
    }
}

/// These entries, which count if they are there as they are.
fn wanted(entries: &[ChainsSignature]) -> Wanted<'_> {
    Wanted {
        entries,
        counts: &|_, standing| (standing.payload, standing.signature) == ("cA==", "cw=="),
        mark: false,
    }
}

/// What comes of annotating when a PATCH is answered like this.
async fn annotating(
    script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
) -> (Result<Annotated, AnnotationError>, Vec<Seen>) {
    let server = Server::start(script).await;
    let (cluster, _folder) = cluster(&server, LIMIT).await;
    let result = cluster.annotate(Kind::TaskRun, &name(), "u", wanted(&[entry()])).await;
    (result, server.seen())
}

#[tokio::test]
async fn annotations_are_one_apply_with_the_version_that_was_read() {
    let written = json!({
        "chains.tekton.dev/payload-taskrun-u": "cA==", "chains.tekton.dev/signature-taskrun-u": "cw==",
        "chains.tekton.dev/cert-taskrun-u": "", "chains.tekton.dev/chain-taskrun-u": "",
    });
    let after = written.clone();
    let (result, seen) = annotating(move |_, number| match number {
        0 => object(&run("7", &json!({"mine": "x"}))),
        _ => object(&run("8", &after)),
    })
    .await;
    assert_eq!(result.unwrap(), Annotated { added: 1, marked: false });
    let [_, patch] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(patch.method, "PATCH");
    assert_eq!(patch.target, "/apis/tekton.dev/v1/namespaces/ci/taskruns/build?fieldManager=stepseal");
    assert_eq!(patch.header("content-type"), Some("application/apply-patch+yaml"));
    let body: Value = serde_json::from_slice(&patch.body).unwrap();
    assert_eq!(body["metadata"]["annotations"], written);
    assert_eq!((&body["metadata"]["resourceVersion"], &body["metadata"]["uid"]), (&json!("7"), &json!("u")));
}

/// One Ed25519 signature of 256 begins with `{`.
#[tokio::test]
async fn a_signature_that_begins_like_an_envelope_is_found_where_it_was_written() {
    use crate::sign::Signer as _;
    let pem = include_bytes!("../../tests/data/keys/ed25519.pkcs8.pem");
    let crate::sign::ParsedKey::Open(key) = crate::sign::parse_private(pem).unwrap() else { panic!() };
    let payloads = (0..100_000).map(|number: u32| number.to_string().into_bytes());
    let mut signed = payloads.map(|payload| (key.sign(&payload).unwrap().0, payload));
    let (signature, payload) = signed.find(|(signature, _)| signature[0] == b'{').unwrap();
    let entries = [ChainsSignature { payload, signature, ..entry() }];
    let trust = crate::verify::own::trust(key.public_key());
    let counts = |entry: &ChainsSignature, there: &AnnotationValues<'_>| {
        there
            .signature_of(&entry.payload)
            .is_some_and(|signature| crate::verify::run::counts(&trust, &entry.payload, &signature))
    };
    let stored = std::sync::Mutex::new(json!({}));
    let server = Server::start(move |seen, _| {
        let mut stored = stored.lock().unwrap();
        if seen.method == "PATCH" {
            let body: Value = serde_json::from_slice(&seen.body).unwrap();
            *stored = body["metadata"]["annotations"].clone();
        }
        object(&run("7", &stored))
    })
    .await;
    let (cluster, _folder) = cluster(&server, LIMIT).await;
    let wanted = Wanted { entries: &entries, counts: &counts, mark: false };
    for added in [1, 0] {
        let done = cluster.annotate(Kind::TaskRun, &name(), "u", wanted).await.unwrap();
        assert_eq!(done.added, added);
    }
}

#[tokio::test]
async fn each_obstacle_to_annotations_is_an_error_of_its_own() {
    let patched = |reply: fn() -> Reply| {
        annotating(
            move |seen, _| if seen.method == "PATCH" { reply() } else { object(&run("1", &json!({}))) },
        )
    };
    let (result, seen) = patched(|| status(409, "Conflict", "the object has been modified")).await;
    let error = result.unwrap_err();
    assert!(matches!(error, AnnotationError::Busy { .. }), "{error}");
    assert_eq!(seen.len(), 16);
    let (result, _) = patched(|| status(404, "NotFound", "taskruns.tekton.dev \"build\" not found")).await;
    assert!(matches!(result, Err(AnnotationError::Deleted { .. })), "{result:?}");
    let (result, _) = patched(|| {
        status(422, "Invalid", "metadata.annotations: Too long: may not be more than 262144 bytes")
    })
    .await;
    assert!(matches!(result, Err(AnnotationError::TooLarge { .. })), "{result:?}");
    let (result, _) = patched(|| status(403, "Forbidden", "no")).await;
    let error = result.unwrap_err();
    assert!(shown(&error).contains("verbs: [\"patch\"]"), "{error}");
    let (result, _) = patched(|| {
        let cause = json!({"reason": "FieldManagerConflict", "message": "conflict with \"tekton-chains-controller\"", "field": ".metadata.annotations.x"});
        status_of(409, &json!({"kind": "Status", "code": 409, "reason": "Conflict", "message": "m", "details": {"causes": [cause]}}))
    })
    .await;
    let text = shown(&result.unwrap_err());
    assert!(text.contains("\"tekton-chains-controller\" owns .metadata.annotations.x"), "{text}");
    // Taken, and not stored.
    let (result, _) = patched(|| object(&run("2", &json!({})))).await;
    assert!(matches!(result, Err(AnnotationError::Lost { .. })), "{result:?}");
    // Made again under the same name.
    let (result, seen) = annotating(|_, _| {
        let mut other = run("1", &json!({}));
        other["metadata"]["uid"] = json!("v");
        object(&other)
    })
    .await;
    assert!(matches!(result, Err(AnnotationError::Deleted { .. })) && seen.len() == 1, "{result:?}");
}

#[tokio::test]
async fn an_object_that_was_read_before_is_written_by_one_request() {
    let after = json!({
        "chains.tekton.dev/payload-taskrun-u": "cA==", "chains.tekton.dev/signature-taskrun-u": "cw==",
        "chains.tekton.dev/cert-taskrun-u": "", "chains.tekton.dev/chain-taskrun-u": "",
    });
    let server = Server::start(move |_, _| object(&run("2", &after))).await;
    let (cluster, _folder) = cluster(&server, LIMIT).await;
    let done = cluster.annotate_known(Kind::TaskRun, run("1", &json!({})), wanted(&[entry()])).await;
    assert_eq!(done.unwrap().added, 1);
    assert_eq!(cluster.requests(), 1);
}

#[tokio::test]
async fn a_list_goes_on_page_by_page_and_what_it_lacks_is_asked_for() {
    let child = |number: usize| {
        let mut child = run("1", &json!({}));
        child["metadata"]["name"] = json!(format!("c{number}"));
        child["metadata"]["ownerReferences"] = json!([{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": "p", "uid": "pu", "controller": true}]);
        child
    };
    let server = Server::start(move |seen, _| match seen.target.rsplit(['/', '?']).next().unwrap() {
        query if query.contains("continue=a%2Fb") => {
            object(&json!({"kind": "TaskRunList", "metadata": {}, "items": [child(11)]}))
        }
        query if query.contains("limit") => {
            let items: Vec<Value> = (0..11).map(child).collect();
            object(&json!({"kind": "TaskRunList", "metadata": {"continue": "a/b"}, "items": items}))
        }
        "c12" => object(&child(12)),
        _ => status(404, "NotFound", "gone"),
    })
    .await;
    let (first, _folder) = cluster(&server, LIMIT).await;
    let references: Vec<Value> =
        (0..14).map(|number| json!({"kind": "TaskRun", "name": format!("c{number}")})).collect();
    let pipeline_run = json!({"metadata": {"namespace": "ci", "name": "p", "uid": "pu"}, "status": {"childReferences": references}});
    let children = first.task_runs_of(&pipeline_run).await.unwrap();
    assert_eq!((children.task_runs.len(), children.gone.as_slice()), (13, ["ci/c13".to_owned()].as_slice()));
    assert_eq!(first.requests(), 4);
    let line = "GET /apis/tekton.dev/v1/namespaces/ci/taskruns?labelSelector=tekton.dev%2FpipelineRun%3Dp&limit=100 hunter2";
    assert_eq!(server.lines()[0], line);
    // One that goes on without end.
    let endless =
        Server::start(|_, _| object(&json!({"kind": "PodList", "metadata": {"continue": "x"}, "items": []})))
            .await;
    let (second, _folder) = cluster(&endless, LIMIT).await;
    let text = shown(&second.pods_of(&pipeline_run).await.unwrap_err());
    assert!(
        text.contains("cannot list the pods of PipelineRun ci/p") && text.contains("more than 100 pages"),
        "{text}"
    );
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_found_again() {
    let written = json!({
        "chains.tekton.dev/payload-taskrun-u": "cA==", "chains.tekton.dev/signature-taskrun-u": "cw==",
        "chains.tekton.dev/cert-taskrun-u": "", "chains.tekton.dev/chain-taskrun-u": "",
    });
    let (result, seen) = annotating(move |seen, number| match (seen.method.as_str(), number) {
        ("GET", 0) => object(&run("1", &json!({}))),
        ("PATCH", 1) => Reply::Reset,
        ("PATCH", _) => status(409, "Conflict", "the object has been modified"),
        _ => object(&run("2", &written)),
    })
    .await;
    assert!(result.is_ok(), "{result:?}");
    let methods: Vec<&str> = seen.iter().map(|seen| seen.method.as_str()).collect();
    assert_eq!(methods, ["GET", "PATCH", "PATCH", "GET"]);
}

#[tokio::test]
async fn a_kubeconfig_that_can_not_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let reach = reach(Instant::now() + Duration::from_secs(60), &path);
    for text in ["{", "apiVersion: v1", "apiVersion: v1\ncurrent-context: none\n"] {
        std::fs::write(&path, text).unwrap();
        let error = Cluster::connect(&reach, &|_| None).await.err().unwrap();
        let text = shown(&error);
        assert!(text.contains(&format!("cannot use the kubeconfig {}", path.display())), "{text}");
        assert_eq!(Explain::exit(&error).number(), 2);
    }
}

#[tokio::test]
async fn a_token_or_a_secret_that_the_api_server_repeats_is_hidden() {
    let server = Server::start(|seen, _| {
        let token = seen.who().unwrap_or_default();
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        let causes = json!([{"field": format!("a.{token}"), "message": token.to_uppercase()}]);
        let message = format!("{token} has sent {body} and s3cret/value, s3cret%2Fvalue, czNjcmV0L3ZhbHVl");
        status_of(403, &json!({"kind": "Status", "code": 403, "reason": token, "message": message, "details": {"causes": causes}}))
    })
    .await;
    let (cluster, _folder) = cluster(&server, LIMIT).await;
    let value = Secret::from("s3cret/value".to_owned());
    let error = cluster.create_secret(&name(), &[("cosign.password", &value)]).await.unwrap_err();
    let text = format!("{} {error:?}", shown(&error));
    assert!(text.contains("403 [hidden]: [hidden] has sent"), "{text}");
    assert!(text.contains("and [hidden], [hidden], [hidden]"), "{text}");
    for secret in ["s3cret", "czNjcmV0", "HUNTER2"] {
        assert!(!text.contains(secret), "{text}");
    }
    // From something in between, which knows no Status.
    let server = Server::start(|seen, _| answer(418, &[], format!("tea for {}", seen.who().unwrap()))).await;
    let (cluster, _folder) = self::cluster(&server, LIMIT).await;
    assert!(shown(&cluster.task_run(&name()).await.unwrap_err()).contains("418: tea for [hidden]"));
}

#[test]
fn what_an_exec_plugin_prints_when_a_login_is_renewed_is_not_shown() {
    use std::os::unix::process::ExitStatusExt as _;
    let (status, stderr) = (std::process::ExitStatus::from_raw(256), TOKEN.as_bytes().to_vec());
    let out = std::process::Output { status, stdout: stderr.clone(), stderr };
    let login = kube::client::AuthError::AuthExecRun { cmd: "gke-auth".into(), out: Box::new(out) };
    let failure = Failure::unsent(kube::Error::Service(Box::new(login)));
    let source = std::error::Error::source(&failure).map(ToString::to_string).unwrap_or_default();
    assert!(!format!("{failure} {failure:?} {source}").contains(TOKEN), "{failure:?}");
    assert!(source.contains("gke-auth"), "{source}");
}
