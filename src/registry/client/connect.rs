//! Connections: to the server itself, or through a proxy to it, with TLS where the address begins with `https`.
//!
//! A failure before a proxy has connected is reported as the proxy's: whether the server is there is unknown then. A
//! proxy that refuses is asked with the whole of HTTP, so that its status and what it says can be shown.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fmt, io};

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Duration, Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tower::{BoxError, Service};
use url::Url;

use super::refusal::Refusal;
use super::tls::Tls;
use super::{answer, body, client_keys};
use crate::net::dns::Dns;
use crate::net::proxy::{Proxies, Proxy};

/// A host that doesn't even take the connection in this time doesn't get the rest of the request's.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How many headers an answer may have: proxies and CDNs add dozens.
pub(super) const MAX_HEADERS: usize = 256;

/// How often a silent connection is probed, so that a lost peer is noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Makes connections for the HTTP client.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector<Dns>,
    proxies: Arc<Proxies>,
    tls: Arc<Tls>,
    user_agent: Option<HeaderValue>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct ConnectError {
    /// The proxy that it failed at.
    pub(super) proxy: Option<Arc<Proxy>>,
    pub(super) fault: ConnectFault,
}

/// What went wrong.
#[derive(Debug)]
pub(super) enum ConnectFault {
    /// A connection, a look-up or TLS.
    Broken(BoxError),
    /// It took longer than this.
    TimedOut(Duration),
    /// The proxy doesn't lead on; with the kinds of login that it offers.
    Refused(Refusal, Vec<String>),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            ConnectFault::Broken(_) => f.write_str("cannot connect"),
            ConnectFault::TimedOut(limit) => write!(f, "no connection within {} s", limit.as_secs()),
            ConnectFault::Refused(refusal, _) => write!(f, "{refusal}"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.fault {
            ConnectFault::Broken(source) => Some(&**source),
            _ => None,
        }
    }
}

impl Connector {
    pub(super) fn new(dns: Dns, proxies: Arc<Proxies>, tls: Arc<Tls>, user_agent: &str) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(dns);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(3));
        let user_agent = HeaderValue::from_str(user_agent).ok();
        Self { tcp, proxies, tls, user_agent }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&to).await })
    }
}

impl Connector {
    async fn connect(&self, to: &Uri) -> Result<Stream, ConnectError> {
        let direct = |fault| ConnectError { proxy: None, fault };
        let url = Url::parse(&to.to_string()).map_err(|error| direct(broken(error)))?;
        let until = Instant::now() + CONNECT_LIMIT;
        let is_https = url.scheme() == "https";
        let proxy = self.proxies.of(&url).map_err(|error| direct(broken(error)))?;
        let io = match proxy {
            None => within(until, self.open(to)).await.map_err(direct)?,
            Some(proxy) => {
                let led = within(until, self.through(proxy, to, is_https)).await;
                let led = led.map_err(|fault| ConnectError { proxy: Some(Arc::clone(proxy)), fault })?;
                self.proxies.note_led(&url);
                led
            }
        };
        if !is_https {
            return Ok(Stream { io: TokioIo::new(io), is_proxy: proxy.is_some() });
        }
        let encrypted = async {
            let config = self.tls.of(&url).map_err(broken)?;
            encrypted(io, config, to, self.tls.server_name(&url)).await
        };
        let io = within(until, encrypted).await.map_err(direct)?;
        Ok(Stream { io: TokioIo::new(io), is_proxy: false })
    }

    async fn open(&self, to: &Uri) -> Result<Pipe, ConnectFault> {
        let opened = self.tcp.clone().call(to.clone()).await.map_err(broken)?;
        Ok(Box::new(opened.into_inner()))
    }

    /// A connection to `proxy`; with `tunnel`, a tunnel through it to `to`.
    async fn through(&self, proxy: &Proxy, to: &Uri, tunnel: bool) -> Result<Pipe, ConnectFault> {
        let at = proxy.uri().map_err(broken)?;
        let mut io = self.open(&at).await?;
        if proxy.url().scheme() == "https" {
            io = encrypted(io, self.tls.of_proxy().map_err(broken)?, &at, None).await?;
        }
        if tunnel { self.lead_on(io, proxy, to).await } else { Ok(io) }
    }

    /// Asks the proxy at the other end of `io` for a tunnel.
    ///
    /// Spec: <https://www.rfc-editor.org/rfc/rfc9110.html#section-9.3.6>
    async fn lead_on(&self, io: Pipe, proxy: &Proxy, to: &Uri) -> Result<Pipe, ConnectFault> {
        let target = format!("{}:{}", to.host().unwrap_or_default(), to.port_u16().unwrap_or(443));
        let mut request = Request::builder().method(Method::CONNECT).uri(&target).header(HOST, &target);
        if let Some(login) = proxy.login() {
            request = request.header(PROXY_AUTHORIZATION, login);
        }
        if let Some(user_agent) = &self.user_agent {
            request = request.header(USER_AGENT, user_agent);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(broken)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .ignore_invalid_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .handshake(TokioIo::new(io))
            .await
            .map_err(broken)?;
        tokio::spawn(connection.with_upgrades());
        let mut response = sender.send_request(request).await.map_err(broken)?;
        // With 204, HTTP has no tunnel behind the answer for hyper.
        if response.status().is_success() && response.status() != StatusCode::NO_CONTENT {
            let tunnel = hyper::upgrade::on(&mut response).await.map_err(broken)?;
            return Ok(Box::new(TokioIo::new(tunnel)));
        }
        let (head, response) = response.into_parts();
        let said = body::beginning(response).await;
        let refusal = answer::refusal(head.status, &head.headers, &said);
        Err(ConnectFault::Refused(refusal, answer::offered(&head.headers)))
    }
}

fn broken(error: impl Into<BoxError>) -> ConnectFault {
    ConnectFault::Broken(error.into())
}

async fn within<T>(
    until: Instant,
    work: impl Future<Output = Result<T, ConnectFault>>,
) -> Result<T, ConnectFault> {
    timeout_at(until, work).await.unwrap_or(Err(ConnectFault::TimedOut(CONNECT_LIMIT)))
}

/// TLS over `io` with the server `name`, or else with the server named in `to`.
async fn encrypted(
    io: Pipe,
    config: Arc<ClientConfig>,
    to: &Uri,
    name: Option<ServerName<'static>>,
) -> Result<Pipe, ConnectFault> {
    let host = to.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = match name {
        Some(name) => name,
        None => ServerName::try_from(host.to_owned()).map_err(broken)?,
    };
    client_keys::connected(TlsConnector::from(config).connect(name, io))
        .await
        .map(|stream| Box::new(stream) as Pipe)
        .map_err(broken)
}

/// Whatever bytes can be exchanged over.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Pipe = Box<dyn Io>;

/// A connection.
pub(super) struct Stream {
    io: TokioIo<Pipe>,
    /// Whether the other end is a proxy, which needs whole addresses.
    is_proxy: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_proxy)
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, pieces)
    }
}
