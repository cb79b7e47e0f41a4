//! Room for bodies that are longer than a beginning, taken as they arrive: a client that announces much and sends little holds little.
//!
//! The oldest body that comes as it should is promised all that it needs, and the others share what is left, so that one always becomes
//! whole. When there is no room left, all that are behind have to go. A body that is whole keeps its room until it is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use super::Refusal;
use super::pace::Pace;
use crate::sign::remote::wire::MAX_BODY_BYTES;

/// What longer bodies may have at once, in bytes. One of 8 MiB is there together with the 6 MiB that are decoded from it, or
/// these twice while they are signed.
pub(super) const ROOM_BYTES: usize = 12 * 1024 * 1024;
/// The share of the other bodies, besides the body that is promised all that it needs.
const SHARED_BYTES: usize = ROOM_BYTES - MAX_BODY_BYTES;
/// How far a body may be behind while others wait for its room.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the promised body is chosen.
const LOOK: Duration = Duration::from_millis(100);

/// The room of all bodies.
#[derive(Debug, Default)]
pub(super) struct Room {
    bodies: Mutex<Bodies>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Bodies {
    taken: usize,
    /// Request bodies in memory, the oldest first.
    all: BTreeMap<u64, Body>,
    next: u64,
}

#[derive(Debug)]
struct Body {
    /// What it needs in all.
    length: usize,
    bytes: usize,
    pace: Pace,
    /// Since when it waits for room.
    waits: Option<Instant>,
    /// Dropped when it has to go; `None`: it has to, or is whole and can't.
    keep: Option<oneshot::Sender<()>>,
    is_whole: bool,
}

/// One body's room, as long as it lasts.
#[derive(Debug)]
pub(super) struct Lease {
    room: Arc<Room>,
    number: u64,
}

/// Ends when the body has to go.
pub(super) type Go = oneshot::Receiver<()>;

impl Room {
    /// A body that has no room yet, and says that it needs `length` bytes of it.
    pub(super) fn enter(self: &Arc<Self>, length: usize) -> (Lease, Go) {
        let (keep, go) = oneshot::channel();
        let mut bodies = self.lock();
        let number = bodies.next;
        bodies.next += 1;
        let body =
            Body { length, bytes: 0, pace: Pace::begin(), waits: None, keep: Some(keep), is_whole: false };
        bodies.all.insert(number, body);
        drop(bodies);
        (Lease { room: Arc::clone(self), number }, go)
    }

    fn lock(&self) -> MutexGuard<'_, Bodies> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bodies {
    /// Takes room for the body `number`, or makes others go; whether it was taken.
    fn take(&mut self, number: u64, bytes: usize) -> bool {
        let first = self.first();
        let is_first = first.is_none_or(|first| first >= number);
        let promised = first.filter(|_| !is_first).and_then(|first| self.all.get(&first));
        let promised = promised.map_or(0, |first| first.length.saturating_sub(first.bytes));
        let fits = self.taken.saturating_add(promised).saturating_add(bytes) <= ROOM_BYTES
            && (is_first || self.shared(first).saturating_add(bytes) <= SHARED_BYTES);
        let Some(body) = self.all.get_mut(&number) else { return false };
        if fits {
            if let Some(since) = body.waits.take() {
                body.pace.waited(since);
            }
            body.bytes += bytes;
            self.taken += bytes;
            return true;
        }
        body.waits.get_or_insert_with(Instant::now);
        self.send_away(number, is_first);
        false
    }

    /// The oldest body that comes as it should: all the room that it needs is promised to it.
    fn first(&self) -> Option<u64> {
        let comes =
            |body: &Body| body.keep.is_some() && (body.waits.is_some() || body.pace.behind() <= PATIENCE);
        self.all.iter().find(|(_, body)| comes(body)).map(|(number, _)| *number)
    }

    /// What all have that are neither `first` nor whole.
    fn shared(&self, first: Option<u64>) -> usize {
        let others = self.all.iter().filter(|(number, body)| Some(**number) != first && !body.is_whole);
        others.map(|(_, body)| body.bytes).sum()
    }

    /// Sends those away whose room the body `number` may have: all that are behind. Where none is and it is the first, the youngest.
    fn send_away(&mut self, number: u64, is_first: bool) {
        let going = self.all.values().any(|body| body.keep.is_none() && !body.is_whole);
        let mut others: Vec<&mut Body> = self
            .all
            .iter_mut()
            .filter(|(other, body)| **other != number && body.keep.is_some() && body.bytes > 0)
            .map(|(_, body)| body)
            .collect();
        let mut found = going;
        for body in others.iter_mut().filter(|body| body.waits.is_none() && body.pace.behind() > PATIENCE) {
            body.keep = None;
            found = true;
        }
        if !found
            && is_first
            && let Some(youngest) = others.last_mut()
        {
            youngest.keep = None;
        }
    }
}

impl Lease {
    /// Waits until there is room for `bytes` more. The caller bounds the time, and ends the wait when the body has to go.
    pub(super) async fn grow(&self, bytes: usize) {
        loop {
            let freed = self.room.freed.notified();
            if self.room.lock().take(self.number, bytes) {
                return;
            }
            tokio::select! {
                () = freed => {}
                () = sleep(LOOK) => {}
            }
        }
    }

    /// So many bytes have come.
    pub(super) fn came(&self, bytes: usize) {
        self.with(|body| body.pace.came(bytes));
    }

    /// It keeps its room from now on.
    ///
    /// # Errors
    ///
    /// It has to go.
    pub(super) fn whole(&self) -> Result<(), Refusal> {
        self.with(|body| {
            body.is_whole = body.keep.take().is_some();
            body.is_whole.then_some(()).ok_or(Refusal::Busy)
        })
        .unwrap_or(Err(Refusal::Internal))
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.with(|body| body.bytes).unwrap_or_default()
    }

    fn with<T>(&self, change: impl FnOnce(&mut Body) -> T) -> Option<T> {
        self.room.lock().all.get_mut(&self.number).map(change)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut bodies = self.room.lock();
        if let Some(body) = bodies.all.remove(&self.number) {
            bodies.taken -= body.bytes;
        }
        drop(bodies);
        self.room.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::task::unconstrained;

    use super::*;

    const PART: usize = 256 * 1024;

    fn must_go(go: &mut Go) -> bool {
        matches!(go.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[tokio::test]
    async fn the_first_is_promised_its_room_and_the_others_share_the_rest() {
        let room = Arc::new(Room::default());
        let mut all: Vec<_> = (0..10).map(|_| room.enter(MAX_BODY_BYTES)).collect();
        while !all.is_empty() {
            for (lease, _) in all.iter().skip(1).rev() {
                while unconstrained(lease.grow(PART)).now_or_never().is_some() {}
            }
            let (first, _) = &all[0];
            while first.bytes() < MAX_BODY_BYTES {
                let part = PART.min(MAX_BODY_BYTES - first.bytes());
                assert!(unconstrained(first.grow(part)).now_or_never().is_some());
            }
            assert!(first.whole().is_ok() && room.lock().taken <= ROOM_BYTES);
            assert!(all.iter_mut().skip(1).all(|(_, go)| !must_go(go)));
            all.remove(0);
        }
    }

    #[tokio::test]
    async fn one_that_was_behind_and_comes_again_gets_the_room_of_the_youngest() {
        let room = Arc::new(Room::default());
        let mut first = room.enter(MAX_BODY_BYTES);
        tokio::time::sleep(PATIENCE + Duration::from_millis(100)).await;
        let (second, mut go) = room.enter(MAX_BODY_BYTES);
        assert!(second.grow(MAX_BODY_BYTES).now_or_never().is_some());
        first.0.came(ROOM_BYTES);
        assert!(first.0.grow(MAX_BODY_BYTES).now_or_never().is_none());
        assert!(must_go(&mut go) && !must_go(&mut first.1) && second.whole().is_err());
        drop(second);
        assert!(first.0.grow(MAX_BODY_BYTES).now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_is_whole_goes_for_nobody() {
        let room = Arc::new(Room::default());
        let (lease, _go) = room.enter(ROOM_BYTES);
        assert!(lease.grow(ROOM_BYTES).now_or_never().is_some() && lease.whole().is_ok());
        let (new, _new) = room.enter(1);
        assert!(new.grow(1).now_or_never().is_none());
        assert_eq!(lease.with(|body| (body.is_whole, body.bytes)), Some((true, ROOM_BYTES)));
        drop(lease);
        assert!(new.grow(1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_is_behind_goes_for_any_other() {
        let room = Arc::new(Room::default());
        let mut all: Vec<_> = (0..4).map(|_| room.enter(MAX_BODY_BYTES)).collect();
        for (at, (lease, _)) in all.iter().enumerate() {
            assert!(
                lease.grow(if at == 0 { MAX_BODY_BYTES } else { SHARED_BYTES / 3 }).now_or_never().is_some()
            );
        }
        tokio::time::sleep(PATIENCE + Duration::from_millis(100)).await;
        for (at, (lease, _)) in all.iter().enumerate() {
            if at != 1 {
                lease.came(ROOM_BYTES);
            }
        }
        let (new, _go) = room.enter(SHARED_BYTES / 3);
        assert!(new.grow(SHARED_BYTES / 3).now_or_never().is_none());
        let going: Vec<bool> = all.iter_mut().map(|(_, go)| must_go(go)).collect();
        assert_eq!(going, [false, true, false, false]);
        drop(all.remove(1));
        assert!(new.grow(SHARED_BYTES / 3).now_or_never().is_some());
    }
}
