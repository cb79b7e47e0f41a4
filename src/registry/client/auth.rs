//! What is known about logins: which a repository has, how its registry wants them, and what works.
//!
//! All of it lasts for the run, of what was used lately. A registry is asked once how it wants logins (its *scheme*), a token is
//! asked for once a repository and access, and a login that was refused is not sent again: many subjects
//! at once make one request here, not many, and a wrong password doesn't lock its account. What is forgotten is found out anew: an
//! agent is asked about names that others choose, for as long as it lives.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
use crate::mask::Mask;
use crate::recent::Recent;
use crate::registry::keychain::{Credential, Keychain, Login};
use crate::registry::reference::Repository;
use crate::secret::Secret;

/// Repositories whose logins are known at once. More in one run log in again.
const MAX_ACCOUNTS: usize = 1024;
/// What their tokens and refusals may have in memory, in bytes: a token has a few kilobytes.
const MAX_ACCOUNTS_BYTES: usize = 8 * 1024 * 1024;
/// Registries whose way of logging in is known at once, besides those of the accounts.
const MAX_SCHEMES: usize = 256;
/// What these ways may have in memory, in bytes: an address each.
const MAX_SCHEMES_BYTES: usize = 1024 * 1024;

/// All that is known.
pub(super) struct Auth {
    keychain: Arc<dyn Keychain>,
    accounts: Mutex<Recent<Repository, Account>>,
    schemes: Mutex<Recent<String, AsyncMutex<Option<Scheme>>>>,
    /// The logins for proxies, which the proxy variables have.
    proxies: Vec<(String, Secret)>,
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
pub(super) struct Session {
    pub(super) state: Arc<AsyncMutex<State>>,
    in_use: Arc<Mutex<InUse>>,
    /// A bit for each login that has been accepted for something.
    proven: AtomicU64,
}

/// The secrets of a [`State`], to hide them in what others say while the state is locked. They go when the state's go.
#[derive(Default)]
struct InUse {
    /// The token in use, in its header.
    token: Option<HeaderValue>,
    /// Refresh tokens that a token service gave in place of a login's own.
    renewed: Vec<(usize, Arc<Secret>)>,
}

#[derive(Default)]
pub(super) struct State {
    generation: u64,
    in_use: Arc<Mutex<InUse>>,
    pass: Option<Pass>,
    /// Logins that don't do, whatever is asked for.
    pub(super) rejected: Vec<(usize, Rebuff)>,
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
    /// What is known at first: nothing but `proxies`, the logins for proxies.
    pub(super) fn new(keychain: Arc<dyn Keychain>, proxies: Vec<(String, Secret)>) -> Self {
        let accounts = Recent::new(MAX_ACCOUNTS, MAX_ACCOUNTS_BYTES, Account::bytes);
        let schemes = Recent::new(MAX_SCHEMES, MAX_SCHEMES_BYTES, scheme_bytes);
        Self { keychain, accounts: Mutex::new(accounts), schemes: Mutex::new(schemes), proxies }
    }

    /// Hides every login and token that is known, and `sent`, in what a registry, a token service or a proxy says: what one request carried can
    /// come back with the answer to another.
    pub(super) fn mask(&self, sent: Option<&HeaderValue>) -> Mask {
        let mut mask = Mask::default();
        if let Some(header) = sent {
            mask.authorization(header);
        }
        for (user, password) in &self.proxies {
            mask.login(user, password.expose());
        }
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        // Most repositories have the same few.
        let mut logins: Vec<&Login> = Vec::new();
        for account in accounts.values() {
            for credential in account.credentials.get().into_iter().flatten() {
                if logins.contains(&&credential.login) {
                    continue;
                }
                logins.push(&credential.login);
                match &credential.login {
                    Login::Basic { user, password } => mask.login(user, password.expose()),
                    Login::IdentityToken(token) => mask.secret(token.expose()),
                }
            }
            for session in [&account.pull, &account.pull_push] {
                let in_use = lock(&session.in_use);
                // What isn't a token is one of the logins.
                if let Some(header) = in_use.token.as_ref() {
                    mask.token(header);
                }
                in_use.renewed.iter().for_each(|(_, token)| mask.secret(token.expose()));
            }
        }
        mask
    }

    /// What the keychain has not read, and why.
    pub(super) fn unread(&self) -> Option<String> {
        self.keychain.unread().map(str::to_owned)
    }

    pub(super) fn account(&self, repository: &Repository) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(repository, || {
            let mut schemes = self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
            Account {
                credentials: OnceCell::new(),
                scheme: schemes.get(repository.registry(), || AsyncMutex::new(None)),
                pull: Session::default(),
                pull_push: Session::default(),
                pull_only: AtomicBool::new(false),
            }
        })
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

fn lock(in_use: &Mutex<InUse>) -> MutexGuard<'_, InUse> {
    in_use.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Account {
    pub(super) fn session(&self, access: Access) -> &Session {
        match access {
            Access::Pull => &self.pull,
            Access::PullPush => &self.pull_push,
        }
    }

    /// What was learned about it, in memory.
    fn bytes(&self) -> usize {
        self.pull.bytes() + self.pull_push.bytes()
    }
}

impl Default for Session {
    fn default() -> Self {
        let state = State::default();
        let in_use = Arc::clone(&state.in_use);
        Self { state: Arc::new(AsyncMutex::new(state)), in_use, proven: AtomicU64::new(0) }
    }
}

impl Session {
    pub(super) async fn lock(&self) -> OwnedMutexGuard<State> {
        Arc::clone(&self.state).lock_owned().await
    }

    /// What it holds in memory; what is in use at the moment doesn't count.
    fn bytes(&self) -> usize {
        self.state.try_lock().map_or(0, |state| state.bytes())
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

/// What is kept of a registry's way, in memory.
fn scheme_bytes(scheme: &AsyncMutex<Option<Scheme>>) -> usize {
    match scheme.try_lock().as_deref() {
        Ok(Some(Scheme::Bearer(bearer))) => bearer.bytes(),
        _ => 0,
    }
}

impl State {
    /// What others gave, in memory.
    fn bytes(&self) -> usize {
        let header = self.pass.as_ref().and_then(|pass| pass.header.as_ref()).map_or(0, HeaderValue::len);
        let rejected: usize =
            self.rejected.iter().map(|(_, rebuff)| rebuff.url.len() + rebuff.refusal.bytes()).sum();
        let renewed: usize = lock(&self.in_use).renewed.iter().map(|(_, token)| token.expose().len()).sum();
        header + rejected + renewed
    }

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
        lock(&self.in_use).token = header.clone().filter(|_| matches!(kind, Kind::Token(_)));
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

    /// The refresh token that the token service gave in place of this login's own.
    pub(super) fn renewed(&self, login: usize) -> Option<Arc<Secret>> {
        let in_use = lock(&self.in_use);
        in_use.renewed.iter().find(|(have, _)| *have == login).map(|(_, token)| Arc::clone(token))
    }

    /// The token service gave a refresh token in place of this login's own.
    pub(super) fn renew(&mut self, login: usize, token: Secret) {
        let mut in_use = lock(&self.in_use);
        in_use.renewed.retain(|(have, _)| *have != login);
        in_use.renewed.push((login, Arc::new(token)));
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
    use crate::registry::keychain::Found;

    #[derive(Debug)]
    struct Anonymous;

    impl Keychain for Anonymous {
        fn credentials<'a>(&'a self, _repository: &'a Repository) -> Found<'a> {
            Box::pin(async { Ok(Vec::new()) })
        }
    }

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

    #[tokio::test]
    async fn what_is_kept_of_many_repositories_is_bounded() {
        // How many repositories, of how many registries, with tokens of how many bytes, and how many are known at the end.
        for (repositories, registries, token, least, most) in [
            (3 * MAX_ACCOUNTS, 1, 10, MAX_ACCOUNTS, MAX_ACCOUNTS),
            (3 * MAX_ACCOUNTS, 3 * MAX_ACCOUNTS, 10, MAX_ACCOUNTS, MAX_ACCOUNTS),
            (500, 1, 64 * 1024, 100, MAX_ACCOUNTS_BYTES / (64 * 1024)),
        ] {
            let auth = Auth::new(Arc::new(Anonymous), Vec::new());
            for number in 0..repositories {
                let name = format!("registry{}.example/team/app{number}", number % registries);
                let account = auth.account(&name.parse().unwrap());
                let mut state = account.session(Access::Pull).lock().await;
                state.use_pass(bearer(&"a".repeat(token)), Kind::Token(None), None);
            }
            // One that was used at last is known.
            let last =
                format!("registry{}.example/team/app{}", (repositories - 1) % registries, repositories - 1);
            let account = auth.account(&last.parse().unwrap());
            assert!(account.session(Access::Pull).lock().await.pass(Instant::now()).is_some());
            let known = auth.accounts.lock().unwrap().len();
            assert!((least..=most + 1).contains(&known), "{known} of {repositories}");
            assert!(auth.schemes.lock().unwrap().len() <= registries.min(MAX_ACCOUNTS + 1));
        }
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
