//! A request body that is sent up to a moment, and fails the request after it.
//!
//! A list is replaced by what was made from a read of it, and the write must not go out when that read is old: this process may have
//! been stopped since, or the write may have waited for a place, a login or a connection. Looking at the clock before the request is
//! handed over leaves all of that out. The HTTP library asks for the body after it has a connection, and writes head and body to the
//! socket in the same turn, so the look at the clock is here. What is left is the time between that look and the system call.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// The bytes of a request, and until when they may be sent.
#[derive(Clone, Debug)]
pub(super) struct TimedBody {
    bytes: Full<Bytes>,
    send_by: Option<Instant>,
}

/// The moment has passed. Nothing was sent.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request was not sent in time")]
pub(super) struct Outdated;

impl TimedBody {
    /// `bytes`, to be sent before `send_by`; `None`: at any time.
    pub(super) fn new(bytes: Bytes, send_by: Option<Instant>) -> Self {
        Self { bytes: Full::new(bytes), send_by }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Outdated;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Outdated>>> {
        if self.send_by.is_some_and(|send_by| Instant::now() > send_by) {
            return Poll::Ready(Some(Err(Outdated)));
        }
        Pin::new(&mut self.bytes).poll_frame(context).map_err(|never: Infallible| match never {})
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_are_sent_up_to_their_moment() {
        let until = Instant::now() + Duration::from_secs(1);
        let body = |send_by| TimedBody::new(Bytes::from_static(b"list"), send_by);
        assert_eq!(body(Some(until)).size_hint().exact(), Some(4));
        assert_eq!(body(Some(until)).collect().await.unwrap().to_bytes(), "list");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(body(Some(until)).collect().await.is_err());
        assert_eq!(body(None).collect().await.unwrap().to_bytes(), "list");
    }
}
