//! Whose turn it is to be looked up. Clients name the registries, and one that hangs takes only its own share of the turns.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Refusal;
use crate::recent::Recent;
use crate::registry::Repository;

/// Images that are looked up at once. Their manifests are small; of large ones few are read at once.
const MAX_LOOKUPS: usize = 32;
/// How many of them may be in one registry.
const MAX_LOOKUPS_OF_REGISTRY: usize = MAX_LOOKUPS / 4;
/// How many more may wait for one registry; the next ones are refused at once.
const MAX_WAITING_FOR_REGISTRY: usize = 248;
/// Registries whose turns are kept when nobody waits for them.
const MAX_REGISTRIES: usize = 64;

/// The turns of all registries.
#[derive(Debug)]
pub(super) struct Lookups {
    all: Arc<Semaphore>,
    registries: Mutex<Recent<String, Registry>>,
}

#[derive(Debug)]
struct Registry {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// The right to look an image up.
#[derive(Debug)]
pub(super) struct Turn {
    _permits: [OwnedSemaphorePermit; 3],
    /// Its registry isn't forgotten while it is in use.
    _registry: Arc<Registry>,
}

impl Lookups {
    pub(super) fn new() -> Self {
        let registries = Mutex::new(Recent::new(MAX_REGISTRIES, usize::MAX, |_| 0));
        Self { all: Arc::new(Semaphore::new(MAX_LOOKUPS)), registries }
    }

    /// Waits for a turn in the registry of `repository`. The caller bounds the time.
    ///
    /// # Errors
    ///
    /// Too many wait for that registry.
    pub(super) async fn turn(&self, repository: &Repository) -> Result<Turn, Refusal> {
        let name = repository.canonical().registry_with_port();
        let registry = {
            let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
            registries.get(&name, || Registry {
                places: Arc::new(Semaphore::new(MAX_LOOKUPS_OF_REGISTRY + MAX_WAITING_FOR_REGISTRY)),
                turns: Arc::new(Semaphore::new(MAX_LOOKUPS_OF_REGISTRY)),
            })
        };
        let place = Arc::clone(&registry.places).try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let turn = Arc::clone(&registry.turns).acquire_owned().await.map_err(|_| Refusal::Internal)?;
        let one = Arc::clone(&self.all).acquire_owned().await.map_err(|_| Refusal::Internal)?;
        Ok(Turn { _permits: [place, turn, one], _registry: registry })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::task::unconstrained;

    use super::*;

    #[tokio::test]
    async fn a_registry_that_hangs_keeps_no_other_waiting() {
        let lookups = Lookups::new();
        let hangs: Repository = "hangs.example/a".parse().unwrap();
        let mut turns = Vec::new();
        for _ in 0..MAX_LOOKUPS_OF_REGISTRY {
            turns.push(lookups.turn(&hangs).await.unwrap());
        }
        // Other spellings are the same registry.
        let spelled: Repository = "HANGS.example:443/b".parse().unwrap();
        let mut waiting = Vec::new();
        for _ in 0..MAX_WAITING_FOR_REGISTRY {
            let mut turn = Box::pin(unconstrained(lookups.turn(&spelled)));
            assert!(turn.as_mut().now_or_never().is_none());
            waiting.push(turn);
        }
        assert!(matches!(unconstrained(lookups.turn(&hangs)).now_or_never(), Some(Err(Refusal::Busy))));
        for number in 0..100 {
            let other = format!("other{number}.example/a").parse().unwrap();
            assert!(lookups.turn(&other).await.is_ok());
        }
        // Whoever gave up has no place, and the turns are given on.
        waiting.pop();
        assert!(unconstrained(lookups.turn(&hangs)).now_or_never().is_none());
        turns.clear();
        assert!(waiting.remove(0).now_or_never().is_some());
    }
}
