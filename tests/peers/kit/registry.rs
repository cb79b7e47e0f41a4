//! Registries of other projects, each a process of its own that ends with its handle.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::command::{mortal, peer, run};
use super::scene::{PASSWORD, USER};
use super::service::{Service, folder};
use super::tls::Tls;
use super::token::{ISSUER, SERVICE, TokenService};
use super::{gitea, pulp};

/// A registry that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Registry {
    service: Service,
    storage: PathBuf,
    /// What else has to run for it.
    _beside: Option<pulp::Beside>,
}

impl Registry {
    /// Debian's docker-registry, with a password. It has no referrers API.
    pub(crate) fn docker(home: &Path) -> Self {
        Self::distribution("docker-registry", home, None, |_| {})
    }

    /// The same behind a token service.
    pub(crate) fn docker_with_tokens(home: &Path, service: &TokenService) -> Self {
        Self::distribution("docker-registry", home, None, |config| {
            config["auth"] = json!({ "token": {
                "realm": service.realm(), "service": SERVICE, "issuer": ISSUER,
                "rootcertbundle": service.certificate,
            }});
        })
    }

    /// The same over HTTPS.
    pub(crate) fn docker_with_tls(home: &Path, tls: &Tls) -> Self {
        Self::distribution("docker-registry", home, None, |config| {
            config["http"]["tls"] = json!({ "certificate": tls.certificate, "key": tls.key });
        })
    }

    /// A second docker-registry on `other`'s images that takes no writes.
    pub(crate) fn docker_read_only(home: &Path, other: &Self) -> Self {
        Self::distribution("docker-registry", home, Some(&other.storage), |config| {
            config["storage"]["maintenance"] = json!({ "readonly": { "enabled": true } });
        })
    }

    /// distribution 3, docker-registry's successor, with a password. It has no referrers API either.
    pub(crate) fn distribution_3(home: &Path) -> Self {
        Self::distribution("registry", home, None, |_| {})
    }

    /// Gitea, with the same password. Images' names begin with the user's.
    pub(crate) fn gitea(home: &Path) -> Self {
        let (service, storage) = gitea::start(home);
        Self { service, storage, _beside: None }
    }

    /// Pulp's container plugin, with the same password and a token service. Its blobs are redirects to another port.
    pub(crate) fn pulp(home: &Path) -> Self {
        let (service, storage, beside) = pulp::start(home);
        Self { service, storage, _beside: Some(beside) }
    }

    /// go-containerregistry's registry with the referrers API, which asks for no password.
    pub(crate) fn with_referrers(home: &Path) -> Self {
        Self::start(home, home.to_owned(), |address| {
            let mut command = mortal("referrers-registry", home);
            command.arg(address.to_string());
            command
        })
    }

    /// The same as `crane registry serve` starts it: without the referrers API.
    pub(crate) fn crane(home: &Path) -> Self {
        Self::start(home, home.to_owned(), |address| {
            let mut command = mortal("crane", home);
            command.args(["registry", "serve", "--address", &address.to_string()]);
            command
        })
    }

    fn distribution(program: &str, home: &Path, storage: Option<&Path>, change: impl Fn(&mut Value)) -> Self {
        let place = folder(home, "registry-");
        let storage = storage.map_or_else(|| place.join("storage"), Path::to_owned);
        let hashed = run(peer("htpasswd", home).args(["-Bbn", "-C", "4", USER, PASSWORD])).ok().stdout;
        let htpasswd = place.join("htpasswd");
        fs::write(&htpasswd, hashed).unwrap();
        Self::start(home, storage.clone(), |address| {
            let mut config = json!({
                "version": "0.1",
                "log": { "level": "error", "accesslog": { "disabled": true } },
                "storage": { "filesystem": { "rootdirectory": storage }, "delete": { "enabled": true } },
                "http": { "addr": address.to_string() },
                "auth": { "htpasswd": { "realm": "peers", "path": htpasswd } },
            });
            change(&mut config);
            // JSON is YAML.
            let path = place.join("config.yml");
            fs::write(&path, config.to_string()).unwrap();
            let mut command = mortal(program, home);
            command.arg("serve").arg(path);
            command
        })
    }

    fn start(home: &Path, storage: PathBuf, program: impl Fn(SocketAddr) -> Command) -> Self {
        Self { service: Service::start(home, program), storage, _beside: None }
    }

    /// Returns the socket address of the registry.
    pub(crate) fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// Returns the registry's name as `host:port`.
    pub(crate) fn host(&self) -> String {
        self.address().to_string()
    }
}
