//! TLS and proxies between the step and its registry.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use crate::kit::step::{Step, ended};

/// A self-signed certificate as `openssl req -x509` makes it: marked as a CA's.
pub(crate) struct SelfSigned {
    pub(crate) pem: String,
    der: CertificateDer<'static>,
    pub(crate) key: KeyPair,
}

impl SelfSigned {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, IsCa::Ca(BasicConstraints::Unconstrained))
    }

    pub(crate) fn with(name: &str, is_ca: IsCa) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = is_ca;
        let made = params.self_signed(&key).unwrap();
        Self { pem: made.pem(), der: made.der().clone(), key }
    }

    /// The configuration of a server that has it; one that answers only those who have the certificate `client`.
    pub(crate) fn config(&self, client: Option<&Self>) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(client.der.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        builder.with_single_cert(vec![self.der.clone()], key).unwrap()
    }
}

/// Speaks TLS before the registry at `to`, on a port of its own.
pub(crate) fn behind_tls(config: ServerConfig, to: SocketAddr) -> u16 {
    let (send, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap().port()).unwrap();
            let tls = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = tls.accept(stream).await else { return };
                    let mut other = tokio::net::TcpStream::connect(to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut other).await;
                });
            }
        });
    });
    port.recv().unwrap()
}

/// A step whose image is at the host `localhost` with TLS.
fn step_with_tls(config: impl FnOnce() -> ServerConfig) -> (Step, String, u16) {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let port = behind_tls(config(), step.host().parse().unwrap());
    step.login(&format!("localhost:{port}"), "ci-bot", crate::kit::step::REGISTRY_PASSWORD);
    (step, format!("localhost:{port}/team/app@{digest}"), port)
}

#[test]
fn a_self_signed_certificate_that_is_given_is_trusted_for_its_name() {
    let made = SelfSigned::new("localhost");
    let (step, image, port) = step_with_tls(|| made.config(None));
    fs::write(step.path("registry.crt"), &made.pem).unwrap();
    let sign = |image: &str, given: Option<&str>| {
        let mut command = step.command(&["sign", "--timeout", "5s", image]);
        if let Some(variable) = given {
            command.env(variable, step.path("registry.crt"));
        }
        ended(command.output().unwrap())
    };
    for variable in ["STEPSEAL_REGISTRY_CA", "SSL_CERT_FILE"] {
        let signed = sign(&image, Some(variable));
        assert_eq!(signed.code, 0, "{variable}: {}", signed.stderr);
    }
    let refused = sign(&image, None);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    let other_name = sign(&image.replace("localhost", "127.0.0.1"), Some("STEPSEAL_REGISTRY_CA"));
    assert_eq!(other_name.code, 1, "{}", other_name.stderr);
    assert!(
        other_name.stderr.contains("its certificate is not for 127.0.0.1"),
        "{port}: {}",
        other_name.stderr
    );
}

#[test]
fn a_client_certificate_of_the_registrys_folder_is_used() {
    let (made, client) = (SelfSigned::new("localhost"), SelfSigned::with("client", IsCa::NoCa));
    let (step, image, port) = step_with_tls(|| made.config(Some(&client)));
    let folder = step.path("certs.d").join(format!("localhost:{port}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("ca.crt"), &made.pem).unwrap();
    fs::write(folder.join("client.cert"), &client.pem).unwrap();
    fs::write(folder.join("client.key"), client.key.serialize_pem()).unwrap();
    let sign = |log: &str| {
        let mut command = step.command(&["sign", "--timeout", "5s", &image]);
        ended(
            command
                .env("STEPSEAL_REGISTRY_CERTS_DIR", step.path("certs.d"))
                .env("STEPSEAL_LOG", log)
                .output()
                .unwrap(),
        )
    };
    let signed = sign("trace");
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    let pem = client.key.serialize_pem();
    let secret = pem.lines().nth(1).unwrap();
    assert!(!signed.stderr.contains(secret), "the log has the client's key");
    fs::remove_file(folder.join("client.key")).unwrap();
    let half = sign("warn");
    assert_eq!(half.code, 2, "{}", half.stderr);
    assert!(half.stderr.contains("client.cert as a client certificate: there is no "), "{}", half.stderr);
}

/// A proxy that refuses everything with `status`; it keeps the first line of what it was asked.
fn proxy(status: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                head.extend_from_slice(&byte);
            }
            let head = String::from_utf8_lossy(&head);
            log.lock().unwrap().push(head.lines().next().unwrap_or_default().to_owned());
            let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (host, asked)
}

#[test]
fn a_proxy_that_refuses_is_named_and_no_proxy_goes_round_it() {
    let step = Step::new();
    let image = format!("registry.invalid:5000/team/app@{}", step.image("team/app", "x"));
    let (host, asked) = proxy("407 Proxy Authentication Required");
    let sign = |no_proxy: &str| {
        let mut command = step.command(&["sign", "--timeout", "5s", &image]);
        command.env("HTTPS_PROXY", format!("http://me:pr0xy-pa55@{host}")).env("NO_PROXY", no_proxy);
        ended(command.output().unwrap())
    };
    let refused = sign("other.invalid");
    let at = format!("the proxy http://{host} of HTTPS_PROXY: 407 Proxy Authentication Required");
    assert!(refused.code == 1 && refused.stderr.contains(&at), "{}", refused.stderr);
    assert!(!refused.stderr.contains("pr0xy-pa55"), "{}", refused.stderr);
    let seen = std::mem::take(&mut *asked.lock().unwrap());
    assert!(seen.iter().all(|line| line == "CONNECT registry.invalid:5000 HTTP/1.1"), "{seen:?}");
    assert_eq!(seen.len(), 2, "the image and its tag, and neither again");
    for no_proxy in ["*", "*.invalid", "a,.invalid", "registry.invalid:5000", "REGISTRY.invalid."] {
        let direct = sign(no_proxy);
        assert!(!direct.stderr.contains("the proxy"), "{no_proxy}: {}", direct.stderr);
    }
    assert!(asked.lock().unwrap().is_empty());
}
