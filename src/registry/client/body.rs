//! The body of an answer, read within its limit.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, timeout_at};
use url::Url;

use super::classify::classify;
use super::failure::Failure;
use super::refusal::MAX_ERROR_BODY_BYTES;

/// An answer with more bytes than this is large, where their number is limited: manifests and tokens have a few kilobytes.
const LARGE_BYTES: usize = 64 * 1024;

/// How long the body of a refusing answer is waited for: some proxies announce none, and leave the connection open. The status says the most.
const BEGINNING_LIMIT: Duration = Duration::from_secs(2);

/// How large an answer may be.
#[derive(Clone, Copy)]
pub(super) struct Size<'a> {
    pub(super) limit_bytes: u64,
    /// Whose turn it is, if it is larger than [`LARGE_BYTES`].
    pub(super) large: Option<&'a Arc<Semaphore>>,
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
pub(super) async fn body(mut response: Incoming, size: Size<'_>, url: &Url) -> Result<Bytes, Failure> {
    let Size { limit_bytes, large } = size;
    let too_large = || Failure::TooLarge { limit: limit_bytes };
    let fits = |length: usize| u64::try_from(length).is_ok_and(|length| length <= limit_bytes);
    let announced = response.size_hint().exact();
    if announced.is_some_and(|length| length > limit_bytes) {
        return Err(too_large());
    }
    // An answer that says that it is large waits before any of it is read.
    let announced = announced.and_then(|length| usize::try_from(length).ok());
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
    // Doubling the buffer would take up to three times the answer, of each that is read at the same time.
    whole.reserve(announced.unwrap_or_default().saturating_sub(whole.len()));
    let (mut next, mut is_whole_reserved) = (Some(second), announced.is_some());
    while let Some(piece) = next {
        if !fits(whole.len() + piece.len()) {
            return Err(too_large());
        }
        if let (Some(large), None, true) = (large, &turn, whole.len() + piece.len() > LARGE_BYTES) {
            turn = large_turn(large).await;
        }
        if turn.is_some() && !is_whole_reserved {
            let most = usize::try_from(limit_bytes).unwrap_or_default();
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

async fn chunk(response: &mut Incoming, url: &Url) -> Result<Option<Bytes>, Failure> {
    piece(response).await.transpose().map_err(|error| classify(Box::new(error), url, None))
}

/// The next bytes; `None` at the end.
async fn piece(response: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    loop {
        match response.frame().await? {
            Ok(frame) => {
                if let Ok(bytes) = frame.into_data() {
                    return Some(Ok(bytes));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Reads as much of a refusing answer as is useful and arrives soon. A missing end is not an error of its own.
pub(super) async fn beginning(mut response: Incoming) -> Bytes {
    let mut read = BytesMut::new();
    let until = Instant::now() + BEGINNING_LIMIT;
    while let Ok(Some(Ok(piece))) = timeout_at(until, piece(&mut response)).await {
        let room = MAX_ERROR_BODY_BYTES - read.len();
        read.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if read.len() >= MAX_ERROR_BODY_BYTES {
            break;
        }
    }
    read.freeze()
}
