//! The connected clients. A new client always gets a place: when all are taken, another connection is closed.
//!
//! Steps run as one user, so a fair share for each user would protect nobody. Instead the connection goes that has waited longest
//! between two requests, or before its first. Where all are sending, the one goes whose body makes the least progress, and a byte now and
//! then is none. While a request is being decided, its connection is closed only if all others are being decided too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::pace::Pace;

/// How many connections are served at once.
pub(super) const MAX_CONNECTIONS: usize = 256;

/// The places of all connections.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    taken: BTreeMap<u64, Place>,
    next: u64,
}

#[derive(Debug)]
struct Place {
    stage: Stage,
    /// From when it was connected, got its last answer, or came to its stage; with the progress of its body.
    since: Pace,
    /// Dropped when the connection has to make way.
    _keep: oneshot::Sender<()>,
}

/// The state of a connection; earlier states are closed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// No request has begun.
    Idle,
    /// A request's head has come, and its body is coming, or waits to be decided.
    Sending,
    /// A request is being decided.
    Decided,
}

/// A connection's place, as long as it lasts.
#[derive(Debug)]
pub(super) struct Seat {
    connections: Arc<Connections>,
    number: u64,
}

/// Ends when the connection has to make way.
pub(super) type MakeWay = oneshot::Receiver<()>;

impl Connections {
    /// A place for a new connection, taken from another connection if none is left.
    pub(super) fn enter(self: &Arc<Self>) -> (Seat, MakeWay) {
        let (keep, make_way) = oneshot::channel();
        let mut places = self.lock();
        while places.taken.len() >= MAX_CONNECTIONS {
            let oldest = places.taken.iter().min_by_key(|(_, place)| (place.stage, place.since));
            let Some(number) = oldest.map(|(number, _)| *number) else { break };
            places.taken.remove(&number);
        }
        let number = places.next;
        places.next += 1;
        places.taken.insert(number, Place { stage: Stage::Idle, since: Pace::begin(), _keep: keep });
        drop(places);
        (Seat { connections: Arc::clone(self), number }, make_way)
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// A request's head has come.
    pub(super) fn sending(&self) {
        self.enter(Stage::Sending);
    }

    /// So many bytes of its body have come.
    pub(super) fn came(&self, bytes: usize) {
        self.with(|place| place.since.came(bytes));
    }

    /// The agent itself has let the body wait since `from`.
    pub(super) fn waited(&self, from: Instant) {
        self.with(|place| place.since.waited(from));
    }

    /// How far the body is behind the expected rate.
    pub(super) fn behind(&self) -> Duration {
        self.with(|place| place.since.behind()).unwrap_or_default()
    }

    /// A request has come whole, and is being decided.
    pub(super) fn decided(&self) {
        self.enter(Stage::Decided);
    }

    /// The answer is known.
    pub(super) fn answered(&self) {
        self.enter(Stage::Idle);
    }

    fn enter(&self, stage: Stage) {
        self.with(|place| (place.stage, place.since) = (stage, Pace::begin()));
    }

    fn with<T>(&self, change: impl FnOnce(&mut Place) -> T) -> Option<T> {
        self.connections.lock().taken.get_mut(&self.number).map(change)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(make_way: &mut MakeWay) -> bool {
        matches!(make_way.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[test]
    fn the_one_that_has_been_idle_longest_makes_way() {
        let connections = Arc::new(Connections::default());
        let mut all: Vec<_> = (0..MAX_CONNECTIONS).map(|_| connections.enter()).collect();
        // The first is being decided, and the second was answered just now.
        all[0].0.decided();
        all[1].0.decided();
        all[1].0.answered();
        let _new = connections.enter();
        let ended: Vec<bool> = all.iter_mut().map(|(_, make_way)| closed(make_way)).collect();
        assert_eq!(ended.iter().filter(|ended| **ended).count(), 1);
        assert!(ended[2]);
    }

    #[test]
    fn who_sends_stays_before_who_was_just_answered_and_the_slowest_sender_goes_first() {
        let connections = Arc::new(Connections::default());
        let mut all: Vec<_> = (0..MAX_CONNECTIONS).map(|_| connections.enter()).collect();
        for (seat, _) in &all {
            seat.sending();
        }
        all[7].0.answered();
        let new = connections.enter();
        new.0.sending();
        assert!(closed(&mut all[7].1));
        // All are behind by as much; of two that sent something, one sent next to nothing.
        std::thread::sleep(Duration::from_millis(50));
        for (at, (seat, _)) in all.iter().enumerate() {
            seat.came(if at == 9 { 1 } else { 1024 * 1024 });
        }
        new.0.came(1024 * 1024);
        let _new = connections.enter();
        let ended: Vec<usize> = (0..all.len()).filter(|at| closed(&mut all[*at].1)).collect();
        assert_eq!(ended, [7, 9]);
    }

    #[test]
    fn where_all_are_being_decided_a_new_one_is_let_in_too() {
        let connections = Arc::new(Connections::default());
        let mut all: Vec<_> = (0..MAX_CONNECTIONS).map(|_| connections.enter()).collect();
        for (seat, _) in &all {
            seat.decided();
        }
        let mut new = connections.enter();
        assert!(closed(&mut all[0].1) && !closed(&mut all[1].1) && !closed(&mut new.1));
        // What has made way takes no other's place when it ends.
        drop(all.remove(0));
        assert_eq!(connections.lock().taken.len(), MAX_CONNECTIONS);
        all.clear();
        assert_eq!(connections.lock().taken.len(), 1);
    }
}
