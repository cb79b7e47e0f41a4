//! A proxy at a registry's door that counts requests, delays them and breaks some of them.
//!
//! The tests and the side-by-side measurement share it. It speaks plain HTTP/1.1, passes bytes on as they
//! are, and leaves the `Host` header alone, so that a registry's `Location` leads back through it.
//!
//! **Latency** is that of a network whose round trip takes so long: a new connection costs one round trip
//! before its first request is read, and each answer leaves one round trip after its request came in.
//! Bandwidth is not limited. **Faults** come by a generator with a fixed seed, so the same run meets the
//! same share of them; which request meets one depends on the order in which they arrive.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a proxy does to the requests that pass.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conduct {
    /// The time of one round trip.
    pub(crate) round_trip: Duration,
    /// One request in so many fails; 0 for none.
    pub(crate) fails_one_in: u64,
}

/// A way to fail a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `503`, nothing done.
    Unavailable,
    /// `429` with `Retry-After: 1`, nothing done.
    TooMany,
    /// The connection is reset before the request is read, nothing done.
    Reset,
    /// The registry does the work, and its answer is lost.
    AnswerLost,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Unavailable, Self::TooMany, Self::Reset, Self::AnswerLost];
}

/// What passed so far.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Each request's method and path, with what became of it: a status, or a fault.
    pub(crate) requests: Vec<(String, String)>,
    /// How many faults were dealt out.
    pub(crate) faults: usize,
    /// How many connections were made.
    pub(crate) connections: usize,
}

/// A running proxy; it stops taking connections when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    conduct: Conduct,
    record: Mutex<Record>,
    dice: AtomicU64,
    stopped: AtomicBool,
}

impl Proxy {
    /// Starts a proxy on a free loopback port, in front of `upstream`.
    pub(crate) fn start(upstream: SocketAddr, conduct: Conduct) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            conduct,
            record: Mutex::default(),
            dice: AtomicU64::new(0x5eed),
            stopped: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if served.stopped.load(Ordering::Relaxed) {
                    break;
                }
                let shared = Arc::clone(&served);
                // A connection that breaks is the client's business: it sees what it would see of a network.
                thread::spawn(move || client.and_then(|client| shared.serve(client)));
            }
        });
        Ok(Self { address, shared })
    }

    /// The `host:port` to give to clients.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What has passed since the last call.
    pub(crate) fn take_record(&self) -> Record {
        self.shared.record.lock().map(|mut record| std::mem::take(&mut *record)).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener, so that it sees that it should end.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        self.note(|record| record.connections += 1);
        thread::sleep(self.conduct.round_trip);
        let mut upstream: Option<BufReader<TcpStream>> = None;
        let mut client = BufReader::new(client);
        loop {
            // Waits for the first byte without taking it: a socket closed over unread bytes sends a reset.
            if client.buffer().is_empty() && client.get_ref().peek(&mut [0])? == 0 {
                return Ok(());
            }
            let fault = self.draw();
            if fault == Some(Fault::Reset) {
                self.note(|record| record.requests.push(("(unread)".into(), "reset".into())));
                return Ok(());
            }
            let Some(request) = Message::read(&mut client, Body::OfRequest)? else { return Ok(()) };
            let (answer, outcome) = match fault {
                Some(Fault::Unavailable) => {
                    (refusal("503 Service Unavailable", "UNAVAILABLE", ""), "503 by the proxy".into())
                }
                Some(Fault::TooMany) => {
                    let again = "Retry-After: 1\r\n";
                    (refusal("429 Too Many Requests", "TOOMANYREQUESTS", again), "429 by the proxy".into())
                }
                _ => {
                    let answer = self.forward(&request, &mut upstream)?;
                    let status = answer.start_line().split(' ').nth(1).unwrap_or("?").to_owned();
                    (answer, status)
                }
            };
            let lost = fault == Some(Fault::AnswerLost);
            let outcome = if lost { format!("{outcome}, answer lost") } else { outcome };
            self.note(|record| record.requests.push((request.summary(), outcome)));
            if lost {
                return Ok(());
            }
            thread::sleep(self.conduct.round_trip);
            answer.write(client.get_ref())?;
            if request.closes() || answer.closes() {
                return Ok(());
            }
        }
    }

    fn forward(&self, request: &Message, upstream: &mut Option<BufReader<TcpStream>>) -> io::Result<Message> {
        let body = if request.start_line().starts_with("HEAD ") { Body::None } else { Body::OfAnswer };
        loop {
            let fresh = upstream.is_none();
            let connection = match upstream.take() {
                Some(open) => open,
                None => BufReader::new(TcpStream::connect(self.upstream)?),
            };
            let connection = upstream.insert(connection);
            connection.get_ref().set_nodelay(true)?;
            let sent = request.write(connection.get_ref());
            match sent.and_then(|()| Message::read(connection, body)) {
                Ok(Some(answer)) => {
                    if answer.closes() {
                        *upstream = None;
                    }
                    return Ok(answer);
                }
                // The registry had closed an idle connection; a new one gets the request.
                Ok(None) | Err(_) if !fresh => *upstream = None,
                Ok(None) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether, and how, the next request fails.
    fn draw(&self) -> Option<Fault> {
        if self.conduct.fails_one_in == 0 {
            return None;
        }
        // splitmix64: small, well mixed, and the same everywhere.
        let mut z = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        if !z.is_multiple_of(self.conduct.fails_one_in) {
            return None;
        }
        self.note(|record| record.faults += 1);
        let kinds = Fault::ALL.len() as u64;
        Fault::ALL.into_iter().nth(usize::try_from((z >> 32) % kinds).unwrap_or(0))
    }

    fn note(&self, change: impl FnOnce(&mut Record)) {
        if let Ok(mut record) = self.record.lock() {
            change(&mut record);
        }
    }
}

/// Which rule says whether a message has a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    OfRequest,
    OfAnswer,
    None,
}

/// One HTTP/1.1 message, as its bytes were.
struct Message {
    head: String,
    body: Vec<u8>,
    /// The end of the connection was the end of the body.
    until_close: bool,
}

impl Message {
    /// Reads a message; `None` when the other side has closed the connection between two.
    fn read(stream: &mut BufReader<TcpStream>, kind: Body) -> io::Result<Option<Self>> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
        let mut message = Self { head, body: Vec::new(), until_close: false };
        let status = message.start_line().split(' ').nth(1).unwrap_or_default().to_owned();
        if kind == Body::OfAnswer && status.starts_with('1') {
            return Self::read(stream, kind);
        }
        if kind == Body::None || (kind == Body::OfAnswer && (status == "204" || status == "304")) {
            return Ok(Some(message));
        }
        if message.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
            message.read_chunks(stream)?;
        } else if let Some(length) = message.header("content-length") {
            let length = length.parse::<u64>().map_err(io::Error::other)?;
            stream.take(length).read_to_end(&mut message.body)?;
            if message.body.len() as u64 != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        } else if kind == Body::OfAnswer {
            stream.read_to_end(&mut message.body)?;
            message.until_close = true;
        }
        Ok(Some(message))
    }

    /// Reads a chunked body and keeps the chunks' framing.
    fn read_chunks(&mut self, stream: &mut BufReader<TcpStream>) -> io::Result<()> {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            self.body.extend_from_slice(line.as_bytes());
            if size > 0 {
                stream.take(size + 2).read_to_end(&mut self.body)?;
                continue;
            }
            // Trailers, up to the empty line.
            loop {
                let mut trailer = String::new();
                stream.read_line(&mut trailer)?;
                self.body.extend_from_slice(trailer.as_bytes());
                if trailer == "\r\n" || trailer.is_empty() {
                    return Ok(());
                }
            }
        }
    }

    fn write(&self, mut stream: &TcpStream) -> io::Result<()> {
        // One write: two would wait for each other's acknowledgement.
        let mut bytes = self.head.clone().into_bytes();
        bytes.extend_from_slice(&self.body);
        stream.write_all(&bytes)
    }

    fn start_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    fn summary(&self) -> String {
        let mut words = self.start_line().split(' ');
        format!("{} {}", words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    fn header(&self, name: &str) -> Option<String> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_ascii_lowercase())
        })
    }

    fn closes(&self) -> bool {
        self.until_close || self.header("connection").is_some_and(|value| value.contains("close"))
    }
}

fn refusal(status: &str, code: &str, header: &str) -> Message {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"by the proxy"}}]}}"#);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{header}Content-Length: {}\r\n\r\n",
        body.len()
    );
    Message { head, body: body.into_bytes(), until_close: false }
}
