//! Uploads that the registry sends to a place which can't take them: most often its external address is wrong.

use super::server::{Reply, Server, answer};
use super::*;
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};

/// A registry whose uploads go on at `location`.
async fn leading_to(location: String) -> Server {
    Server::start(move |seen, _| match seen.method.as_str() {
        "POST" => answer(202, &[("Location", &location)], ""),
        "HEAD" => answer(404, &[], ""),
        _ => answer(201, &[], ""),
    })
    .await
}

async fn told(server: &Server, options: ClientOptions) -> String {
    let client = client_with(options, server, &["ci"]);
    shown(&client.put_blob(&server.repository(), Bytes::from_static(b"x")).await.unwrap_err())
}

fn assert_astray(text: &str, server: &Server, place: &str, cause: &str) {
    let hint = format!(
        "do:    {} itself sends the upload to {place}: correct the registry's external address (its own setting, or the \
         headers Host, X-Forwarded-Host and X-Forwarded-Proto",
        server.host()
    );
    assert!(text.contains(cause) && text.contains(&hint), "{text}");
}

#[tokio::test]
async fn an_upload_at_a_place_that_can_not_be_reached_is_the_registrys_word() {
    // Bound and not listening: the port refuses connections, and no other test gets it meanwhile.
    let refusing = TcpSocket::new_v4().unwrap();
    refusing.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let closed = refusing.local_addr().unwrap();
    let server = leading_to(format!("http://{closed}/upload")).await;
    let text = told(&server, options()).await;
    assert_astray(&text, &server, &format!("http://{closed}"), &format!("connection refused by {closed}"));
    let begun = server.lines().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(begun, 3, "{:?}", server.lines());

    let dir = tempfile::tempdir().unwrap();
    let mut options = options();
    options.files.resolv_conf = dir.path().join("resolv.conf");
    std::fs::write(&options.files.resolv_conf, "nameserver 127.0.0.1\n").unwrap();
    let server = leading_to("http://registry.invalid:5000/upload".to_owned()).await;
    let text = told(&server, options).await;
    assert_astray(&text, &server, "http://registry.invalid:5000", "no such host: registry.invalid");
}

#[tokio::test]
async fn an_upload_at_a_place_that_speaks_something_else_is_the_registrys_word() {
    let page = ("Content-Type", "text/html");
    for (reply, cause) in [
        (answer(404, &[page], "<html><title>nginx</title>"), "404 Not Found: it answered with an HTML page"),
        (answer(405, &[], ""), "405 Method Not Allowed"),
        (answer(200, &[page], "<html><title>Welcome</title>"), "it answered with an HTML page"),
        (Reply::Cut(b"SSH-2.0-x\r\n\r\n".to_vec()), "it does not speak plain HTTP"),
        (answer(302, &[("Location", "https://login.example/")], ""), "it answered 302"),
    ] {
        let (Reply::Bytes(bytes) | Reply::Cut(bytes)) = reply else { panic!("{cause}") };
        let other = Server::start(move |_, _| Reply::Cut(bytes.clone())).await;
        let server = leading_to(format!("http://{}/upload", other.host())).await;
        let text = told(&server, options()).await;
        assert_astray(&text, &server, &format!("http://{}", other.host()), cause);
        assert!(other.seen().iter().all(|seen| seen.who().is_none()), "{cause}");
    }
    // HTTPS, where a server of plain HTTP answers what it doesn't understand.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        }
    });
    let server = leading_to(format!("{place}/upload")).await;
    let text = told(&server, options()).await;
    assert_astray(&text, &server, &place, "it does not speak HTTPS");
}

#[tokio::test]
async fn a_place_that_refuses_for_another_reason_keeps_its_hint() {
    let other = Server::start(|_, _| answer(413, &[], "")).await;
    let server = leading_to(format!("http://{}/upload", other.host())).await;
    let text = told(&server, options()).await;
    assert!(text.contains("raise the limit of the registry"), "{text}");
    assert!(text.contains(&format!("no login was sent to {}", other.host())), "{text}");
}

#[tokio::test]
async fn an_upload_at_another_name_of_the_registry_that_asks_for_a_login_says_to_correct_the_address() {
    for status in [401, 403] {
        let other = Server::start(move |_, _| answer(status, &[], "")).await;
        let place = format!("localhost:{}", other.address.port());
        let server = leading_to(format!("http://{place}/upload")).await;
        let text = told(&server, options()).await;
        let hint = format!(
            "do:    let {place} take uploads without a login, or, if it is the registry itself, correct the registry's external \
             address (its own setting, or the headers Host,"
        );
        assert!(text.contains(&hint), "{text}");
    }
}

#[tokio::test]
async fn an_empty_location_is_called_that() {
    for status in [302, 307] {
        let server = Server::start(move |_, _| answer(status, &[("Location", "")], "")).await;
        let client = client(&server, &["ci"]);
        let text = shown(&client.manifest(&server.repository(), &tag("v1")).await.unwrap_err());
        assert!(text.contains("its Location header is empty"), "{text}");
        assert_eq!(server.seen().len(), 1);
    }
    let server = leading_to(String::new()).await;
    assert!(told(&server, options()).await.contains("its Location header is empty"));
}

#[tokio::test]
async fn a_login_that_was_not_sent_is_not_named_as_used() {
    let other = Server::start(|_, _| answer(404, &[], "")).await;
    let url = format!("http://{}/x", other.host());
    let server = Server::start(move |_, _| answer(307, &[("Location", &url)], "")).await;
    let client = client(&server, &["ci"]);
    let text = shown(&client.subject(&server.repository(), &tag("v1")).await.unwrap_err());
    assert!(text.contains("404 Not Found") && !text.contains("used:"), "{text}");
    // Of the registry's own answer it is.
    let server = Server::start(|_, _| answer(404, &[], "")).await;
    let client = super::client(&server, &["ci"]);
    client.manifest(&server.repository(), &tag("v1")).await.unwrap();
    let text = shown(&client.subject(&server.repository(), &tag("v1")).await.unwrap_err());
    assert!(text.contains("used:  user \"ci\""), "{text}");
}
