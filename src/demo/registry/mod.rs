//! An OCI registry in the process: what `stepseal demo` signs in, and the one registry of the hermetic tests.
//!
//! It speaks HTTP/1.1 on loopback and the distribution specification 1.1.1: pulls, pushes of all kinds,
//! tags, referrers, deletion; without credentials, with Basic, or with Bearer and a token service. It keeps
//! everything in memory, bounded, and forgets it when it is dropped. Through [`Faults`] it misbehaves as real
//! registries and the proxies before them do.
//!
//! It refuses manifests that name content it hasn't got (other than a `subject`), digests of other algorithms
//! than sha256 and sha512, manifests beyond 4 MiB, and an upload whose location was not used as it was given.
//! It speaks no TLS: what stands in front hands streams to [`EmbeddedRegistry::serve_stream`]. It has no
//! catalog of repositories, which is no part of the specification.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>

mod api;
mod content;
mod fault;
mod guard;
mod log;
mod manifest;
mod options;
mod reply;
mod server;
mod store;
mod token;
pub mod wire;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use content::{Content, ContentError};
pub use fault::{Answer, Effect, Fault, Faults, ManifestPut, Page};
pub use log::{Authorization, Request};
pub use options::{Auth, Denied, Options, ReadOnly, Rights, TokenService, User};
pub use reply::ErrorCode;

use guard::Guard;
use log::Log;
use server::{Door, Shared};

/// A registry that runs until it is dropped.
#[derive(Debug)]
pub struct EmbeddedRegistry {
    host: String,
    token_host: Option<String>,
    shared: Arc<Shared>,
    /// Dropping it ends all connections.
    stop: Option<watch::Sender<()>>,
    /// The thread of a registry that has one of its own.
    thread: Option<thread::JoinHandle<()>>,
}

impl EmbeddedRegistry {
    /// Starts a registry on the runtime that this is called on.
    ///
    /// # Errors
    ///
    /// The error of the port that can't be taken.
    pub async fn start(options: Options) -> io::Result<Self> {
        let (registry, listeners) = Self::bind(options)?;
        for task in listeners.into_tasks(&registry)? {
            tokio::spawn(task);
        }
        Ok(registry)
    }

    /// Starts a registry on a thread and a runtime of its own, for callers that block.
    ///
    /// # Errors
    ///
    /// The error of the port that can't be taken, or of the thread that can't be started.
    pub fn start_blocking(options: Options) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (mut registry, listeners) = Self::bind(options)?;
        let tasks = {
            let _within = runtime.enter();
            listeners.into_tasks(&registry)?
        };
        let run = move || {
            runtime.block_on(async {
                let mut running: JoinSet<()> = tasks.into_iter().collect();
                while running.join_next().await.is_some() {}
            });
            // A hook may still block; nobody is left to see it end.
            runtime.shutdown_background();
        };
        registry.thread = Some(thread::Builder::new().name("embedded-registry".to_owned()).spawn(run)?);
        Ok(registry)
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `127.0.0.1:PORT` of the token service; that of the registry unless it has a listener of its own.
    pub fn token_host(&self) -> &str {
        self.token_host.as_deref().unwrap_or(&self.host)
    }

    /// What the registry holds, to be prepared and inspected.
    pub fn content(&self) -> &Content {
        &self.shared.content
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The requests so far, in the order in which they came. Of those to the token service, only what is in
    /// the URL is kept.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log.all()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.log.clear();
    }

    /// Makes every token that was issued so far invalid.
    pub fn expire_tokens(&self) {
        self.shared.guard.expire_tokens();
    }

    /// Serves one more connection, until its client or the registry ends it: TLS, or anything else that is
    /// not a connection to [`Self::host`].
    pub fn serve_stream<I>(&self, io: I) -> impl Future<Output = ()> + Send + use<I>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let stop = self.stop.as_ref().map(watch::Sender::subscribe);
        async move {
            if let Some(stop) = stop {
                drop(server::serve(io, shared, Door::Registry, stop).await);
            }
        }
    }

    fn bind(options: Options) -> io::Result<(Self, Listeners)> {
        let (registry, host) = bind(options.port)?;
        let token_service = match options.token_service {
            TokenService::SameListener => None,
            TokenService::OwnListener => Some(bind(0)?),
        };
        let (token_service, token_host) = token_service.unzip();
        let public_url = options.public_url.clone().unwrap_or_else(|| format!("http://{host}"));
        let token_url = match &token_host {
            Some(host) => format!("http://{host}/token"),
            None => format!("{public_url}/token"),
        };
        let realm = options.realm.clone().unwrap_or(token_url);
        let shared = Shared {
            guard: Guard::new(&options, realm),
            options,
            public_url,
            content: Content::default(),
            faults: Faults::default(),
            log: Log::default(),
        };
        let stop = Some(watch::channel(()).0);
        let started = Self { host, token_host, shared: Arc::new(shared), stop, thread: None };
        Ok((started, Listeners { registry, token_service }))
    }
}

impl Drop for EmbeddedRegistry {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It panicked, or it ended: the port is free either way.
            let _ = thread.join();
        }
    }
}

/// The bound ports of a registry that is not running yet.
struct Listeners {
    registry: std::net::TcpListener,
    token_service: Option<std::net::TcpListener>,
}

impl Listeners {
    /// The tasks that take connections; it must be called within a runtime.
    fn into_tasks(
        self,
        of: &EmbeddedRegistry,
    ) -> io::Result<Vec<impl Future<Output = ()> + Send + 'static + use<>>> {
        let doors = [(Some(self.registry), Door::Registry), (self.token_service, Door::TokenService)];
        let mut tasks = Vec::new();
        for (listener, door) in doors {
            if let Some((listener, stop)) = listener.zip(of.stop.as_ref().map(watch::Sender::subscribe)) {
                let listener = TcpListener::from_std(listener)?;
                tasks.push(server::accept(listener, Arc::clone(&of.shared), door, stop));
            }
        }
        Ok(tasks)
    }
}

/// A port on 127.0.0.1, and how it is written.
fn bind(port: u16) -> io::Result<(std::net::TcpListener, String)> {
    let listener = std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    listener.set_nonblocking(true)?;
    let host = listener.local_addr()?.to_string();
    Ok((listener, host))
}
