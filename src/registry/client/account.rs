//! What is known of one repository's logins, and of its registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use super::challenge::{Bearer, Offered};
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
    Bearer(Arc<TokenServices>),
}

/// The token services that a registry names.
#[derive(Clone, Debug)]
pub(super) struct TokenServices {
    /// In the order in which they are asked.
    pub(super) services: Vec<Bearer>,
    /// Whether the registry also takes logins itself.
    pub(super) basic: bool,
}

/// What is known of how a registry wants logins.
#[derive(Clone, Debug, Default)]
pub(super) struct Manner {
    /// Unknown until its first answer.
    pub(super) scheme: Option<Scheme>,
    /// It was asked without a login, after it had refused one.
    pub(super) asked_bare: bool,
}

/// A registry's manner; whoever holds the lock finds it out.
pub(super) type SharedManner = Arc<AsyncMutex<Manner>>;

impl Manner {
    /// What it holds in memory; what is in use at the moment doesn't count.
    pub(super) fn bytes(manner: &AsyncMutex<Self>) -> usize {
        match manner.try_lock().as_deref() {
            Ok(Self { scheme: Some(Scheme::Bearer(tokens)), .. }) => {
                tokens.services.iter().map(Bearer::bytes).sum()
            }
            _ => 0,
        }
    }

    /// Takes in what the registry offers. Token services come first; a login that was let through stays possible.
    pub(super) fn learn(&mut self, offered: &Offered) {
        let services = offered.token_services();
        let had_basic = match &self.scheme {
            Some(Scheme::Basic) => true,
            Some(Scheme::Bearer(tokens)) => tokens.basic,
            Some(Scheme::Open) | None => false,
        };
        let basic = offered.basic || had_basic;
        self.scheme = Some(match services.is_empty() {
            true => Scheme::Basic,
            false => Scheme::Bearer(Arc::new(TokenServices { services, basic })),
        });
    }
}

/// One repository's logins.
pub(super) struct Account {
    pub(super) credentials: OnceCell<Vec<Arc<Credential>>>,
    pub(super) manner: SharedManner,
    pub(super) pull: Session,
    pub(super) pull_push: Session,
    /// The token service refuses to let it be written to, so reading asks for less.
    pub(super) pull_only: AtomicBool,
    /// The registry gives something only to a token that may push, so reading asks for more.
    pub(super) push_to_read: AtomicBool,
    /// A manifest of it was read in this run.
    pub(super) reads_manifests: AtomicBool,
    /// The user has been warned that a password is sent without the line break at its end.
    pub(super) told_line_break: AtomicBool,
    /// The same for requests that say nothing about the login, from their first refusal on.
    apart: OnceCell<Box<Account>>,
}

impl Account {
    pub(super) fn new(manner: SharedManner) -> Self {
        Self {
            credentials: OnceCell::new(),
            manner,
            pull: Session::default(),
            pull_push: Session::default(),
            pull_only: AtomicBool::new(false),
            push_to_read: AtomicBool::new(false),
            reads_manifests: AtomicBool::new(false),
            told_line_break: AtomicBool::new(false),
            apart: OnceCell::new(),
        }
    }

    /// The state for requests that say nothing about the login: their refusals don't affect other requests.
    pub(super) fn apart(&self) -> Option<&Self> {
        self.apart.get().map(Box::as_ref)
    }

    /// The same, which begins with all that is known now. Nothing of this account may be locked.
    pub(super) async fn kept_apart(&self) -> &Self {
        let copy = || async {
            let manner = self.manner.lock().await.clone();
            let mut copy = Self::new(Arc::new(AsyncMutex::new(manner)));
            copy.pull = self.pull.copy().await;
            copy.pull_push = self.pull_push.copy().await;
            for (flag, known) in [
                (&copy.pull_only, &self.pull_only),
                (&copy.push_to_read, &self.push_to_read),
                (&copy.told_line_break, &self.told_line_break),
            ] {
                flag.store(known.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            Box::new(copy)
        };
        self.apart.get_or_init(copy).await
    }

    /// The sessions with tokens in them.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &Session> {
        let all = [Some(self), self.apart()].into_iter().flatten();
        all.flat_map(|account| [&account.pull, &account.pull_push])
    }

    pub(super) fn session(&self, access: Access) -> &Session {
        match access {
            Access::Pull => &self.pull,
            Access::PullPush => &self.pull_push,
        }
    }

    /// What a token for a request is asked to allow; `usual` is what the command asks for.
    pub(super) fn access(&self, writes: bool, usual: Access) -> Access {
        match usual {
            _ if writes => Access::PullPush,
            Access::PullPush if self.pull_only.load(Ordering::Relaxed) => Access::Pull,
            Access::Pull if self.may_push_to_read() => Access::PullPush,
            usual => usual,
        }
    }

    /// Whether reading asks for a token that may push.
    fn may_push_to_read(&self) -> bool {
        self.push_to_read.load(Ordering::Relaxed) && !self.pull_only.load(Ordering::Relaxed)
    }

    /// What was learned about it, in memory.
    pub(super) fn bytes(&self) -> usize {
        let apart = self.apart().map_or(0, |apart| Manner::bytes(&apart.manner));
        self.sessions().map(Session::bytes).sum::<usize>() + apart
    }
}
