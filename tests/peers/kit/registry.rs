//! Registries of other projects, each a process of its own that ends with its handle.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::command::{peer, run};
use super::scene::{PASSWORD, USER};
use super::tls::Tls;
use super::token::{ISSUER, SERVICE, TokenService};

/// How long a registry may take until it answers.
const START: Duration = Duration::from_secs(20);

/// A running registry.
#[derive(Debug)]
pub(crate) struct Registry {
    child: Child,
    address: SocketAddr,
    storage: PathBuf,
}

impl Registry {
    /// Debian's docker-registry, with a password. It has no referrers API.
    pub(crate) fn docker(home: &Path) -> Self {
        Self::distribution(home, None, |_| {})
    }

    /// The same behind a token service.
    pub(crate) fn docker_with_tokens(home: &Path, service: &TokenService) -> Self {
        Self::distribution(home, None, |config| {
            config["auth"] = json!({ "token": {
                "realm": service.realm(), "service": SERVICE, "issuer": ISSUER,
                "rootcertbundle": service.certificate,
            }});
        })
    }

    /// The same over HTTPS.
    pub(crate) fn docker_with_tls(home: &Path, tls: &Tls) -> Self {
        Self::distribution(home, None, |config| {
            config["http"]["tls"] = json!({ "certificate": tls.certificate, "key": tls.key });
        })
    }

    /// A second docker-registry on `other`'s images that takes no writes.
    pub(crate) fn docker_read_only(home: &Path, other: &Self) -> Self {
        Self::distribution(home, Some(&other.storage), |config| {
            config["storage"]["maintenance"] = json!({ "readonly": { "enabled": true } });
        })
    }

    /// go-containerregistry's registry with the referrers API, which asks for no password.
    pub(crate) fn with_referrers(home: &Path) -> Self {
        Self::start(home, home.to_owned(), |address| {
            let mut command = peer("referrers-registry", home);
            command.arg(address.to_string());
            command
        })
    }

    fn distribution(home: &Path, storage: Option<&Path>, change: impl Fn(&mut Value)) -> Self {
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
            let mut command = peer("docker-registry", home);
            command.arg("serve").arg(path);
            command
        })
    }

    /// Starts `program` on a free port; another process may take the port first, so it is tried again.
    fn start(home: &Path, storage: PathBuf, program: impl Fn(SocketAddr) -> Command) -> Self {
        let log = folder(home, "log-").join("registry.log");
        for _ in 0..5 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let mut command = program(address);
            let out = fs::File::create(&log).unwrap();
            command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
            let child = match command.spawn() {
                Ok(child) => child,
                Err(error) => panic!("cannot run {command:?}: {error}; tests/peers/run installs it"),
            };
            let mut registry = Self { child, address, storage: storage.clone() };
            if registry.answers() {
                return registry;
            }
        }
        panic!("no registry came up: {}", fs::read_to_string(log).unwrap_or_default());
    }

    fn answers(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < START {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if let Ok(mut stream) = TcpStream::connect(self.address) {
                // Any answer will do: with TLS it is a complaint about plain HTTP.
                let asked = stream.write_all(b"GET /v2/ HTTP/1.0\r\nHost: registry\r\n\r\n");
                if asked.is_ok() && matches!(stream.read(&mut [0; 8]), Ok(1..)) {
                    return true;
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Its socket address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its `host:port`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A new folder of its own below `home`.
fn folder(home: &Path, prefix: &str) -> PathBuf {
    tempfile::Builder::new().prefix(prefix).tempdir_in(home).unwrap().keep()
}
