//! One repository's logins for one access: the authorization in use, and what was refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::attempts::AuthRejection;
use super::challenge::{Bearer, Offered};
use crate::mask::Mask;
use crate::secret::Secret;

/// One repository's logins for one access.
pub(super) struct Session {
    pub(super) state: Arc<AsyncMutex<State>>,
    in_use: Arc<Mutex<InUse>>,
    /// A bit for each login that has been accepted for something.
    proven: AtomicU64,
    renewed: Renewed,
}

/// A bit for each login whose token was refused and asked for anew since one of its tokens was let through: a token service may give tokens to a
/// wrong password, or to a login that may only read, and each further one would be refused like the last.
///
/// Those that let requests read say nothing about writing, so each has its own.
#[derive(Default)]
struct Renewed {
    to_read: AtomicU64,
    to_write: AtomicU64,
}

/// The secrets of a [`State`], to hide them in what others say while the state is locked. They go when the state's go.
#[derive(Clone, Default)]
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
    pass: Option<Authorization>,
    /// What doesn't do, whatever is asked for.
    pub(super) rejected: Vec<(Kind, AuthRejection)>,
    /// Questions for a token that the token service refused.
    refused_asks: Vec<(Option<usize>, Arc<Ask>)>,
    /// What the registry last named for a request of this session; `None`: nothing yet.
    pub(super) named: Option<Offered>,
}

/// What a token is asked for with, besides the login.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// The token service.
    pub(super) service: Bearer,
    pub(super) scope: String,
}

/// What is sent with requests.
#[derive(Clone, Debug)]
pub(super) struct Authorization {
    pub(super) header: Option<HeaderValue>,
    pub(super) kind: Kind,
    /// What a token was asked for with.
    pub(super) ask: Option<Arc<Ask>>,
    renew_at: Option<Instant>,
    generation: u64,
}

/// What kind of authorization, and the index of the login behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bare,
    Basic(usize),
    Token(Option<usize>),
}

impl Default for Session {
    fn default() -> Self {
        let state = State::default();
        let in_use = Arc::clone(&state.in_use);
        Self {
            state: Arc::new(AsyncMutex::new(state)),
            in_use,
            proven: AtomicU64::new(0),
            renewed: Renewed::default(),
        }
    }
}

impl Session {
    /// Makes a session that begins with all that this session knows.
    pub(super) async fn copy(&self) -> Self {
        let state = self.lock().await.copy();
        let in_use = Arc::clone(&state.in_use);
        let copy = |bits: &AtomicU64| AtomicU64::new(bits.load(Ordering::Relaxed));
        let Renewed { to_read, to_write } = &self.renewed;
        let renewed = Renewed { to_read: copy(to_read), to_write: copy(to_write) };
        Self { state: Arc::new(AsyncMutex::new(state)), in_use, proven: copy(&self.proven), renewed }
    }

    pub(super) async fn lock(&self) -> OwnedMutexGuard<State> {
        Arc::clone(&self.state).lock_owned().await
    }

    /// What it holds in memory; what is in use at the moment doesn't count.
    pub(super) fn bytes(&self) -> usize {
        self.state.try_lock().map_or(0, |state| state.bytes())
    }

    /// This kind of pass was let through, to write or to read.
    pub(super) fn accepted(&self, kind: Kind, writes: bool) {
        if let Kind::Token(login) = kind {
            let (bits, bit) = self.renewed.of(login, writes);
            if bits.load(Ordering::Relaxed) & bit != 0 {
                bits.fetch_and(!bit, Ordering::Relaxed);
            }
        }
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

    /// Whether a refused token of this login may be renewed: once, until a token is accepted for the same.
    pub(super) fn may_renew(&self, login: Option<usize>, writes: bool) -> bool {
        let (bits, bit) = self.renewed.of(login, writes);
        bits.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// Hides the token in use, and the refresh tokens that came with it.
    pub(super) fn hide_in(&self, mask: &mut Mask) {
        let in_use = lock(&self.in_use);
        // What isn't a token is one of the logins.
        if let Some(header) = in_use.token.as_ref() {
            mask.token(header);
        }
        in_use.renewed.iter().for_each(|(_, token)| mask.secret(token.expose()));
    }
}

impl Renewed {
    /// Where the bit of this login is, and the bit. A token without a login has that of the first, as it is asked for only where there is none. All logins
    /// past the 63rd have one.
    fn of(&self, login: Option<usize>, writes: bool) -> (&AtomicU64, u64) {
        let bits = if writes { &self.to_write } else { &self.to_read };
        (bits, 1 << login.unwrap_or(0).min(63))
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
    fn copy(&self) -> Self {
        let in_use = Arc::new(Mutex::new(lock(&self.in_use).clone()));
        let (rejected, refused_asks) = (self.rejected.clone(), self.refused_asks.clone());
        let (pass, named) = (self.pass.clone(), self.named.clone());
        Self { generation: self.generation, in_use, pass, rejected, refused_asks, named }
    }

    /// What others gave, in memory.
    fn bytes(&self) -> usize {
        let header = self.pass.as_ref().and_then(|pass| pass.header.as_ref()).map_or(0, HeaderValue::len);
        let asks = self.refused_asks.iter().map(|(_, ask)| ask);
        let asks = asks.chain(self.pass.iter().filter_map(|pass| pass.ask.as_ref()));
        let asks: usize = asks.map(|ask| ask.service.bytes() + ask.scope.len()).sum();
        let named = self.named.as_ref().map_or(0, Offered::bytes);
        let rejected: usize =
            self.rejected.iter().map(|(_, rejection)| rejection.url.len() + rejection.refusal.bytes()).sum();
        let renewed: usize = lock(&self.in_use).renewed.iter().map(|(_, token)| token.expose().len()).sum();
        header + asks + named + rejected + renewed
    }

    /// The pass in use, if it is still good.
    pub(super) fn pass(&self, now: Instant) -> Option<&Authorization> {
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
    pub(super) fn use_pass(&mut self, header: Option<HeaderValue>, kind: Kind) -> Authorization {
        self.put_in_use(header, kind, None, None)
    }

    /// Puts a new token in use, and says what it was asked for with.
    pub(super) fn use_token(
        &mut self,
        header: HeaderValue,
        login: Option<usize>,
        ask: Arc<Ask>,
        renew_at: Instant,
    ) -> Authorization {
        self.put_in_use(Some(header), Kind::Token(login), Some(ask), Some(renew_at))
    }

    fn put_in_use(
        &mut self,
        header: Option<HeaderValue>,
        kind: Kind,
        ask: Option<Arc<Ask>>,
        renew_at: Option<Instant>,
    ) -> Authorization {
        self.generation += 1;
        lock(&self.in_use).token = header.clone().filter(|_| matches!(kind, Kind::Token(_)));
        let pass = Authorization { header, kind, ask, renew_at, generation: self.generation };
        self.pass = Some(pass.clone());
        pass
    }

    /// Whether `pass` is in use; if not, another request has already replaced it.
    pub(super) fn is_current(&self, pass: &Authorization) -> bool {
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

    /// This kind of authorization doesn't do for anything.
    pub(super) fn reject(&mut self, kind: Kind, rejection: AuthRejection) {
        if !matches!(kind, Kind::Bare) && !self.rejected.iter().any(|(have, _)| *have == kind) {
            self.rejected.push((kind, rejection));
        }
    }

    /// The token service refuses to give this login what was asked for.
    pub(super) fn refuse_ask(&mut self, login: Option<usize>, ask: Arc<Ask>) {
        self.refused_asks.push((login, ask));
    }

    pub(super) fn refuses_ask(&self, login: Option<usize>, ask: &Ask) -> bool {
        self.refused_asks.iter().any(|(have, refused)| *have == login && **refused == *ask)
    }
}

fn lock(in_use: &Mutex<InUse>) -> MutexGuard<'_, InUse> {
    in_use.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_65th_login_works_like_the_others() {
        let session = Session::default();
        session.accepted(Kind::Basic(64), false);
        assert!(!session.is_proven(Kind::Basic(64)));
        session.accepted(Kind::Token(Some(63)), false);
        assert!(session.is_proven(Kind::Basic(63)));
    }

    #[test]
    fn a_token_is_renewed_once_until_one_is_let_through_to_do_the_same() {
        for login in [None, Some(0), Some(5), Some(63), Some(100)] {
            let session = Session::default();
            for writes in [false, true] {
                assert!(session.may_renew(login, writes) && !session.may_renew(login, writes), "{login:?}");
            }
            session.accepted(Kind::Token(login), false);
            assert!(!session.may_renew(login, true), "{login:?}");
            assert!(session.may_renew(login, false) && !session.may_renew(login, false), "{login:?}");
            session.accepted(Kind::Token(Some(7)), false);
            session.accepted(Kind::Basic(login.unwrap_or(0)), false);
            assert!(!session.may_renew(login, false), "{login:?}");
        }
    }
}
