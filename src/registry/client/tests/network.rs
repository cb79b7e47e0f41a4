//! Names, connections, certificates and proxies.

use super::server::{Server, answer, refusal};
use super::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::Ipv4Addr;
use tokio::net::{TcpListener, TcpSocket};

pub(super) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

impl Ca {
    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }
}

pub(super) fn ca() -> Ca {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Example Root CA");
    let pem = params.self_signed(&key).unwrap().pem();
    Ca { issuer: Issuer::new(params, key), pem }
}

pub(super) fn server_config(
    ca: &Ca,
    name: &str,
    change: impl Fn(&mut CertificateParams),
) -> rustls::ServerConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    change(&mut params);
    let certificate: CertificateDer<'static> = params.signed_by(&key, &ca.issuer).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap()
}

/// Trusts the given CA only; the system's roots make no difference to these tests, but cost time.
fn trusting(ca: &Ca, dir: &tempfile::TempDir) -> ClientOptions {
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, &ca.pem).unwrap();
    ClientOptions { extra_roots: vec![file], ..options() }
}

async fn error_of(options: ClientOptions, repository: &str) -> RegistryError {
    let client = Client::new(options, keys(&["ci"])).unwrap();
    client.manifest(&repository.parse().unwrap(), &tag("v1")).await.unwrap_err()
}

#[tokio::test]
async fn a_certificate_is_trusted_if_its_root_is_given() {
    let (ca, dir) = (ca(), tempfile::tempdir().unwrap());
    let server =
        Server::start_tls(server_config(&ca, "127.0.0.1", |_| ()), |_, _| answer(200, &[], "{}")).await;
    let client = Client::new(trusting(&ca, &dir), keys(&["ci"])).unwrap();
    assert!(client.manifest(&server.repository(), &tag("v1")).await.unwrap().is_some());

    let error = error_of(options(), &server.repository().to_string()).await;
    assert_eq!(
        shown(&error),
        format!(
            "error: GET https://{}/v2/team/app/manifests/v1: its certificate is not trusted: it was issued by \
             \"Example Root CA\"\n  do:    give the certificate of the CA that issued it with --registry-ca FILE (one with CA:TRUE), or its own certificate",
            server.host()
        )
    );
    assert!(!error.is_transient());
    assert_eq!(server.seen().len(), 1, "nothing was sent to the one that wasn't trusted");
}

#[tokio::test]
async fn a_certificate_for_another_name_or_time_is_refused() {
    let (ca, dir) = (ca(), tempfile::tempdir().unwrap());
    let other = server_config(&ca, "other.example", |_| ());
    let server = Server::start_tls(other, |_, _| answer(200, &[], "{}")).await;
    let error = error_of(trusting(&ca, &dir), &server.repository().to_string()).await;
    let text = shown(&error);
    assert!(
        text.contains("its certificate is not for 127.0.0.1\n") && text.contains("other.example"),
        "{text}"
    );

    let old = server_config(&ca, "127.0.0.1", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let server = Server::start_tls(old, |_, _| answer(200, &[], "{}")).await;
    let text = shown(&error_of(trusting(&ca, &dir), &server.repository().to_string()).await);
    assert!(text.contains("its certificate has expired, or is not valid yet"), "{text}");
    assert!(text.contains("do:    renew the registry's certificate, or set the clock"), "{text}");
}

#[tokio::test]
async fn http_and_https_are_not_mixed_up() {
    // A plain HTTP server where HTTPS was expected: Go's and others answer "400 Bad Request" in the clear.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        }
    });
    let error = error_of(options(), &format!("{host}/app")).await;
    let text = shown(&error);
    assert!(text.contains(": it does not speak HTTPS\n"), "{text}");
    assert!(text.contains(&format!("--insecure-registry {host}")), "{text}");
    assert!(!error.is_transient());

    let (ca, _dir) = (ca(), tempfile::tempdir().unwrap());
    let server =
        Server::start_tls(server_config(&ca, "127.0.0.1", |_| ()), |_, _| answer(200, &[], "")).await;
    let insecure = ClientOptions { insecure: vec![server.host()], ..options() };
    let text = shown(&error_of(insecure, &server.repository().to_string()).await);
    assert!(text.contains(": it does not speak plain HTTP\n"), "{text}");
    assert!(text.contains(&format!("drop --insecure-registry {}", server.host())), "{text}");
}

#[tokio::test]
async fn loopback_is_not_special() {
    let server = Server::start(|_, _| answer(200, &[], "{}")).await;
    // Nor is another port of the same host meant.
    for insecure in [vec![], vec!["127.0.0.1".to_owned()]] {
        let deadline = Instant::now() + Duration::from_millis(200);
        let options = ClientOptions { insecure, deadline, ..options() };
        let text = shown(&error_of(options, &server.repository().to_string()).await);
        assert!(text.contains("GET https://127.0.0.1:"), "{text}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn nothing_goes_from_https_to_http() {
    let (ca, dir) = (ca(), tempfile::tempdir().unwrap());
    let plain = Server::start(|_, _| answer(200, &[], "{}")).await;
    let location = format!("http://{}/x", plain.host());
    let server = Server::start_tls(server_config(&ca, "127.0.0.1", |_| ()), move |seen, _| {
        let status = if seen.method == "POST" { 202 } else { 307 };
        answer(status, &[("Location", &location)], "")
    })
    .await;
    let client = Client::new(trusting(&ca, &dir), keys(&["ci"])).unwrap();
    let error = client.manifest(&server.repository(), &tag("v1")).await.unwrap_err();
    let text = shown(&error);
    assert!(
        text.contains(&format!("it sends us from HTTPS to plain HTTP: http://{}/x", plain.host())),
        "{text}"
    );
    assert!(text.contains("X-Forwarded-Proto: https"), "{text}");
    assert!(client.put_blob(&server.repository(), Bytes::new()).await.is_err());
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn a_token_service_in_the_clear_gets_nothing() {
    let (ca, dir) = (ca(), tempfile::tempdir().unwrap());
    let service = Server::start(|_, _| answer(200, &[], r#"{"token":"t"}"#)).await;
    let challenge = format!("Bearer realm=\"http://{}/token\"", service.host());
    let server = Server::start_tls(server_config(&ca, "127.0.0.1", |_| ()), move |_, _| {
        refusal(401, &[("WWW-Authenticate", &challenge)], "UNAUTHORIZED", "")
    })
    .await;
    let client = Client::new(trusting(&ca, &dir), keys(&["ci"])).unwrap();
    let error = client.manifest(&server.repository(), &tag("v1")).await.unwrap_err();
    let text = shown(&error);
    let want =
        format!("the registry asks to send the login to http://{}/token over plain HTTP", service.host());
    assert!(text.contains(&want), "{text}");
    assert!(service.seen().is_empty());
}

#[tokio::test]
async fn a_connection_that_is_refused_says_by_whom() {
    // Bound and not listening: the port refuses connections, and no other test gets it meanwhile.
    let refusing = TcpSocket::new_v4().unwrap();
    refusing.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let host = refusing.local_addr().unwrap().to_string();
    let deadline = Instant::now() + Duration::from_secs(1);
    let soon = ClientOptions { deadline, insecure: vec![host.clone()], ..options() };
    let error = error_of(soon, &format!("{host}/app")).await;
    let text = shown(&error);
    assert!(text.contains(&format!("connection refused by {host} (sent ")), "{text}");
    assert!(text.contains(&format!("do:    check that the registry runs at {host}")), "{text}");
}

fn with_dns(dir: &tempfile::TempDir, resolv_conf: Option<&str>, hosts: &str) -> ClientOptions {
    let mut options = options();
    let files = [(&mut options.files.resolv_conf, resolv_conf), (&mut options.files.hosts, Some(hosts))];
    for (number, (path, text)) in files.into_iter().enumerate() {
        *path = dir.path().join(number.to_string());
        if let Some(text) = text {
            std::fs::write(path, text).unwrap();
        }
    }
    options
}

#[tokio::test]
async fn an_unknown_host_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let error = error_of(with_dns(&dir, Some("nameserver 127.0.0.1\n"), ""), "registry.invalid/app").await;
    let text = shown(&error);
    assert!(
        text.starts_with(
            "error: GET https://registry.invalid/v2/app/manifests/v1: no such host: registry.invalid is not \
             known to the name servers\n"
        ),
        "{text}"
    );
    assert!(text.contains("do:    check the registry's name"), "{text}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn without_name_servers_the_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = error_of(with_dns(&dir, None, ""), "registry.example/app").await;
    let text = shown(&error);
    assert!(text.contains("cannot look up registry.example\n"), "{text}");
    let path = dir.path().join("0");
    let cause = format!("cause: there are no name servers to ask: {} can't be used", path.display());
    assert!(text.contains(&cause), "{text}");
    assert!(text.contains("do:    give the pod name servers (dnsPolicy)"), "{text}");
}

fn proxied(options: &mut ClientOptions, proxy: &Server, no_proxy: &str) {
    let address = format!("http://user:{SECRET}@{}", proxy.host());
    options.environment.http_proxy = Some(("HTTP_PROXY", address.clone()));
    options.environment.https_proxy = Some(("HTTPS_PROXY", address));
    options.environment.no_proxy = Some(no_proxy.to_owned());
}

#[tokio::test]
async fn a_login_that_a_proxy_repeats_is_hidden() {
    let proxy = Server::start(|seen, _| {
        let [own, registry] = ["proxy-authorization", "authorization"].map(|name| seen.header(name).unwrap());
        answer(407, &[], format!("{own}, {registry}, user:{SECRET}, {SECRET}-ci"))
    })
    .await;
    let mut options = options();
    options.insecure.push("registry.example".to_owned());
    proxied(&mut options, &proxy, "");
    let client = Client::new(options, keys(&["ci"])).unwrap();
    let error = client.manifest(&"registry.example/app".parse().unwrap(), &tag("v1")).await.unwrap_err();
    let text = shown(&error);
    let want = "407 Proxy Authentication Required: Basic [hidden], Basic [hidden], [hidden], [hidden]";
    assert!(text.contains(want), "{text}");
}

#[tokio::test]
async fn proxies_are_used_except_where_they_should_not_be() {
    let proxy = Server::start(|seen, _| match seen.method.as_str() {
        "CONNECT" => answer(403, &[], "not there"),
        _ => answer(200, &[], "{}"),
    })
    .await;
    let registry = Server::start(|_, _| answer(200, &[], "{}")).await;
    let dir = tempfile::tempdir().unwrap();
    let port = registry.address.port();
    let name = format!("registry.example:{port}");
    let repository: Repository = format!("{name}/app").parse().unwrap();
    let get = |no_proxy: &str, repository: Repository| {
        let mut options = with_dns(&dir, None, "127.0.0.1 registry.example\n");
        options.insecure = vec![name.clone(), registry.host()];
        proxied(&mut options, &proxy, no_proxy);
        async move { Client::new(options, keys(&[])).unwrap().manifest(&repository, &tag("v1")).await }
    };
    get("", repository.clone()).await.unwrap();
    assert_eq!(proxy.seen()[0].target, format!("http://{name}/v2/app/manifests/v1"));
    assert!(proxy.seen()[0].header("proxy-authorization").is_some());
    assert_eq!(registry.seen().len(), 0);
    // The proxy doesn't see what is excepted, nor this machine's own servers.
    get("other.example, .example", repository).await.unwrap();
    get("", registry.repository()).await.unwrap();
    assert_eq!((proxy.seen().len(), registry.seen().len()), (1, 2));

    let mut options = with_dns(&dir, None, "");
    proxied(&mut options, &proxy, "");
    let text = shown(&error_of(options, "secure.example/app").await);
    assert_eq!(proxy.seen()[1].line(), "CONNECT secure.example:443");
    let at = format!("the proxy http://{} of HTTPS_PROXY: 403 Forbidden: not there\n", proxy.host());
    assert!(text.contains(&at), "{text}");
    assert!(
        text.contains("do:    let the proxy connect to secure.example, or put secure.example into NO_PROXY"),
        "{text}"
    );
    assert_eq!(proxy.seen().len(), 2, "what repeating can't mend isn't repeated");
}
