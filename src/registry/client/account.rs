//! What is known of one repository's logins, and of its registry.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use super::challenge::{Bearer, Challenge};
use super::options::Access;
use super::session::Session;
use crate::registry::keychain::Credential;

/// How a registry wants logins.
#[derive(Clone, Debug)]
pub(super) enum Scheme {
    /// It answered without one.
    Open,
    /// Sent to itself.
    Basic,
    /// Exchanged for a token.
    Bearer(Arc<Bearer>),
}

/// A registry's scheme, unknown until its first answer; whoever holds the lock finds it out.
pub(super) type SharedScheme = Arc<AsyncMutex<Option<Scheme>>>;

impl From<Challenge> for Scheme {
    fn from(challenge: Challenge) -> Self {
        match challenge {
            Challenge::Basic => Self::Basic,
            Challenge::Bearer(bearer) => Self::Bearer(Arc::new(bearer)),
        }
    }
}

/// One repository's logins.
pub(super) struct Account {
    pub(super) credentials: OnceCell<Vec<Arc<Credential>>>,
    pub(super) scheme: SharedScheme,
    pub(super) pull: Session,
    pub(super) pull_push: Session,
    /// The token service refuses to let it be written to, so reading asks for less.
    pub(super) pull_only: AtomicBool,
}

impl Account {
    pub(super) fn session(&self, access: Access) -> &Session {
        match access {
            Access::Pull => &self.pull,
            Access::PullPush => &self.pull_push,
        }
    }

    /// What was learned about it, in memory.
    pub(super) fn bytes(&self) -> usize {
        self.pull.bytes() + self.pull_push.bytes()
    }
}

/// What is kept of a registry's way, in memory.
pub(super) fn scheme_bytes(scheme: &AsyncMutex<Option<Scheme>>) -> usize {
    match scheme.try_lock().as_deref() {
        Ok(Some(Scheme::Bearer(bearer))) => bearer.bytes(),
        _ => 0,
    }
}
