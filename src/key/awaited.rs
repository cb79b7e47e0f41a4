//! A public key that may not be known yet.

use std::future::{Future, ready};
use std::pin::Pin;

use super::PublicKey;

/// A public key that may have to be waited for, as its private key is still being unlocked.
pub trait AwaitedKey: Send + Sync {
    /// Waits for it; `None`: the key can't be used.
    fn public(&self) -> Pin<Box<dyn Future<Output = Option<PublicKey>> + Send + '_>>;
}

impl AwaitedKey for PublicKey {
    fn public(&self) -> Pin<Box<dyn Future<Output = Option<PublicKey>> + Send + '_>> {
        Box::pin(ready(Some(self.clone())))
    }
}
