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
            "the proxy refused this login: correct the user and the password in HTTPS_PROXY",
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
async fn what_to_do_about_a_proxys_login_depends_on_what_it_got_and_offers() {
    let (user, none) = (format!("user:{SECRET}@"), String::new());
    let give =
        "do:    give the proxy's user and password in HTTPS_PROXY: USER:PASSWORD@ before the proxy's host";
    let wrong =
        "do:    the proxy refused this login: correct the user and the password in HTTPS_PROXY, with special";
    let basic = "do:    only Basic logins are supported: let the proxy offer them";
    for (login, offers, shown, want) in [
        (&none, &[][..], "\n", give),
        (&none, &["Basic realm=\"a, b\""], "; it offers Basic\n", give),
        (&user, &["Basic realm=\"x\"", "NTLM"], "; it offers Basic, NTLM\n", wrong),
        (&user, &["NTLM, basic realm=x"], "; it offers NTLM, basic\n", wrong),
        (&user, &[], "\n", wrong),
        (&none, &["NTLM"], "; it offers NTLM\n", basic),
        (&user, &["Negotiate", "NTLM TlRM=="], "; it offers Negotiate, NTLM\n", basic),
        (&user, &["Digest realm=\"x\", nonce=\"y\""], "; it offers Digest\n", basic),
    ] {
        let proxy = Server::start(move |_, _| {
            let headers: Vec<_> = offers.iter().map(|offer| ("Proxy-Authenticate", *offer)).collect();
            answer(407, &headers, "")
        })
        .await;
        let address = format!("http://{login}{}", proxy.host());
        for host in ["secure.example", "plain.example"] {
            let (text, _) = told(through(&address, &address), host).await;
            let want = match host {
                "plain.example" => want.replace("HTTPS_PROXY", "http_proxy"),
                _ => want.to_owned(),
            };
            let is_told = text.contains(&format!("407 Proxy Authentication Required{shown}"));
            assert!(is_told && text.contains(&want), "{offers:?}: {text}");
            assert!(!text.contains("[hidden]"), "{text}");
        }
        assert_eq!(proxy.seen().len(), 2, "{offers:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_named_when_time_is_over() {
    let proxy = Server::start(|_, _| Reply::Stall).await;
    let address = format!("http://{}", proxy.host());
    for (host, variable) in [("secure.example", "HTTPS_PROXY"), ("plain.example", "http_proxy")] {
        for is_request_limit in [true, false] {
            let mut options = through(&address, &address);
            options.deadline = Instant::now() + Duration::from_secs(1);
            if is_request_limit {
                options.request_limit = Duration::from_millis(300);
            }
            let (text, _) = told(options, host).await;
            let at = format!("the proxy {address} of {variable}: no complete answer within");
            let hint = format!("do:    check the proxy's address in {variable}, or put {host} into NO_PROXY");
            assert!(text.contains(&at) && text.contains(&hint), "{text}");
        }
    }
    // What has to wait for the others, and is never sent.
    let mut options = through(&address, &address);
    options.deadline = Instant::now() + Duration::from_secs(1);
    options.requests_per_host = 1;
    let client = Client::new(options, keys(&["ci"])).unwrap();
    let repository: Repository = "secure.example/team/app".parse().unwrap();
    let (first, second) = (tag("v1"), tag("v2"));
    let (first, second) =
        tokio::join!(client.manifest(&repository, &first), client.manifest(&repository, &second));
    for error in [first, second] {
        let text = shown(&error.unwrap_err());
        assert!(text.contains(&format!("the proxy {address} of HTTPS_PROXY")), "{text}");
        assert!(text.contains("do:    check the proxy's address in HTTPS_PROXY"), "{text}");
    }
}

#[tokio::test]
async fn a_proxys_refusal_counts_though_its_body_does_not_end_and_204_is_one() {
    let ask = async |reply: fn() -> Vec<u8>| {
        let proxy = Server::start(move |_, _| Reply::Bytes(reply())).await;
        let address = format!("http://{}", proxy.host());
        let (text, _) = told(through(&address, &address), "secure.example").await;
        assert_eq!(proxy.seen().len(), 1, "{text}");
        text
    };
    let (login, page, empty) = tokio::join!(
        ask(|| b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\n\r\n".to_vec()),
        ask(|| b"HTTP/1.1 403 X\r\nContent-Length: 999\r\n\r\nnot you".to_vec()),
        ask(|| b"HTTP/1.1 204 X\r\n\r\n".to_vec()),
    );
    assert!(login.contains("HTTPS_PROXY: 407 Proxy Authentication Required; it offers Basic\n"), "{login}");
    assert!(page.contains("HTTPS_PROXY: 403 Forbidden: not you\n"), "{page}");
    assert!(empty.contains("HTTPS_PROXY: 204 No Content\n"), "{empty}");
}

#[tokio::test]
async fn over_plain_http_each_error_says_that_it_went_through_the_proxy() {
    let page = "<html><head><title>ERROR: Cache Access Denied</title></head></html>";
    let listed = r#"{"errors":[{"code":"DENIED"}]}"#;
    for (status, body, is_own, rest) in [
        (403, page, true, "; else allow this user to pull from team/app"),
        (404, page, true, "; else check that plain.example is an OCI registry"),
        (503, page, true, "; else look at the registry's own log"),
        (502, "", true, "; else look at the registry's own log"),
        (504, "upstream", true, "; else look at the registry's own log"),
        (400, page, true, "; else check that plain.example"),
        (403, listed, false, "do:    allow this user to pull"),
        (404, listed, false, ""),
    ] {
        let kind = if body == page { "text/html" } else { "text/plain" };
        let proxy = Server::start(move |_, _| answer(status, &[("Content-Type", kind)], body)).await;
        let address = format!("http://{}", proxy.host());
        let mut options = through("http://unused", &address);
        options.deadline = Instant::now() + Duration::from_secs(1);
        let client = Client::new(options, keys(&["ci"])).unwrap();
        let repository = "plain.example/team/app".parse().unwrap();
        let text = shown(&client.subject(&repository, &tag("v1")).await.unwrap_err());
        let through = format!(" (through the proxy {address} of http_proxy)");
        assert!(text.contains(&through) && text.contains(rest), "{status}: {text}");
        let own = "do:    if this is the answer of the proxy of http_proxy, let it ask plain.example, or put plain.example into \
                   NO_PROXY";
        assert_eq!(text.contains(own), is_own, "{status}: {text}");
    }
}

#[tokio::test]
async fn what_a_proxy_puts_in_place_of_tls_is_told_with_the_proxy() {
    // As proxies and captive portals do: they lead on, and then answer themselves.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n").await;
        }
    });
    let proxy = leading_to(to, None).await;
    let (text, _) = told(through(&format!("http://{proxy}"), "http://unused"), "secure.example").await;
    let cause = format!("it does not speak HTTPS (through the proxy http://{proxy} of HTTPS_PROXY)\n");
    let hint = "do:    if the proxy of HTTPS_PROXY answers in the registry's place, put secure.example into NO_PROXY";
    assert!(text.contains(&cause) && text.contains(hint), "{text}");
}

#[tokio::test]
async fn a_variable_that_names_no_http_proxy_matters_only_where_it_is_needed() {
    let registry = Server::start(|_, _| answer(200, &[], "{}")).await;
    for value in [format!("socks5://user:{SECRET}@proxy:1080"), format!("http://user:{SECRET}/x#@proxy:1")] {
        let mut options = through(&value, &value);
        options.insecure.push(registry.host());
        let client = Client::new(options, keys(&["ci"])).unwrap();
        client.manifest(&registry.repository(), &tag("v1")).await.unwrap();
        for (host, variable) in [("secure.example", "HTTPS_PROXY"), ("plain.example", "http_proxy")] {
            let repository = format!("{host}/team/app").parse().unwrap();
            let error = client.manifest(&repository, &tag("v1")).await.unwrap_err();
            let text = shown(&error);
            assert!(text.starts_with(&format!("error: {variable} ")), "{text}");
            assert!(
                text.contains("special characters in a user's name or a password are percent-encoded"),
                "{text}"
            );
            assert_eq!(error.exit(), crate::exit::ExitCode::Usage);
        }
    }
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
