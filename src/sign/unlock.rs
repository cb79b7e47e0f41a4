//! The key while it is being derived, beside the network.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::Shared;

use super::remote::{AgentAddress, Expected, RemoteSigner};
use super::{KeyError, LockedKey, Signer};
use crate::explain::explain;
use crate::formats::Payload;
use crate::key::{AwaitedKey, PublicKey, Signature};
use crate::oci::ImageRef;

type Unlocked = Result<Arc<dyn Signer>, SignError>;

/// A key that is being unlocked on a thread of its own, or an agent that is waited for, once for all who need it.
#[derive(Clone)]
pub struct Unlocking(Shared<Pin<Box<dyn Future<Output = Unlocked> + Send>>>);

/// Why nothing could be signed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key can't be used.
    #[error(transparent)]
    Key(Arc<KeyError>),
    /// The thread that held the key ended early.
    #[error("the signing thread ended before it was done")]
    Ended,
}

explain! { SignError,
    Self::Key(error) => [of error],
    Self::Ended => ["memory-short", Failed, "give the step at least 96 MiB of memory"],
}

impl Unlocking {
    /// Begins to unlock `key` at once; must be called inside a tokio runtime.
    pub fn start(key: LockedKey) -> Self {
        let task = tokio::task::spawn_blocking(move || key.unlock());
        let unlocked = async {
            match task.await {
                Ok(Ok(signer)) => Ok(Arc::from(signer)),
                Ok(Err(error)) => Err(SignError::Key(Arc::new(error))),
                Err(_) => Err(SignError::Ended),
            }
        };
        Self(unlocked.boxed().shared())
    }

    /// Begins to look for the `expected` agent at `address` at once, until `deadline`; must be called inside a tokio runtime.
    pub fn agent(address: AgentAddress, expected: Expected, deadline: Instant) -> Self {
        let task = tokio::spawn(async move { RemoteSigner::connect(address, &expected, deadline).await });
        let connected = async {
            match task.await {
                Ok(Ok(signer)) => Ok(Arc::new(signer) as Arc<dyn Signer>),
                Ok(Err(error)) => Err(SignError::Key(Arc::new(KeyError::Agent(error)))),
                Err(_) => Err(SignError::Ended),
            }
        };
        Self(connected.boxed().shared())
    }

    /// Waits for the key.
    ///
    /// # Errors
    ///
    /// When it can't be unlocked.
    pub async fn signer(&self) -> Unlocked {
        self.0.clone().await
    }

    /// Signs `payload`, which is about `images`, on a blocking thread: an RSA signature takes milliseconds.
    ///
    /// # Errors
    ///
    /// When the key can't be unlocked, or can't sign, or whoever holds it won't.
    pub async fn sign_payload(
        &self,
        payload: Payload,
        images: Vec<ImageRef>,
    ) -> Result<Signature, SignError> {
        let signer = self.signer().await?;
        let signed = tokio::task::spawn_blocking(move || signer.sign_payload(&payload, &images)).await;
        signed.map_err(|_| SignError::Ended)?.map_err(|error| SignError::Key(Arc::new(error)))
    }
}

impl AwaitedKey for Unlocking {
    fn public(&self) -> Pin<Box<dyn Future<Output = Option<PublicKey>> + Send + '_>> {
        async { Some(self.signer().await.ok()?.public_key().clone()) }.boxed()
    }
}

impl fmt::Debug for Unlocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unlocking(..)")
    }
}
