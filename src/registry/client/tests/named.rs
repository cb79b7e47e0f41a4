//! What is given for the registries of a run: an unchecked certificate, a client certificate, a server's name, a token, plain HTTP.

use super::certificates::{Own, Way, ask, serve, write};
use super::client_certificates::{asking, client_pair};
use super::network::{ca, server_config};
use super::server::{Reply, Server, answer, refusal};
use super::*;
use crate::registry::client::{NamedRegistries, without_https};

/// Nothing is trusted but another CA; `change` says what is given.
fn given(
    dir: &tempfile::TempDir,
    registry: &str,
    change: impl FnOnce(&mut NamedRegistries),
) -> ClientOptions {
    let mut options = Way::File.options(dir.path(), &ca().pem, "");
    options.named.registries.push(registry.to_owned());
    change(&mut options.named);
    options
}

fn unchecked(named: &mut NamedRegistries) {
    named.unchecked_tls = true;
}

#[tokio::test]
async fn a_certificate_that_is_not_checked_may_be_anything() {
    let dir = tempfile::tempdir().unwrap();
    for (what, own) in [
        ("self-signed", Own::signed(&["127.0.0.1"], |_| ())),
        (
            "expired",
            Own::signed(&["127.0.0.1"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1)),
        ),
        (
            "not valid yet",
            Own::signed(&["127.0.0.1"], |params| params.not_before = rcgen::date_time_ymd(2099, 1, 1)),
        ),
        ("for another name", Own::signed(&["other.example"], |_| ())),
        ("nameless", Own::signed(&[], |_| ())),
    ] {
        let server = serve(own.config()).await;
        let checked = given(&dir, &server.host(), |_| ());
        let refused = ask(checked, "127.0.0.1", &server).await.unwrap_err();
        assert!(refused.contains("certificate"), "{what}: {refused}");
        assert!(server.seen().is_empty(), "{what}");
        let options = given(&dir, &server.host(), unchecked);
        assert_eq!(ask(options, "127.0.0.1", &server).await, Ok(()), "{what}");
        // The other name of the same address is not the registry that was named.
        let options = given(&dir, &server.host(), unchecked);
        assert!(ask(options, "localhost", &server).await.is_err(), "{what}");
    }
}

#[tokio::test]
async fn a_handshake_must_be_signed_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (Own::signed(&["127.0.0.1"], |_| ()), Own::signed(&["127.0.0.1"], |_| ()));
    let server = serve(super::certificates::serving(&one.pem, &other.key.serialize_pem())).await;
    let mut options = given(&dir, &server.host(), unchecked);
    options.deadline = Instant::now() + Duration::from_secs(2);
    assert!(ask(options, "127.0.0.1", &server).await.is_err());
    assert!(server.seen().is_empty());
}

/// Where a registry whose certificate isn't checked sends a request, the certificate is checked, and no login arrives.
#[tokio::test]
async fn a_certificate_is_checked_where_the_registry_leads() {
    let dir = tempfile::tempdir().unwrap();
    let own = || Own::signed(&["127.0.0.1", "localhost"], |_| ());
    let storage = serve(own().config()).await;
    let at = format!("https://localhost:{}/elsewhere", storage.address.port());
    let registry = Server::start_tls(own().config(), move |_, _| answer(307, &[("Location", &at)], "")).await;
    let mut options = given(&dir, &registry.host(), unchecked);
    options.deadline = Instant::now() + Duration::from_secs(2);
    let text = ask(options, "127.0.0.1", &registry).await.unwrap_err();
    assert!(text.contains("its certificate is not trusted"), "{text}");
    assert!(storage.seen().is_empty());
    // Named too, it is asked; the login is for the registry alone.
    let mut options = given(&dir, &registry.host(), unchecked);
    options.named.registries.push(format!("localhost:{}", storage.address.port()));
    assert_eq!(ask(options, "127.0.0.1", &registry).await, Ok(()));
    assert!(storage.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn a_token_service_on_another_host_gets_no_login_by_an_unchecked_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let own = || Own::signed(&["127.0.0.1", "localhost"], |_| ());
    for (host, gets) in [("localhost", false), ("127.0.0.1", true)] {
        let service = Server::start_tls(own().config(), |_, _| answer(200, &[], r#"{"token":"t"}"#)).await;
        let realm = format!("Bearer realm=\"https://{host}:{}/token\"", service.address.port());
        let registry = Server::start_tls(own().config(), move |seen, _| match seen.who().as_deref() {
            Some("t") => answer(200, &[], "{}"),
            _ => refusal(401, &[("WWW-Authenticate", &realm)], "UNAUTHORIZED", "who"),
        })
        .await;
        let mut options = given(&dir, &registry.host(), unchecked);
        options.deadline = Instant::now() + Duration::from_secs(2);
        let asked = ask(options, "127.0.0.1", &registry).await;
        assert_eq!((asked.is_ok(), !service.seen().is_empty()), (gets, gets), "{host}: {asked:?}");
    }
}

#[tokio::test]
async fn a_client_certificate_that_is_given_goes_to_the_registry_alone() {
    let (clients, servers, dir) = (ca(), ca(), tempfile::tempdir().unwrap());
    let (certificate, key) = client_pair(&clients);
    let files = (write(dir.path(), "client.pem", &certificate), write(dir.path(), "client.key", &key));
    // Whoever presents a certificate of another CA than its own is refused by this one.
    let other = Server::start_tls(asking(&ca(), &servers, false), |_, _| answer(200, &[], "{}")).await;
    let url = format!("https://127.0.0.1:{}", other.address.port());
    let registry = Server::start_tls(asking(&clients, &servers, true), move |_, _| -> Reply {
        answer(307, &[("Location", &format!("{url}/elsewhere"))], "")
    })
    .await;
    let mut options = Way::File.options(dir.path(), &servers.pem, "");
    options.named.registries.push(registry.host());
    let mut without = options.clone();
    without.deadline = Instant::now() + Duration::from_secs(2);
    assert!(ask(without, "127.0.0.1", &registry).await.is_err());
    options.named.client_certificate = Some(files.clone());
    assert_eq!(ask(options.clone(), "127.0.0.1", &registry).await, Ok(()));
    assert_eq!((registry.seen().len(), other.seen().len()), (1, 1));
    // It goes before one that the registry's folder has.
    let (strange, strange_key) = client_pair(&ca());
    write(dir.path(), &format!("certs.d/{}/client.cert", registry.host()), &strange);
    write(dir.path(), &format!("certs.d/{}/client.key", registry.host()), &strange_key);
    options.certs_dirs.push(dir.path().join("certs.d"));
    assert_eq!(ask(options.clone(), "127.0.0.1", &registry).await, Ok(()));
    // What can't be used is an error before anything is asked.
    for (certificate, key, want) in [
        (dir.path().join("none"), files.1.clone(), "cannot use "),
        (files.0.clone(), files.0.clone(), "it holds no private key in PEM form"),
        (files.0.clone(), write(dir.path(), "strange.key", &strange_key), "its key is not the one"),
    ] {
        options.named.client_certificate = Some((certificate, key));
        let text = shown(&Client::new(options.clone(), keys(&[])).unwrap_err());
        assert!(text.contains(want) && text.contains("do:    "), "{text}");
    }
}

#[tokio::test]
async fn a_server_name_stands_in_for_the_host() {
    let (servers, dir) = (ca(), tempfile::tempdir().unwrap());
    let server = serve(server_config(&servers, "registry.internal", |_| ())).await;
    let options = |name: Option<&str>| {
        let mut options = Way::File.options(dir.path(), &servers.pem, "");
        options.named.registries.push(server.host());
        options.named.server_name = name.map(str::to_owned);
        options
    };
    assert_eq!(ask(options(Some("registry.internal")), "127.0.0.1", &server).await, Ok(()));
    for name in [None, Some("other.internal"), Some("127.0.0.1")] {
        let text = ask(options(name), "127.0.0.1", &server).await.unwrap_err();
        assert!(text.contains("its certificate is not for "), "{name:?}: {text}");
    }
}

fn token(text: &str) -> Arc<Keys> {
    let token = Login::registry_token(text.as_bytes()).unwrap();
    let token = Credential { login: token, origin: "--registry-token".into() };
    Arc::new(Keys { logins: vec![token, login("ci")], asked: AtomicUsize::new(0) })
}

/// A registry that names a token service, and takes the token `given` besides that service's.
async fn registry_with_tokens(given: &'static str, service: &Server) -> Server {
    let realm = format!("Bearer realm=\"http://{}/token\"", service.host());
    Server::start(move |seen, _| match seen.header("authorization") {
        Some(header) if header == format!("Bearer {given}") || header == "Bearer t" => answer(200, &[], "{}"),
        _ => refusal(401, &[("WWW-Authenticate", &realm)], "UNAUTHORIZED", "who"),
    })
    .await
}

#[tokio::test]
async fn a_registry_token_goes_to_the_registry_and_to_no_token_service() {
    for (sent, accepted) in [("hunter2-good", true), ("hunter2-bad", false)] {
        let service = Server::start(|_, _| answer(200, &[], r#"{"token":"t"}"#)).await;
        let registry = registry_with_tokens("hunter2-good", &service).await;
        let mut options = options();
        options.insecure.extend([registry.host(), service.host()]);
        let client = Client::new(options, token(sent)).unwrap();
        for repository in ["a", "b"] {
            let repository = format!("{}/{repository}", registry.host()).parse().unwrap();
            assert!(client.manifest(&repository, &tag("v1")).await.unwrap().is_some(), "{sent}");
        }
        let tokens = service.seen();
        // Where it is refused, the next login is tried, as with any entry.
        assert_eq!(tokens.is_empty(), accepted, "{sent}");
        for seen in tokens {
            let header = seen.header("authorization").unwrap_or_default();
            assert!(header.starts_with("Basic "), "{header}");
            assert!(!format!("{} {:?}", seen.target, seen.headers).contains("hunter2-bad"));
        }
    }
}

#[tokio::test]
async fn a_registry_token_that_is_refused_is_named_and_hidden() {
    let server = Server::start(|seen, _| {
        let said = seen.header("authorization").unwrap_or("nobody").to_owned();
        refusal(401, &[("WWW-Authenticate", "Bearer realm=\"http://127.0.0.1:1/t\"")], "UNAUTHORIZED", &said)
    })
    .await;
    let mut options = options();
    options.insecure.push(server.host());
    let login = Login::registry_token(SECRET.as_bytes()).unwrap();
    let logins = vec![Credential { login, origin: "--registry-token".into() }];
    let client = Client::new(options, Arc::new(Keys { logins, asked: AtomicUsize::new(0) })).unwrap();
    let error = client.manifest(&server.repository(), &tag("v1")).await.unwrap_err();
    let text = shown(&error);
    assert!(text.contains("used:  registry token, --registry-token"), "{text}");
    assert_eq!(error.exit(), crate::exit::ExitCode::Refused);
}

#[tokio::test]
async fn plain_http_is_for_registries_without_https() {
    let dir = tempfile::tempdir().unwrap();
    let with_tls = serve(Own::signed(&["127.0.0.1"], |_| ()).config()).await;
    let plain = Server::start(|_, _| answer(401, &[], "{}")).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nothing = listener.local_addr().unwrap().to_string();
    drop(listener);
    let all = [with_tls.host(), plain.host(), nothing.clone()];
    let mut options = Way::File.options(dir.path(), &ca().pem, "");
    options.insecure.extend(all.clone());
    // A certificate that isn't trusted is an error of its own, and no reason to speak in the clear.
    assert_eq!(without_https(&options, &all).await.unwrap(), [plain.host(), nothing]);
    assert!(without_https(&options, &["registry.invalid:5000".into()]).await.unwrap().is_empty());
}
