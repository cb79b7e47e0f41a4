//! Proxies: what is asked through which, and what is told when one can't be used.

use super::network::{ca, server_config};
use super::server::{Reply, Server, answer};
use super::*;
use std::net::Ipv4Addr;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

fn through(https: &str, http: &str) -> ClientOptions {
    let mut options = options();
    options.environment.https_proxy = Some(("HTTPS_PROXY", https.to_owned()));
    options.environment.http_proxy = Some(("http_proxy", http.to_owned()));
    options.insecure.push("plain.example".to_owned());
    // In place of the system's roots, which take long to load.
    options.environment.ssl_cert_dirs.push("/nonexistent".into());
    options
}

async fn told(options: ClientOptions, host: &str) -> (String, bool) {
    let client = Client::new(options, keys(&["ci"])).unwrap();
    let repository = format!("{host}/team/app").parse().unwrap();
    let error = client.manifest(&repository, &tag("v1")).await.unwrap_err();
    let given_up = error.request().unwrap().given_up;
    (shown(&error), given_up)
}

#[tokio::test]
async fn a_proxy_that_can_not_be_reached_is_named_with_its_variable() {
    // Bound and not listening: the port refuses connections, and no other test gets it meanwhile.
    let refusing = TcpSocket::new_v4().unwrap();
    refusing.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let closed = refusing.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let resolv_conf = dir.path().join("resolv.conf");
    std::fs::write(&resolv_conf, "nameserver 127.0.0.1\n").unwrap();
    for (address, failure, is_repeated) in [
        (closed.clone(), format!("connection refused by {closed}"), true),
        ("proxy.invalid:3128".to_owned(), "no such host: proxy.invalid is not known".to_owned(), false),
    ] {
        for (host, variable) in [("secure.example", "HTTPS_PROXY"), ("plain.example", "http_proxy")] {
            let proxy = format!("http://user:{SECRET}@{address}");
            let mut options = through(&proxy, &proxy);
            options.files.resolv_conf.clone_from(&resolv_conf);
            options.deadline = Instant::now() + Duration::from_secs(1);
            let (text, was_repeated) = told(options, host).await;
            assert!(text.contains(&format!("the proxy http://{address} of {variable}: {failure}")), "{text}");
            assert!(
                text.contains(&format!(
                    "do:    check the proxy's address in {variable}, or put {host} into NO_PROXY"
                )),
                "{text}"
            );
            assert_eq!(was_repeated, is_repeated, "{text}");
        }
    }
}

#[tokio::test]
async fn what_a_proxy_says_when_it_refuses_is_told_and_repeated_only_where_that_helps() {
    let html = "<html><head><title>Access Denied</title></head></html>";
    for (status, body, want, hint, is_repeated) in [
        (
            407,
            "",
            "407 Proxy Authentication Required",
            "give the proxy's user and password in HTTPS_PROXY",
            false,
        ),
        (403, "no access", "403 Forbidden: no access", "let the proxy connect to secure.example", false),
        (403, html, "403 Forbidden", "let the proxy connect to secure.example", false),
        (404, "", "404 Not Found", "let the proxy connect to secure.example", false),
        (302, "", "302 Found", "let the proxy connect to secure.example", false),
        (502, "no route", "502 Bad Gateway: no route", "let the proxy connect to secure.example", true),
        (503, html, "503 Service Unavailable", "let the proxy connect to secure.example", true),
    ] {
        let kind = if body == html { "text/html" } else { "text/plain" };
        let proxy = Server::start(move |_, _| answer(status, &[("Content-Type", kind)], body)).await;
        let address = format!("http://user:{SECRET}@{}", proxy.host());
        let mut options = through(&address, &address);
        options.deadline = Instant::now() + Duration::from_secs(1);
        let (text, _) = told(options, "secure.example").await;
        let at = format!("the proxy http://{} of HTTPS_PROXY: {want}", proxy.host());
        assert!(text.contains(&at), "{status}: {text}");
        assert!(text.contains(hint), "{status}: {text}");
        assert_eq!(proxy.seen().len() > 1, is_repeated, "{status}");
        for seen in proxy.seen() {
            assert_eq!(seen.line().split(' ').take(2).collect::<Vec<_>>(), ["CONNECT", "secure.example:443"]);
            assert!(seen.header("proxy-authorization").unwrap().starts_with("Basic "));
            assert_eq!(seen.header("authorization"), None, "the registry's login is not the proxy's");
        }
    }
    // Over plain HTTP only this status is the proxy's own for certain.
    let proxy = Server::start(|_, _| answer(407, &[], "")).await;
    let (text, _) =
        told(through("http://unused", &format!("http://{}", proxy.host())), "plain.example").await;
    let at = format!("the proxy http://{} of http_proxy: 407 Proxy Authentication Required\n", proxy.host());
    assert!(
        text.contains(&at) && text.contains("give the proxy's user and password in http_proxy"),
        "{text}"
    );
    assert_eq!(proxy.seen().len(), 1);
}

#[tokio::test]
async fn what_is_no_http_proxy_is_told_as_the_proxys_fault() {
    let proxy = Server::start(|_, _| Reply::Cut(b"SSH-2.0-x\r\n\r\n".to_vec())).await;
    let address = format!("http://{}", proxy.host());
    for host in ["secure.example", "plain.example"] {
        let (text, _) = told(through(&address, &address), host).await;
        let at = format!("the proxy {address} of ");
        assert!(text.contains(&at) && text.contains("it does not speak plain HTTP"), "{text}");
    }
    let closing = Server::start(|_, _| Reply::Cut(Vec::new())).await;
    let address = format!("http://{}", closing.host());
    for host in ["secure.example", "plain.example"] {
        let mut options = through(&address, &address);
        options.deadline = Instant::now() + Duration::from_secs(1);
        let (text, _) = told(options, host).await;
        let at = format!("the proxy {address} of ");
        assert!(text.contains(&at) && text.contains("the connection was closed"), "{text}");
    }
}

/// A proxy that leads every tunnel to `to`, over TLS if there is a configuration for it; its address.
async fn leading_to(to: std::net::SocketAddr, tls: Option<rustls::ServerConfig>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    None => lead(stream, to, "1.0").await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            lead(stream, to, "1.1").await;
                        }
                    }
                }
            });
        }
    });
    address
}

async fn lead(mut stream: impl AsyncRead + AsyncWrite + Unpin, to: std::net::SocketAddr, version: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    assert!(
        head.starts_with(b"CONNECT secure.example:443 HTTP/1.1\r\n"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    let mut other = TcpStream::connect(to).await.unwrap();
    let established = format!("HTTP/{version} 200 Connection established\r\nProxy-Agent: x\r\n\r\n");
    stream.write_all(established.as_bytes()).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut other).await;
}

#[tokio::test]
async fn a_registry_is_asked_through_a_tunnel_also_of_a_proxy_with_tls() {
    let (of_registry, of_proxy, dir) = (ca(), ca(), tempfile::tempdir().unwrap());
    let config = server_config(&of_registry, "secure.example", |_| ());
    let registry = Server::start_tls(config, |_, _| answer(200, &[], "{}")).await;
    let plain = leading_to(registry.address, None).await;
    let secure = leading_to(registry.address, Some(server_config(&of_proxy, "127.0.0.1", |_| ()))).await;
    let file = dir.path().join("ca.pem");
    let ask = async |proxy: String, given: String| {
        std::fs::write(&file, given).unwrap();
        let mut options = through(&proxy, "http://unused");
        options.extra_roots.push(file.clone());
        let client = Client::new(options, keys(&["ci"])).unwrap();
        let repository = "secure.example/team/app".parse().unwrap();
        client.manifest(&repository, &tag("v1")).await.map(|found| found.is_some())
    };
    let both = [of_registry.pem.as_str(), &of_proxy.pem].concat();
    assert!(ask(format!("http://{plain}"), of_registry.pem.clone()).await.unwrap());
    assert!(ask(format!("https://{secure}"), both.clone()).await.unwrap());
    assert_eq!(registry.lines(), ["GET /v2/team/app/manifests/v1 ci"; 2]);

    // Whose certificate isn't trusted is told apart.
    let text = shown(&ask(format!("https://{secure}"), of_registry.pem.clone()).await.unwrap_err());
    let at = format!("the proxy https://{secure} of HTTPS_PROXY: its certificate is not trusted");
    assert!(text.contains(&at) && text.contains("that issued the proxy's with --registry-ca"), "{text}");
    let text = shown(&ask(format!("https://{secure}"), of_proxy.pem.clone()).await.unwrap_err());
    assert!(text.contains("manifests/v1: its certificate is not trusted"), "{text}");
    // As servers of plain HTTP answer what they don't understand.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        }
    });
    let text = shown(&ask(format!("https://{plain}"), both).await.unwrap_err());
    let at = format!("the proxy https://{plain} of HTTPS_PROXY: it does not speak HTTPS\n");
    assert!(text.contains(&at) && text.contains("do:    check the proxy's address in HTTPS_PROXY"), "{text}");
    assert_eq!(registry.seen().len(), 2);
}

#[tokio::test]
async fn no_proxy_decides_for_registries_and_token_services_alike() {
    let dir = tempfile::tempdir().unwrap();
    let hosts = dir.path().join("hosts");
    std::fs::write(&hosts, "127.0.0.1 r.example auth.example\n").unwrap();
    let service = Server::start(|_, _| answer(200, &[], r#"{"token":"t"}"#)).await;
    let realm =
        format!("Bearer realm=\"http://auth.example:{}/token\",service=\"s\"", service.address.port());
    let registry = Server::start(move |seen, _| match seen.header("authorization") {
        Some("Bearer t") => answer(200, &[], "{}"),
        _ => answer(401, &[("WWW-Authenticate", &realm)], ""),
    })
    .await;
    let proxy = Server::start(|_, _| answer(404, &[], "")).await;
    let name = format!("r.example:{}", registry.address.port());
    let auth = format!("auth.example:{}", service.address.port());
    for (no_proxy, asked) in [
        (format!("{name},{auth}"), [2, 1, 0]),
        ("*.example".to_owned(), [2, 1, 0]),
        ("*".to_owned(), [2, 1, 0]),
        (name.clone(), [1, 0, 1]),
        (format!("{auth}, r.example:1"), [0, 0, 1]),
    ] {
        let before = [&registry, &service, &proxy].map(|server| server.seen().len());
        let mut options = through("http://unused", &format!("http://{}", proxy.host()));
        options.files.hosts.clone_from(&hosts);
        options.insecure = vec![name.clone(), auth.clone()];
        options.environment.no_proxy = Some(no_proxy.clone());
        let client = Client::new(options, keys(&[])).unwrap();
        let _ = client.manifest(&format!("{name}/team/app").parse().unwrap(), &tag("v1")).await;
        let after = [&registry, &service, &proxy].map(|server| server.seen().len());
        assert_eq!([0, 1, 2].map(|at| after[at] - before[at]), asked, "{no_proxy}");
    }
}
