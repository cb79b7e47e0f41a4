//! From bytes on a connection to an answer: reads a request, lets it in, does it, and does wrong what the
//! faults say.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::api::{self, Call};
use super::content::Content;
use super::fault::{Answer, Effect, Faults, ManifestPut, Moment, Page};
use super::guard::{Guard, Need};
use super::log::Log;
use super::manners::Asked;
use super::options::{Options, TokenService};
use super::reply::{DOCKER_CONTENT_DIGEST, ErrorCode, Reply};
use super::token;
use super::wire::{Address, Route, route};

/// The most bytes of one request's body: the envelope of a predicate of 64 MiB, and less than half of all that is held.
const MAX_BODY_BYTES: usize = 96 << 20;

/// What every connection shares.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) public_url: String,
    pub(super) content: Content,
    pub(super) faults: Faults,
    pub(super) guard: Guard,
    pub(super) log: Log,
}

/// Which of the two listeners a connection came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Registry,
    TokenService,
}

/// Ends every connection when its other half is dropped.
pub(super) type Stop = watch::Receiver<()>;

/// A fault wants the connection to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is reset on purpose")]
struct Gone;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Accepts connections until it is stopped.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>, door: Door, mut stop: Stop) {
    /// Without a pause, a process that is out of file descriptors would spin.
    const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(serve_tcp(stream, Arc::clone(&shared), door, stop.clone()));
            }
            Err(_) => tokio::time::sleep(PAUSE_AFTER_FAILURE).await,
        }
    }
}

async fn serve_tcp(stream: TcpStream, shared: Arc<Shared>, door: Door, stop: Stop) {
    // Without it, Nagle's algorithm adds 40 ms to some answers. A failure costs time only.
    let _ = stream.set_nodelay(true);
    if let Some(stream) = serve(stream, shared, door, stop).await {
        // With no time to linger, dropping the stream sends a reset. If it can't be set, the client sees
        // the end of the stream: no answer either way.
        let _ = stream.set_zero_linger();
    }
}

/// Serves one connection; gives it back if a fault wants it to be reset.
pub(super) async fn serve<I>(io: I, shared: Arc<Shared>, door: Door, mut stop: Stop) -> Option<I>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: http::Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let (head, body) = request.into_parts();
            let request = Request::read(head, body).await;
            respond(shared, door, request).await
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(io), service);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = stop.changed() => return None,
    };
    match ended {
        Err(error) if error.is_user() => Some(connection.into_parts().io.into_inner()),
        _ => None,
    }
}

/// A request with its whole body.
struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, Reply>,
}

impl Request {
    async fn read(head: http::request::Parts, body: Incoming) -> Self {
        let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                let message = "the body is longer than the embedded registry takes";
                Err(Reply::error(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message))
            }
            Err(_) => Err(Reply::error(
                StatusCode::BAD_REQUEST,
                ErrorCode::SizeInvalid,
                "the body ended before its announced length",
            )),
        };
        Self { method: head.method, uri: head.uri, headers: head.headers, body }
    }

    fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("/", |text| text.as_str())
    }

    fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }
}

async fn respond(
    shared: Arc<Shared>,
    door: Door,
    mut request: Request,
) -> Result<http::Response<Body>, Gone> {
    let _working = shared.log.working();
    let number = shared.log.asked(&request.method, request.path_and_query(), &request.headers);
    let effects = shared.faults.of(&request.method, request.path_and_query());
    let early = effects.iter().find_map(|effect| match effect {
        Effect::Reset => Some(Err(Gone)),
        Effect::Answer(answer) => Some(Ok(instead(&shared, &request, answer))),
        _ => None,
    });
    let path_and_query = request.path_and_query().to_owned();
    let asked = Asked {
        method: &request.method,
        path_and_query: &path_and_query,
        headers: &request.headers,
        body: request.body.as_deref().unwrap_or_default(),
        content: &shared.content,
    };
    let manners = &shared.faults.manners;
    if let Some(uri) = manners.rewritten(&asked) {
        request.uri = uri;
    }
    let reply = match early {
        Some(reply) => reply?,
        None => match manners.instead(&asked) {
            Some(reply) => reply,
            None => right_reply(&shared, door, &request, &effects).await,
        },
    };
    let mut reply = manners.changed(&asked, reply);
    for effect in &effects {
        match effect {
            Effect::Delay(time) => tokio::time::sleep(*time).await,
            Effect::AnswerLost => return Err(Gone),
            effect => spoil(&mut reply, effect, &request),
        }
    }
    shared.log.answered(number, reply.status);
    Ok(onto_the_wire(reply, &effects))
}

/// The answer that the specification asks for.
async fn right_reply(shared: &Arc<Shared>, door: Door, request: &Request, effects: &[Effect]) -> Reply {
    let body = match &request.body {
        Ok(body) => body.clone(),
        Err(reply) => return reply.clone(),
    };
    let route = match route(request.uri.path()) {
        Ok(route) => route,
        Err(why) => return api::no_route(why, &request.method),
    };
    let own_listener = shared.options.token_service == TokenService::OwnListener;
    let token_door = if own_listener { Door::TokenService } else { Door::Registry };
    match (&route, door) {
        (Route::Token, door) if door == token_door => {
            return token::answer(&shared.guard, &request.method, &request.headers, request.query(), &body);
        }
        (Route::Token, _) | (_, Door::TokenService) => return Reply::no_such_page(),
        _ => {}
    }
    let caller = match shared.guard.admit(&request.headers, api::need(&route, &request.method)) {
        Ok(caller) => caller,
        Err(reply) => return reply,
    };
    let put = manifest_put(&route, &request.method);
    hook(shared, Moment::Before, put.as_ref()).await;
    let stale_reads = effects.iter().filter_map(|effect| match effect {
        Effect::Stale(reads) => Some(*reads),
        _ => None,
    });
    let call = Call {
        content: &shared.content,
        options: &shared.options,
        public_url: &shared.public_url,
        method: &request.method,
        query: url::form_urlencoded::parse(request.query().as_bytes()).into_owned().collect(),
        headers: &request.headers,
        body,
        caller,
        stale_reads: stale_reads.max().unwrap_or(0),
    };
    let reply = api::answer(&route, call);
    if reply.status.is_success() {
        hook(shared, Moment::After, put.as_ref()).await;
    }
    reply
}

fn manifest_put(route: &Route, method: &Method) -> Option<ManifestPut> {
    match route {
        Route::Manifest { repository, reference } if *method == Method::PUT => {
            Some(ManifestPut { repository: repository.clone(), reference: reference.to_string() })
        }
        _ => None,
    }
}

/// Calls a hook, on a thread where it may block.
async fn hook(shared: &Arc<Shared>, moment: Moment, put: Option<&ManifestPut>) {
    let Some(put) = put.filter(|_| shared.faults.has_hook(moment)).cloned() else { return };
    let shared = Arc::clone(shared);
    let call = move || shared.faults.call_hook(moment, &shared.content, &put);
    // A hook that panics has shown its message already; the test sees the rest.
    let _ = tokio::task::spawn_blocking(call).await;
}

/// The answer of a fault, which replaces the correct answer.
fn instead(shared: &Shared, request: &Request, answer: &Answer) -> Reply {
    const HTML: &str = "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>Upstream \
                        error</h1><p>The proxy got no good answer.</p></body></html>\n";
    let mut reply = match &answer.page {
        Page::Json(code, message) => Reply::error(answer.status, *code, message),
        Page::Html => Reply::new(answer.status).content("text/html", HTML.into()),
        Page::Huge(bytes) => Reply::error(answer.status, ErrorCode::Unsupported, &"x".repeat(*bytes)),
        Page::NotUtf8 => Reply::new(answer.status)
            .content("application/json", Bytes::from_static(b"\xff\xfe\x1b[2J{\"err\xc3\x28")),
        Page::Empty => Reply::new(answer.status),
    };
    if let Some(value) = &answer.retry_after {
        reply = reply.header(RETRY_AFTER, value);
    }
    if answer.status == StatusCode::UNAUTHORIZED {
        let route = route(request.uri.path()).ok();
        let need: Need<'_> = route.as_ref().and_then(|route| api::need(route, &request.method));
        reply = shared.guard.challenge(reply, need, None);
    }
    reply
}

/// Takes from an answer what a fault wants to be wrong with it.
fn spoil(reply: &mut Reply, effect: &Effect, request: &Request) {
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    match effect {
        Effect::NoLocation => {
            reply.headers.remove(LOCATION);
        }
        Effect::NoDigestHeader => {
            reply.headers.remove(DOCKER_CONTENT_DIGEST);
        }
        Effect::WrongDigestHeader if reply.headers.contains_key(DOCKER_CONTENT_DIGEST) => {
            let wrong = Address::of(b"other content");
            *reply = reply.clone().header(DOCKER_CONTENT_DIGEST, wrong.as_str());
        }
        Effect::WrongBytes if reads && reply.status.is_success() => {
            reply.body = wrong_bytes(&reply.body, request.uri.path().contains("/manifests/"));
        }
        Effect::Redirect(base) if reads => {
            let to = format!("{}{}", base.trim_end_matches('/'), request.path_and_query());
            *reply = Reply::new(StatusCode::TEMPORARY_REDIRECT).header(LOCATION, &to);
        }
        _ => {}
    }
}

fn wrong_bytes(right: &Bytes, manifest: bool) -> Bytes {
    let mut wrong = right.to_vec();
    match wrong.last_mut() {
        Some(last) if !manifest => *last ^= 1,
        _ => wrong.push(b'\n'),
    }
    wrong.into()
}

fn onto_the_wire(mut reply: Reply, effects: &[Effect]) -> http::Response<Body> {
    let body = std::mem::take(&mut reply.body);
    // Said aloud so that HEAD says it too.
    if reply.status != StatusCode::NO_CONTENT {
        reply = reply.header(CONTENT_LENGTH, &body.len().to_string());
    }
    let middle = effects.iter().find_map(|effect| match effect {
        Effect::Stall(time) => Some(Some(*time)),
        Effect::BodyCut => Some(None),
        _ => None,
    });
    match middle {
        Some(pause) => reply.into_response(halved(&body, pause)),
        None => {
            reply.into_response(Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync())
        }
    }
}

/// A body that pauses in its middle, or ends there.
fn halved(body: &Bytes, pause: Option<Duration>) -> Body {
    let (head, tail) = (body.slice(..body.len() / 2), body.slice(body.len() / 2..));
    let rest = async move {
        let Some(pause) = pause else { return Err(io::ErrorKind::ConnectionReset.into()) };
        tokio::time::sleep(pause).await;
        Ok(Frame::data(tail))
    };
    StreamBody::new(stream::iter([Ok(Frame::data(head))]).chain(stream::once(rest))).boxed_unsync()
}
