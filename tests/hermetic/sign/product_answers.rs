//! What real registries answer, and what a user reads then: the exit code, the cause and what to do. What belongs to a whole product is with
//! its personality in tests/hermetic/registries.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use bytes::Bytes;
use http::{Method, Response};
use serde_json::json;
use stepseal::demo::registry::Asked;

use crate::kit::answers::error;
use crate::kit::step::{Ended, MANIFEST, Step};

const BUNDLE: &str = "--config=storage.oci.encoding-format=sigstore-bundle";

fn response(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder().status(status).header("content-type", "application/json").body(body.into()).unwrap()
}

/// Runs `sign`, which must end with `code` and say each of `wanted`.
#[track_caller]
fn signed_with(step: &Step, args: &[&str], code: i32, wanted: &[&str]) -> Ended {
    let ended = step.run(&[&["sign", "--timeout=20s"], args].concat());
    assert_eq!(ended.code, code, "{}", ended.stderr);
    for want in wanted {
        assert!(ended.stderr.contains(want), "{want:?} is missing:\n{}", ended.stderr);
    }
    ended
}

fn puts_tag(asked: &Asked<'_>) -> bool {
    *asked.method == Method::PUT && asked.path_and_query.contains("/manifests/sha256-")
}

#[test]
fn an_immutable_tag_is_called_that_and_bundles_are_the_way_out() {
    // Products whose tags can be immutable are personalities; these words are another one's.
    let message = "The tag app:x is immutable, cannot be overwrite.";
    let step = Step::new();
    let digest = step.built("team/app");
    step.registry
        .faults()
        .answer_instead(move |asked| puts_tag(asked).then(|| error(403, "DENIED", message)));
    let first = format!("403 DENIED: {message}");
    let advice = format!("the tag sha256-{}.sig is immutable", digest.hex());
    signed_with(&step, &[], 4, &[&first, &advice, "sigstore-bundle", "storage.oci.repository"]);
    assert_eq!(step.layers("team/app", &digest), Vec::<serde_json::Value>::new());
    // The way out that the hint names: this registry has a referrers API.
    let ended = signed_with(&step, &[BUNDLE], 0, &["1 signed"]);
    assert!(!ended.stderr.contains("immutable"), "{}", ended.stderr);
}

#[test]
fn a_detail_says_what_the_message_does_not() {
    let step = Step::new();
    step.built("team/app");
    step.registry.faults().answer_instead(|asked| {
        let body = json!({ "errors": [{
            "code": "BLOB_UPLOAD_INVALID",
            "message": "blob upload invalid",
            "detail": { "reason": "Repository does not allow updating assets: docker-hosted", "token": "t0ken-of-another" },
        }] });
        puts_tag(asked).then(|| response(400, body.to_string()))
    });
    let words = [
        "400 BLOB_UPLOAD_INVALID: blob upload invalid (reason: Repository does not allow updating assets: docker-hosted)",
        "is immutable",
    ];
    let ended = signed_with(&step, &[], 1, &words);
    assert!(!ended.stderr.contains("t0ken-of-another"), "{}", ended.stderr);
    // The login that was sent isn't shown in a detail either: `ended` looks for it.
    step.registry.faults().answer_instead(|asked| {
        let login = asked.headers.get("authorization").map(|value| value.to_str().unwrap().replace("Basic ", ""));
        let body = json!({ "errors": [{ "code": "DENIED", "message": "no", "detail": { "seen": [login, "pull only"] } }] });
        puts_tag(asked).then(|| response(403, body.to_string()))
    });
    signed_with(&step, &[], 4, &["403 DENIED: no (", "pull only"]);
}

#[test]
fn codes_that_are_missing_are_not_printed() {
    for body in [
        r#"{"errors":[{"code":"","message":"Not Found"}]}"#,
        r#"{"errors":[{"code":404,"message":"Not Found"}]}"#,
        r#"{"errors":[{"message":"not found"}]}"#,
    ] {
        let step = Step::new();
        step.built("team/app");
        step.registry.faults().answer_instead(move |asked| {
            (*asked.method == Method::POST).then(|| response(404, body.as_bytes().to_vec()))
        });
        let ended = signed_with(&step, &[], 1, &["404 Not Found\n", "check that "]);
        assert!(!ended.stderr.contains("404 :") && !ended.stderr.contains("404 404"), "{}", ended.stderr);
    }
}

#[test]
fn refusals_of_pushes_have_their_own_advice() {
    for (status, code, message, exit, advice) in [
        (
            403,
            "DENIED",
            "adding 29.0 MiB of storage resource, which when updated to current usage of 152.4 MiB will exceed the configured upper limit of 10.0 MiB.",
            4,
            "raise the quota for team/app",
        ),
        (403, "DENIED", "permission_denied: write_package", 4, "write:packages"),
        (
            403,
            "DENIED",
            "The system is in read only mode. Any modification is prohibited.",
            4,
            "takes no pushes now",
        ),
        (403, "DENIED", "requested access to the resource is denied", 4, "may not exist, too"),
    ] {
        let step = Step::new();
        step.built("team/app");
        step.registry.faults().answer_instead(move |asked| {
            (*asked.method == Method::POST).then(|| error(status, code, message))
        });
        signed_with(&step, &[], exit, &[message, advice]);
    }
}

#[test]
fn a_proxy_that_wants_a_client_certificate_is_named() {
    let step = Step::new();
    step.built("team/app");
    step.registry.faults().answer_instead(|_| {
        let page = "<html><head><title>400 No required SSL certificate was sent</title></head></html>";
        Some(Response::builder().status(400).header("content-type", "text/html").body(page.into()).unwrap())
    });
    signed_with(
        &step,
        &[],
        1,
        &["No required SSL certificate was sent", "wants a client certificate", "--registry-certs-dir"],
    );
}

/// A manifest of schema 1, as docker-registry 2 gives it: its digest is that of the payload that the signature covers.
#[test]
fn a_manifest_of_schema_1_is_not_called_untrustworthy() {
    let step = Step::new();
    let digest = step.built("team/app");
    step.registry.faults().answer_instead({
        let digest = digest.to_string();
        move |asked| {
            let body = json!({
                "schemaVersion": 1, "name": "team/app", "tag": "1", "architecture": "amd64",
                "fsLayers": [], "history": [], "signatures": [{ "header": {}, "signature": "AA", "protected": "AA" }],
            });
            let gets = *asked.method == Method::GET && asked.path_and_query.contains("/manifests/sha256:");
            gets.then(|| {
                Response::builder()
                    .header("content-type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
                    .header("docker-content-digest", &digest)
                    .body(body.to_string().into())
                    .unwrap()
            })
        }
    });
    let ended = signed_with(
        &step,
        &[],
        1,
        &["it is a manifest of schema 1", "schema 1 can't be signed", "skopeo copy --format v2s2"],
    );
    assert!(!ended.stderr.contains("do not trust"), "{}", ended.stderr);
    assert_eq!(step.layers("team/app", &digest), Vec::<serde_json::Value>::new());
    // The same bytes under a current type are still not trusted.
    step.registry.faults().clear();
    step.registry.faults().change_answers(|asked, answer| {
        if *asked.method == Method::GET && asked.path_and_query.contains("/manifests/sha256:") {
            *answer.body_mut() = r#"{"schemaVersion":1}"#.into();
            answer.headers_mut().insert("content-type", MANIFEST.parse().unwrap());
        }
    });
    signed_with(&step, &[], 1, &["do not trust this content"]);
}

/// What a server with TLS says to plain HTTP: in words, with a TLS record, or by ending the connection.
#[test]
fn plain_http_to_a_port_with_tls_says_to_drop_the_setting() {
    let page = |text: &str| {
        format!("HTTP/1.0 400 Bad Request\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes()
    };
    for answer in [
        page("Client sent an HTTP request to an HTTPS server.\n"),
        page("<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"),
        page("<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.</p>"),
        // The alert "unexpected message".
        b"\x15\x03\x01\x00\x02\x02\x0a".to_vec(),
        Vec::new(),
    ] {
        let step = Step::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let sent = answer.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                // The request has no body, so that one read is enough to let the connection end without a reset.
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(&sent);
            }
        });
        let image = format!("{host}/team/app@sha256:{}", "ab".repeat(32));
        let insecure = format!("--insecure-registry={host}");
        let ended = step.run(&["sign", &image, &insecure, "--timeout=3s"]);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        let advice = format!("if the registry has HTTPS, drop --insecure-registry {host}");
        assert!(ended.stderr.contains(&advice), "{answer:?}: {}", ended.stderr);
    }
}
