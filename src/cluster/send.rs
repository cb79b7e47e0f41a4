//! A request to the API server: with a time limit, a limit of size, and again if that can help.
//!
//! Sent again are requests that got no answer, and those answered with 408, 429 or 5xx, with the waits of the
//! [registry client](crate::net::retry), until the deadline. 4xx are not; only a 401 is tried once more when the mounted token has
//! been renewed in between.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Cluster;
use super::error::{ClusterError, Exchange, Failure, Refusal, RequestError, Verb};
use super::kind::Kind;
use super::secret_data::SecretData;
use super::sent::Sent;
use crate::mask::Mask;
use crate::net::retry;
use crate::object_name::ObjectName;

/// The longest that one request may take, answer included.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// The longest answer that is read. etcd keeps no object above 1.5 MiB; the JSON of one can be longer than what etcd keeps.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// How many objects a page of a list has at most, and how long it may be. TaskRuns and their Pods have some ten kilobytes each.
const PAGE_OBJECTS: usize = 100;
const PAGE_BYTES: usize = 32 * 1024 * 1024;

/// A request to the API server.
pub(super) struct Call<'a> {
    pub(super) verb: Verb,
    pub(super) kind: Kind,
    pub(super) object: &'a ObjectName,
    /// The page from which to continue a list.
    pub(super) page: Option<&'a str>,
    /// What is sent; wiped when it is dropped, if it was made to be.
    pub(super) body: Option<Bytes>,
}

/// What was answered: the object's JSON, in memory that is wiped.
pub(super) struct Reply {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// How often it was sent. After the first time, the answer may be to what an earlier one did.
    pub(super) attempts: u32,
}

impl Call<'_> {
    fn method(&self) -> Method {
        match self.verb {
            Verb::Get | Verb::List => Method::GET,
            Verb::Create => Method::POST,
            Verb::Patch => Method::PATCH,
        }
    }

    fn limit(&self) -> usize {
        if self.verb == Verb::List { PAGE_BYTES } else { ANSWER_BYTES }
    }

    fn path(&self) -> String {
        let objects = self.kind.path(self.object.namespace());
        match self.verb {
            Verb::Get => format!("{objects}/{}", self.object.name()),
            Verb::List => {
                let page = utf8_percent_encode(self.page.unwrap_or_default(), NON_ALPHANUMERIC);
                let page = if self.page.is_some() { format!("&continue={page}") } else { String::new() };
                let name = self.object.name();
                format!(
                    "{objects}?labelSelector=tekton.dev%2FpipelineRun%3D{name}&limit={PAGE_OBJECTS}{page}"
                )
            }
            Verb::Create => format!("{objects}?fieldManager={}", super::FIELD_MANAGER),
            Verb::Patch => format!("{objects}/{}?fieldManager={}", self.object.name(), super::FIELD_MANAGER),
        }
    }

    /// Hides the login, and the values of a Secret that is sent.
    fn mask(&self, sent: Option<&Sent>, token: Option<&str>) -> Mask {
        let mut mask = Mask::default();
        if let Some(Sent(header)) = sent {
            mask.authorization(header);
        }
        mask.secret(token.unwrap_or_default().as_bytes());
        if self.kind == Kind::Secret
            && let Some(data) = self.body.as_deref().and_then(|body| SecretData::parse(body, self.object))
        {
            data.hide(&mut mask);
        }
        mask
    }

    fn request(&self, token: Option<&str>) -> Result<Request<Body>, http::Error> {
        let mut request = Request::builder()
            .method(self.method())
            .uri(self.path())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("stepseal/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&Zeroizing::new(format!("Bearer {token}")))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let kind = match self.verb {
            // Server-side apply; JSON is YAML.
            Verb::Patch => "application/apply-patch+yaml",
            _ => "application/json",
        };
        match &self.body {
            Some(body) => request.header(CONTENT_TYPE, kind).body(Body::from(body.clone())),
            None => request.body(Body::empty()),
        }
    }
}

impl Cluster {
    /// Sends `call` until it works, can't, or there is no time left.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Reply, ClusterError> {
        let mut attempts = 0;
        let mut renewed = false;
        loop {
            let token = match self.0.login.token() {
                Ok(token) => token,
                Err((path, error)) => {
                    return Err(self.failed(call, Failure::Token(path, error), attempts, None));
                }
            };
            let token = token.as_ref().map(|token| token.as_str());
            attempts += 1;
            let failure = match self.once(call, token).await {
                Ok(bytes) => return Ok(Reply { bytes, attempts }),
                Err(failure) => failure,
            };
            let unknown = matches!(&failure, Failure::Refused(refusal) if refusal.status == 401);
            let now = self.0.login.token().ok().flatten();
            if unknown && !renewed && now.as_ref().map(|now| now.as_str()) != token {
                renewed = true;
                continue;
            }
            if !self.pause(attempts - 1, &failure).await {
                return Err(self.failed(call, failure, attempts, token));
            }
        }
    }

    fn failed(&self, call: &Call<'_>, failure: Failure, attempts: u32, token: Option<&str>) -> ClusterError {
        let (url, _) = self.0.server.trim_end_matches('/').split_once('?').unwrap_or((&self.0.server, ""));
        let url = format!("{}{}", url.trim_end_matches('/'), call.path());
        ClusterError::Request(Box::new(RequestError {
            verb: call.verb,
            kind: call.kind,
            object: call.object.clone(),
            who: self.0.login.who(token),
            exchange: Exchange { method: call.method(), url, failure, attempts },
            unread: self.0.unread.clone(),
        }))
    }

    /// A success that isn't the object that was asked for.
    pub(super) fn not_the_object(&self, call: &Call<'_>, attempts: u32) -> ClusterError {
        self.failed(call, Failure::NotTheObject(call.kind), attempts, None)
    }

    /// A list without an end.
    pub(super) fn endless(&self, call: &Call<'_>, pages: usize) -> ClusterError {
        self.failed(call, Failure::Pages(pages), 1, None)
    }

    /// Waits as is right after a failure; `false` at once if trying again makes no sense or there is no time.
    async fn pause(&self, attempt: u32, failure: &Failure) -> bool {
        let asked = match failure {
            Failure::Refused(refusal) => {
                let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
                if !retry::status_is_transient(status) {
                    return false;
                }
                refusal.retry_after
            }
            Failure::TimedOut(_) | Failure::Unreachable(_) | Failure::BrokeOff(_) => None,
            _ => return false,
        };
        let wait = retry::wait(attempt, asked);
        let left = Instant::from_std(self.0.deadline).saturating_duration_since(Instant::now());
        if attempt + 1 >= retry::MAX_ATTEMPTS || wait >= left {
            return false;
        }
        tracing::debug!(%failure, attempt, ms = wait.as_millis(), "the API server is asked again in a moment");
        tokio::time::sleep(wait).await;
        true
    }

    async fn once(&self, call: &Call<'_>, token: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let left = Instant::from_std(self.0.deadline).saturating_duration_since(Instant::now());
        let limit = left.min(REQUEST_LIMIT);
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        let answer = tokio::time::timeout(limit, self.exchange(call, token)).await;
        answer.map_err(|_| {
            Failure::TimedOut(Duration::from_millis(u64::try_from(limit.as_millis()).unwrap_or(0)))
        })?
    }

    async fn exchange(&self, call: &Call<'_>, token: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let request = call
            .request(token)
            .map_err(|error| Failure::Unreachable(Box::new(kube::Error::HttpError(error))))?;
        let response = self.0.client.send(request).await.map_err(Failure::unsent)?;
        let (parts, mut body) = response.into_parts();
        // One allocation that doesn't grow for what a Secret needs, so that no copies are left behind.
        let announced = parts
            .headers
            .get(http::header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let mut bytes = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(64 * 1024).min(call.limit())));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::BrokeOff(Box::new(error)))?;
            let Some(data) = frame.data_ref() else { continue };
            if bytes.len() + data.len() > call.limit() {
                return Err(Failure::TooLarge(call.limit()));
            }
            grow(&mut bytes, data.len());
            bytes.extend_from_slice(data);
        }
        if parts.status.is_success() {
            return Ok(bytes);
        }
        let after = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.and_then(|value| retry::retry_after(value, SystemTime::now()));
        let mask = call.mask(parts.extensions.get::<Sent>(), token);
        Err(Failure::Refused(Refusal::new(parts.status.as_u16(), &bytes, after, &mask)))
    }
}

/// Makes room for `more`; what outgrew its place is wiped there.
fn grow(bytes: &mut Zeroizing<Vec<u8>>, more: usize) {
    if bytes.capacity() - bytes.len() < more {
        let mut larger = Zeroizing::new(Vec::with_capacity((bytes.len() + more) * 2));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
}
