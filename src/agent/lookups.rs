//! Whose turn it is to be looked up. Clients name the registries, and a registry that hangs takes only its own share of the turns.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Refusal;
use crate::oci::Repository;
use crate::recent::LruCache;

/// Images that are looked up at once. Their manifests are small; few large manifests are read at once.
pub(super) const MAX_LOOKUPS: usize = 32;
/// How many of them may be in one registry, and how many more may wait for it; the next ones are refused at once.
const REGISTRY: Share = Share { turns: MAX_LOOKUPS / 4, waiting: 504 };
/// The same for a repository: some registries hang for a single repository.
const REPOSITORY: Share = Share { turns: MAX_LOOKUPS / 8, waiting: 252 };
/// Names whose turns are kept when no request waits for them.
const MAX_NAMES: usize = 64;

/// What one name may have of the turns.
#[derive(Clone, Copy, Debug)]
struct Share {
    turns: usize,
    waiting: usize,
}

/// The turns of all names.
#[derive(Debug)]
pub(super) struct Lookups {
    all: Arc<Semaphore>,
    registries: Mutex<LruCache<String, Turns>>,
    repositories: Mutex<LruCache<String, Turns>>,
}

/// The turns of one name.
#[derive(Debug)]
struct Turns {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// The right to look an image up.
#[derive(Debug)]
pub(super) struct Turn {
    _permits: [OwnedSemaphorePermit; 5],
    /// Its names aren't forgotten while they are in use.
    _names: [Arc<Turns>; 2],
}

impl Lookups {
    pub(super) fn new() -> Self {
        let names = || Mutex::new(LruCache::new(MAX_NAMES, usize::MAX, |_| 0));
        Self { all: Arc::new(Semaphore::new(MAX_LOOKUPS)), registries: names(), repositories: names() }
    }

    /// Waits for a turn in `repository` and its registry. The caller bounds the time.
    ///
    /// # Errors
    ///
    /// Too many wait for one of them.
    pub(super) async fn turn(&self, repository: &Repository) -> Result<Turn, Refusal> {
        let name = repository.canonical();
        let registry = turns(&self.registries, &name.registry_with_port(), REGISTRY);
        let repository = turns(&self.repositories, &name.to_string(), REPOSITORY);
        let in_repository = repository.place()?;
        let in_registry = registry.place()?;
        let of_repository = acquire(&repository.turns).await?;
        let of_registry = acquire(&registry.turns).await?;
        let of_all = acquire(&self.all).await?;
        Ok(Turn {
            _permits: [in_repository, in_registry, of_repository, of_registry, of_all],
            _names: [repository, registry],
        })
    }
}

fn turns(known: &Mutex<LruCache<String, Turns>>, name: &str, share: Share) -> Arc<Turns> {
    known.lock().unwrap_or_else(PoisonError::into_inner).get(name, || Turns {
        places: Arc::new(Semaphore::new(share.turns + share.waiting)),
        turns: Arc::new(Semaphore::new(share.turns)),
    })
}

async fn acquire(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
    Arc::clone(turns).acquire_owned().await.map_err(|_| Refusal::Internal)
}

impl Turns {
    /// A place to wait at.
    fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::Busy)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::task::unconstrained;

    use super::*;

    type Names = fn(usize) -> String;

    /// What hangs has its share, and nothing else waits for it: names that hang, how many turns and places they have, and others.
    #[tokio::test]
    async fn what_hangs_keeps_no_other_waiting() {
        let registry = |number: usize| format!("hangs.example/a{number}");
        let repository = |number: usize| {
            if number.is_multiple_of(2) { "hangs.example/a" } else { "HANGS.example:443/a" }.to_owned()
        };
        let cases: [(Names, Share, Names); 2] = [
            (registry, REGISTRY, |number| format!("other{number}.example/a")),
            (repository, REPOSITORY, |number| format!("hangs.example/b{number}")),
        ];
        for (hangs, share, others) in cases {
            let lookups = Lookups::new();
            let name = |number| hangs(number).parse::<Repository>().unwrap();
            let mut turns = Vec::new();
            for number in 0..share.turns {
                turns.push(lookups.turn(&name(number)).await.unwrap());
            }
            let names: Vec<Repository> = (0..share.waiting).map(name).collect();
            let mut waiting = Vec::new();
            for name in &names {
                let mut turn = Box::pin(unconstrained(lookups.turn(name)));
                assert!(turn.as_mut().now_or_never().is_none());
                waiting.push(turn);
            }
            let one_more = name(0);
            assert!(matches!(
                unconstrained(lookups.turn(&one_more)).now_or_never(),
                Some(Err(Refusal::Busy))
            ));
            for number in 0..100 {
                let other = others(number).parse().unwrap();
                assert!(unconstrained(lookups.turn(&other)).now_or_never().is_some_and(|turn| turn.is_ok()));
            }
            // A request that gave up has no place, and its turns pass to others.
            waiting.pop();
            assert!(unconstrained(lookups.turn(&one_more)).now_or_never().is_none());
            turns.clear();
            assert!(waiting.remove(0).now_or_never().is_some());
        }
    }
}
