//! The bodies of requests, read so that all of them together stay small.
//!
//! The beginning of a body is read for every connection. The rest needs room, which is taken only when the beginning has come, and has
//! to come at once then: whoever sends a byte now and then never holds room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Refusal;
use crate::sign::remote::wire::MAX_BODY_BYTES;

/// What is read of every body: an image's request is smaller. With 256 connections that is 4 MiB, and what the last piece
/// of each has too much.
const BEGINNING_BYTES: usize = 16 * 1024;
/// What the longer ones may have at once, in bytes. A body of 8 MiB is there together with the 6 MiB that are decoded from it, or
/// these twice while they are signed.
const ROOM_BYTES: usize = 12 * 1024 * 1024;
/// What room is counted in, in bytes.
const UNIT_BYTES: usize = 1024;
/// How long the beginning may take.
const BEGINNING_LIMIT: Duration = Duration::from_secs(10);
/// How long the rest may take: the client has it ready, in another process of this machine. Others wait for its room.
const REST_LIMIT: Duration = Duration::from_secs(5);

/// Room for what is longer than a beginning.
#[derive(Debug)]
pub(super) struct Room(Arc<Semaphore>);

/// A whole body, and its room until what became of it is answered.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_BYTES / UNIT_BYTES)))
    }

    /// The body of `request`, if it has `most` bytes at most and comes before `deadline`.
    ///
    /// # Errors
    ///
    /// It is too long, is cut off or slow, or there is no room in time.
    pub(super) async fn read(
        &self,
        request: Request<Incoming>,
        most: usize,
        deadline: Instant,
    ) -> Result<Body, Refusal> {
        let length = request.headers().get(CONTENT_LENGTH).ok_or(Refusal::NoLength)?;
        let length = length.to_str().ok().and_then(|text| text.parse::<usize>().ok());
        let length = length.filter(|length| *length <= MAX_BODY_BYTES);
        let length = length.ok_or(Refusal::TooLarge { limit: most })?;
        let mut incoming = request.into_body();
        if length > most {
            // Its client reads the reason only when it has sent everything.
            let _ =
                timeout(BEGINNING_LIMIT, async { while let Some(Ok(_)) = incoming.frame().await {} }).await;
            return Err(Refusal::TooLarge { limit: most });
        }
        let mut bytes = Vec::with_capacity(length.min(BEGINNING_BYTES));
        let left = || deadline.saturating_duration_since(Instant::now());
        let beginning = read(&mut incoming, &mut bytes, length.min(BEGINNING_BYTES));
        timeout(left().min(BEGINNING_LIMIT), beginning).await.unwrap_or(Err(Refusal::Cut))?;
        let mut room = None;
        if bytes.len() < length {
            let units = u32::try_from(length.div_ceil(UNIT_BYTES)).map_err(|_| Refusal::Internal)?;
            let free = timeout(left(), Arc::clone(&self.0).acquire_many_owned(units)).await;
            room = Some(free.map_err(|_| Refusal::Busy)?.map_err(|_| Refusal::Internal)?);
            bytes.reserve_exact(length - bytes.len());
            let rest = read(&mut incoming, &mut bytes, length);
            timeout(left().min(REST_LIMIT), rest).await.unwrap_or(Err(Refusal::Cut))?;
        }
        Ok(Body { bytes, room })
    }
}

/// Reads until there are `length` bytes, or some more.
async fn read(incoming: &mut Incoming, bytes: &mut Vec<u8>, length: usize) -> Result<(), Refusal> {
    while bytes.len() < length {
        let frame = incoming.frame().await.ok_or(Refusal::Cut)?.map_err(|_| Refusal::Cut)?;
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(())
}
