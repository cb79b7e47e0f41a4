//! Redirects of what writes, and other spellings of the registry's own address.

use super::server::{Seen, Server, answer};
use super::*;
use std::sync::OnceLock;

/// A registry that sends each write on once, with `status`, to what `to` makes of its own address and the target.
async fn sending_on(status: u16, to: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Server {
    let host: Arc<OnceLock<String>> = Arc::default();
    let own = Arc::clone(&host);
    let server = Server::start(move |seen: &Seen, _| {
        let host = own.get().unwrap();
        let is_write = matches!(seen.method.as_str(), "POST" | "PUT");
        match seen.method.as_str() {
            _ if is_write && !seen.target.starts_with("/on") => {
                answer(status, &[("Location", &to(host, &seen.target))], "")
            }
            "POST" => answer(202, &[("Location", "/on/upload")], ""),
            "PUT" => answer(201, &[], ""),
            _ => answer(200, &[], "{}"),
        }
    })
    .await;
    host.set(server.host()).unwrap();
    server
}

#[tokio::test]
async fn a_write_is_sent_on_to_the_same_origin_with_its_body_and_its_login() {
    let spellings: [fn(&str, &str) -> String; 4] = [
        |_, target| format!("/on{target}"),
        |host, target| format!("http://{host}/on{target}"),
        |host, target| format!("HTTP://{}/on{target}", host.replace("127.0.0.1", "0x7F.1")),
        |host, target| format!("http://user:x@{}/on{target}#x", host.replace("127.0.0.1", "127.0.0.1.")),
    ];
    for status in [307, 308] {
        for to in spellings {
            let server = sending_on(status, to).await;
            let client = client(&server, &["ci"]);
            let digest = client.put_blob(&server.repository(), Bytes::from_static(b"blob")).await.unwrap();
            let manifest = Bytes::from_static(b"{}");
            client.put_manifest(&server.repository(), &tag("v1"), "a/b", manifest).await.unwrap();
            let upload = format!("/on/upload?digest={}", digest.to_string().replace(':', "%3A"));
            assert_eq!(
                server.lines(),
                [
                    "POST /v2/team/app/blobs/uploads/ ci".to_owned(),
                    "POST /on/v2/team/app/blobs/uploads/ ci".to_owned(),
                    format!("PUT {upload} ci"),
                    "PUT /v2/team/app/manifests/v1 ci".to_owned(),
                    "PUT /on/v2/team/app/manifests/v1 ci".to_owned(),
                ]
            );
            let seen = server.seen();
            assert_eq!(seen[2].body, b"blob");
            for put in &seen[3..] {
                assert_eq!((put.body.as_slice(), put.header("content-type")), (&b"{}"[..], Some("a/b")));
            }
        }
    }
}

#[tokio::test]
async fn a_write_is_not_sent_on_elsewhere_or_by_another_status() {
    let other = Server::start(|_, _| answer(201, &[], "")).await;
    let elsewhere = other.host();
    let (port, same) = (other.address.port(), other.host());
    for (status, to) in [
        (307, format!("http://{same}/on")),
        (308, format!("//localhost:{port}/on")),
        (301, "/on".to_owned()),
        (302, "/on".to_owned()),
        (303, "/on".to_owned()),
    ] {
        let location = to.clone();
        let server = sending_on(status, move |_, _| location.clone()).await;
        let client = client(&server, &["ci"]);
        let upload = client.put_blob(&server.repository(), Bytes::from_static(b"blob")).await.unwrap_err();
        let (repository, put) = (server.repository(), Bytes::from_static(b"{}"));
        let manifest = client.put_manifest(&repository, &tag("v1"), "a/b", put).await.unwrap_err();
        for text in [shown(&upload), shown(&manifest)] {
            let want = format!(
                "it answered {status}, which means nothing here: it redirects what is written to http://"
            );
            assert!(text.contains(&want), "{text}");
            assert!(
                text.contains(
                    "do:    what is written follows only a 307 or 308 to the same scheme, host and port"
                ),
                "{text}"
            );
        }
        assert_eq!(server.seen().len(), 2, "{status} {to}");
        assert!(other.seen().is_empty(), "{status} {to} {elsewhere}");
    }
}

#[tokio::test]
async fn redirects_of_a_write_end() {
    let server =
        Server::start(|seen, _| answer(307, &[("Location", &format!("{}x", seen.target))], "")).await;
    let client = client(&server, &["ci"]);
    let error = client.put_blob(&server.repository(), Bytes::new()).await.unwrap_err();
    assert!(
        shown(&error).contains("it sends us from address to address, more than 5 times"),
        "{}",
        shown(&error)
    );
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn an_upload_at_another_spelling_of_the_registry_keeps_the_login() {
    for spelling in ["0177.0.0.1", "127.1", "2130706433", "127.0.0.1.", "127.0.0.1"] {
        let host: Arc<OnceLock<String>> = Arc::default();
        let own = Arc::clone(&host);
        let server = Server::start(move |seen, _| match (seen.method.as_str(), seen.who().as_deref()) {
            (_, None) => answer(401, &[("WWW-Authenticate", "Basic realm=\"r\"")], ""),
            ("POST", _) => {
                let address = own.get().unwrap().replace("127.0.0.1", spelling);
                answer(202, &[("Location", &format!("http://{address}/on"))], "")
            }
            _ => answer(201, &[], ""),
        })
        .await;
        host.set(server.host()).unwrap();
        client(&server, &["ci"]).put_blob(&server.repository(), Bytes::new()).await.unwrap();
        assert!(server.lines().iter().all(|line| line.ends_with(" ci")), "{spelling}: {:?}", server.lines());
    }
}

#[tokio::test]
async fn the_hint_says_that_no_login_was_sent_to_another_host() {
    for status in [400, 410, 451] {
        let other = Server::start(move |_, _| answer(status, &[("Content-Type", "text/plain")], "no")).await;
        let url = format!("http://{}/x", other.host());
        let server = Server::start(move |seen, _| {
            let status = if seen.method == "POST" { 202 } else { 307 };
            answer(status, &[("Location", &url)], "")
        })
        .await;
        let mut options = options();
        options.insecure.push(other.host());
        let client = client_with(options, &server, &["ci"]);
        let read = client.manifest(&server.repository(), &tag("v1")).await.unwrap_err();
        let want = format!("no login was sent to {}, to which {} sends us", other.host(), server.host());
        assert!(shown(&read).contains(&want), "{}", shown(&read));
        assert!(other.seen().iter().all(|seen| seen.who().is_none()));
    }
    // Of the registry itself nothing of the kind is said.
    let server = Server::start(|_, _| answer(400, &[], "no")).await;
    let error = client(&server, &["ci"]).manifest(&server.repository(), &tag("v1")).await.unwrap_err();
    assert!(!shown(&error).contains("no login was sent"), "{}", shown(&error));
}
