//! Locks by name: one task at a time holds each name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// A lock for each name, around a value that its holders share. The first holder finds the default value.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyedLocks<T>(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<T>>>>>);

impl<T: Default> KeyedLocks<T> {
    /// Waits for the lock of `name` and holds it until the guard is dropped.
    pub(crate) async fn take(&self, name: &str) -> OwnedMutexGuard<T> {
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(name.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}
