//! Certificates of clients: who gets them, and what is said of those that can't be used.

use super::certificates::{Own, Way, ask, serve, write};
use super::network::{Ca, ca, server_config};
use super::server::{Reply, Server, answer};
use super::*;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

/// A CA's client certificate and its key.
pub(super) fn client_pair(ca: &Ca) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(Vec::new()).unwrap();
    (params.signed_by(&key, ca.issuer()).unwrap().pem(), key.serialize_pem())
}

/// A server's configuration that asks for a certificate which `ca` issued; with `must`, it answers nobody else.
pub(super) fn asking(ca: &Ca, server: &Ca, must: bool) -> rustls::ServerConfig {
    asking_over(rustls::ALL_VERSIONS, ca, server, must)
}

fn asking_over(
    versions: &[&'static rustls::SupportedProtocolVersion],
    ca: &Ca,
    server: &Ca,
    must: bool,
) -> rustls::ServerConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = if must { verifier } else { verifier.allow_unauthenticated() }.build().unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, server.issuer()).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(versions);
    builder.unwrap().with_client_cert_verifier(verifier).with_single_cert(vec![certificate], key).unwrap()
}

#[tokio::test]
async fn a_registry_gets_the_client_certificate_of_its_folder() {
    let (clients, servers, dir) = (ca(), ca(), tempfile::tempdir().unwrap());
    let server = serve(asking(&clients, &servers, true)).await;
    let (certificate, key) = client_pair(&clients);
    let port = server.address.port();
    for folder in [format!("127.0.0.1:{port}"), format!("127.0.0.1_{port}_")] {
        let at = dir.path().join(folder.replace(':', "-"));
        write(&at, &format!("{folder}/ca.crt"), &servers.pem);
        write(&at, &format!("{folder}/client.cert"), &certificate);
        write(&at, &format!("{folder}/client.key"), &key);
        // Of another CA: the server's list says which it wants.
        let stranger = Own::signed(&["client"], |params| {
            params.distinguished_name.push(rcgen::DnType::CommonName, "Another CA");
        });
        let (other, other_key) = (stranger.pem.clone(), stranger.key.serialize_pem());
        write(&at, &format!("{folder}/another.cert"), &other);
        write(&at, &format!("{folder}/another.key"), &other_key);
        for system in [false, true] {
            let mut options = options();
            let dirs = if system { &mut options.files.certs_dirs } else { &mut options.certs_dirs };
            dirs.push(at.clone());
            assert_eq!(ask(options, "127.0.0.1", &server).await, Ok(()), "{folder}");
        }
    }
    // Without one, and where another host's folder has it.
    let folder = dir.path().join(format!("127.0.0.1-{port}"));
    std::fs::rename(folder.join(format!("127.0.0.1:{port}")), folder.join(format!("localhost:{port}")))
        .unwrap();
    let mut other = Way::File.options(dir.path(), &servers.pem, "");
    other.certs_dirs.push(folder);
    other.deadline = Instant::now() + Duration::from_secs(2);
    let text = ask(other, "127.0.0.1", &server).await.unwrap_err();
    // The server's alert can be lost with the connection that it closes.
    let is_told = text.contains("it does not accept this client's certificate")
        && text.contains("--registry-certs-dir");
    assert!(is_told || text.contains("connection"), "{text}");
}

/// Leads to the server at `to`, and says "handshake failure" where that says "certificate required": as OpenSSL does over TLS 1.2.
async fn vague(to: std::net::SocketAddr) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const REQUIRED: [u8; 7] = [21, 3, 3, 0, 2, 2, 116];
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (mut from_client, mut to_client) = stream.into_split();
            let (mut from_server, mut to_server) =
                tokio::net::TcpStream::connect(to).await.unwrap().into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
                    if buffer[..length] == REQUIRED {
                        buffer[6] = 40;
                    }
                    if to_client.write_all(&buffer[..length]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_handshake_that_fails_without_a_client_certificate_says_that_one_is_wanted() {
    let (clients, servers, dir) = (ca(), ca(), tempfile::tempdir().unwrap());
    let server = serve(asking_over(&[&rustls::version::TLS12], &clients, &servers, true)).await;
    let address = vague(server.address).await;
    let mut options = Way::File.options(dir.path(), &servers.pem, "");
    options.deadline = Instant::now() + Duration::from_secs(2);
    let client = Client::new(options, keys(&["ci"])).unwrap();
    let repository = format!("{address}/team/app").parse().unwrap();
    let text = shown(&client.manifest(&repository, &tag("v1")).await.unwrap_err());
    assert!(text.contains("it does not accept this client's certificate"), "{text}");
    assert!(text.contains(&format!("{address}/client.cert")), "{text}");
}

#[tokio::test]
async fn a_client_certificate_goes_to_no_other_host() {
    let (clients, servers, dir) = (ca(), ca(), tempfile::tempdir().unwrap());
    let (certificate, key) = client_pair(&clients);
    // Whoever presents a certificate of another CA than its own is refused by this one: that it answers says that it got none.
    let other = Server::start_tls(asking(&ca(), &servers, false), |seen, _| match seen.target.as_str() {
        "/token?service=s&scope=repository:team/app:pull,push" => answer(200, &[], r#"{"token":"t"}"#),
        _ => answer(200, &[], "{}"),
    })
    .await;
    let url = format!("https://127.0.0.1:{}", other.address.port());
    let registry = Server::start_tls(asking(&clients, &servers, true), move |_, _| -> Reply {
        answer(307, &[("Location", &format!("{url}/elsewhere"))], "")
    })
    .await;
    write(dir.path(), &format!("{}/client.cert", registry.host()), &certificate);
    write(dir.path(), &format!("{}/client.key", registry.host()), &key);
    let mut options = Way::File.options(dir.path(), &servers.pem, "");
    options.certs_dirs.push(dir.path().to_owned());
    assert_eq!(ask(options, "127.0.0.1", &registry).await, Ok(()));
    assert_eq!((registry.seen().len(), other.seen().len()), (1, 1));
}

/// Accepts every client certificate.
#[derive(Debug)]
struct AnyClient(Arc<dyn rustls::client::danger::ServerCertVerifier>);

impl rustls::server::danger::ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::server::danger::ClientCertVerified, rustls::Error> {
        Ok(rustls::server::danger::ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[tokio::test]
async fn what_a_client_certificate_of_version_1_is_worth_is_for_the_server_to_say() {
    let (servers, dir) = (ca(), tempfile::tempdir().unwrap());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(servers.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let webpki =
        rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let any = Arc::new(AnyClient(webpki.build().unwrap()));
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, servers.issuer()).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config =
        builder.unwrap().with_client_cert_verifier(any).with_single_cert(vec![certificate], key).unwrap();
    let server = serve(config).await;
    let pem = include_str!("version1.pem");
    write(dir.path(), &format!("{}/client.cert", server.host()), pem);
    write(dir.path(), &format!("{}/client.key", server.host()), pem);
    let mut options = Way::File.options(dir.path(), &servers.pem, "");
    options.certs_dirs.push(dir.path().to_owned());
    assert_eq!(ask(options.clone(), "127.0.0.1", &server).await, Ok(()));
    // Another's key is still noticed.
    write(
        dir.path(),
        &format!("{}/client.key", server.host()),
        &KeyPair::generate().unwrap().serialize_pem(),
    );
    let text = ask(options, "127.0.0.1", &server).await.unwrap_err();
    assert!(text.contains("its key is not the one of the certificate"), "{text}");
}

#[tokio::test]
async fn a_client_certificate_that_can_not_be_used_says_why_when_its_host_is_asked() {
    let ca = ca();
    let (certificate, key) = client_pair(&ca);
    let (_, other_key) = client_pair(&ca);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
    let server = serve(server_config(&ca, "127.0.0.1", |_| ())).await;
    for (files, at, want) in [
        (&[("client.cert", certificate.as_str())][..], "client.cert", "there is no "),
        (&[("client.key", &key)], "client.key", "there is no "),
        (&[("client.cert", &certificate), ("client.key", encrypted)], "client.key", "its key is encrypted\n"),
        (&[("client.cert", &certificate), ("client.key", old)], "client.key", "its key is encrypted\n"),
        (
            &[("client.cert", &certificate), ("client.key", &other_key)],
            "client.key",
            "its key is not the one of the certificate ",
        ),
        (
            &[("client.cert", &certificate), ("client.key", "")],
            "client.key",
            "it holds no private key in PEM form\n",
        ),
        (
            &[("client.cert", &certificate), ("client.key", &certificate)],
            "client.key",
            "it holds no private key in PEM form\n",
        ),
        (
            &[("client.cert", &key), ("client.key", &key)],
            "client.cert",
            "it holds no certificate in PEM form",
        ),
        (&[("ca.crt", "")], "ca.crt", "holds no certificate in PEM form"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            write(dir.path(), &format!("{}/{name}", server.host()), text);
        }
        let mut options = Way::File.options(dir.path(), &ca.pem, "");
        options.certs_dirs.push(dir.path().to_owned());
        let client = Client::new(options, keys(&[])).unwrap();
        let error = client.manifest(&server.repository(), &tag("v1")).await.unwrap_err();
        let text = shown(&error);
        assert!(text.contains(want) && text.contains(&format!("{}/{at}", server.host())), "{want}: {text}");
        assert!(text.contains("do:    "), "{text}");
        assert_eq!(error.exit(), crate::exit::ExitCode::Usage);
        // It is nobody else's business.
        let localhost = format!("localhost:{}/app", server.address.port()).parse().unwrap();
        let text = shown(&client.manifest(&localhost, &tag("v1")).await.unwrap_err());
        assert!(text.contains("its certificate is not for localhost"), "{text}");
    }
    assert!(server.seen().is_empty());
    let missing = ClientOptions { certs_dirs: vec!["/nonexistent/certs.d".into()], ..options() };
    let text = shown(&Client::new(missing, keys(&[])).unwrap_err());
    assert!(text.contains("cannot read the certificates in /nonexistent/certs.d"), "{text}");
}
