//! One HTTP request and its answer, within limits of time and size, over a pool of connections.
//!
//! Gets one hop of a call that may be sent now, gives its answer and the time that it took. Whatever status comes back is an answer; no
//! cookie is kept, and no redirect followed ([`redirect`](super::redirect)).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, timeout_at};
use url::Url;

use super::answer::{self, Answer, offered};
use super::auth::Auth;
use super::body::{Size, beginning, body};
use super::call::{Call, Hop};
use super::classify::{at_proxy, classify, refused};
use super::connect::{Connector, MAX_HEADERS};
use super::failure::Failure;
use super::options::ClientOptions;
use super::setup_error::SetupError;
use super::stats::Counters;
use super::timed_body::TimedBody;
use super::tls::Tls;
use super::{endpoint, refusal};
use crate::net::dns::Dns;
use crate::net::proxy::{Proxies, Proxy};

/// Sends requests.
pub(super) struct Transport {
    http: Client<Connector, TimedBody>,
    proxies: Arc<Proxies>,
    tls: Arc<Tls>,
    user_agent: String,
    /// When everything must be done.
    deadline: Instant,
    /// The longest that one request may take.
    request_limit: Duration,
    /// Turns of large answers, where they are limited.
    large: Option<Arc<Semaphore>>,
    /// The secrets that the log of requests must not show.
    auth: Arc<Auth>,
    counters: Arc<Counters>,
}

/// The proxy that a request is sent to as a whole, over plain HTTP; others are led through.
#[derive(Clone, Copy)]
pub(super) struct Route<'a>(Option<&'a Proxy>);

/// The parts of an answer.
type Received = (StatusCode, HeaderMap, Bytes);

impl Transport {
    pub(super) fn new(
        options: &ClientOptions,
        proxies: Arc<Proxies>,
        auth: Arc<Auth>,
        counters: Arc<Counters>,
    ) -> Result<Self, SetupError> {
        let tls = Arc::new(Tls::new(options)?);
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
            user_agent: options.user_agent.clone(),
            deadline: options.deadline.into(),
            request_limit: options.request_limit,
            large: options.large_answers.map(|most| Arc::new(Semaphore::new(most))),
            auth,
            counters,
        })
    }

    /// How a request to `url` goes there.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being set up: a proxy's address, or what is configured for TLS.
    pub(super) fn route(&self, url: &Url) -> Result<Route<'_>, SetupError> {
        let proxy = self.proxies.of(url).map_err(SetupError::from)?;
        if url.scheme() == "https" {
            self.tls.of(url)?;
        }
        Ok(Route(proxy.filter(|_| url.scheme() == "http").map(Arc::as_ref)))
    }

    /// Sends `call` to `hop`; how long the answer took, too.
    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        hop: Hop<'_>,
        Route(proxy): Route<'_>,
    ) -> Result<(Answer, Duration), Failure> {
        let begun = Instant::now();
        if begun >= self.deadline {
            return Err(Failure::Deadline);
        }
        if call.send_by.is_some_and(|send_by| begun > send_by) {
            return Err(Failure::Outdated);
        }
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        let until = self.deadline.min(begun + self.request_limit);
        let result = timeout_at(until, self.answer(call, hop, proxy)).await.unwrap_or_else(|_| {
            let at = proxy.or_else(|| self.proxies.not_led_yet(hop.url).map(Arc::as_ref));
            Err(at_proxy(Failure::TimedOut { after: until - begun }, at))
        });
        self.log(call, hop.url, &result, begun);
        let (status, headers, body) = result?;
        if hop.url.scheme() == "http" && status.is_client_error() && refusal::wants_https(&body) {
            return Err(Failure::NotHttp);
        }
        let withheld = call.authorization.is_some() && hop.authorization.is_none();
        let sent = call.authorization.cloned();
        Ok((Answer { status, headers, body, url: hop.url.clone(), sent, withheld }, begun.elapsed()))
    }

    async fn answer(
        &self,
        call: &Call<'_>,
        hop: Hop<'_>,
        proxy: Option<&Proxy>,
    ) -> Result<Received, Failure> {
        let mut request = request(call, hop).map_err(|error| Failure::Network(error.into()))?;
        let mut set = |name: HeaderName, value: Option<HeaderValue>| {
            if let Some(value) = value {
                request.headers_mut().insert(name, value);
            }
        };
        set(USER_AGENT, HeaderValue::from_str(&self.user_agent).ok());
        set(PROXY_AUTHORIZATION, proxy.and_then(Proxy::login));
        let response = self.http.request(request).await;
        let response = response.map_err(|error| classify(Box::new(error), hop.url, proxy))?;
        let (head, response) = response.into_parts();
        let size = Size { limit_bytes: call.limit_bytes, large: self.large.as_ref() };
        let body = match head.status {
            _ if call.method == Method::HEAD => Bytes::new(),
            status if status.is_success() => body(response, size, hop.url).await?,
            _ => beginning(response).await,
        };
        // Whatever the proxy says itself can be the registry's too, but for this.
        if let (Some(proxy), StatusCode::PROXY_AUTHENTICATION_REQUIRED) = (proxy, head.status) {
            let refusal = answer::refusal(head.status, &head.headers, &body);
            return Err(at_proxy(refused(proxy, refusal, offered(&head.headers)), Some(proxy)));
        }
        Ok((head.status, head.headers, body))
    }

    /// Logs the request and what came of it, at the level `debug`.
    fn log(&self, call: &Call<'_>, url: &Url, result: &Result<Received, Failure>, begun: Instant) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let status = result.as_ref().map(|(status, ..)| status.as_u16()).ok();
        let mask = self.auth.mask(call.authorization);
        let error = result.as_ref().map_err(ToString::to_string).err();
        let error = error.as_deref().map(|error| mask.text(error)).map(tracing::field::display);
        let url = endpoint::redacted(url);
        let ms = begun.elapsed().as_millis();
        tracing::debug!(method = %call.method, url = %mask.text(&url), status, error, ms, "request");
    }
}

fn request(call: &Call<'_>, hop: Hop<'_>) -> Result<Request<TimedBody>, http::Error> {
    let body = TimedBody::new(call.body.cloned().unwrap_or_default(), call.send_by);
    // A fragment isn't sent.
    let address = &hop.url[..url::Position::AfterQuery];
    let mut request = Request::builder().method(call.method.clone()).uri(address).body(body)?;
    let headers = request.headers_mut();
    let mut set = |name: HeaderName, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    set(AUTHORIZATION, hop.authorization.cloned());
    set(ACCEPT, Some(HeaderValue::from_static(call.accept.unwrap_or("*/*"))));
    set(CONTENT_TYPE, call.content_type.cloned());
    // Registries answer 411 to a POST that leaves it out.
    set(CONTENT_LENGTH, call.body.map(|body| body.len().into()));
    Ok(request)
}
