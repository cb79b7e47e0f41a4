//! Who is connected. A new client always gets a place: when all are taken, the connection that has been idle longest is closed.
//!
//! Steps run as one user, so a fair share for each user would protect nobody. Instead a connection ages from its last answer
//! on: one that sends nothing, or a byte now and then, is the first to be closed. While a request is being decided, its connection
//! is closed only if all others are being decided too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

/// Connections at once.
const MAX_CONNECTIONS: usize = 256;

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
    /// When it was connected, or got its last answer.
    since: Instant,
    /// Whether its request has come and is being decided.
    is_decided: bool,
    /// Dropped when the connection has to make way.
    _keep: oneshot::Sender<()>,
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
    /// A place for a new connection, taken from another one if there is none left.
    pub(super) fn enter(self: &Arc<Self>) -> (Seat, MakeWay) {
        let (keep, make_way) = oneshot::channel();
        let mut places = self.lock();
        while places.taken.len() >= MAX_CONNECTIONS {
            let oldest = places.taken.iter().min_by_key(|(_, place)| (place.is_decided, place.since));
            let Some(number) = oldest.map(|(number, _)| *number) else { break };
            places.taken.remove(&number);
        }
        let number = places.next;
        places.next += 1;
        places.taken.insert(number, Place { since: Instant::now(), is_decided: false, _keep: keep });
        drop(places);
        (Seat { connections: Arc::clone(self), number }, make_way)
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// A request has come whole, and is being decided.
    pub(super) fn decided(&self) {
        self.set(true);
    }

    /// The answer is known.
    pub(super) fn answered(&self) {
        self.set(false);
    }

    fn set(&self, is_decided: bool) {
        if let Some(place) = self.connections.lock().taken.get_mut(&self.number) {
            place.is_decided = is_decided;
            place.since = Instant::now();
        }
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
