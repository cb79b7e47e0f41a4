//! A proxy at a registry's door that counts requests, delays them and breaks some of them.
//!
//! The tests and the side-by-side measurement share it. It speaks plain HTTP/1.1, passes bytes on as they
//! are, and leaves the `Host` header alone, so that a registry's `Location` leads back through it.
//!
//! **Latency** is that of a network whose round trip takes so long: a new connection costs one round trip
//! before its first request is read, and each answer leaves one round trip after its request came in.
//! Bandwidth is not limited. **Faults** come by a generator with a fixed seed, so the same run meets the
//! same share of them; which request meets one depends on the order in which they arrive.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

mod cache;
mod fault;
mod message;

use cache::Cache;
pub(crate) use fault::{Expected, Fault, Of, Row, TABLE};
pub(crate) use message::{Body, Message};

/// How long what pauses does.
const PAUSE: Duration = Duration::from_secs(1);

/// What a proxy does to the requests that pass.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conduct {
    /// The time of one round trip.
    pub(crate) round_trip: Duration,
    /// How many of a hundred requests fail.
    pub(crate) percent: u64,
    /// The faults that the proxy injects.
    pub(crate) faults: &'static [Fault],
}

impl Conduct {
    /// One request in five fails in one of the usual ways.
    pub(crate) fn stormy() -> Self {
        Self { percent: 20, faults: &Fault::USUAL, ..Self::default() }
    }
}

/// A request that the registry answered, and when.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// Its method and path.
    pub(crate) what: String,
    /// When it was sent on.
    pub(crate) sent: Instant,
    /// When the registry had answered.
    pub(crate) answered: Instant,
}

/// What passed so far.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Each request's method and path, with what became of it: a status, or a fault.
    pub(crate) requests: Vec<(String, String)>,
    /// When the registry worked on which.
    pub(crate) served: Vec<Served>,
    /// How many faults were dealt out.
    pub(crate) faults: usize,
    /// How many connections were made.
    pub(crate) connections: usize,
    /// How many requests had a user and a password.
    pub(crate) passwords: usize,
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
    cache: Cache,
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
            cache: Cache::default(),
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

    /// How many requests with a user and a password have passed since the record was last taken.
    #[allow(dead_code, reason = "the measurements have no use for it")]
    pub(crate) fn passwords(&self) -> usize {
        self.shared.record.lock().map(|record| record.passwords).unwrap_or_default()
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
                self.note(|record| record.faults += 1);
                self.note(|record| record.requests.push(("(unread)".into(), "reset".into())));
                return Ok(());
            }
            let Some(request) = Message::read(&mut client, Body::OfRequest)? else { return Ok(()) };
            if request.header("authorization").is_some_and(|value| value.starts_with("basic ")) {
                self.note(|record| record.passwords += 1);
            }
            let fault = fault.filter(|fault| self.can_happen(*fault, &request));
            if fault.is_some() {
                self.note(|record| record.faults += 1);
            }
            let answer = self.answer(fault, &request, &mut upstream)?;
            let outcome = match (&answer, fault) {
                (Some(answer), None) => answer.status().to_owned(),
                (Some(answer), Some(fault)) => format!("{}, {fault:?}", answer.status()),
                (None, fault) => format!("no answer, {fault:?}"),
            };
            self.note(|record| record.requests.push((request.summary(), outcome)));
            let Some(answer) = answer else { return Ok(()) };
            thread::sleep(self.conduct.round_trip);
            let stream = client.get_ref();
            match fault {
                Some(Fault::BodyCut) => return answer.write_up_to(stream, answer.body.len() / 2),
                Some(Fault::BodyStalled) => {
                    let middle = answer.body.len() / 2;
                    answer.write_up_to(stream, middle)?;
                    thread::sleep(PAUSE);
                    client.get_mut().write_all(&answer.body[middle..])?;
                }
                _ => answer.write(stream)?,
            }
            if request.closes() || answer.closes() {
                return Ok(());
            }
        }
    }

    /// The answer to `request`; `None`: there is none, and the connection ends.
    fn answer(
        &self,
        fault: Option<Fault>,
        request: &Message,
        upstream: &mut Option<BufReader<TcpStream>>,
    ) -> io::Result<Option<Message>> {
        let again = |after: &str| format!("Retry-After: {after}\r\n");
        Ok(Some(match fault {
            Some(Fault::Reset) => return Ok(None),
            Some(Fault::RequestCut) => {
                // The registry sees what there was of it, too.
                let stream = TcpStream::connect(self.upstream)?;
                request.write_up_to(&stream, request.body.len() / 2)?;
                return Ok(None);
            }
            Some(Fault::Unavailable) => refusal("503 Service Unavailable", "UNAVAILABLE", ""),
            Some(Fault::UnavailableUntil) => {
                let date = httpdate::fmt_http_date(SystemTime::now() + PAUSE);
                refusal("503 Service Unavailable", "UNAVAILABLE", &again(&date))
            }
            Some(Fault::TooMany) => refusal("429 Too Many Requests", "TOOMANYREQUESTS", &again("1")),
            Some(Fault::TooManyWithoutTime) => refusal("429 Too Many Requests", "TOOMANYREQUESTS", ""),
            Some(Fault::RequestTimeout) => {
                refusal("408 Request Timeout", "UNAVAILABLE", "Connection: close\r\n")
            }
            Some(Fault::Internal) => refusal("500 Internal Server Error", "UNKNOWN", ""),
            Some(Fault::BadGateway) => page("502 Bad Gateway", "Bad Gateway"),
            Some(Fault::LoginPage) => page("200 OK", "Please log in"),
            Some(Fault::NotThereYet) => refusal("404 Not Found", "MANIFEST_UNKNOWN", ""),
            Some(Fault::StaleTag) => match self.cache.old(request) {
                Some(old) => old,
                None => self.forward(request, upstream)?,
            },
            Some(Fault::ExpiredToken) => {
                let mut expired = request.clone();
                let header = |line: &str| line.to_ascii_lowercase().starts_with("authorization:");
                expired.head = expired
                    .head
                    .split_inclusive("\r\n")
                    .map(|line| if header(line) { "Authorization: Bearer expired\r\n" } else { line })
                    .collect();
                self.forward(&expired, upstream)?
            }
            Some(Fault::BadGatewayDone) => {
                self.forward(request, upstream)?;
                page("502 Bad Gateway", "Bad Gateway")
            }
            Some(Fault::GatewayTimeout) => {
                self.forward(request, upstream)?;
                thread::sleep(PAUSE);
                page("504 Gateway Timeout", "Gateway Timeout")
            }
            Some(Fault::AnswerLost) => {
                self.forward(request, upstream)?;
                return Ok(None);
            }
            Some(Fault::Twice) => {
                self.forward(request, upstream)?;
                self.forward(request, upstream)?
            }
            Some(Fault::Late) => {
                let answer = self.forward(request, upstream)?;
                thread::sleep(2 * PAUSE);
                answer
            }
            Some(Fault::WrongBytes) => {
                let mut answer = self.forward(request, upstream)?;
                let middle = answer.body.len() / 2;
                if let Some(byte) = answer.body.get_mut(middle) {
                    *byte ^= 1;
                }
                answer
            }
            None | Some(Fault::BodyCut | Fault::BodyStalled) => self.forward(request, upstream)?,
        }))
    }

    /// Whether a fault can happen to this request.
    fn can_happen(&self, fault: Fault, request: &Message) -> bool {
        match fault.row().of {
            Of::All => true,
            Of::Reads => request.method() == "GET",
            Of::Tags => cache::reads_tag(request),
            Of::Written => self.cache.reads_written(request),
            Of::Tokens => request.header("authorization").is_some_and(|value| value.starts_with("bearer ")),
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
            let at = Instant::now();
            let sent = request.write(connection.get_ref());
            match sent.and_then(|()| Message::read(connection, body)) {
                Ok(Some(answer)) => {
                    let (what, answered) = (request.summary(), Instant::now());
                    self.note(|record| record.served.push(Served { what, sent: at, answered }));
                    self.cache.note(request, &answer);
                    if answer.closes() {
                        *upstream = None;
                    }
                    return Ok(answer);
                }
                // The registry closed an idle connection, so the request goes to a new connection.
                Ok(None) | Err(_) if !fresh => *upstream = None,
                Ok(None) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether, and how, the next request fails.
    fn draw(&self) -> Option<Fault> {
        if self.conduct.percent == 0 || self.conduct.faults.is_empty() {
            return None;
        }
        // splitmix64: small, well mixed, and the same everywhere.
        let mut z = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        if z % 100 >= self.conduct.percent {
            return None;
        }
        let kinds = self.conduct.faults.len() as u64;
        self.conduct.faults.get(usize::try_from((z >> 32) % kinds).unwrap_or(0)).copied()
    }

    fn note(&self, change: impl FnOnce(&mut Record)) {
        if let Ok(mut record) = self.record.lock() {
            change(&mut record);
        }
    }
}

fn refusal(status: &str, code: &str, headers: &str) -> Message {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"by the proxy"}}]}}"#);
    Message::new(&format!("HTTP/1.1 {status}"), &format!("Content-Type: application/json\r\n{headers}"), body)
}

fn page(status: &str, title: &str) -> Message {
    let body =
        format!("<!DOCTYPE html>\n<html><head><title>{title}</title></head><body>{title}</body></html>\n");
    Message::new(&format!("HTTP/1.1 {status}"), "Content-Type: text/html\r\n", body)
}
