//! The registry that everything is pushed to: the embedded one, reachable from the pods, with a clock.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stepseal::demo::registry::{EmbeddedRegistry, Options};

/// How often its log is looked at: no time here is better than this.
const EVERY: Duration = Duration::from_millis(3);

/// When a repository got its image and its signature, and what was asked for after the image was there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Repository {
    pub(crate) image: Option<Instant>,
    pub(crate) signature: Option<Instant>,
    /// Requests after the image's manifest was in.
    pub(crate) requests: usize,
}

/// A registry on the node's address.
pub(crate) struct Registry {
    registry: Arc<EmbeddedRegistry>,
    host: String,
    seen: Arc<Mutex<HashMap<String, Repository>>>,
}

impl Registry {
    /// Listens on `address`, plain HTTP without a password.
    pub(crate) fn start(address: &str) -> Self {
        let registry = Arc::new(EmbeddedRegistry::start_blocking(Options::default()).unwrap());
        let listener = TcpListener::bind((address, 0)).expect("the node's address is on this machine");
        let host = listener.local_addr().unwrap().to_string();
        listener.set_nonblocking(true).unwrap();
        let serving = Arc::clone(&registry);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    stream.set_nodelay(true).unwrap();
                    tokio::spawn(serving.serve_stream(stream));
                }
            });
        });
        let seen: Arc<Mutex<HashMap<String, Repository>>> = Arc::default();
        let (log, found) = (Arc::clone(&registry), Arc::clone(&seen));
        std::thread::spawn(move || {
            loop {
                look(&log, &mut found.lock().unwrap());
                std::thread::sleep(EVERY);
            }
        });
        Self { registry, host, seen }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Forgets what was asked so far.
    pub(crate) fn clear(&self) {
        let mut seen = self.seen.lock().unwrap();
        self.registry.clear_requests();
        seen.clear();
    }

    pub(crate) fn seen(&self) -> HashMap<String, Repository> {
        self.seen.lock().unwrap().clone()
    }
}

/// Counts anew from the whole log; only when something appears first does its time count.
fn look(registry: &EmbeddedRegistry, seen: &mut HashMap<String, Repository>) {
    let now = Instant::now();
    for repository in seen.values_mut() {
        repository.requests = 0;
    }
    let mut built: HashMap<String, bool> = HashMap::new();
    for request in registry.requests() {
        let path = request.path_and_query.trim_start_matches("/v2/");
        let Some((name, rest)) = ["/manifests/", "/blobs/", "/referrers/"]
            .iter()
            .find_map(|part| path.split_once(part).map(|(name, rest)| (name, (*part, rest))))
        else {
            continue;
        };
        let repository = seen.entry(name.to_owned()).or_default();
        let built = built.entry(name.to_owned()).or_default();
        if *built {
            repository.requests += 1;
        }
        let written = request.method == "PUT"
            && rest.0 == "/manifests/"
            && request.status.is_some_and(|status| status.is_success());
        if written && rest.1.ends_with(".sig") {
            repository.signature.get_or_insert(now);
        } else if written && !*built {
            *built = true;
            repository.image.get_or_insert(now);
        }
    }
}
