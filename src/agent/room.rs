//! Room for bodies that are longer than a beginning, taken as they arrive: a client that announces much and sends little holds little.
//!
//! A body takes only what the older ones don't need, unless these are behind. When there is no room left, the body that is most behind has
//! to go. Where none is, and the oldest one waits, the youngest goes: of bodies which hold a part each, one always becomes whole. A body
//! that is whole keeps its room until it is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use super::Refusal;
use super::pace::Pace;

/// What longer bodies may have at once, in bytes. One of 8 MiB is there together with the 6 MiB that are decoded from it, or
/// these twice while they are signed.
pub(super) const ROOM_BYTES: usize = 12 * 1024 * 1024;
/// How far a body may be behind while others wait for its room.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked which one is.
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
    /// By age.
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
    /// Takes room for the body `number`, or makes another one go; whether it was taken.
    fn take(&mut self, number: u64, bytes: usize) -> bool {
        // What older ones that come as they should still need is theirs.
        let older = self.all.range(..number).filter(|(_, body)| body.keep.is_some());
        let older = older.filter(|(_, body)| body.waits.is_some() || body.pace.behind() <= PATIENCE);
        let promised: usize = older.map(|(_, body)| body.length.saturating_sub(body.bytes)).sum();
        let fits = self.taken.saturating_add(promised).saturating_add(bytes) <= ROOM_BYTES;
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
        if let Some(goes) = self.victim(number).and_then(|number| self.all.get_mut(&number)) {
            goes.keep = None;
        }
        false
    }

    /// Whose room the body `number` may have.
    fn victim(&self, number: u64) -> Option<u64> {
        // The room of one that goes is free soon.
        if self.all.values().any(|body| body.keep.is_none() && !body.is_whole) {
            return None;
        }
        let others = || {
            self.all.iter().filter(|(other, body)| **other != number && body.keep.is_some() && body.bytes > 0)
        };
        let behind = others().filter(|(_, body)| body.waits.is_none()).min_by_key(|(_, body)| body.pace);
        if let Some((other, body)) = behind
            && body.pace.behind() > PATIENCE
        {
            return Some(*other);
        }
        let is_oldest = self
            .all
            .iter()
            .find(|(_, body)| body.keep.is_some())
            .is_some_and(|(oldest, _)| *oldest == number);
        is_oldest.then(|| others().next_back().map(|(youngest, _)| *youngest)).flatten()
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

    use super::*;

    const PART: usize = ROOM_BYTES / 4;

    fn must_go(go: &mut Go) -> bool {
        matches!(go.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    /// A body with so many parts.
    fn body(room: &Arc<Room>, parts: usize) -> (Lease, Go) {
        let (lease, go) = room.enter(parts * PART);
        for _ in 0..parts {
            assert!(lease.grow(PART).now_or_never().is_some());
        }
        (lease, go)
    }

    #[tokio::test]
    async fn of_bodies_with_a_part_each_the_oldest_becomes_whole() {
        let room = Arc::new(Room::default());
        let mut all: Vec<_> = (0..4).map(|_| body(&room, 1)).collect();
        // A younger one waits, and nobody goes for it.
        assert!(all[2].0.grow(PART).now_or_never().is_none());
        assert!(all.iter_mut().all(|(_, go)| !must_go(go)));
        for _ in 0..3 {
            assert!(all[0].0.grow(PART).now_or_never().is_none());
            let (youngest, mut go) = all.pop().unwrap();
            assert!(must_go(&mut go) && all.iter_mut().all(|(_, go)| !must_go(go)));
            assert!(youngest.whole().is_err());
            drop(youngest);
            assert!(all[0].0.grow(PART).now_or_never().is_some());
        }
        assert!(all[0].0.whole().is_ok());
        assert_eq!(room.lock().taken, ROOM_BYTES);
        // What is whole goes for nobody.
        let (new, _go) = room.enter(1);
        assert!(new.grow(1).now_or_never().is_none());
        assert_eq!(all[0].0.with(|body| (body.is_whole, body.bytes)), Some((true, ROOM_BYTES)));
        all.clear();
        assert!(new.grow(1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn bodies_that_come_as_they_should_wait_for_older_ones_and_none_goes() {
        let room = Arc::new(Room::default());
        let mut all: Vec<_> = (0..10).map(|_| room.enter(3 * PART)).collect();
        while !all.is_empty() {
            for (at, (lease, _)) in all.iter().enumerate().rev() {
                // The first of them is promised all that it needs, and the second what is left.
                assert_eq!(
                    lease.grow(PART).now_or_never().is_some(),
                    at == 0 || at == 1 && lease.bytes() < PART
                );
            }
            let (first, _) = &all[0];
            while first.bytes() < 3 * PART {
                assert!(first.grow(PART).now_or_never().is_some());
            }
            assert!(first.whole().is_ok());
            assert!(all.iter_mut().skip(1).all(|(_, go)| !must_go(go)));
            all.remove(0);
        }
    }

    #[tokio::test]
    async fn who_is_behind_goes_for_any_other() {
        let room = Arc::new(Room::default());
        let mut all: Vec<_> = (0..4).map(|_| body(&room, 1)).collect();
        tokio::time::sleep(PATIENCE + Duration::from_millis(100)).await;
        for (at, (lease, _)) in all.iter().enumerate() {
            if at != 1 {
                lease.came(ROOM_BYTES);
            }
        }
        let (new, _go) = room.enter(1);
        assert!(new.grow(PART).now_or_never().is_none());
        let going: Vec<bool> = all.iter_mut().map(|(_, go)| must_go(go)).collect();
        assert_eq!(going, [false, true, false, false]);
        drop(all.remove(1));
        assert!(new.grow(PART).now_or_never().is_some());
    }
}
