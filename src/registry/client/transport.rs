//! One HTTP request and its answer, within limits of time and size.
//!
//! Redirects are followed by hand: at most [`MAX_REDIRECTS`], never from HTTPS to plain HTTP, and the login goes along only while
//! scheme, host and port stay the same. What writes is sent on only there, and only by a 307 or 308, which keep method and body. No
//! cookie is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, PROXY_AUTHORIZATION, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, timeout_at};
use url::Url;

use super::Stats;
pub(super) use super::answer::Answer;
use super::answer::offered;
use super::answer_times::{AnswerTimes, Measured, Times};
use super::auth::Auth;
use super::bad_answer::BadAnswer;
use super::body::{Size, beginning, body};
use super::classify::{at_proxy, classify, refused};
use super::connect::{Connector, MAX_HEADERS};
use super::endpoint;
use super::error::RegistryError;
use super::failure::Failure;
use super::options::ClientOptions;
use super::refusal;
use super::setup_error::SetupError;
use super::throttle::Throttle;
use super::timed_body::TimedBody;
use super::tls::Tls;
use crate::net;
use crate::net::dns::Dns;
use crate::net::proxy::ThroughProxy;
use crate::net::proxy::{Proxies, Proxy};
use crate::net::retry::{self, Until};

/// Registries send to their storage, which may send on once; five is what the specification's clients allow.
pub(super) const MAX_REDIRECTS: usize = 5;

/// Sends requests.
pub(super) struct Transport {
    pub(super) options: ClientOptions,
    http: Client<Connector, TimedBody>,
    proxies: Arc<Proxies>,
    tls: Arc<Tls>,
    throttle: Throttle,
    /// Turns of large answers, where they are limited.
    large: Option<Arc<Semaphore>>,
    requests: AtomicU64,
    throttled: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) tokens: AtomicU64,
    times: AnswerTimes,
}

/// What is sent.
pub(super) struct Call<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    pub(super) authorization: Option<&'a HeaderValue>,
    pub(super) accept: Option<&'static str>,
    pub(super) content_type: Option<&'a HeaderValue>,
    pub(super) body: Option<&'a Bytes>,
    /// Until when it may be sent; `None`: at any time.
    pub(super) send_by: Option<Instant>,
    /// The largest body of a success.
    pub(super) limit_bytes: u64,
    /// Whether it goes before what waits for a place.
    pub(super) urgent: bool,
    /// The secrets that the log of the request must not show.
    pub(super) auth: &'a Auth,
    /// Whether a redirect may lead to another scheme, host or port.
    pub(super) leaves_origin: bool,
    /// The address of the registry whose times the answer's counts for; `None`: no registry's.
    pub(super) registry: Option<&'a Url>,
}

impl Call<'_> {
    /// Logs the request and what came of it, at the level `debug`.
    fn log(&self, url: &Url, result: &Result<Answer, Fault>, begun: Instant) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let status = result.as_ref().map(|answer| answer.status.as_u16()).ok();
        let mask = self.auth.mask(self.authorization);
        let error = result.as_ref().map_err(|fault| fault.failure.to_string()).err();
        let error = error.as_deref().map(|error| mask.text(error)).map(tracing::field::display);
        let url = endpoint::redacted(url);
        let ms = begun.elapsed().as_millis();
        tracing::debug!(method = %self.method, url = %mask.text(&url), status, error, ms, "request");
    }
}

/// A failure, and the address it happened at.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) url: Url,
    pub(super) failure: Failure,
}

impl Transport {
    pub(super) fn new(options: ClientOptions) -> Result<Self, SetupError> {
        let proxies = Arc::new(Proxies::new(&options.environment));
        let tls = Arc::new(Tls::new(&options)?);
        let dns = Dns::new(options.files.clone());
        let connector = Connector::new(dns, Arc::clone(&proxies), Arc::clone(&tls), &options.user_agent);
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_limit)
            // Challenges may be folded over several lines.
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            // What Go's clients, and others, take too.
            .http1_max_headers(MAX_HEADERS)
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .build(connector);
        Ok(Self {
            http,
            proxies,
            tls,
            throttle: Throttle::new(options.requests_per_host),
            large: options.large_answers.map(|most| Arc::new(Semaphore::new(most))),
            requests: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            times: AnswerTimes::new(),
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

    /// The proxy that a request to `url` went through, where that can have to do with `failure`: over plain HTTP each answer may be the
    /// proxy's own; over HTTPS what the server behind it answers is the server's.
    pub(super) fn through(&self, url: &Url, failure: &Failure) -> Option<ThroughProxy> {
        let proxy = match failure {
            Failure::Proxy { .. } | Failure::LeftAlone { .. } => None,
            Failure::Deadline => self.proxies.not_led_yet(url),
            failure if url.scheme() == "http" || failure.is_of_connection() => self.proxies.used(url),
            _ => None,
        };
        proxy.map(|proxy| proxy.told())
    }

    /// How long the answers of the registry at `home` take.
    pub(super) fn times(&self, home: &Url) -> Times {
        self.times.of(net::origin(home))
    }

    /// Takes in how long an answer to `call` took.
    fn note(&self, call: &Call<'_>, status: StatusCode, took: Duration) {
        let Some(home) = call.registry else { return };
        let measured = Measured {
            took,
            // Storage may be closer than its registry, and what refuses for the moment may stand before it.
            shows_distance: endpoint::same_origin(home, call.url) && !retry::status_is_transient(status),
            is_write: *call.method == Method::PUT,
        };
        self.times.note(net::origin(home), measured);
    }

    /// When everything must be done.
    pub(super) fn deadline(&self) -> Instant {
        Instant::from_std(self.options.deadline)
    }

    /// Sends `call`, and follows redirects: what writes only to the same origin.
    pub(super) async fn exchange(&self, call: &Call<'_>) -> Result<Answer, Exchange> {
        let reads = matches!(*call.method, Method::GET | Method::HEAD);
        let mut url = call.url.clone();
        let mut took = Duration::ZERO;
        for _ in 0..=MAX_REDIRECTS {
            let authorization = call.authorization.filter(|_| endpoint::same_origin(call.url, &url));
            let (answer, took_this) = self.once(call, &url, authorization).await?;
            took += took_this;
            let location = match answer.headers.get(LOCATION) {
                Some(location) if reads && answer.status.is_redirection() => location,
                Some(location) if keeps_method(answer.status) => location,
                _ => {
                    self.note(call, answer.status, took);
                    return Ok(answer);
                }
            };
            let next = match follow(location, &url) {
                Ok(next) => next,
                Err(bad) => return Err(Fault { url, failure: Failure::BadAnswer(bad) }.into()),
            };
            let leaves = !endpoint::same_origin(call.url, &next);
            if leaves && !reads {
                self.note(call, answer.status, took);
                return Ok(answer);
            }
            if leaves && !call.leaves_origin {
                let failure = Failure::TokenServiceRedirect { to: endpoint::redacted(&next) };
                return Err(Fault { url, failure }.into());
            }
            url = next;
        }
        let failure = Failure::BadAnswer(BadAnswer::Redirects(MAX_REDIRECTS));
        Err(Fault { url, failure }.into())
    }

    /// Sends `call` to `url`; how long the answer took, too, without the wait for a place.
    async fn once(
        &self,
        call: &Call<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<(Answer, Duration), Exchange> {
        let fault = |failure| Fault { url: url.clone(), failure };
        // What can't be set up is said before anything is sent.
        let proxy = self.proxies.of(url).map_err(SetupError::from)?;
        if url.scheme() == "https" {
            self.tls.of(url)?;
        }
        // The one that a request over plain HTTP is sent to; others are led through.
        let proxy = proxy.filter(|_| url.scheme() == "http").map(Arc::as_ref);
        let deadline = self.deadline();
        // Waiting for a place doesn't count against the request's own time, only against the run's.
        let permit = self.throttle.permit(net::origin(url), call.urgent, deadline);
        let permit = timeout_at(deadline, permit).await.map_err(|_| fault(Failure::Deadline))?;
        let permit = permit.map_err(|wait| {
            let until = Until::after(wait, SystemTime::now());
            fault(Failure::LeftAlone { host: net::host(url).to_owned(), until })
        })?;
        let begun = Instant::now();
        if begun >= deadline {
            return Err(fault(Failure::Deadline).into());
        }
        if call.send_by.is_some_and(|send_by| begun > send_by) {
            return Err(fault(Failure::Outdated).into());
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let until = deadline.min(begun + self.options.request_limit);
        let size = Size { limit_bytes: call.limit_bytes, large: self.large.as_ref() };
        let sent = timeout_at(until, self.answer(call, url, authorization, proxy, size));
        let result = sent
            .await
            .unwrap_or_else(|_| {
                let at = proxy.or_else(|| self.proxies.not_led_yet(url).map(Arc::as_ref));
                Err(at_proxy(Failure::TimedOut { after: until - begun }, at))
            })
            .map(|(status, headers, body)| {
                let withheld = call.authorization.is_some() && authorization.is_none();
                let sent = call.authorization.cloned();
                Answer { status, headers, body, url: url.clone(), sent, withheld }
            })
            .map_err(fault);
        call.log(url, &result, begun);
        let answer = result?;
        if url.scheme() == "http" && answer.status.is_client_error() && refusal::wants_https(&answer.body) {
            return Err(fault(Failure::NotHttp).into());
        }
        let took = begun.elapsed();
        let wait = answer.retry_after();
        if retry::leaves_alone(answer.status, wait) {
            self.throttled.fetch_add(1, Ordering::Relaxed);
            permit.throttled(wait);
        } else {
            permit.went_well(call.method);
        }
        Ok((answer, took))
    }

    async fn answer(
        &self,
        call: &Call<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
        proxy: Option<&Proxy>,
        size: Size<'_>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
        let mut request =
            request(call, url, authorization).map_err(|error| Failure::Network(error.into()))?;
        let mut set = |name: HeaderName, value: Option<HeaderValue>| {
            if let Some(value) = value {
                request.headers_mut().insert(name, value);
            }
        };
        set(USER_AGENT, HeaderValue::from_str(&self.options.user_agent).ok());
        set(PROXY_AUTHORIZATION, proxy.and_then(Proxy::login));
        let response = self.http.request(request).await;
        let response = response.map_err(|error| classify(Box::new(error), url, proxy))?;
        let (head, response) = response.into_parts();
        let body = match head.status {
            _ if call.method == Method::HEAD => Bytes::new(),
            status if status.is_success() => body(response, size, url).await?,
            _ => beginning(response).await,
        };
        // Whatever the proxy says itself can be the registry's too, but for this.
        if let (Some(proxy), StatusCode::PROXY_AUTHENTICATION_REQUIRED) = (proxy, head.status) {
            let refusal = super::answer::refusal(head.status, &head.headers, &body);
            return Err(at_proxy(refused(proxy, refusal, offered(&head.headers)), Some(proxy)));
        }
        Ok((head.status, head.headers, body))
    }
}

/// Whether a redirect with this status asks for the same request again, with its body.
fn keeps_method(status: StatusCode) -> bool {
    matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
}

fn request(
    call: &Call<'_>,
    url: &Url,
    authorization: Option<&HeaderValue>,
) -> Result<Request<TimedBody>, http::Error> {
    let body = TimedBody::new(call.body.cloned().unwrap_or_default(), call.send_by);
    // A fragment isn't sent.
    let address = &url[..url::Position::AfterQuery];
    let mut request = Request::builder().method(call.method.clone()).uri(address).body(body)?;
    let headers = request.headers_mut();
    let mut set = |name: HeaderName, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    set(AUTHORIZATION, authorization.cloned());
    set(ACCEPT, Some(HeaderValue::from_static(call.accept.unwrap_or("*/*"))));
    set(CONTENT_TYPE, call.content_type.cloned());
    // Registries answer 411 to a POST that leaves it out.
    set(CONTENT_LENGTH, call.body.map(|body| body.len().into()));
    Ok(request)
}

/// Where a `Location` leads, if it may be followed from `url`.
pub(super) fn follow(location: &HeaderValue, url: &Url) -> Result<Url, BadAnswer> {
    let text = String::from_utf8_lossy(location.as_bytes());
    if text.trim().is_empty() {
        return Err(BadAnswer::EmptyLocation);
    }
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
