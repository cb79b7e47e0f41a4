//! The bodies of requests, read so that all of them together stay small.
//!
//! The beginning of a body is read for every connection. The rest needs room, which is taken as it arrives, and has to come at a rate
//! that any client of this machine has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use tokio::time::timeout;

use super::Refusal;
use super::connections::Seat;
use super::room::{Lease, Room};

/// What is read of every body: an image's request is smaller. With 256 connections that is 4 MiB, and what the last piece
/// of each has too much.
const BEGINNING_BYTES: usize = 16 * 1024;
/// The steps in which room is taken for the rest, in bytes.
const STEP_BYTES: usize = 64 * 1024;
/// How long the beginning may take, and a body that is only read so that its client gets to the answer.
const BEGINNING_LIMIT: Duration = Duration::from_secs(10);
/// How far the rest may be behind the rate of `pace.rs`, though nobody waits for its room.
const REST_LIMIT: Duration = Duration::from_secs(5);
/// The longest body that is read to its end, in bytes, though it is too long: a client reads the reason only when it has sent everything.
const DRAINED_BYTES: usize = 16 * 1024 * 1024;

/// A whole body, and its room until what became of it is answered.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) parts: Parts,
    pub(super) room: Option<Lease>,
}

/// A body in the steps in which it came. A buffer that grows instead is copied again and again, and leaves holes in the heap as
/// large as itself.
#[derive(Debug)]
pub(super) struct Parts(Vec<Vec<u8>>);

impl Parts {
    /// The body in one piece. Each part is freed when it is copied.
    pub(super) fn join(mut self) -> Vec<u8> {
        if self.0.len() <= 1 {
            return self.0.pop().unwrap_or_default();
        }
        let mut whole = Vec::with_capacity(self.0.iter().map(Vec::len).sum());
        self.0.into_iter().for_each(|part| whole.extend_from_slice(&part));
        whole
    }
}

impl Room {
    /// The body of `request`, if it has `most` bytes at most and comes before `deadline`. Its connection has `seat`.
    ///
    /// # Errors
    ///
    /// It is too long, is cut off or slow, or there is no room in time.
    pub(super) async fn read(
        self: &Arc<Self>,
        request: Request<Incoming>,
        most: usize,
        seat: &Seat,
        deadline: Instant,
    ) -> Result<Body, Refusal> {
        let length = request.headers().get(CONTENT_LENGTH).ok_or(Refusal::NoLength)?;
        let length = length.to_str().ok().and_then(|text| text.parse::<usize>().ok());
        let length = length.filter(|length| *length <= DRAINED_BYTES);
        let length = length.ok_or(Refusal::TooLarge { limit: most })?;
        seat.sending();
        let mut incoming = request.into_body();
        let left = || deadline.saturating_duration_since(Instant::now());
        if length > most {
            let all = async {
                while let Ok(piece) = piece(&mut incoming).await {
                    seat.came(piece.len());
                }
            };
            let _ = timeout(left().min(BEGINNING_LIMIT), all).await;
            return Err(Refusal::TooLarge { limit: most });
        }
        let mut bytes = Vec::with_capacity(length.min(BEGINNING_BYTES));
        let beginning = async {
            while bytes.len() < length.min(BEGINNING_BYTES) {
                let piece = piece(&mut incoming).await?;
                seat.came(piece.len());
                bytes.extend_from_slice(&piece);
            }
            Ok(())
        };
        timeout(left().min(BEGINNING_LIMIT), beginning).await.unwrap_or(Err(Refusal::Cut))?;
        if bytes.len() >= length {
            return Ok(Body { parts: Parts(vec![bytes]), room: None });
        }
        let (lease, go) = self.enter(length - bytes.len());
        let rest = rest(&mut incoming, bytes, length, &lease, seat);
        let parts = tokio::select! {
            rest = timeout(left(), rest) => rest.unwrap_or(Err(Refusal::Busy))?,
            _ = go => return Err(Refusal::Busy),
        };
        lease.whole()?;
        Ok(Body { parts, room: Some(lease) })
    }
}

/// Reads what follows on `beginning`, until there are `length` bytes.
async fn rest(
    incoming: &mut Incoming,
    beginning: Vec<u8>,
    length: usize,
    lease: &Lease,
    seat: &Seat,
) -> Result<Parts, Refusal> {
    let mut left = length.saturating_sub(beginning.len());
    let mut parts = vec![beginning];
    let mut came = Bytes::new();
    while left > 0 {
        let waits = Instant::now();
        let step = STEP_BYTES.min(left);
        lease.grow(step).await;
        seat.waited(waits);
        let mut part = Vec::new();
        part.try_reserve_exact(step).map_err(|_| Refusal::Busy)?;
        while part.len() < step {
            if came.is_empty() {
                let slack = REST_LIMIT.saturating_sub(seat.behind());
                came = timeout(slack, piece(incoming)).await.unwrap_or(Err(Refusal::Cut))?;
                seat.came(came.len());
                lease.came(came.len());
            }
            part.extend_from_slice(&came.split_to(came.len().min(step - part.len())));
        }
        left -= step;
        parts.push(part);
    }
    Ok(Parts(parts))
}

/// Reads the next piece of the body.
async fn piece(incoming: &mut Incoming) -> Result<Bytes, Refusal> {
    let frame = incoming.frame().await.ok_or(Refusal::Cut)?.map_err(|_| Refusal::Cut)?;
    Ok(frame.into_data().unwrap_or_default())
}
