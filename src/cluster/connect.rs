//! How the API server is reached: from a pod, or with a kubeconfig.
//!
//! A kubeconfig that is named goes first, as with kubectl and cosign; then the token that is mounted into the pod; then
//! the kubeconfig below `$HOME`, if it may be read ([`Kubeconfigs`]). In a pod the address is `KUBERNETES_SERVICE_HOST`, which is an IP address (version 4 or 6), and no proxy
//! is used, whatever the environment says. With a kubeconfig, its `proxy-url` and the proxy variables are honored.
//!
//! # What is kube's, and what isn't
//!
//! kube reads kubeconfigs (exec plugins and client certificates included) and makes the TLS configuration. Its own HTTP client looks names
//! up with `getaddrinfo`, which a static binary can't do; the connector here asks the [resolver](crate::registry::client) of the registry client
//! instead. Its retries (three, and of 429, 503 and 504 alone) and its token file (read once a minute, so that a token that has just been
//! renewed is not seen) are not used either: the mounted token is read for each request.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use http::{HeaderValue, Uri};
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::{ClientBuilder, ConfigExt as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tower::{BoxError, ServiceExt as _};
use zeroize::Zeroizing;

use super::error::ClusterError;
use super::kubeconfig::{Kubeconfigs, Loaded, Missing};
use super::sent::KeepSent;
use super::who::{Claims, Who};
use crate::input::{self, InputError};
use crate::net::dns::Dns;
use crate::net::{SystemFiles, proxy};

/// Where a pod finds its ServiceAccount.
pub const ACCOUNT_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The environment, as a look-up: only the configuration knows the real one.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How the API server is reached.
#[derive(Clone, Debug)]
pub struct Reach {
    /// When everything must be done.
    pub deadline: Instant,
    /// The folder with `token`, `ca.crt` and `namespace`; [`ACCOUNT_FOLDER`] by default.
    pub folder: PathBuf,
    /// The kubeconfigs that there are.
    pub kubeconfigs: Kubeconfigs,
}

/// The login, as each request needs it.
#[derive(Debug)]
pub(super) enum Login {
    /// The token in this file, which the kubelet renews.
    Mounted(PathBuf),
    /// What the kubeconfig has; kube adds it.
    Kubeconfig(String),
}

/// A connection that is set up; nothing is sent yet.
pub(super) struct Connected {
    pub(super) client: kube::Client,
    pub(super) server: String,
    pub(super) namespace: String,
    pub(super) login: Login,
    /// A kubeconfig that is there and is not read, and why.
    pub(super) unread: Option<String>,
}

impl Login {
    /// The mounted token as it is now.
    pub(super) fn token(&self) -> Result<Option<Zeroizing<String>>, (PathBuf, io::Error)> {
        match self {
            Self::Kubeconfig(_) => Ok(None),
            Self::Mounted(path) => {
                let text = read(path).map_err(|error| (path.clone(), error))?;
                Ok(Some(Zeroizing::new(text.trim().to_owned())))
            }
        }
    }

    /// Returns the identity of `token`.
    pub(super) fn who(&self, token: Option<&str>) -> Who {
        let origin = match self {
            Self::Mounted(path) => format!("token of {}", path.display()),
            Self::Kubeconfig(user) => user.clone(),
        };
        Who { origin, claims: token.and_then(Claims::of_token) }
    }
}

/// Whether a pod's token is there and no kubeconfig is named: then requests use the pod's own ServiceAccount.
pub fn in_pod(reach: &Reach, env: Environment<'_>) -> bool {
    reach.kubeconfigs.named.is_none()
        && env("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty())
        && reach.folder.join("token").exists()
}

/// Sets the connection up.
pub(super) async fn connect(reach: &Reach, env: Environment<'_>) -> Result<Connected, ClusterError> {
    let no_cluster = || ClusterError::NoCluster {
        folder: reach.folder.clone(),
        unread: reach.kubeconfigs.unread().map(String::into_boxed_str),
    };
    match reach.kubeconfigs.load_named(reach.deadline).await {
        Some(Ok(loaded)) => return with_kubeconfig(loaded),
        Some(Err(Missing::Unusable(error))) => return Err(error),
        Some(Err(Missing::Nowhere)) => return Err(no_cluster()),
        None => {}
    }
    if in_pod(reach, env) {
        return Ok(Connected { unread: reach.kubeconfigs.unread(), ..from_pod(&reach.folder, env)? });
    }
    match reach.kubeconfigs.load_home(reach.deadline).await? {
        Some(loaded) => with_kubeconfig(loaded),
        None => Err(no_cluster()),
    }
}

fn from_pod(folder: &Path, env: Environment<'_>) -> Result<Connected, ClusterError> {
    let file = |name: &str| {
        let path = folder.join(name);
        read(&path).map_err(|source| ClusterError::Account { path, source })
    };
    let server = address(
        &env("KUBERNETES_SERVICE_HOST").unwrap_or_default(),
        &env("KUBERNETES_SERVICE_PORT").unwrap_or_default(),
    )?;
    let mut config = kube::Config::new(server);
    config.root_cert = Some(certificates(&file("ca.crt")?, folder)?);
    let namespace = file("namespace")?.trim().to_owned();
    config.default_namespace.clone_from(&namespace);
    let connector = connector();
    Ok(Connected {
        client: client(&config, connector)?,
        server: config.cluster_url.to_string(),
        namespace,
        login: Login::Mounted(folder.join("token")),
        unread: None,
    })
}

fn with_kubeconfig(Loaded { config, login }: Loaded) -> Result<Connected, ClusterError> {
    let client = match config.proxy_url.clone() {
        None => client(&config, connector())?,
        Some(proxy) if proxy.scheme_str() == Some("http") => {
            let login = proxy_login(&proxy);
            let tunnel = Tunnel::new(proxy, connector());
            let tunnel = if let Some(login) = login { tunnel.with_auth(login) } else { tunnel };
            client(&config, tunnel)?
        }
        Some(_) => return Err(ClusterError::Proxy),
    };
    Ok(Connected {
        client,
        server: config.cluster_url.to_string(),
        namespace: config.default_namespace,
        login: Login::Kubeconfig(login),
        unread: None,
    })
}

/// The header for the user information in a proxy's address; hyper's tunnel doesn't look at it.
fn proxy_login(proxy: &Uri) -> Option<HeaderValue> {
    let (login, _) = proxy.authority()?.as_str().rsplit_once('@')?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    proxy::login(user, Some(password))
}

/// The address that Kubernetes' variables give, with brackets around an IPv6 address.
fn address(host: &str, port: &str) -> Result<Uri, ClusterError> {
    let bad = || ClusterError::Address(crate::foreign::escape(&format!("{host}:{port}"), 120));
    let port: u16 = port.parse().map_err(|_| bad())?;
    if host.is_empty() {
        return Err(bad());
    }
    let host = match host.parse::<std::net::Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]"),
        Err(_) => host.to_owned(),
    };
    format!("https://{host}:{port}").parse().map_err(|_| bad())
}

fn certificates(pem: &str, folder: &Path) -> Result<Vec<Vec<u8>>, ClusterError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = parsed.unwrap_or_default();
    if found.is_empty() {
        let source = io::Error::new(io::ErrorKind::InvalidData, "there is no certificate in it");
        return Err(ClusterError::Account { path: folder.join("ca.crt"), source });
    }
    Ok(found.into_iter().map(|certificate| certificate.to_vec()).collect())
}

/// The largest file of a ServiceAccount: a bundle of CA certificates may be long, the rest is short.
const FILE_BYTES: u64 = 1024 * 1024;

fn read(path: &Path) -> io::Result<String> {
    let bytes = input::read_trusted(path, FILE_BYTES).map_err(|error| match error {
        InputError::Io(error) => error,
        other => io::Error::other(other),
    })?;
    String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn connector() -> HttpConnector<Dns> {
    let mut connector = HttpConnector::new_with_resolver(Dns::new(SystemFiles::default()));
    connector.enforce_http(false);
    connector
}

/// kube's client over `connector`, with the server's address and the kubeconfig's login added to each request.
fn client<C>(config: &kube::Config, connector: C) -> Result<kube::Client, ClusterError>
where
    C: tower::Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: std::error::Error + Send + Sync + 'static,
{
    let server = config.cluster_url.to_string();
    let failed =
        |source: kube::Error| ClusterError::Setup { server: server.clone(), source: Box::new(source.into()) };
    let https = config.rustls_https_connector_with_connector(connector).map_err(failed)?;
    let service = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(https);
    let service = KeepSent(service.map_err(BoxError::from));
    let builder = ClientBuilder::new(service, config.default_namespace.clone())
        .with_layer(&config.extra_headers_layer().map_err(failed)?);
    Ok(match config.auth_layer().map_err(failed)? {
        Some(login) => builder.with_layer(&login).with_layer(&config.base_uri_layer()).build(),
        None => builder.with_layer(&config.base_uri_layer()).build(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_pod_may_be_of_either_version() {
        let text = |host, port| address(host, port).unwrap().to_string();
        assert_eq!(text("10.96.0.1", "443"), "https://10.96.0.1:443/");
        assert_eq!(text("fd00::1", "6443"), "https://[fd00::1]:6443/");
        assert!(
            address("", "443").is_err() && address("10.0.0.1", "").is_err() && address("a b", "1").is_err()
        );
    }

    #[test]
    fn the_user_of_a_proxy_becomes_a_header_that_debug_does_not_show() {
        let header = |proxy: &'static str| proxy_login(&Uri::from_static(proxy));
        assert_eq!(header("http://ci:p%40ss@proxy:1").unwrap(), "Basic Y2k6cEBzcw==");
        assert_eq!(header("http://ci@proxy:1").unwrap(), "Basic Y2k6");
        assert_eq!(header("http://proxy:1"), None);
        assert_eq!(format!("{:?}", header("http://ci:p%40ss@proxy:1").unwrap()), "Sensitive");
    }

    #[tokio::test]
    async fn without_token_and_kubeconfig_there_is_no_cluster_and_it_says_where_it_looked() {
        let folder = tempfile::tempdir().unwrap();
        let reach = Reach {
            deadline: Instant::now(),
            folder: folder.path().to_owned(),
            kubeconfigs: Kubeconfigs::default(),
        };
        let error = connect(&reach, &|_| None).await.err().unwrap();
        assert!(matches!(&error, ClusterError::NoCluster { .. }), "{error}");
        // A token alone doesn't make a pod: there is no address.
        std::fs::write(folder.path().join("token"), "x").unwrap();
        assert!(connect(&reach, &|_| None).await.is_err());
    }

    #[tokio::test]
    async fn a_pod_whose_account_is_mounted_by_halves_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let reach = Reach {
            deadline: Instant::now(),
            folder: folder.path().to_owned(),
            kubeconfigs: Kubeconfigs::default(),
        };
        let env = |name: &str| match name {
            "KUBERNETES_SERVICE_HOST" => Some("10.0.0.1".to_owned()),
            "KUBERNETES_SERVICE_PORT" => Some("443".to_owned()),
            _ => None,
        };
        std::fs::write(folder.path().join("token"), "x").unwrap();
        let error = connect(&reach, &env).await.err().unwrap();
        assert!(matches!(&error, ClusterError::Account { path, .. } if path.ends_with("ca.crt")), "{error}");
        std::fs::write(folder.path().join("ca.crt"), "no certificate").unwrap();
        let error = connect(&reach, &env).await.err().unwrap();
        assert!(matches!(&error, ClusterError::Account { path, .. } if path.ends_with("ca.crt")), "{error}");
    }
}
