//! Passwords and identity tokens with a line break at their end, as `echo PASSWORD | kubectl create secret … --from-file` leaves one.
//!
//! Such a password is sent as it is, as it may be right. Once it was refused, it is tried without the line break.

use std::sync::Arc;

use crate::registry::keychain::{Credential, Login};
use crate::secret::Secret;

/// The credentials, each that ends with a line break followed by the same without it.
pub(super) fn with_second_tries(found: Vec<Credential>) -> Vec<Arc<Credential>> {
    let mut all: Vec<Arc<Credential>> = Vec::with_capacity(found.len());
    let mut add = |credential: Credential| {
        if !all.iter().any(|have| have.login == credential.login) {
            all.push(Arc::new(credential));
        }
    };
    for credential in found {
        let shorter = without_line_break(&credential.login);
        let origin = format!("{}, without the line break at the end of the password", credential.origin);
        add(credential);
        if let Some(login) = shorter {
            add(Credential { login, origin });
        }
    }
    all
}

/// Whether this credential is the previous credential without its line break.
pub(super) fn is_without_line_break(credentials: &[Arc<Credential>], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| credentials.get(before));
    let shorter = before.and_then(|before| without_line_break(&before.login));
    shorter.is_some_and(|shorter| credentials.get(at).is_some_and(|credential| credential.login == shorter))
}

/// The login without the line breaks at the end of its password; `None`: there are none, or there is nothing else.
fn without_line_break(login: &Login) -> Option<Login> {
    let (Login::Basic { password, .. } | Login::IdentityToken(password) | Login::RegistryToken(password)) =
        login;
    let password = password.expose();
    let end = password.iter().rposition(|b| !matches!(b, b'\r' | b'\n'))? + 1;
    let shorter = password.get(..end).filter(|_| password.last() == Some(&b'\n'))?;
    let shorter = Secret::new(shorter);
    Some(match login {
        Login::Basic { user, .. } => Login::Basic { user: user.clone(), password: shorter },
        Login::IdentityToken(_) => Login::IdentityToken(shorter),
        Login::RegistryToken(_) => Login::RegistryToken(shorter),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(password: &str) -> Credential {
        let login = Login::Basic { user: "ci".into(), password: Secret::new(password) };
        Credential { login, origin: "here".into() }
    }

    #[test]
    fn an_identity_token_has_its_second_try_too() {
        let token = |text: &str| Login::IdentityToken(Secret::new(text));
        let found = vec![Credential { login: token("t\r\n"), origin: "here".into() }];
        let all = with_second_tries(found);
        let logins: Vec<_> = all.iter().map(|credential| credential.login.clone()).collect();
        assert_eq!(logins, [token("t\r\n"), token("t")]);
        assert!(is_without_line_break(&all, 1));
    }

    #[test]
    fn a_line_break_at_the_end_is_left_out_after_the_password_itself() {
        for (passwords, want) in [
            (&["a"][..], &["a"][..]),
            (&["a\n"], &["a\n", "a"]),
            (&["a\r\n"], &["a\r\n", "a"]),
            (&["a\n\n"], &["a\n\n", "a"]),
            (&["a\r"], &["a\r"]),
            (&["a\nb"], &["a\nb"]),
            (&["\n"], &["\n"]),
            (&[""], &[""]),
            // Each login once.
            (&["a\n", "a", "b"], &["a\n", "a", "b"]),
            (&["a", "a\n"], &["a", "a\n"]),
        ] {
            let all = with_second_tries(passwords.iter().map(|password| credential(password)).collect());
            let want: Vec<_> = want.iter().map(|password| credential(password).login).collect();
            assert_eq!(all.iter().map(|credential| credential.login.clone()).collect::<Vec<_>>(), want);
            for (at, credential) in all.iter().enumerate() {
                assert_eq!(
                    is_without_line_break(&all, at),
                    credential.origin != "here",
                    "{passwords:?} {at}"
                );
            }
        }
    }
}
