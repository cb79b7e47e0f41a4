//! What registries answer, and what is made of it.

use super::server::{Reply, Server, answer, head, refusal};
use super::*;

const BYTES: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json"}"#;

async fn says(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Server, Client) {
    let server = Server::start(move |_, _| reply()).await;
    let client = client(&server, &["ci"]);
    (server, client)
}

async fn manifest_error(reply: impl Fn() -> Reply + Send + Sync + 'static) -> String {
    let (server, client) = says(reply).await;
    let error = client.subject(&server.repository(), &tag("v1")).await.unwrap_err();
    shown(&error)
}

#[tokio::test]
async fn a_manifest_comes_with_its_type_and_its_own_digest() {
    let digest = Digest::of(BYTES);
    for (content_type, want) in [
        (
            "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
            "application/vnd.oci.image.manifest.v1+json",
        ),
        ("application/json", "application/vnd.oci.image.index.v1+json"),
    ] {
        let (server, client) = says(move || answer(200, &[("Content-Type", content_type)], BYTES)).await;
        for target in [tag("v1"), Target::Digest(digest.clone())] {
            let found = client.manifest(&server.repository(), &target).await.unwrap().unwrap();
            assert_eq!((found.media_type.as_str(), &found.digest), (want, &digest));
            assert_eq!(found.bytes, BYTES);
        }
        let accept = server.seen()[0].header("accept").unwrap().to_owned();
        assert!(accept.contains("application/vnd.docker.distribution.manifest.list.v2+json"), "{accept}");
        assert!(server.seen()[0].header("user-agent").unwrap().starts_with("stepseal/"));
    }
}

/// What registries, and what stands before them, say beside a 404.
const ABSENT: [(&str, &[u8]); 12] = [
    ("application/json", br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"gone"}]}"#),
    ("application/json", br#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#),
    ("application/json", br#"{"errors":[{"code":"BLOB_UNKNOWN"}]}"#),
    (
        "application/json",
        br#"{"errors":[{"code":"TAG_EXPIRED","message":"Tag was deleted or has expired"}]}"#,
    ),
    ("application/json", br#"{"errors":[{"status":404,"message":"Not Found"}]}"#),
    ("application/json", br#"{"errors":[{"code":"DENIED","message":"hidden"}]}"#),
    ("application/json", br#"{"errors":{}}"#),
    ("application/xml", b"<Error><Code>NoSuchKey</Code></Error>"),
    ("text/plain", b"404 page not found\n"),
    ("text/html", b"<html><head><title>Company Portal</title></head></html>"),
    ("application/json", b"\xff\xfe\x00"),
    ("", b""),
];

#[tokio::test]
async fn what_need_not_be_there_is_absent_with_any_404() {
    for (kind, body) in ABSENT {
        let (server, client) = says(move || answer(404, &[("Content-Type", kind)], body)).await;
        let (repository, digest) = (server.repository(), Digest::of(b""));
        let shown = String::from_utf8_lossy(body);
        for target in [tag("v1"), Target::Digest(digest.clone())] {
            assert_eq!(client.manifest(&repository, &target).await.unwrap(), None, "{shown}");
        }
        assert_eq!(client.list(&repository, "sha256-x.sig", &digest).await.unwrap(), None, "{shown}");
        assert_eq!(client.blob(&repository, &digest, 9).await.unwrap(), None, "{shown}");
    }
    for status in [400, 401, 403, 405, 410, 429, 500, 503] {
        let (server, client) = says(move || refusal(status, &[("Retry-After", "99")], "NOT_FOUND", "")).await;
        let (repository, digest) = (server.repository(), Digest::of(b""));
        assert!(client.manifest(&repository, &tag("v1")).await.is_err(), "{status}");
        assert!(client.list(&repository, "v1", &digest).await.is_err(), "{status}");
        assert!(client.blob(&repository, &digest, 9).await.is_err(), "{status}");
    }
}

#[tokio::test]
async fn a_subject_that_is_not_there_is_an_error_that_keeps_what_the_registry_said() {
    for (kind, body) in ABSENT {
        let (server, client) = says(move || answer(404, &[("Content-Type", kind)], body)).await;
        let error = client.subject(&server.repository(), &tag("v1")).await.unwrap_err();
        assert!(error.is_absence() && shown(&error).contains("/manifests/v1: 404 "), "{}", shown(&error));
        assert_eq!(error.is_page(), kind == "text/html", "{}", shown(&error));
    }
    let text = manifest_error(|| refusal(404, &[], "TAG_EXPIRED", "Tag was deleted or has expired")).await;
    assert!(text.contains("404 TAG_EXPIRED: Tag was deleted or has expired"), "{text}");
    let text = manifest_error(|| refusal(404, &[], "DENIED", "hidden")).await;
    assert!(text.contains("404 DENIED: hidden"), "{text}");
    let text = manifest_error(|| answer(404, &[], "404 page not found")).await;
    assert!(text.contains("404 Not Found: 404 page not found"), "{text}");
    let page = "<html><head><title>Company Portal</title></head></html>";
    let text = manifest_error(move || answer(404, &[("Content-Type", "text/html")], page)).await;
    assert!(text.contains("404 Not Found: it answered with an HTML page, \"Company Portal\""), "{text}");
    assert!(text.contains("is an OCI registry, and not a page or a proxy"), "{text}");
    let text = manifest_error(move || answer(200, &[("Content-Type", "text/html")], page)).await;
    assert!(text.contains(": it answered with an HTML page, \"Company Portal\""), "{text}");
    let text = manifest_error(|| answer(204, &[], "")).await;
    assert!(text.contains("it answered 204, which means nothing here"), "{text}");
}

/// GitLab's answer to the fallback tag, also by a redirect and whatever the subject is.
#[tokio::test]
async fn the_subject_itself_is_not_its_list() {
    let subjects = [
        BYTES,
        br#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","layers":[]}"#,
        br#"{"schemaVersion":2,"manifests":[{"digest":"sha256:x"}]}"#,
    ];
    for subject in subjects {
        let server = Server::start(move |seen, _| match seen.target.ends_with("/away") {
            true => answer(307, &[("Location", "/v2/team/app/manifests/sha256:x")], ""),
            false => answer(200, &[], subject),
        })
        .await;
        let (client, repository) = (client(&server, &["ci"]), server.repository());
        for name in ["here", "away"] {
            assert_eq!(client.list(&repository, name, &Digest::of(subject)).await.unwrap(), None);
            let found = client.list(&repository, name, &Digest::of(b"other")).await.unwrap();
            assert_eq!(found.unwrap().bytes, subject);
        }
    }
}

#[tokio::test]
async fn bytes_that_do_not_fit_their_digest_are_refused() {
    let (server, client) = says(|| answer(200, &[], BYTES)).await;
    let other = Digest::of(b"other");
    let error = client.manifest(&server.repository(), &Target::Digest(other.clone())).await.unwrap_err();
    let want = format!("the registry's content has the digest {}, not {other}", Digest::of(BYTES));
    assert!(shown(&error).contains(&want), "{}", shown(&error));
    assert!(!error.is_transient());
    let error = client.blob(&server.repository(), &other, 1000).await.unwrap_err();
    assert!(shown(&error).contains(&want));

    // A digest in the answer's header counts too, read or written.
    let digest = other.to_string();
    let (server, client) = says(move || answer(200, &[("Docker-Content-Digest", &digest)], BYTES)).await;
    let repository = server.repository();
    assert!(client.manifest(&repository, &tag("v1")).await.is_err());
    assert!(client.put_manifest(&repository, &tag("v1"), "x/y", Bytes::from_static(BYTES)).await.is_err());
    // One of another algorithm says nothing to us.
    let (server, client) = says(|| answer(200, &[("Docker-Content-Digest", "sha512:abc")], BYTES)).await;
    assert!(client.manifest(&server.repository(), &tag("v1")).await.unwrap().is_some());
}

#[tokio::test]
async fn answers_have_limits() {
    let limit = usize::try_from(MAX_MANIFEST_BYTES).unwrap();
    let text = manifest_error(move || Reply::Bytes(head(200, &[], limit + 1))).await;
    assert!(text.contains("the answer is larger than 4194304 bytes"), "{text}");
    let chunked = || b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n ".to_vec();
    let text = manifest_error(move || Reply::Endless(chunked())).await;
    assert!(text.contains("the answer is larger than 4194304 bytes"), "{text}");
    // Of a refusal only the beginning is read, so its end need not come.
    let endless = || b"HTTP/1.1 400 X\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nx".to_vec();
    let text = manifest_error(move || Reply::Endless(endless())).await;
    assert!(text.contains("400 Bad Request: xxx") && text.len() < 1000, "{text}");

    let (server, client) = says(|| answer(200, &[], b"12345")).await;
    let (repository, digest) = (server.repository(), Digest::of(b"12345"));
    assert_eq!(client.blob(&repository, &digest, 5).await.unwrap().unwrap(), "12345");
    assert!(client.blob(&repository, &digest, 4).await.is_err());
}

#[tokio::test]
async fn a_registry_that_says_no_location_is_no_error() {
    let (server, client) = says(|| answer(201, &[], "")).await;
    let (bytes, repository) = (Bytes::from_static(BYTES), server.repository());
    for target in [Target::Digest(Digest::of(BYTES)), tag("v1")] {
        let written = client.put_manifest(&repository, &target, "a/b", bytes.clone()).await.unwrap();
        assert!(!written.subject_accepted);
    }
    assert_eq!(server.seen()[0].header("content-type"), Some("a/b"));
    assert_eq!(server.seen()[0].body, BYTES);
    let (server, client) = says(|| answer(201, &[("OCI-Subject", "sha256:x")], "")).await;
    let written = client.put_manifest(&server.repository(), &tag("v1"), "a/b", bytes).await.unwrap();
    assert!(written.subject_accepted);
}

#[tokio::test]
async fn an_upload_needs_an_address() {
    for (location, want) in [
        (None, "it began an upload without saying where (no Location header)"),
        (Some("ftp://x/?s=hunter2"), "it sends us to an address that cannot be used: ftp://x/"),
    ] {
        let headers: Vec<_> = location.map(|location| ("Location", location)).into_iter().collect();
        let (server, client) = says(move || answer(202, &headers, "")).await;
        let error = client.put_blob(&server.repository(), Bytes::new()).await.unwrap_err();
        assert!(shown(&error).contains(want), "{}", shown(&error));
    }
}

#[tokio::test]
async fn an_upload_at_another_host_gets_no_login() {
    let storage = Server::start(|_, _| answer(201, &[], "")).await;
    let address = format!("http://user:pass@{}/bucket?sig=a%2Bb", storage.host());
    let (server, client) = says(move || answer(202, &[("Location", &address)], "")).await;
    client.put_blob(&server.repository(), Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(server.seen()[0].who().as_deref(), Some("ci"));
    let seen = &storage.seen()[0];
    assert!(seen.target.starts_with("/bucket?sig=a%2Bb&digest=sha256%3A"), "{}", seen.target);
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn a_redirect_to_another_host_carries_no_login() {
    let storage = Server::start(|_, _| answer(200, &[], b"blob")).await;
    let host = storage.host();
    let server = Server::start(move |seen, _| match seen.target.as_str() {
        "/here" => answer(302, &[("Location", &format!("http://{host}/bucket"))], ""),
        _ => answer(307, &[("Location", "/here")], ""),
    })
    .await;
    let client = client(&server, &["ci"]);
    let found = client.blob(&server.repository(), &Digest::of(b"blob"), 100).await.unwrap();
    assert_eq!(found.unwrap(), "blob");
    let who: Vec<_> = server.seen().iter().map(|seen| seen.who()).collect();
    assert_eq!(who, [Some("ci".into()), Some("ci".into())]);
    assert_eq!(storage.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn redirects_end_and_writing_follows_none() {
    let (server, client) = says(|| answer(302, &[("Location", "/again")], "")).await;
    let error = client.manifest(&server.repository(), &tag("v1")).await.unwrap_err();
    assert!(shown(&error).contains("from address to address, more than 5 times"), "{}", shown(&error));
    assert_eq!(server.seen().len(), 6);
    let error = client.put_manifest(&server.repository(), &tag("v1"), "x/y", Bytes::new()).await;
    assert!(shown(&error.unwrap_err()).contains("it answered 302, which means nothing here"));
    assert_eq!(server.seen().len(), 7);
}

#[tokio::test]
async fn a_read_only_registry_says_so() {
    let (server, client) = says(|| refusal(405, &[], "UNSUPPORTED", "The operation is unsupported.")).await;
    let error = client.put_blob(&server.repository(), Bytes::new()).await.unwrap_err();
    let text = shown(&error);
    let url = format!("POST http://{}/v2/team/app/blobs/uploads/", server.host());
    assert!(text.contains(&format!("{url}: 405 UNSUPPORTED: The operation is unsupported.")), "{text}");
    assert!(text.contains("do:    the registry is read-only or a mirror"), "{text}");
    assert!(text.contains("used:  user \"ci\""), "{text}");
}

#[test]
fn an_insecure_registry_is_a_registrys_name() {
    for name in ["http://localhost:5000", "a/b", ""] {
        let options = ClientOptions { insecure: vec![name.into()], ..options() };
        let error = Client::new(options, keys(&[])).unwrap_err();
        assert!(shown(&error).contains("is not a registry, HOST or HOST:PORT"));
        assert_eq!(error.exit(), crate::exit::ExitCode::Usage);
    }
}
