//! A server of another project, a process of its own that ends with its handle.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(60);

/// A running server that speaks HTTP.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    address: SocketAddr,
}

impl Service {
    /// Starts `program` on a free port; another process may take the port first, so it is tried again.
    pub(crate) fn start(home: &Path, program: impl Fn(SocketAddr) -> Command) -> Self {
        let log = folder(home, "log-").join("log");
        for _ in 0..5 {
            let address = free_address();
            let mut command = program(address);
            let out = fs::File::create(&log).unwrap();
            command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
            let child = match command.spawn() {
                Ok(child) => child,
                Err(error) => panic!("cannot run {command:?}: {error}; tests/peers/run installs it"),
            };
            let mut service = Self { child, address };
            if service.answers() {
                return service;
            }
        }
        panic!("it did not come up: {}", fs::read_to_string(log).unwrap_or_default());
    }

    fn answers(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < START {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if let Ok(mut stream) = TcpStream::connect(self.address) {
                // Any answer will do: with TLS it is a complaint about plain HTTP.
                let asked = stream.write_all(b"GET /v2/ HTTP/1.0\r\nHost: service\r\n\r\n");
                if asked.is_ok() && matches!(stream.read(&mut [0; 8]), Ok(1..)) {
                    return true;
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Returns the socket address of the service.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself, so a failure is ignored.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns an address that no process listens on right now.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// A new folder of its own below `home`.
pub(crate) fn folder(home: &Path, prefix: &str) -> PathBuf {
    tempfile::Builder::new().prefix(prefix).tempdir_in(home).unwrap().keep()
}
