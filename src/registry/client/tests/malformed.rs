//! Answers that break the rules of HTTP, or bend them: what is read all the same, and what the error says of the rest.

use super::network::{ca, server_config};
use super::server::{Reply, Server, answer, head};
use super::*;

async fn asked(server: &Server) -> Result<(), String> {
    let found = client(server, &["ci"]).manifest(&server.repository(), &tag("v1")).await;
    found.map(drop).map_err(|error| shown(&error))
}

fn ok(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{headers}\r\n{{}}").into_bytes()
}

#[tokio::test]
async fn headers_that_other_clients_take_are_taken() {
    let many: String = (0..200).map(|number| format!("X-Header-{number}: x\r\n")).collect();
    for headers in [
        many.as_str(),
        "X-A : a\r\n",
        "X A: a\r\n",
        "X(A): a\r\n",
        "X-A: a\u{1}b\r\n",
        "X-A: \u{fc}\r\n",
        "X-A: a\r\n  folded\r\n",
        "X-A:\r\n",
    ] {
        let bytes = ok(headers);
        let server = Server::start(move |_, _| Reply::Bytes(bytes.clone())).await;
        assert_eq!(asked(&server).await, Ok(()), "{headers:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_valid_http_says_what_is_wrong_with_it_and_is_not_asked_for_again() {
    let large = format!("X-A: {}\r\n", "a".repeat(2_000_000));
    let many: String = (0..300).map(|number| format!("X-Header-{number}: x\r\n")).collect();
    let (ca, dir) = (ca(), tempfile::tempdir().unwrap());
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, &ca.pem).unwrap();
    for (bytes, want) in [
        (ok(&large), "its headers are too long, or more than 256"),
        (ok(&many), "its headers are too long, or more than 256"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}".to_vec(), "its Content-Length is not a number"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}".to_vec(),
            "its Content-Length is not a number",
        ),
        (
            b"HTTP/1.1 042 X\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "its status is not a number from 100 to 999",
        ),
        (
            b"HTTP/1.1 2xx X\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "its status is not a number from 100 to 999",
        ),
    ] {
        for is_tls in [false, true] {
            let bytes = bytes.clone();
            let config = is_tls.then(|| server_config(&ca, "127.0.0.1", |_| ()));
            let server = Server::start_with(config, move |_, _| Reply::Bytes(bytes.clone())).await;
            let mut options = options();
            options.extra_roots.push(file.clone());
            if !is_tls {
                options.insecure.push(server.host());
            }
            let client = Client::new(options, keys(&["ci"])).unwrap();
            let error = client.manifest(&server.repository(), &tag("v1")).await.unwrap_err();
            let text = shown(&error);
            assert!(text.contains(&format!("its answer is not valid HTTP: {want}")), "{text}");
            assert!(text.contains(&format!("do:    check what answers for {}", server.host())), "{text}");
            assert_eq!(server.seen().len(), 1, "{want}");
        }
    }
    // What doesn't begin as HTTP does is something else.
    let server = Server::start(|_, _| Reply::Cut(b"SSH-2.0-x\r\n\r\n".to_vec())).await;
    let text = asked(&server).await.unwrap_err();
    assert!(text.contains("it does not speak plain HTTP"), "{text}");
}

#[tokio::test]
async fn a_refusal_whose_body_does_not_end_is_that_refusal() {
    let ask = async |status: u16, body: &'static str| {
        // The connection stays open.
        let bytes = [head(status, &[("Content-Type", "application/json")], 9999), body.into()].concat();
        let server = Server::start(move |_, _| Reply::Bytes(bytes.clone())).await;
        let error = client(&server, &["ci"]).subject(&server.repository(), &tag("v1")).await.unwrap_err();
        shown(&error)
    };
    let (missing, denied, bad) =
        tokio::join!(ask(404, ""), ask(403, "not for you"), ask(400, "{\"errors\":[{\"code\":\"X\"}]"));
    assert!(missing.contains("404 Not Found"), "{missing}");
    assert!(denied.contains("403 Forbidden: not for you"), "{denied}");
    assert!(bad.contains("400 Bad Request: {\"errors\""), "{bad}");
}

#[tokio::test]
async fn a_content_that_is_encoded_is_called_that() {
    let gzip = b"\x1f\x8b\x08\x00not really";
    let plain = b"{}";
    for (encoding, body, want) in [
        ("gzip", &gzip[..], false),
        ("br", &gzip[..], false),
        ("identity", &plain[..], true),
        ("", &plain[..], true),
        // Storage that only says so.
        ("gzip", &plain[..], true),
    ] {
        let body = body.to_vec();
        let server = Server::start(move |_, _| answer(200, &[("Content-Encoding", encoding)], &body)).await;
        let client = client(&server, &["ci"]);
        let (repository, digest) = (server.repository(), Digest::of(b"{}"));
        let target = Target::Digest(digest.clone());
        let answers = [
            client.manifest(&repository, &tag("v1")).await.map(drop),
            client.manifest(&repository, &target).await.map(drop),
            client.blob(&repository, &digest, 1000).await.map(drop),
        ];
        for answer in answers {
            match answer {
                Ok(()) => assert!(want, "{encoding}"),
                Err(error) => {
                    let text = shown(&error);
                    assert!(!want, "{text}");
                    assert!(text.contains(&format!("encoded as {encoding} (Content-Encoding)")), "{text}");
                    assert!(
                        text.contains("do:    let the registry, and each proxy in front of it"),
                        "{text}"
                    );
                }
            }
        }
    }
}
