//! What is known about logins: which a repository has, how its registry wants them, and what works.
//!
//! All of it lasts for the run. A registry is asked once how it wants logins (its *scheme*), a token is
//! asked for once a repository and access, and a login that was refused is not sent again: many subjects
//! at once make one request here, not many, and a wrong password doesn't lock its account.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method};
use tokio::sync::{Mutex as AsyncMutex, OnceCell, OwnedMutexGuard};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::challenge::{Bearer, Challenge};
use super::error::RegistryError;
use super::options::Access;
use super::refusal::Refusal;
use crate::registry::keychain::{Credential, Keychain, Login};
use crate::registry::reference::Repository;
use crate::secret::Secret;

/// All that is known.
pub(super) struct Auth {
    keychain: Arc<dyn Keychain>,
    accounts: Mutex<HashMap<Repository, Arc<Account>>>,
    schemes: Mutex<HashMap<Box<str>, SharedScheme>>,
}

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
type SharedScheme = Arc<AsyncMutex<Option<Scheme>>>;

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
    credentials: OnceCell<Vec<Arc<Credential>>>,
    pub(super) scheme: SharedScheme,
    pull: Session,
    pull_push: Session,
    /// The token service refuses to let it be written to, so reading asks for less.
    pub(super) pull_only: AtomicBool,
}

/// One repository's logins for one access.
#[derive(Default)]
pub(super) struct Session {
    pub(super) state: Arc<AsyncMutex<State>>,
    /// A bit for each login that has been accepted for something.
    proven: AtomicU64,
}

#[derive(Default)]
pub(super) struct State {
    generation: u64,
    pass: Option<Pass>,
    /// Logins that don't do, whatever is asked for.
    pub(super) rejected: Vec<(usize, Rebuff)>,
    /// Refresh tokens that a token service gave in place of a login's own.
    pub(super) renewed: Vec<(usize, Secret)>,
}

/// What is sent with requests.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    pub(super) header: Option<HeaderValue>,
    pub(super) kind: Kind,
    renew_at: Option<Instant>,
    generation: u64,
}

/// What kind of pass, and the index of the login behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bare,
    Basic(usize),
    Token(Option<usize>),
}

/// A refusal of a login, as it is told when no other login does better.
#[derive(Clone, Debug)]
pub(super) struct Rebuff {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) refusal: Refusal,
    pub(super) by_token_service: bool,
}

/// What one request has been refused with.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// The logins, in the order in which they were refused.
    pub(super) logins: Vec<usize>,
    bare: bool,
    anonymous_token: bool,
    /// The tokens that were asked for anew.
    pub(super) renewed: Vec<Option<usize>>,
    pub(super) last: Option<Rebuff>,
}

impl Tried {
    /// The request was refused with this kind of pass.
    pub(super) fn refuse(&mut self, kind: Kind, rebuff: Rebuff) {
        match kind {
            Kind::Basic(login) | Kind::Token(Some(login)) => {
                if !self.logins.contains(&login) {
                    self.logins.push(login);
                }
            }
            Kind::Bare => self.bare = true,
            Kind::Token(None) => self.anonymous_token = true,
        }
        // What a login was told says more than that one is needed.
        if !matches!(kind, Kind::Bare) || self.logins.is_empty() {
            self.last = Some(rebuff);
        }
    }

    /// The login was sent where it wasn't wanted, which says nothing about it.
    pub(super) fn take_back(&mut self, login: usize) {
        self.logins.retain(|have| *have != login);
    }

    pub(super) fn refuses(&self, kind: Kind) -> bool {
        match kind {
            Kind::Basic(login) | Kind::Token(Some(login)) => self.logins.contains(&login),
            Kind::Bare => self.bare,
            Kind::Token(None) => self.anonymous_token,
        }
    }
}

impl Auth {
    pub(super) fn new(keychain: Arc<dyn Keychain>) -> Self {
        Self { keychain, accounts: Mutex::default(), schemes: Mutex::default() }
    }

    /// What the keychain has not read, and why.
    pub(super) fn unread(&self) -> Option<String> {
        self.keychain.unread().map(str::to_owned)
    }

    pub(super) fn account(&self, repository: &Repository) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(repository) {
            return Arc::clone(account);
        }
        let mut schemes = self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
        let scheme = Arc::clone(schemes.entry(repository.registry().into()).or_default());
        let account = Arc::new(Account {
            credentials: OnceCell::new(),
            scheme,
            pull: Session::default(),
            pull_push: Session::default(),
            pull_only: AtomicBool::new(false),
        });
        accounts.insert(repository.clone(), Arc::clone(&account));
        account
    }

    /// The repository's logins. Asked for once; that they can't be known is never taken for "none".
    pub(super) async fn credentials<'a>(
        &self,
        account: &'a Account,
        repository: &Repository,
    ) -> Result<&'a [Arc<Credential>], RegistryError> {
        let ask = || async {
            let found = self.keychain.credentials(repository).await;
            let found = found.map_err(|source| RegistryError::Credentials {
                repository: repository.clone(),
                source: Box::new(source),
            })?;
            Ok(found.into_iter().map(Arc::new).collect())
        };
        account.credentials.get_or_try_init(ask).await.map(Vec::as_slice)
    }
}

impl Account {
    pub(super) fn session(&self, access: Access) -> &Session {
        match access {
            Access::Pull => &self.pull,
            Access::PullPush => &self.pull_push,
        }
    }
}

impl Session {
    pub(super) async fn lock(&self) -> OwnedMutexGuard<State> {
        Arc::clone(&self.state).lock_owned().await
    }

    /// This kind of pass was let through.
    pub(super) fn accepted(&self, kind: Kind) {
        let bit = login_bit(kind);
        if self.proven.load(Ordering::Relaxed) & bit != bit {
            self.proven.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether this kind of pass has ever been let through.
    pub(super) fn is_proven(&self, kind: Kind) -> bool {
        let bit = login_bit(kind);
        bit != 0 && self.proven.load(Ordering::Relaxed) & bit == bit
    }
}

/// Past the 64th login of one repository, none is remembered as good.
fn login_bit(kind: Kind) -> u64 {
    match kind {
        Kind::Basic(login) | Kind::Token(Some(login)) => {
            u32::try_from(login).ok().and_then(|login| 1_u64.checked_shl(login)).unwrap_or(0)
        }
        Kind::Bare | Kind::Token(None) => 0,
    }
}

impl State {
    /// The pass in use, if it is still good.
    pub(super) fn pass(&self, now: Instant) -> Option<&Pass> {
        self.pass.as_ref().filter(|pass| pass.renew_at.is_none_or(|at| now < at))
    }

    /// The login behind the last pass, the first to try next.
    pub(super) fn last_login(&self) -> Option<usize> {
        match self.pass.as_ref()?.kind {
            Kind::Basic(login) | Kind::Token(Some(login)) => Some(login),
            Kind::Bare | Kind::Token(None) => None,
        }
    }

    /// Puts a new pass in use.
    pub(super) fn use_pass(
        &mut self,
        header: Option<HeaderValue>,
        kind: Kind,
        renew_at: Option<Instant>,
    ) -> Pass {
        self.generation += 1;
        let pass = Pass { header, kind, renew_at, generation: self.generation };
        self.pass = Some(pass.clone());
        pass
    }

    /// Whether `pass` is the one in use; if not, another request has already seen to it.
    pub(super) fn is_current(&self, pass: &Pass) -> bool {
        self.generation == pass.generation
    }

    /// The pass in use is no longer good, though its login may be.
    pub(super) fn expire(&mut self) {
        if let Some(pass) = &mut self.pass {
            pass.renew_at = Some(Instant::now());
        }
    }

    /// The login behind `kind` doesn't do for anything.
    pub(super) fn reject(&mut self, kind: Kind, rebuff: Rebuff) {
        if let Kind::Basic(login) | Kind::Token(Some(login)) = kind {
            self.rejected.push((login, rebuff));
        }
    }
}

/// The first login that can be sent to the registry itself and wasn't refused.
pub(super) fn first_basic(credentials: &[Arc<Credential>], tried: &Tried) -> Option<(usize, HeaderValue)> {
    let untried = credentials.iter().enumerate().filter(|(at, _)| !tried.logins.contains(at));
    untried.filter_map(|(at, credential)| Some((at, basic(credential)?))).next()
}

/// The `Authorization` header of a name and password.
pub(super) fn basic(credential: &Credential) -> Option<HeaderValue> {
    let Login::Basic { user, password } = &credential.login else { return None };
    let plain = Zeroizing::new([user.as_bytes(), b":", password.expose()].concat());
    let mut value = Zeroizing::new(String::with_capacity(8 + plain.len().div_ceil(3) * 4));
    value.push_str("Basic ");
    STANDARD.encode_string(&*plain, &mut value);
    authorization(value)
}

/// The `Authorization` header of a token.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    authorization(Zeroizing::new(["Bearer ", token].concat()))
}

/// A header that no `Debug` shows, over memory that is wiped when the last copy of it goes.
fn authorization(value: Zeroizing<String>) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(value)).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_headers_are_never_shown() {
        let credential = Credential {
            login: Login::Basic { user: "Aladdin".into(), password: Secret::from("open sesame".to_owned()) },
            origin: "here".into(),
        };
        let header = basic(&credential).unwrap();
        assert_eq!(header.as_bytes(), b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(format!("{header:?}"), "Sensitive");
        assert_eq!(format!("{:?}", bearer("abc").unwrap()), "Sensitive");
        assert_eq!(bearer("a\nb"), None);
    }

    #[test]
    fn the_65th_login_works_like_the_others() {
        let session = Session::default();
        session.accepted(Kind::Basic(64));
        assert!(!session.is_proven(Kind::Basic(64)));
        session.accepted(Kind::Token(Some(63)));
        assert!(session.is_proven(Kind::Basic(63)));
    }
}
