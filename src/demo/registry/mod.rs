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
//! catalog of repositories, which is not part of the specification.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>

mod api;
mod content;
mod fault;
mod guard;
mod log;
mod manifest;
mod manners;
mod options;
mod reply;
mod server;
mod store;
mod token;
pub mod wire;

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::{Arc, mpsc};
use std::{fmt, io, thread};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use content::{Content, ContentError};
pub use fault::{Answer, Effect, Fault, Faults, ManifestPut, Page};
pub use log::{Authorization, Request};
pub use manners::Asked;
pub use options::{Auth, Denied, Options, ReadOnly, Rights, TokenService, User};
pub use reply::ErrorCode;

use guard::Guard;
use log::Log;
use server::{Door, Shared};

/// A registry that runs until it is dropped.
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
        let (listener, host) = bind(options.port).await?;
        let mut listeners = vec![(listener, Door::Registry)];
        let mut token_host = None;
        if options.token_service == TokenService::OwnListener {
            let (listener, host) = bind(0).await?;
            listeners.push((listener, Door::TokenService));
            token_host = Some(host);
        }
        let public_url = options.public_url.clone().unwrap_or_else(|| format!("http://{host}"));
        let token_url = match &token_host {
            Some(host) => format!("http://{host}/token"),
            None => format!("{public_url}/token"),
        };
        let realm = options.realm.clone().unwrap_or(token_url);
        let shared = Arc::new(Shared {
            guard: Guard::new(&options, realm),
            options,
            public_url,
            content: Content::default(),
            faults: Faults::default(),
            log: Log::default(),
        });
        let (stop, stopped) = watch::channel(());
        for (listener, door) in listeners {
            tokio::spawn(server::accept(listener, Arc::clone(&shared), door, stopped.clone()));
        }
        Ok(Self { host, token_host, shared, stop: Some(stop), thread: None })
    }

    /// Starts a registry on a thread and a runtime of its own, for callers that block.
    ///
    /// # Errors
    ///
    /// The error of the port that can't be taken, or of the thread that can't be started.
    pub fn start_blocking(options: Options) -> io::Result<Self> {
        let (tell, told) = mpsc::channel();
        let run = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                // A missing receiver is ignored, here and below.
                Err(error) => return drop(tell.send(Err(error))),
            };
            runtime.block_on(async {
                let started = Self::start(options).await;
                let stopped =
                    started.as_ref().ok().and_then(|registry| Some(registry.stop.as_ref()?.subscribe()));
                drop(tell.send(started));
                if let Some(mut stopped) = stopped {
                    // It is never sent to: an error says that the registry was dropped.
                    let _ = stopped.changed().await;
                }
            });
            // A hook may still block; nothing waits for its end.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("embedded-registry".to_owned()).spawn(run)?;
        let mut registry = told.recv().map_err(io::Error::other)??;
        registry.thread = Some(thread);
        Ok(registry)
    }

    /// Returns the address as `127.0.0.1:PORT`.
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

    /// The faults that the registry shows.
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
}

impl fmt::Debug for EmbeddedRegistry {
    /// The address and its content, without users and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedRegistry")
            .field("host", &self.host)
            .field("content", self.content())
            .finish_non_exhaustive()
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

/// A port on 127.0.0.1, and how it is written.
async fn bind(port: u16) -> io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let host = listener.local_addr()?.to_string();
    Ok((listener, host))
}
