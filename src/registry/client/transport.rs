//! One HTTP request and its answer, within limits of time and size.
//!
//! Redirects are followed by hand, for reading only: at most [`MAX_REDIRECTS`], never from HTTPS to plain
//! HTTP, and the login goes along only while scheme, host and port stay the same. Which is why the
//! library's own redirects are off: it compares hosts, and would follow an upload too. No cookie is kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Proxy, redirect};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, timeout_at};
use url::Url;

pub(super) use super::answer::Answer;
use super::auth::Auth;
use super::body::{Size, beginning, body};
use super::classify::classify;
use super::dns::Dns;
use super::endpoint;
use super::error::{BadAnswer, Failure, RegistryError, SetupError};
use super::options::ClientOptions;
use super::refusal;
use super::retry::Until;
use super::throttle::Throttle;
use super::tls::{self, NamedRoots};
use super::{Stats, proxy};

/// Registries send to their storage, which may send on once; five is what the specification's clients allow.
pub(super) const MAX_REDIRECTS: usize = 5;

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
