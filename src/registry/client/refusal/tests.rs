//! What is shown of answers that refuse.

use super::*;
use proptest::prelude::*;

fn line(status: u16, content_type: Option<&str>, body: &[u8]) -> String {
    let status = StatusCode::from_u16(status).unwrap();
    Refusal { status, said: read(content_type, body), retry_after: None }.to_string()
}

#[test]
fn the_registrys_own_code_and_message_are_kept() {
    let body = br#"{"errors":[{"code":"DENIED","message":"push access refused","detail":[]}]}"#;
    assert_eq!(line(403, Some("application/json"), body), "403 DENIED: push access refused");
    let body = br#"{"errors":[{"code":"DENIED","message":"push access refused","detail":{"user":"ci"}}]}"#;
    assert_eq!(line(403, None, body), "403 DENIED: push access refused (user: ci)");
    // oci-client's own error prints only the message, and nothing at all of this one.
    let body = br#"{"errors":[{"code":"UNAUTHORIZED"},{"code":"ARTIFACT_LOCKED","message":"locked"}]}"#;
    assert_eq!(line(401, None, body), "401 UNAUTHORIZED; ARTIFACT_LOCKED: locked");
}

#[test]
fn bent_lists_are_read_as_far_as_they_go() {
    assert_eq!(line(400, None, br#"{"errors":[{"code":7,"message":null}]}"#), "400 7");
    assert_eq!(line(400, None, br#"{"errors":[]}"#), "400 Bad Request: {\"errors\":[]}");
    let many = format!(r#"{{"errors":[{}]}}"#, vec![r#"{"code":"X"}"#; 50].join(","));
    assert_eq!(line(400, None, many.as_bytes()), "400 X; X; X; X");
}

#[test]
fn what_is_missing_is_not_printed() {
    for (status, body, want) in [
        (404, r#"{"errors":[{"code":"","message":"Not Found"}]}"#, "404 Not Found"),
        (404, r#"{"errors":[{"message":"404 Not Found"}]}"#, "404 Not Found"),
        (404, r#"{"errors":[{"code":404,"message":"no such thing"}]}"#, "404 Not Found: no such thing"),
        (404, r#"{"errors":[{"code":"404","message":"not found"}]}"#, "404 Not Found"),
        (404, r#"{"errors":[{"status":404}]}"#, "404 Not Found"),
        (404, r#"{"errors":[{"status":404,"message":"File not found."}]}"#, "404 Not Found: File not found."),
        (404, r#"{"errors":[{"status":"404","message":""}]}"#, "404 Not Found"),
        (403, r#"{"errors":[{"code":null,"message":"no","detail":null}]}"#, "403 Forbidden: no"),
        (403, r#"{"errors":[{"code":"DENIED","message":null}]}"#, "403 DENIED"),
        (403, r#"{"errors":[{"code":"DENIED","detail":"no"}]}"#, "403 DENIED: no"),
        (403, r#"{"errors":[{"detail":"no"}]}"#, "403 Forbidden: no"),
        (403, r#"{"errors":["no"]}"#, "403 Forbidden: no"),
        (403, r#"{"errors":"no"}"#, "403 Forbidden: no"),
        (403, r#"{"errors":{"code":"DENIED","message":"no"}}"#, "403 DENIED: no"),
        (403, r#"{"errors":[{"message":"no"},{"code":"DENIED"},{"code":403}]}"#, "403 Forbidden: no; DENIED"),
        (403, r#"{"errors":[{"code":403},{"code":"DENIED"}]}"#, "403 DENIED"),
        (403, r#"{"message":"403 Forbidden"}"#, "403 Forbidden"),
        (404, r#"{"status":404,"error":"Not Found","path":"/v2/"}"#, "404 Not Found"),
        (
            403,
            r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#,
            "403 Forbidden: PERMISSION_DENIED: no",
        ),
        (
            400,
            r#"{"type":"about:blank","title":"Bad","status":400,"detail":"no"}"#,
            "400 Bad Request: Bad: no",
        ),
        (404, "Not Found\n", "404 Not Found"),
        (400, r#"{"errors":[{}]}"#, "400 Bad Request: {\"errors\":[{}]}"),
        (
            200,
            r#"{"errors":[{"code":"","message":""}]}"#,
            "200 OK: {\"errors\":[{\"code\":\"\",\"message\":\"\"}]}",
        ),
    ] {
        assert_eq!(line(status, None, body.as_bytes()), want, "{body}");
    }
}

#[test]
fn details_are_shown_where_they_say_more() {
    for (body, want) in [
        // Nexus.
        (
            r#"{"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"blob upload invalid","detail":"Repository does not allow updating assets: x"}]}"#,
            "400 BLOB_UPLOAD_INVALID: blob upload invalid (Repository does not allow updating assets: x)",
        ),
        // Artifactory.
        (
            r#"{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":{"description":"HTTP 403 Forbidden"}}]}"#,
            "400 MANIFEST_INVALID: manifest invalid (description: HTTP 403 Forbidden)",
        ),
        // distribution: a text, and an object.
        (
            r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":"sha256:aa"}]}"#,
            "400 MANIFEST_BLOB_UNKNOWN: blob unknown to registry (sha256:aa)",
        ),
        (
            r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry","detail":{"Name":"a","Digest":"sha256:aa"}}]}"#,
            "400 BLOB_UNKNOWN: blob unknown to registry (Name: a, Digest: sha256:aa)",
        ),
        (r#"{"errors":[{"code":"X","message":"see y","detail":"Y"}]}"#, "400 X: see y"),
        (r#"{"errors":[{"code":"X","message":"m","detail":{"token":"hunter2"}}]}"#, "400 X: m"),
    ] {
        assert_eq!(line(400, None, body.as_bytes()), want, "{body}");
    }
    let long = format!(r#"{{"errors":[{{"code":"X","message":"m","detail":"{}"}}]}}"#, "x".repeat(60_000));
    assert!(line(400, None, long.as_bytes()).len() < 300);
}

#[test]
fn servers_that_want_tls_are_known_by_what_they_say() {
    for body in [
        "Client sent an HTTP request to an HTTPS server.\n",
        "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
        "<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
        "Bad Request\nThis combination of host and port requires TLS.\r\n",
    ] {
        assert!(wants_https(body.as_bytes()), "{body}");
    }
    for body in
        ["", "400 Bad Request", r#"{"errors":[{"code":"UNSUPPORTED","message":"https"}]}"#, "\u{fffd}"]
    {
        assert!(!wants_https(body.as_bytes()), "{body}");
    }
}

#[test]
fn pages_and_texts_are_told_in_a_line() {
    let page = b"<!DOCTYPE html><html><head><TITLE>\n Sign  in\x1b[31m</TITLE></head><body>long</body>";
    assert_eq!(
        line(404, Some("application/json"), page),
        "404 Not Found: it answered with an HTML page, \"Sign in\\u{1b}[31m\""
    );
    assert_eq!(
        line(502, Some("Text/HTML; charset=utf-8"), b""),
        "502 Bad Gateway: it answered with an HTML page"
    );
    assert_eq!(line(404, None, b"404 page not found\n"), "404 Not Found: 404 page not found");
    assert_eq!(line(503, None, b" \n"), "503 Service Unavailable");
    assert_eq!(line(500, None, b"\xff\xfe"), "500 Internal Server Error: \u{fffd}\u{fffd}");
    assert_eq!(line(599, None, b""), "599 (a status no specification knows)");
}

#[test]
fn token_services_answer_in_their_own_ways() {
    for (body, want) in [
        (r#"{"error":"invalid_grant","error_description":"expired"}"#, "invalid_grant: expired"),
        (r#"{"details":"incorrect username or password"}"#, "incorrect username or password"),
        (r#"{"message":"no"}"#, "no"),
    ] {
        assert_eq!(line(401, None, body.as_bytes()), format!("401 Unauthorized: {want}"));
    }
    // A token in an answer that refuses is a token all the same.
    for body in [r#"{"token":"hunter2"}"#, r#"{"access_token":"hunter2","expires_in":60}"#] {
        assert_eq!(line(401, None, body.as_bytes()), "401 Unauthorized");
    }
}

#[test]
fn what_is_long_is_cut() {
    let body = format!(r#"{{"errors":[{{"code":"{0}","message":"{0}"}}]}}"#, "x".repeat(5000));
    assert!(line(400, None, body.as_bytes()).len() < 400);
    assert!(line(400, None, &vec![b'y'; 60_000]).len() < 400);
}

proptest! {
    #[test]
    fn any_body_is_one_short_line(body in proptest::collection::vec(any::<u8>(), 0..600)) {
        let line = line(500, None, &body);
        prop_assert!(!line.contains('\n') && line.len() < 2000);
    }
}
