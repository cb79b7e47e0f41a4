//! What is known about logins: which a repository has, how its registry wants them, and what works.
//!
//! All of it lasts for the run, of what was used lately. A registry is asked once how it wants logins (its *scheme*), a token is
//! asked for once a repository and access, and a login that was refused is not sent again: many subjects
//! at once make one request here, not many, and a wrong password doesn't lock its account. What is forgotten is found out anew: an
//! agent is asked about names that others choose, for as long as it lives.

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use tokio::sync::Mutex as AsyncMutex;

use super::account::{Account, Manner};
use super::error::RegistryError;
use super::line_break::with_second_tries;
use crate::mask::Mask;
use crate::oci::reference::Repository;
use crate::recent::LruCache;
use crate::registry::keychain::{Credential, Keychain, Login};
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
    accounts: Mutex<LruCache<Repository, Account>>,
    manners: Mutex<LruCache<String, AsyncMutex<Manner>>>,
    /// The logins for proxies, which the proxy variables have.
    proxies: Vec<(String, Secret)>,
}

impl Auth {
    /// What is known at first: nothing but `proxies`, the logins for proxies.
    pub(super) fn new(keychain: Arc<dyn Keychain>, proxies: Vec<(String, Secret)>) -> Self {
        let accounts = LruCache::new(MAX_ACCOUNTS, MAX_ACCOUNTS_BYTES, Account::bytes);
        let manners = LruCache::new(MAX_SCHEMES, MAX_SCHEMES_BYTES, Manner::bytes);
        Self { keychain, accounts: Mutex::new(accounts), manners: Mutex::new(manners), proxies }
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
                    Login::IdentityToken(token) | Login::RegistryToken(token) => mask.secret(token.expose()),
                }
            }
            account.sessions().for_each(|session| session.hide_in(&mut mask));
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
            let mut manners = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
            Account::new(manners.get(repository.registry(), || AsyncMutex::new(Manner::default())))
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
            Ok(with_second_tries(found))
        };
        account.credentials.get_or_try_init(ask).await.map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::registry::client::authorization::bearer;
    use crate::registry::client::options::Access;
    use crate::registry::client::session::Kind;
    use crate::registry::keychain::Found;

    #[derive(Debug)]
    struct Anonymous;

    impl Keychain for Anonymous {
        fn credentials<'a>(&'a self, _repository: &'a Repository) -> Found<'a> {
            Box::pin(async { Ok(Vec::new()) })
        }
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
                state.use_pass(bearer(&"a".repeat(token)), Kind::Token(None));
            }
            // A login that was used recently is known.
            let last =
                format!("registry{}.example/team/app{}", (repositories - 1) % registries, repositories - 1);
            let account = auth.account(&last.parse().unwrap());
            assert!(account.session(Access::Pull).lock().await.pass(Instant::now()).is_some());
            let known = auth.accounts.lock().unwrap().len();
            assert!((least..=most + 1).contains(&known), "{known} of {repositories}");
            assert!(auth.manners.lock().unwrap().len() <= registries.min(MAX_ACCOUNTS + 1));
        }
    }
}
