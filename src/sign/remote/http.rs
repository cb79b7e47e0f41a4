//! One question to the agent, on a connection of its own.

use std::io::ErrorKind;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout_at;

pub(super) use ::http::{Method, StatusCode};

use super::{AgentAddress, AgentError};

/// The longest answer, in bytes: a signature, a key, or a refusal with its causes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// The user who listens, by number.
    pub(super) listener: u32,
}

pub(super) type Request = ::http::Request<Full<Bytes>>;

pub(super) fn request(method: Method, route: &str, body: Full<Bytes>) -> Result<Request, AgentError> {
    let request = ::http::Request::builder().method(method).uri(route).header("host", "agent");
    request.header("content-type", "application/json").body(body).map_err(AgentError::Http)
}

/// Connects, asks, and reads the answer, all of it before `limit`.
pub(super) async fn exchange(
    address: &AgentAddress,
    request: Request,
    limit: Instant,
) -> Result<Answer, AgentError> {
    let exchange = async {
        let stream = connect(address).await?;
        let listener = stream.peer_cred();
        let listener =
            listener.map_err(|source| AgentError::Connect { address: address.clone(), source })?.uid();
        let lost = |source| AgentError::Lost { address: address.clone(), source };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        // It ends when the sender is dropped; what it has to say comes through the answer.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(lost)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|_| AgentError::Answer {
            address: address.clone(),
            what: "its answer is cut off, or longer than any of an agent's",
        })?;
        Ok(Answer { status, body: body.to_bytes(), listener })
    };
    let timed_out = |_| AgentError::TimedOut { address: address.clone() };
    timeout_at(limit.into(), exchange).await.map_err(timed_out)?
}

async fn connect(address: &AgentAddress) -> Result<UnixStream, AgentError> {
    UnixStream::connect(address.path()).await.map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::WouldBlock => {
            AgentError::Absent { address: address.clone(), source }
        }
        _ => AgentError::Connect { address: address.clone(), source },
    })
}
