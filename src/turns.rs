//! Taking turns at things that have names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// What those who take turns tell each other, for each name; the first finds the default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns<T>(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<T>>>>>);

impl<T: Default> Turns<T> {
    /// Waits until nobody else is at `name`; nobody is until the guard is dropped.
    pub(crate) async fn take(&self, name: &str) -> OwnedMutexGuard<T> {
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(name.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}
