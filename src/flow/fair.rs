//! A work queue that shares its slots fairly among registries.
//!
//! A free slot goes to the registry that has the fewest, so a registry that doesn't respond can't take more than its share. Registries
//! can use the unused share of the others. When all slots are taken, a registry without a slot gets an extra slot, up to twice
//! the number of slots in total. Otherwise a registry that is added late, because an index lists its images, would wait for the slowest
//! registry.
//!
//! A subject that only waits to confirm its signature has no slot, but still takes memory. So the number of unfinished subjects is limited too,
//! with an equal share for each registry.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use futures_util::stream::{self, FuturesUnordered, Stream, StreamExt as _};
use tokio::sync::Notify;

use super::looks::LookHistory;

/// How many subjects may be unfinished, for each slot.
const WAITING_PER_JOB: usize = 8;

/// The waiting items by registry, and the slots.
pub(super) struct FairQueue<T> {
    state: RefCell<QueueState<T>>,
    freed: Notify,
}

struct QueueState<T> {
    jobs: usize,
    lanes: Vec<Lane<T>>,
    by_name: HashMap<String, usize>,
    /// The lanes with waiting items, in the order in which they get slots.
    ready: BTreeSet<(usize, u64, usize)>,
    /// The number of lanes with waiting or running items.
    unfinished: usize,
    working: usize,
    running: usize,
    begun: u64,
}

/// The items of one registry.
struct Lane<T> {
    waiting: VecDeque<T>,
    /// How many items have a slot.
    working: usize,
    /// How many items have started and not ended.
    running: usize,
    /// The number of the item that this lane started last, in the order of all lanes.
    served: u64,
    /// What its subjects know about each other, for each store.
    looks: Vec<Rc<LookHistory>>,
}

/// Marks an item as running until it is dropped.
pub(super) struct RunningJob<'a, T> {
    queue: &'a FairQueue<T>,
    lane: usize,
}

/// The permission to work on an item. Dropping it frees the slot.
pub(super) struct WorkSlot<'a, T> {
    queue: &'a FairQueue<T>,
    lane: usize,
}

impl<T> FairQueue<T> {
    /// Creates an empty queue with `jobs` slots, but at least one slot.
    pub(super) fn new(jobs: usize) -> Self {
        let state = QueueState {
            jobs: jobs.max(1),
            lanes: Vec::new(),
            by_name: HashMap::new(),
            ready: BTreeSet::new(),
            unfinished: 0,
            working: 0,
            running: 0,
            begun: 0,
        };
        Self { state: RefCell::new(state), freed: Notify::new() }
    }

    /// Adds an item at the end of the lane of `registry`.
    pub(super) fn push(&self, registry: &str, item: T) {
        let mut state = self.state.borrow_mut();
        let at = match state.by_name.get(registry) {
            Some(at) => *at,
            None => {
                let at = state.lanes.len();
                state.by_name.insert(registry.to_owned(), at);
                state.lanes.push(Lane {
                    waiting: VecDeque::new(),
                    working: 0,
                    running: 0,
                    served: 0,
                    looks: Vec::new(),
                });
                at
            }
        };
        state.change(at, |lane| lane.waiting.push_back(item));
    }

    /// The next item to start; `None` if no item waits, or none may start before a slot is free.
    pub(super) fn next(&self) -> Option<(T, RunningJob<'_, T>, WorkSlot<'_, T>)> {
        let mut state = self.state.borrow_mut();
        let at = state.next()?;
        state.begun += 1;
        let served = state.begun;
        let item = state.change(at, |lane| {
            lane.working += 1;
            lane.running += 1;
            lane.served = served;
            lane.waiting.pop_front()
        })??;
        Some((item, RunningJob { queue: self, lane: at }, WorkSlot { queue: self, lane: at }))
    }

    /// Runs `work` for every item, including those pushed meanwhile, as slots become free. The stream yields each output when
    /// its work ends. The work may drop its slot earlier.
    pub(super) fn run<'a, F: Future>(
        &'a self,
        work: impl FnMut(T, WorkSlot<'a, T>) -> F,
    ) -> impl Stream<Item = F::Output> {
        stream::unfold((FuturesUnordered::new(), work), async move |(mut running, mut work)| {
            loop {
                while let Some((item, place, slot)) = self.next() {
                    let work = work(item, slot);
                    running.push(async move {
                        let done = work.await;
                        drop(place);
                        done
                    });
                }
                tokio::select! {
                    ended = running.next() => return ended.map(|done| (done, (running, work))),
                    () = self.freed.notified() => {}
                }
            }
        })
    }
}

impl<T> QueueState<T> {
    fn next(&self) -> Option<usize> {
        let most = self.jobs * WAITING_PER_JOB;
        let share = (most / self.unfinished.max(1)).max(1);
        let may_begin = |lane: &Lane<T>| {
            let has_place = self.working < self.jobs || (lane.working == 0 && self.working < 2 * self.jobs);
            has_place && lane.running < share && (self.running < most || lane.running == 0)
        };
        let mut lanes = self.ready.iter().map(|(_, _, at)| *at);
        lanes.find(|at| self.lanes.get(*at).is_some_and(may_begin))
    }

    /// Changes a lane and updates the totals.
    fn change<R>(&mut self, at: usize, change: impl FnOnce(&mut Lane<T>) -> R) -> Option<R> {
        let lane = self.lanes.get_mut(at)?;
        self.ready.remove(&(lane.working, lane.served, at));
        let before = (lane.working, lane.running, usize::from(lane.is_unfinished()));
        let changed = change(lane);
        let after = (lane.working, lane.running, usize::from(lane.is_unfinished()));
        if !lane.waiting.is_empty() {
            self.ready.insert((lane.working, lane.served, at));
        }
        self.working = self.working + after.0 - before.0;
        self.running = self.running + after.1 - before.1;
        self.unfinished = self.unfinished + after.2 - before.2;
        Some(changed)
    }
}

impl<T> Lane<T> {
    fn is_unfinished(&self) -> bool {
        !self.waiting.is_empty() || self.running > 0
    }
}

impl<T> WorkSlot<'_, T> {
    /// What the subjects of its registry know about each other in the store with this number.
    pub(super) fn looks(&self, store: usize) -> Rc<LookHistory> {
        let mut state = self.queue.state.borrow_mut();
        let Some(lane) = state.lanes.get_mut(self.lane) else { return Rc::default() };
        while lane.looks.len() <= store {
            lane.looks.push(Rc::default());
        }
        lane.looks.get(store).map(Rc::clone).unwrap_or_default()
    }
}

impl<T> Drop for RunningJob<'_, T> {
    fn drop(&mut self) {
        self.queue.state.borrow_mut().change(self.lane, |lane| lane.running -= 1);
        self.queue.freed.notify_one();
    }
}

impl<T> Drop for WorkSlot<'_, T> {
    fn drop(&mut self) {
        self.queue.state.borrow_mut().change(self.lane, |lane| lane.working -= 1);
        self.queue.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue with this many items of each registry, pushed registry by registry.
    fn queue(jobs: usize, registries: &[(&'static str, usize)]) -> FairQueue<&'static str> {
        let queue = FairQueue::new(jobs);
        for (name, images) in registries {
            (0..*images).for_each(|_| queue.push(name, *name));
        }
        queue
    }

    /// Starts every item that may start.
    fn begin<'a>(
        queue: &'a FairQueue<&'static str>,
    ) -> Vec<(&'static str, RunningJob<'a, &'static str>, WorkSlot<'a, &'static str>)> {
        std::iter::from_fn(|| queue.next()).collect()
    }

    fn count<A, B>(begun: &[(&'static str, A, B)], name: &str) -> usize {
        begun.iter().filter(|(of, ..)| *of == name).count()
    }

    #[test]
    fn one_registry_has_all_slots_and_two_share_them() {
        assert_eq!(begin(&queue(16, &[("a", 100)])).len(), 16);
        let two = queue(16, &[("a", 100), ("b", 100)]);
        let begun = begin(&two);
        assert_eq!((count(&begun, "a"), count(&begun, "b")), (8, 8));
        // The other registry uses what this registry doesn't need.
        let two = queue(16, &[("a", 100), ("b", 3)]);
        assert_eq!(count(&begin(&two), "a"), 13);
    }

    #[test]
    fn a_registry_that_never_responds_does_not_delay_the_others() {
        for jobs in [1, 2, 3, 16] {
            for others in [1, 2, 5] {
                let names = ["b", "c", "d", "e", "f"];
                let mut registries = vec![("a", 200)];
                registries.extend(names.iter().take(others).map(|name| (*name, 50)));
                let queue = queue(jobs, &registries);
                let (mut hung, mut done) = (Vec::new(), 0);
                loop {
                    let mut begun = begin(&queue);
                    assert!(hung.len() + begun.len() <= 2 * jobs, "{} at once, {jobs} jobs", hung.len());
                    let quick: Vec<_> = begun.extract_if(.., |(name, ..)| *name != "a").collect();
                    hung.extend(begun);
                    if quick.is_empty() {
                        break;
                    }
                    done += quick.len();
                }
                assert_eq!(done, others * 50, "{jobs} jobs, {others} other registries");
            }
        }
    }

    #[test]
    fn unconfirmed_subjects_leave_room_for_other_registries() {
        let queue = queue(2, &[("a", 200), ("b", 50)]);
        let (mut waiting, mut done) = (Vec::new(), 0);
        loop {
            let begun = begin(&queue);
            if begun.is_empty() {
                break;
            }
            for (name, running, slot) in begun {
                drop(slot);
                if name == "a" {
                    waiting.push(running);
                } else {
                    done += 1;
                }
            }
            assert!(waiting.len() <= 2 * WAITING_PER_JOB, "{}", waiting.len());
        }
        assert_eq!(done, 50);
    }

    #[test]
    fn a_late_registry_gets_a_slot_when_another_has_all_slots() {
        let queue = queue(4, &[("a", 100)]);
        let _hung = begin(&queue);
        (0..10).for_each(|_| queue.push("b", "b"));
        let mut done = 0;
        while let Some((name, ..)) = queue.next() {
            assert_eq!(name, "b");
            done += 1;
        }
        assert_eq!(done, 10);
    }

    #[test]
    fn dropped_slots_become_free() {
        let queue = queue(3, &[("a", 2), ("b", 2)]);
        drop(begin(&queue));
        drop(begin(&queue));
        let state = queue.state.borrow();
        assert_eq!((state.working, state.running, state.unfinished, state.ready.len()), (0, 0, 0, 0));
    }
}
