//! One question to the agent, on a connection of its own, and again where the agent had no room for it.
//!
//! Signing again is safe: what was signed without an answer is one more of the agent's signatures.

use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime};

use ::http::header::RETRY_AFTER;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout_at;

pub(super) use ::http::{Method, StatusCode};

use super::{AgentAddress, AgentError};
use crate::net::retry;

/// The longest answer, in bytes: a signature, a key, or a refusal with its causes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// How often a question is asked at most. An agent whose connections are all taken closes some, and one without room says so.
const MAX_ATTEMPTS: u32 = 6;

/// The answer of the agent.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// How long the agent wants to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// The user who listens, by number.
    pub(super) listener: u32,
}

pub(super) type Request = ::http::Request<Full<Bytes>>;

pub(super) fn request(method: Method, route: &str, body: Full<Bytes>) -> Result<Request, AgentError> {
    let request = ::http::Request::builder().method(method).uri(route).header("host", "agent");
    request.header("content-type", "application/json").body(body).map_err(AgentError::Http)
}

/// Connects, asks, and reads the answer, all of it before `deadline`; again where the connection ends without an answer, or the agent is
/// busy.
pub(super) async fn exchange_again(
    address: &AgentAddress,
    make: impl Fn() -> Result<Request, AgentError>,
    deadline: Instant,
) -> Result<Answer, AgentError> {
    for attempt in 0.. {
        let answer = exchange(address, make()?, deadline).await;
        let asked = match &answer {
            Ok(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE => answer.retry_after,
            Err(error) if is_passing(error) => None,
            _ => return answer,
        };
        let wait = retry::wait(attempt, asked);
        let is_late = Instant::now().checked_add(wait).is_none_or(|then| then >= deadline);
        if attempt + 1 >= MAX_ATTEMPTS || is_late {
            return answer;
        }
        tracing::debug!(%address, attempt, ms = wait.as_millis(), "the agent gave no answer, or is busy; again in a moment");
        tokio::time::sleep(wait).await;
    }
    Err(AgentError::TimedOut { address: address.clone() })
}

/// Whether the same question may be answered in a moment.
pub(super) fn is_passing(error: &AgentError) -> bool {
    match error {
        AgentError::Lost { source, .. } => !source.is_parse(),
        AgentError::Absent { .. } => true,
        _ => false,
    }
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
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| retry::retry_after(value, SystemTime::now()));
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(source) => lost(*source),
            Err(_) => AgentError::Answer {
                address: address.clone(),
                what: "its answer is longer than any of an agent's",
            },
        })?;
        Ok(Answer { status, body: body.to_bytes(), retry_after, listener })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;

    const BUSY: &str = "HTTP/1.1 503 x\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
    const GOOD: &str = "HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\n{}";
    const REFUSED: &str = "HTTP/1.1 403 x\r\ncontent-length: 0\r\n\r\n";
    const FAILED: &str = "HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n";

    /// What comes of connections on which an agent says this, and how many there were. The last one is said on and on.
    async fn asked(says: &'static [&'static str]) -> (Result<u16, AgentError>, usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let agent = tokio::spawn(async move {
            for number in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut question = [0; 4096];
                let _ = stream.read(&mut question).await;
                let say = says.get(number).or(says.last()).unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let _ = stream.write_all(say.as_bytes()).await;
            }
        });
        let address: AgentAddress = path.display().to_string().parse().unwrap();
        let make = || request(Method::POST, "/v1/sign", Full::from("{}"));
        let answer = exchange_again(&address, make, Instant::now() + Duration::from_secs(60)).await;
        agent.abort();
        (answer.map(|answer| answer.status.as_u16()), count.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_may_pass_is_asked_again_and_nothing_else() {
        let most = MAX_ATTEMPTS as usize;
        for (says, status, connections) in [
            (&["", "", GOOD][..], Some(200), 3),
            (&["HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\n{", GOOD], Some(200), 2),
            (&[BUSY, "", GOOD], Some(200), 3),
            (&[BUSY], Some(503), most),
            (&[""], None, most),
            (&[REFUSED, GOOD], Some(403), 1),
            (&[FAILED, GOOD], Some(500), 1),
            (&["none of HTTP\r\n\r\n", GOOD], None, 1),
        ] {
            let (answer, asked) = asked(says).await;
            assert_eq!((answer.as_ref().ok().copied(), asked), (status, connections), "{says:?}: {answer:?}");
        }
    }
}
