//! The seam for credential sources.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::credentials::CredentialError;
use super::reference::Repository;
use crate::secret::Secret;

/// What a [`Keychain`] answers: every credential that fits, the best first; none means anonymous access.
pub type Found<'a> = Pin<Box<dyn Future<Output = Result<Vec<Credential>, CredentialError>> + Send + 'a>>;

/// Where credentials come from.
pub trait Keychain: Send + Sync + fmt::Debug {
    /// The credentials for `repository`, in the order in which they are to be tried.
    ///
    /// # Errors
    ///
    /// Whatever keeps the answer from being known: an unreadable file, a failing helper. It is never
    /// turned into anonymous access.
    fn credentials<'a>(&'a self, repository: &'a Repository) -> Found<'a>;

    /// Credentials that are there and that this keychain did not read, and why: text for the hint of a refused login.
    fn unread(&self) -> Option<&str> {
        None
    }
}

/// One credential, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// What is sent.
    pub login: Login,
    /// Where it came from, for people: `entry "registry.example/team" of /path/config.json`.
    pub origin: String,
}

/// What a credential sends.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A user name and a password.
    Basic {
        /// The user's name; shown in errors.
        user: String,
        /// The password.
        password: Secret,
    },
    /// An OAuth2 refresh token, exchanged at the token service.
    ///
    /// Spec: <https://distribution.github.io/distribution/spec/auth/oauth/>
    IdentityToken(Secret),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { user, .. } => f.debug_struct("Basic").field("user", user).finish_non_exhaustive(),
            Self::IdentityToken(_) => f.write_str("IdentityToken(..)"),
        }
    }
}

impl fmt::Display for Credential {
    /// `user "ci-bot", entry "registry.example" of /path/config.json`: what an error's `used` line says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.login {
            Login::Basic { user, .. } => write!(f, "user {user:?}, {}", self.origin),
            Login::IdentityToken(_) => write!(f, "identity token, {}", self.origin),
        }
    }
}
