//! The registries: Debian's docker-registry with TLS from a private CA and a password, and the embedded one, with TLS
//! too, where users have rights to some repositories or the certificate has expired.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use stepseal::demo::registry::{EmbeddedRegistry, Options};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use super::{given, output, succeed};

/// The user who may push to the docker-registry.
pub(crate) const USER: &str = "ci-bot";
/// His password: no log may hold it.
pub(crate) const PASSWORD: &str = "registry-pa55word-Zz";

/// A registry on the node's address.
pub(crate) struct Registry {
    pub(crate) host: String,
    ca: Arc<Authority>,
}

/// A certificate authority, and the folder with its certificate.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    folder: TempDir,
}

/// A server's certificate and key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Its own name: OpenSSL takes a certificate that is named as its issuer for self-signed.
        params.distinguished_name.push(DnType::CommonName, "private CA of the scenarios");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.crt"), &pem).unwrap();
        Self { issuer: Issuer::new(params, key), pem, folder }
    }

    fn certificate(&self, expired: bool) -> Identity {
        let mut params = CertificateParams::new([given("STEPSEAL_NODE_IP")]).unwrap();
        if expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 12, 31);
        }
        let key = KeyPair::generate().unwrap();
        Identity { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }
}

/// The docker-registry of this test process, started by whoever asks first.
pub(crate) fn main() -> &'static Registry {
    static MAIN: OnceLock<Registry> = OnceLock::new();
    MAIN.get_or_init(|| {
        let ca = Arc::new(Authority::new());
        let identity = ca.certificate(false);
        // A port that was free a moment ago.
        let address = TcpListener::bind((given("STEPSEAL_NODE_IP"), 0)).unwrap().local_addr().unwrap();
        let folder = ca.folder.path();
        fs::write(folder.join("tls.crt"), identity.certificate.pem()).unwrap();
        fs::write(folder.join("tls.key"), identity.key.serialize_pem()).unwrap();
        // The lowest cost of bcrypt: the registry checks the password with each request, on the same processors.
        let users = succeed(Command::new("htpasswd").args(["-Bbn", "-C", "4", USER, PASSWORD]));
        fs::write(folder.join("htpasswd"), users).unwrap();
        let path = folder.display();
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {path}/data}}}}\n\
             auth: {{htpasswd: {{realm: scenarios, path: {path}/htpasswd}}}}\n\
             http: {{addr: \"{address}\", tls: {{certificate: {path}/tls.crt, key: {path}/tls.key}}}}\n"
        );
        fs::write(folder.join("registry.yml"), config).unwrap();
        // It ends with this process, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "docker-registry", "serve"]).arg(folder.join("registry.yml"));
        // It takes each question for what isn't there yet for an error of its own.
        let log = folder.join("registry.log");
        command.stderr(fs::File::create(&log).unwrap());
        // The signal comes when the starting thread ends, so a thread starts it that stays.
        std::thread::spawn(move || {
            let mut child = command.spawn().expect("docker-registry starts");
            let _ = child.wait();
        });
        let registry = Registry { host: address.to_string(), ca };
        for _ in 0..100 {
            if registry.curl_answers() {
                return registry;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let said = fs::read_to_string(log).unwrap_or_default();
        panic!("docker-registry does not answer at {address}: {said}")
    })
}

/// An embedded registry with TLS, which runs as long as the test process.
pub(crate) fn embedded(options: Options, expired: bool) -> (Registry, Arc<EmbeddedRegistry>) {
    let ca = Arc::new(Authority::new());
    let identity = ca.certificate(expired);
    let listener = TcpListener::bind((given("STEPSEAL_NODE_IP"), 0)).unwrap();
    let host = listener.local_addr().unwrap().to_string();
    listener.set_nonblocking(true).unwrap();
    let options = Options { public_url: Some(format!("https://{host}")), ..options };
    let embedded = Arc::new(EmbeddedRegistry::start_blocking(options).unwrap());
    let serving = Arc::clone(&embedded);
    std::thread::spawn(move || {
        let chain = vec![CertificateDer::from(identity.certificate.der().to_vec())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, serving) = (acceptor.clone(), Arc::clone(&serving));
                tokio::spawn(async move {
                    // A client that refuses the certificate is what some scenarios are about.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serving.serve_stream(stream).await;
                    }
                });
            }
        });
    });
    (Registry { host, ca }, embedded)
}

impl Registry {
    /// Returns the certificate of the CA as PEM.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca.pem
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.ca.folder.path().join("ca.crt")
    }

    /// The docker config of the programs that judge.
    pub(crate) fn judges_config(&self) -> String {
        let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        json!({"auths": {&self.host: {"auth": auth}}}).to_string()
    }

    fn curl_answers(&self) -> bool {
        let mut command = Command::new("curl");
        command.args(["-sf", "--cacert"]).arg(self.ca_file()).args(["-u", &format!("{USER}:{PASSWORD}")]);
        output(command.arg(format!("https://{}/v2/", self.host))).status.success()
    }

    /// Runs crane, as the judge.
    pub(crate) fn crane(&self, arguments: &[&str]) -> String {
        let folder = self.ca.folder.path();
        fs::write(folder.join("config.json"), self.judges_config()).unwrap();
        let mut command = Command::new("crane");
        command.args(arguments).env("DOCKER_CONFIG", folder).env("SSL_CERT_FILE", self.ca_file());
        succeed(&mut command).trim().to_owned()
    }
}
