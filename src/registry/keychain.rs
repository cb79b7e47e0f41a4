//! The seam for credential sources.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::credentials::CredentialError;
use crate::oci::reference::Repository;
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
    /// A bearer token that the registry itself takes, as a token service would give it. It is not exchanged.
    RegistryToken(Secret),
}

/// The longest registry token, in bytes: registries take no longer header.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

impl Login {
    /// The login of a registry's own token, without the line breaks at its end; `None`: no header can have it.
    ///
    /// Spec: <https://www.rfc-editor.org/rfc/rfc6750.html#section-2.1>
    pub(crate) fn registry_token(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'))? + 1;
        let token = text.get(..end).filter(|token| token.len() <= MAX_TOKEN_BYTES)?;
        token.iter().all(u8::is_ascii_graphic).then(|| Self::RegistryToken(Secret::new(token)))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { user, .. } => f.debug_struct("Basic").field("user", user).finish_non_exhaustive(),
            Self::IdentityToken(_) => f.write_str("IdentityToken(..)"),
            Self::RegistryToken(_) => f.write_str("RegistryToken(..)"),
        }
    }
}

impl fmt::Display for Credential {
    /// `user "ci-bot", entry "registry.example" of /path/config.json`: what an error's `used` line says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.login {
            Login::Basic { user, .. } => write!(f, "user {user:?}, {}", self.origin),
            Login::IdentityToken(_) => write!(f, "identity token, {}", self.origin),
            Login::RegistryToken(_) => write!(f, "registry token, {}", self.origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_token_is_what_a_header_can_have() {
        let token = |text: &str| Some(Login::RegistryToken(Secret::new(text)));
        assert_eq!(Login::registry_token(b"a.b-c_d~e+f/g=="), token("a.b-c_d~e+f/g=="));
        assert_eq!(Login::registry_token(b"a\r\n\n"), token("a"));
        for text in ["", "\n", "a b", "a\nb", "a\tb", "\u{e9}", "a\0"] {
            assert_eq!(Login::registry_token(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Login::registry_token(&vec![b'a'; MAX_TOKEN_BYTES + 1]), None);
        let shown = Credential { login: Login::registry_token(b"hunter2").unwrap(), origin: "here".into() };
        assert_eq!(format!("{shown} {:?}", shown.login), "registry token, here RegistryToken(..)");
    }
}
