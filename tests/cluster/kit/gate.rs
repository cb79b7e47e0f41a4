//! A gate in front of a registry: while it is closed, its clients wait.
//!
//! A process that waits there has started, has read its settings and has asked for an image: what protects it can be read from
//! `/proc` without a race. Bytes pass as they are, so TLS is the registry's own.

use std::collections::BTreeSet;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::{io, thread};

use super::given;
use super::place::PATIENCE;

/// A gate on the node's address; it is closed until [`Gate::open`].
pub(crate) struct Gate {
    /// The `host:port` to name in images.
    pub(crate) host: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    open: bool,
    /// The addresses that connected since the gate was closed.
    clients: BTreeSet<IpAddr>,
}

impl Gate {
    /// Starts a gate in front of a registry, `HOST:PORT`.
    pub(crate) fn before(registry: &str) -> Self {
        let listener = TcpListener::bind((given("STEPSEAL_NODE_IP"), 0)).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            upstream: registry.parse().unwrap(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                // A connection that breaks is for the client to report.
                thread::spawn(move || shared.serve(&client));
            }
        });
        Self { host, shared }
    }

    /// Waits until a client at this address has connected.
    pub(crate) fn holds(&self, address: &str) {
        let address: IpAddr = address.parse().unwrap();
        let state = self.shared.state.lock().unwrap();
        let waits = |state: &mut State| !state.clients.contains(&address);
        let (state, ended) = self.shared.changed.wait_timeout_while(state, PATIENCE, waits).unwrap();
        assert!(!ended.timed_out(), "{address} has not asked the registry; connected: {:?}", state.clients);
    }

    /// Lets everything pass, from now on and what waits.
    pub(crate) fn open(&self) {
        self.shared.state.lock().unwrap().open = true;
        self.shared.changed.notify_all();
    }

    /// Holds new connections, and forgets old connections.
    pub(crate) fn close(&self) {
        *self.shared.state.lock().unwrap() = State::default();
    }
}

impl Shared {
    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        let peer = client.peer_addr()?.ip();
        let mut state = self.state.lock().unwrap();
        state.clients.insert(peer);
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.open).unwrap());
        let upstream = TcpStream::connect(self.upstream)?;
        thread::scope(|scope| {
            scope.spawn(|| pass(client, &upstream));
            pass(&upstream, client);
        });
        Ok(())
    }
}

/// Passes bytes on until one side ends.
fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
