//! One HTTP request and its answer, within limits of time and size.
//!
//! Redirects are followed by hand, for reading only: at most [`MAX_REDIRECTS`], never from HTTPS to plain
//! HTTP, and the login goes along only while scheme, host and port stay the same. Which is why the
//! library's own redirects are off: it compares hosts, and would follow an upload too. No cookie is kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Proxy, Response, redirect};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, timeout_at};
use url::Url;

use super::auth::Auth;
use super::classify::classify;
use super::dns::Dns;
use super::endpoint;
use super::error::{BadAnswer, Failure, RegistryError, SetupError};
use super::options::ClientOptions;
use super::refusal::{self, MAX_ERROR_BODY_BYTES, Refusal};
use super::retry::{self, Until};
use super::throttle::Throttle;
use super::tls::{self, NamedRoots};
use super::{Stats, proxy};
use crate::mask::Mask;

/// Registries send to their storage, which may send on once; five is what the specification's clients allow.
pub(super) const MAX_REDIRECTS: usize = 5;

/// An answer with more bytes than this is large, where their number is limited: manifests and tokens have a few kilobytes.
const LARGE_BYTES: usize = 64 * 1024;

/// A host that doesn't even take the connection in this time doesn't get the rest of the request's.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Sends requests.
pub(super) struct Transport {
    pub(super) options: ClientOptions,
    named_roots: NamedRoots,
    proxies: Vec<Proxy>,
    dns: Dns,
    throttle: Throttle,
    /// Turns of large answers, where they are limited.
    large: Option<Arc<Semaphore>>,
    // The one for HTTPS loads the system's roots, which takes longer than a whole request: when needed.
    plain: OnceLock<reqwest::Client>,
    tls: OnceLock<reqwest::Client>,
    requests: AtomicU64,
    throttled: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) tokens: AtomicU64,
    fastest_micros: AtomicU64,
}

/// What is sent.
pub(super) struct Call<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    pub(super) authorization: Option<&'a HeaderValue>,
    pub(super) accept: Option<&'static str>,
    pub(super) content_type: Option<&'a HeaderValue>,
    pub(super) body: Option<&'a Bytes>,
    /// The largest body of a success.
    pub(super) limit_bytes: u64,
    /// Whether it goes before what waits for a place.
    pub(super) urgent: bool,
    /// The secrets that the log of the request must not show.
    pub(super) auth: &'a Auth,
    /// Whether a redirect may lead to another scheme, host or port.
    pub(super) leaves_origin: bool,
}

/// What came back. No `Debug`: a token service's body is a secret.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Where it came from, after redirects.
    pub(super) url: Url,
    /// The login that the request had: what is shown of the answer doesn't repeat it.
    pub(super) sent: Option<HeaderValue>,
}

/// A failure, and the address it happened at.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) url: Url,
    pub(super) failure: Failure,
}

impl Transport {
    pub(super) fn new(options: ClientOptions) -> Result<Self, SetupError> {
        Ok(Self {
            named_roots: NamedRoots::read(&options)?,
            proxies: proxy::proxies(&options.environment)?,
            dns: Dns::new(options.files.clone()),
            throttle: Throttle::new(options.requests_per_host),
            large: options.large_answers.map(|most| Arc::new(Semaphore::new(most))),
            plain: OnceLock::new(),
            tls: OnceLock::new(),
            requests: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            fastest_micros: AtomicU64::new(u64::from(u32::MAX)),
            options,
        })
    }

    pub(super) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            requests: read(&self.requests),
            retries: read(&self.retries),
            throttled: read(&self.throttled),
            tokens: read(&self.tokens),
        }
    }

    /// The time that the quickest answer took.
    pub(super) fn fastest(&self) -> Duration {
        Duration::from_micros(self.fastest_micros.load(Ordering::Relaxed))
    }

    /// When everything must be done.
    pub(super) fn deadline(&self) -> Instant {
        Instant::from_std(self.options.deadline)
    }

    /// Sends `call`, and follows redirects of reading ones.
    pub(super) async fn exchange(&self, call: &Call<'_>) -> Result<Answer, Exchange> {
        let reads = matches!(*call.method, Method::GET | Method::HEAD);
        let mut url = call.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let authorization = call.authorization.filter(|_| endpoint::same_origin(call.url, &url));
            let answer = self.once(call, &url, authorization).await?;
            let location = match answer.headers.get(LOCATION) {
                Some(location) if reads && answer.status.is_redirection() => location,
                _ => return Ok(answer),
            };
            let next = match follow(location, &url) {
                Ok(next) => next,
                Err(bad) => return Err(Fault { url, failure: Failure::BadAnswer(bad) }.into()),
            };
            if !call.leaves_origin && !endpoint::same_origin(call.url, &next) {
                let failure = Failure::TokenServiceRedirect { to: endpoint::redacted(&next) };
                return Err(Fault { url, failure }.into());
            }
            url = next;
        }
        let failure = Failure::BadAnswer(BadAnswer::Redirects(MAX_REDIRECTS));
        Err(Fault { url, failure }.into())
    }

    async fn once(
        &self,
        call: &Call<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Exchange> {
        let fault = |failure| Fault { url: url.clone(), failure };
        let client = self.client(url)?;
        let deadline = self.deadline();
        // Waiting for a place doesn't count against the request's own time, only against the run's.
        let permit = self.throttle.permit(endpoint::origin(url), call.urgent, deadline);
        let permit = timeout_at(deadline, permit).await.map_err(|_| fault(Failure::Deadline))?;
        let permit = permit.map_err(|wait| {
            let until = Until::after(wait, SystemTime::now());
            fault(Failure::LeftAlone { host: endpoint::host(url).to_owned(), until })
        })?;
        let begun = Instant::now();
        if begun >= deadline {
            return Err(fault(Failure::Deadline).into());
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let until = deadline.min(begun + self.options.request_limit);
        let size = Size { limit_bytes: call.limit_bytes, large: self.large.as_ref() };
        let sent = timeout_at(until, answer(client, request(call, url, authorization), size));
        let result = sent
            .await
            .unwrap_or(Err(Failure::TimedOut { after: until - begun }))
            .map(|(status, headers, body)| {
                let sent = call.authorization.cloned();
                Answer { status, headers, body, url: url.clone(), sent }
            })
            .map_err(fault);
        if tracing::enabled!(tracing::Level::DEBUG) {
            let status = result.as_ref().map(|answer| answer.status.as_u16()).ok();
            let mask = call.auth.mask(call.authorization);
            let error = result.as_ref().map_err(|fault| fault.failure.to_string()).err();
            let error = error.as_deref().map(|error| mask.text(error)).map(tracing::field::display);
            let url = endpoint::redacted(url);
            let ms = begun.elapsed().as_millis();
            tracing::debug!(method = %call.method, url = %mask.text(&url), status, error, ms, "request");
        }
        let answer = result?;
        if url.scheme() == "http" && answer.status.is_client_error() && refusal::wants_https(&answer.body) {
            return Err(fault(Failure::NotHttp).into());
        }
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.fastest_micros.fetch_min(micros, Ordering::Relaxed);
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            self.throttled.fetch_add(1, Ordering::Relaxed);
            permit.throttled(answer.retry_after());
        } else {
            permit.went_well(call.method);
        }
        Ok(answer)
    }

    fn client(&self, url: &Url) -> Result<&reqwest::Client, SetupError> {
        let slot = if url.scheme() == "https" { &self.tls } else { &self.plain };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let tls = match url.scheme() {
            "https" => tls::config(&self.options, &self.named_roots)?,
            _ => tls::none()?,
        };
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .dns_resolver(self.dns.clone())
            .redirect(redirect::Policy::none())
            .referer(false)
            // Challenges may be folded over several lines.
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            // What to send again is decided in one place only, and there it is counted.
            .retry(reqwest::retry::never())
            .user_agent(&self.options.user_agent)
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(self.options.idle_limit)
            // The environment's proxies come in through the options.
            .no_proxy();
        for proxy in &self.proxies {
            builder = builder.proxy(proxy.clone());
        }
        let client = builder.build().map_err(SetupError::Http)?;
        Ok(slot.get_or_init(|| client))
    }
}

fn request(call: &Call<'_>, url: &Url, authorization: Option<&HeaderValue>) -> reqwest::Request {
    let mut request = reqwest::Request::new(call.method.clone(), url.clone());
    let headers = request.headers_mut();
    let mut set = |name: HeaderName, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    set(AUTHORIZATION, authorization.cloned());
    set(ACCEPT, call.accept.map(HeaderValue::from_static));
    set(CONTENT_TYPE, call.content_type.cloned());
    // Registries answer 411 to a POST that leaves it out.
    set(CONTENT_LENGTH, call.body.map(|body| body.len().into()));
    if let Some(body) = call.body {
        *request.body_mut() = Some(body.clone().into());
    }
    request
}

async fn answer(
    client: &reqwest::Client,
    request: reqwest::Request,
    size: Size<'_>,
) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
    let is_head = request.method() == Method::HEAD;
    let url = request.url().clone();
    let mut response = client.execute(request).await.map_err(|error| classify(error, &url))?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let body = match status {
        _ if is_head => Bytes::new(),
        status if status.is_success() => body(response, size, &url).await?,
        _ => beginning(response).await,
    };
    Ok((status, headers, body))
}

/// How large an answer may be.
#[derive(Clone, Copy)]
struct Size<'a> {
    limit_bytes: u64,
    /// Whose turn it is, if it is larger than [`LARGE_BYTES`].
    large: Option<&'a Arc<Semaphore>>,
}

/// A large answer, and its turn until nothing of it is left.
struct Large {
    bytes: Bytes,
    _turn: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The whole body, if it isn't larger than its limit.
async fn body(mut response: Response, size: Size<'_>, url: &Url) -> Result<Bytes, Failure> {
    let Size { limit_bytes, large } = size;
    let too_large = || Failure::TooLarge { limit: limit_bytes };
    let fits = |length: usize| u64::try_from(length).is_ok_and(|length| length <= limit_bytes);
    if response.content_length().is_some_and(|length| length > limit_bytes) {
        return Err(too_large());
    }
    // An answer that says that it is large waits before any of it is read.
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut turn = match large {
        Some(large) if announced.is_some_and(|length| length > LARGE_BYTES) => large_turn(large).await,
        _ => None,
    };
    let Some(first) = chunk(&mut response, url).await? else { return Ok(Bytes::new()) };
    let Some(second) = chunk(&mut response, url).await? else {
        // Nearly always it comes in one piece, which needs no copy.
        return if fits(first.len()) { Ok(first) } else { Err(too_large()) };
    };
    let mut whole = BytesMut::from(first);
    let (mut next, mut is_whole_reserved) = (Some(second), false);
    while let Some(piece) = next {
        if !fits(whole.len() + piece.len()) {
            return Err(too_large());
        }
        if let (Some(large), None, true) = (large, &turn, whole.len() + piece.len() > LARGE_BYTES) {
            turn = large_turn(large).await;
        }
        if turn.is_some() && !is_whole_reserved {
            // Doubling the buffer would take up to three times the answer.
            let most = announced.or(usize::try_from(limit_bytes).ok()).unwrap_or_default();
            whole.reserve(most.saturating_sub(whole.len()));
            is_whole_reserved = true;
        }
        whole.extend_from_slice(&piece);
        next = chunk(&mut response, url).await?;
    }
    let bytes = whole.freeze();
    Ok(match turn {
        Some(turn) => Bytes::from_owner(Large { bytes, _turn: turn }),
        None => bytes,
    })
}

/// Waits until fewer large answers are held. `None`: never, as the semaphore isn't closed.
async fn large_turn(large: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(large).acquire_owned().await.ok()
}

async fn chunk(response: &mut Response, url: &Url) -> Result<Option<Bytes>, Failure> {
    response.chunk().await.map_err(|error| classify(error, url))
}

/// As much of a refusing answer as is worth reading. That its end doesn't come is no error of its own.
async fn beginning(mut response: Response) -> Bytes {
    let mut read = BytesMut::new();
    while let Ok(Some(piece)) = response.chunk().await {
        let room = MAX_ERROR_BODY_BYTES - read.len();
        read.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if read.len() >= MAX_ERROR_BODY_BYTES {
            break;
        }
    }
    read.freeze()
}

/// Where a `Location` leads, if it may be followed from `url`.
pub(super) fn follow(location: &HeaderValue, url: &Url) -> Result<Url, BadAnswer> {
    let text = String::from_utf8_lossy(location.as_bytes());
    let Some(next) = endpoint::named_by(&text, url) else {
        return Err(BadAnswer::Location(crate::foreign::shown(
            text.split('?').next().unwrap_or_default(),
            200,
        )));
    };
    if url.scheme() == "https" && next.scheme() != "https" {
        return Err(BadAnswer::Downgrade(endpoint::redacted(&next)));
    }
    Ok(next)
}

impl Answer {
    /// A header's value, if it is text.
    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        retry::retry_after(self.header(RETRY_AFTER)?, SystemTime::now())
    }

    /// Hides the login that the request had.
    fn mask(&self) -> Mask {
        let mut mask = Mask::default();
        if let Some(header) = &self.sent {
            mask.authorization(header);
        }
        mask
    }

    /// Its address, as it may be shown.
    pub(super) fn shown_url(&self) -> String {
        let mut url = endpoint::redacted(&self.url);
        self.mask().hide(&mut url);
        url
    }

    /// What it says, as a refusal.
    pub(super) fn refusal(&self) -> Refusal {
        let said = refusal::read(self.header(CONTENT_TYPE), &self.body);
        let mut refusal = Refusal { status: self.status, said, retry_after: self.retry_after() };
        refusal.hide(&self.mask());
        refusal
    }

    /// The refusal of a host that isn't the one that was asked, at `home`.
    pub(super) fn other_host(&self, home: &Url, asked: String) -> Failure {
        let upgraded = endpoint::same_host(home, &self.url) && self.url.scheme() != home.scheme();
        // Without the scheme both could read alike.
        let (host, asked) = match upgraded {
            true => (endpoint::origin(&self.url).to_owned(), endpoint::origin(home).to_owned()),
            false => (endpoint::host(&self.url).to_owned(), asked),
        };
        Failure::OtherHost { host, asked, upgraded, refusal: self.refusal() }
    }

    /// A success that is a web page is no registry's.
    pub(super) fn not_html(&self) -> Result<(), Failure> {
        if refusal::is_html(self.header(CONTENT_TYPE), &self.body) {
            return Err(Failure::BadAnswer(BadAnswer::Html(refusal::title(&self.body))));
        }
        Ok(())
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Exchange {
    Setup(SetupError),
    Fault(Fault),
}

impl From<SetupError> for Exchange {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl From<Fault> for Exchange {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Exchange {
    /// As the error of a call, which knows what it was for.
    pub(super) fn into_error(self, fail: impl FnOnce(Fault) -> RegistryError) -> RegistryError {
        match self {
            Self::Setup(error) => error.into(),
            Self::Fault(fault) => fail(fault),
        }
    }
}
