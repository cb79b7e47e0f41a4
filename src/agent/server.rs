//! The socket's connections: how many there are, how long each may take, and how all of them end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connections::{Connections, MakeWay, Seat};
use super::{Agent, Peer, Socket};

/// How long a client may take to send a request's head, or to begin with the next one.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// A request of Stepseal's client has a handful of headers.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// What hyper reads ahead on a connection, and what it keeps of answers that aren't read.
const BUFFER_BYTES: usize = 32 * 1024;
/// How long a connection lives; a client that reads no answers can't hold one for ever.
const CONNECTION_LIMIT: Duration = Duration::from_secs(300);
/// Without a pause, a process that is out of file descriptors would spin.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);

/// At the end: so long a client that has just connected may take to send its request.
const LAST_REQUESTS: Duration = Duration::from_millis(300);
/// At the end: so long what was begun may take. Kubernetes waits thirty seconds for a container.
const LAST_ANSWERS: Duration = Duration::from_secs(25);

/// How the agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How many connections, and requests whose clients have gone, were cut off before they had ended.
    pub cut: usize,
}

/// Tells connections that the end has come.
type Stop = watch::Receiver<bool>;

/// Answers requests on `socket` until `stop` ends; then finishes what was begun.
pub async fn serve(socket: &Socket, agent: &Arc<Agent>, stop: impl Future<Output = ()>) -> Ended {
    let places = Arc::new(Connections::default());
    let (end, ended) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = socket.listener.accept() => accepted,
            () = &mut stop => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(agent), places.enter(), ended.clone()));
            }
            Err(_) => sleep(PAUSE_AFTER_FAILURE).await,
        }
    }
    socket.hide();
    // Clients that had connected by then are in the queue and get an answer.
    while let Ok(Ok((stream, _))) = timeout(LAST_REQUESTS, socket.listener.accept()).await {
        connections.spawn(connection(stream, Arc::clone(agent), places.enter(), ended.clone()));
    }
    let _ = end.send(true);
    let mut cut = 0;
    let all = async {
        while let Some(ended) = connections.join_next().await {
            cut += usize::from(!matches!(ended, Ok(true)));
        }
        agent.idle().await;
    };
    let in_time = timeout(LAST_ANSWERS, all).await.is_ok();
    let left = if in_time { 0 } else { connections.len().max(1) };
    Ended { cut: cut + left }
}

/// Answers the requests of one connection, until it ends or has to make way; whether all was answered that it began.
async fn connection(
    stream: UnixStream,
    agent: Arc<Agent>,
    (seat, mut make_way): (Seat, MakeWay),
    mut stop: Stop,
) -> bool {
    let peer = stream.peer_cred().ok();
    let peer = peer.map(|peer| Peer { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() });
    let service = service_fn(|request| {
        let (agent, seat) = (&agent, &seat);
        async move { Ok::<_, Infallible>(agent.answer(peer, seat, request).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_LIMIT)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEADER_BYTES)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        _ = &mut make_way => return true,
        _ = stop.wait_for(|ended| *ended) => None,
        () = sleep(CONNECTION_LIMIT) => None,
    };
    let ended = match ended {
        Some(ended) => Some(ended),
        // The request that it is at is answered, and no other.
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(LAST_ANSWERS, connection).await.ok()
        }
    };
    if let Some(Err(error)) = &ended
        && error.is_parse()
    {
        agent.log.event("not_http", json!({ "peer": peer }));
    }
    ended.is_some()
}
