//! What real registries answer, and what a user reads then: the exit code, the cause and what to do.

use bytes::Bytes;
use http::{Method, Response};
use serde_json::json;
use stepseal::demo::registry::Asked;

use crate::step::{Ended, Step};

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
