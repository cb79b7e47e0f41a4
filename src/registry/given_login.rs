//! A login that is given for the registries of one run, before those of another keychain.

use std::collections::BTreeSet;

use super::keychain::{Credential, Found, Keychain};
use crate::oci::reference::Repository;

/// The given login first, for the registries that it is for, then what the other keychain has.
#[derive(Debug)]
pub struct WithGivenLogin<K> {
    given: Credential,
    /// Their canonical names.
    registries: BTreeSet<String>,
    others: K,
}

impl<K: Keychain> WithGivenLogin<K> {
    /// `given` is only for the registries of `repositories`: a login that names no registry must not reach a registry that the
    /// run comes to by other means.
    pub fn new<'a>(
        given: Credential,
        repositories: impl IntoIterator<Item = &'a Repository>,
        others: K,
    ) -> Self {
        let registries = repositories.into_iter().map(|repository| repository.canonical().registry());
        Self { given, registries: registries.collect(), others }
    }
}

impl<K: Keychain> Keychain for WithGivenLogin<K> {
    fn credentials<'a>(&'a self, repository: &'a Repository) -> Found<'a> {
        Box::pin(async move {
            let others = self.others.credentials(repository).await;
            if !self.registries.contains(&repository.canonical().registry()) {
                return others;
            }
            let mut found = vec![self.given.clone()];
            match others {
                Ok(others) => {
                    found.extend(others.into_iter().filter(|other| other.login != self.given.login));
                }
                // The given login would be used first.
                Err(error) => {
                    tracing::warn!(%error, "other credentials cannot be used, and one was given");
                }
            }
            Ok(found)
        })
    }

    fn unread(&self) -> Option<&str> {
        self.others.unread()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::credentials::{CredentialError, FormatError};
    use crate::registry::keychain::Login;
    use crate::secret::Secret;

    #[derive(Debug)]
    struct Others(Result<Vec<Credential>, ()>);

    impl Keychain for Others {
        fn credentials<'a>(&'a self, _: &'a Repository) -> Found<'a> {
            let found = self.0.clone().map_err(|()| CredentialError::Document {
                origin: "a file".into(),
                source: FormatError::NotObject,
            });
            Box::pin(async { found })
        }

        fn unread(&self) -> Option<&str> {
            Some("not read")
        }
    }

    fn login(user: &str) -> Credential {
        let login = Login::Basic { user: user.into(), password: Secret::new("x") };
        Credential { login, origin: "here".into() }
    }

    #[tokio::test]
    async fn the_given_login_is_the_first_of_its_registries_and_of_no_other() {
        let repository = |text: &str| text.parse::<Repository>().unwrap();
        let named = repository("registry.example/team/app");
        let keychain = |others| WithGivenLogin::new(login("given"), [&named], Others(others));
        let both = keychain(Ok(vec![login("mounted"), login("given")]));
        let users = |found: Result<Vec<Credential>, CredentialError>| {
            let user = |one: Credential| match one.login {
                Login::Basic { user, .. } => user,
                _ => unreachable!("only passwords"),
            };
            found.unwrap().into_iter().map(user).collect::<Vec<_>>()
        };
        for name in ["registry.example/other", "REGISTRY.example:443/team/app"] {
            assert_eq!(users(both.credentials(&repository(name)).await), ["given", "mounted"], "{name}");
        }
        for name in ["registry.example:5000/team/app", "other.example/app", "app"] {
            assert_eq!(users(both.credentials(&repository(name)).await), ["mounted", "given"], "{name}");
        }
        // What is wrong with others matters where there is nothing else.
        let broken = keychain(Err(()));
        assert_eq!(users(broken.credentials(&named).await), ["given"]);
        assert!(broken.credentials(&repository("other.example/app")).await.is_err());
        assert_eq!(broken.unread(), Some("not read"));
        assert!(!format!("{broken:?}").contains("\"x\""));
    }
}
