//! One entry of a credentials file: its fields become a login.
//!
//! The decoding is the crate `docker_credential`'s, and this is the only place that calls it. It is handed
//! one entry at a time, under a key made here, without helpers: what it does beyond that is wrong for us, and
//! each point has its test below.
//!
//! * It looks for one key in one file, compares whole hosts only, and of Docker Hub's names knows some:
//!   merging and matching are [`super::key`]'s.
//! * It waits for a helper without a time limit, and a helper's failure shows what the helper wrote to
//!   standard output, where secrets are written: helpers are [`super::helper`]'s. The configuration it gets
//!   has none.
//! * Its errors don't say which entry they are about; the errors here do.
//! * An empty `identitytoken` or `auth` is a login to it; docker takes them for absent, and so they are
//!   left out.
//! * It refuses line breaks in `auth`, which Go's base64 skips, so that docker takes what `base64` wraps.
//! * It takes an `auth` without looking at a lone `username` beside it, and takes an
//!   `identitytoken` without looking at a broken `auth`.
//! * It reads a user name without a password as no login at all, that is, anonymous access.
//! * What it returns has a `Debug` that shows the password: it is taken apart at once.
//!
//! Spec: <https://github.com/docker/cli/blob/v28.3.0/cli/config/types/authconfig.go>

use docker_credential::DockerCredential;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::registry::keychain::Login;
use crate::secret::Secret;

/// The fields of an entry that make a login; an absent field is empty, as for docker.
#[derive(Default)]
pub(super) struct Fields {
    /// base64 of `USER:PASSWORD`.
    pub(super) auth: Zeroizing<String>,
    pub(super) username: Zeroizing<String>,
    pub(super) password: Zeroizing<String>,
    /// An OAuth2 refresh token.
    pub(super) identity_token: Zeroizing<String>,
    /// A bearer token for the registry itself.
    pub(super) registry_token: Zeroizing<String>,
}

/// Why an entry is not a login. The content is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// It is not a JSON object.
    #[error("it is not a JSON object")]
    NotObject,
    /// A field is not text.
    #[error("its \"{0}\" is not text")]
    NotText(&'static str),
    /// `auth` doesn't decode.
    #[error("its \"auth\" is not base64 of USER:PASSWORD")]
    Auth,
    /// `auth` decodes to something else than `username` and `password` say.
    #[error("its \"auth\" says something else than its \"username\" and \"password\"")]
    Contradiction,
    /// A user without a password, or the other way round.
    #[error("it has a \"username\" without a \"password\", or the other way round")]
    Half,
    /// The key names no registry, so the entry is never used.
    #[error("its name is not HOST[:PORT][/PATH]")]
    Key,
    /// There is nothing in it but a `registrytoken`, which no header can have.
    #[error("its \"registrytoken\" is not a token")]
    RegistryToken,
}

/// What `docker_credential` is given: nothing but the fields that say something.
#[derive(Serialize)]
struct Given<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    auth: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    username: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    password: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    identitytoken: &'a str,
}

/// The key of the only entry that is passed to the library.
const SERVER: &str = "entry";

impl Fields {
    /// The logins that the fields make, in the order in which they are tried; none if they say nothing, as docker writes beside a
    /// `credsStore`. A password beside an `identitytoken` is for when that is refused.
    pub(super) fn logins(&self) -> Result<Vec<Login>, EntryError> {
        let first = self.login()?;
        let is_token = matches!(first, Some(Login::IdentityToken(_)));
        // Azure writes an empty password there.
        let second =
            if is_token { self.basic(&Zeroizing::new(self.auth.replace(['\r', '\n'], "")))? } else { None };
        let second = second
            .filter(|login| !matches!(login, Login::Basic { password, .. } if password.expose().is_empty()));
        Ok(first.into_iter().chain(second).collect())
    }

    /// The first of them.
    fn login(&self) -> Result<Option<Login>, EntryError> {
        // Only line breaks: docker doesn't accept other blanks in base64 either.
        let auth = Zeroizing::new(self.auth.replace(['\r', '\n'], ""));
        let basic = self.basic(&auth)?;
        if !self.identity_token.is_empty() {
            let token = Given { auth: "", username: "", password: "", identitytoken: &self.identity_token };
            return match decode(&token)? {
                DockerCredential::IdentityToken(token) => Ok(Some(Login::IdentityToken(Secret::from(token)))),
                DockerCredential::UsernamePassword(..) => Err(EntryError::Auth),
            };
        }
        match basic {
            None if !self.registry_token.is_empty() => {
                let login = Login::registry_token(self.registry_token.as_bytes());
                login.map(Some).ok_or(EntryError::RegistryToken)
            }
            basic => Ok(basic),
        }
    }

    /// User and password, if they are given in one of the two ways.
    fn basic(&self, auth: &str) -> Result<Option<Login>, EntryError> {
        let (username, password) = (self.username.as_str(), self.password.as_str());
        if auth.is_empty() && (username.is_empty() || password.is_empty()) {
            // Beside a token a user name is decoration.
            let empty = username.is_empty() && password.is_empty();
            return if empty || !self.identity_token.is_empty() { Ok(None) } else { Err(EntryError::Half) };
        }
        let given = Given { auth, username, password, identitytoken: "" };
        let DockerCredential::UsernamePassword(user, found) = decode(&given)? else {
            return Err(EntryError::Auth);
        };
        let found = Zeroizing::new(found);
        // docker once padded what it encoded with zero bytes, and cuts them off still.
        let found = found.trim_matches('\0');
        if user.is_empty() {
            return Err(EntryError::Auth);
        }
        let contradicts = |given: &str, found: &str| !given.is_empty() && given.trim_matches('\0') != found;
        if contradicts(username, &user) || contradicts(password, found) {
            return Err(EntryError::Contradiction);
        }
        Ok(Some(Login::Basic { user, password: Secret::new(found.as_bytes()) }))
    }
}

fn decode(given: &Given<'_>) -> Result<DockerCredential, EntryError> {
    use docker_credential::CredentialRetrievalError as E;

    let config =
        std::collections::BTreeMap::from([("auths", std::collections::BTreeMap::from([(SERVER, given)]))]);
    // Room for every byte as `\u00XX`, so that no outgrown copy stays behind unwiped.
    let fields = given.auth.len() + given.username.len() + given.password.len() + given.identitytoken.len();
    let mut json = Zeroizing::new(Vec::with_capacity(6 * fields + 128));
    // Text in a map is always JSON; if it weren't, the crate would refuse what there is of it.
    let _ = serde_json::to_writer(&mut *json, &config);
    docker_credential::get_credential_from_reader(json.as_slice(), SERVER).map_err(|error| match error {
        E::CredentialMismatchError => EntryError::Contradiction,
        E::NoCredentialConfigured => EntryError::Half,
        _ => EntryError::Auth,
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use docker_credential::{CredentialRetrievalError, get_credential_from_reader};
    use proptest::prelude::*;

    use super::*;

    fn base64(text: impl AsRef<[u8]>) -> String {
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    fn fields(auth: &str, username: &str, password: &str, identity_token: &str) -> Fields {
        let text = |text: &str| Zeroizing::new(text.to_owned());
        Fields {
            auth: text(auth),
            username: text(username),
            password: text(password),
            identity_token: text(identity_token),
            registry_token: text(""),
        }
    }

    fn basic(user: &str, password: &str) -> Login {
        Login::Basic { user: user.to_owned(), password: Secret::new(password) }
    }

    #[test]
    fn logins_are_read_as_docker_reads_them() {
        let token = Login::IdentityToken(Secret::new("refresh"));
        for (fields, want) in [
            (fields("", "", "", ""), None),
            (fields(&base64("ci:a:b"), "", "", ""), Some(basic("ci", "a:b"))),
            (fields("Y2k6YQ", "", "", ""), Some(basic("ci", "a"))),
            (fields("", "ci", "a\"\\\u{e9}", ""), Some(basic("ci", "a\"\\\u{e9}"))),
            (fields(&base64("ci:a"), "ci", "a", ""), Some(basic("ci", "a"))),
            (fields(&base64("ci:a"), "ci", "", ""), Some(basic("ci", "a"))),
            (fields(&base64("ci:"), "", "", ""), Some(basic("ci", ""))),
            (fields("", "", "", "refresh"), Some(token.clone())),
            (fields("", "00000000-0000-0000-0000-000000000000", "", "refresh"), Some(token.clone())),
            (fields(&base64("ci:"), "", "", "refresh"), Some(token)),
        ] {
            assert_eq!(fields.login(), Ok(want));
        }
    }

    #[test]
    fn a_registry_token_counts_where_there_is_nothing_else() {
        let with = |fields: Fields| Fields { registry_token: Zeroizing::new("t".into()), ..fields };
        let token = Login::RegistryToken(Secret::new("t"));
        assert_eq!(with(Fields::default()).logins(), Ok(vec![token]));
        assert_eq!(with(fields("", "ci", "a", "")).logins(), Ok(vec![basic("ci", "a")]));
    }

    #[test]
    fn a_password_beside_a_token_is_another_login() {
        let token = Login::IdentityToken(Secret::new("refresh"));
        for (fields, want) in [
            (fields(&base64("ci:a"), "", "", "refresh"), vec![token.clone(), basic("ci", "a")]),
            (fields("", "ci", "a", "refresh"), vec![token.clone(), basic("ci", "a")]),
            (fields(&base64("ci:"), "", "", "refresh"), vec![token.clone()]),
            (fields("", "ci", "", "refresh"), vec![token]),
            (fields(&base64("ci:a"), "", "", ""), vec![basic("ci", "a")]),
            (fields("", "", "", ""), vec![]),
        ] {
            assert_eq!(fields.logins(), Ok(want));
        }
    }

    #[test]
    fn what_is_no_login_is_an_error_and_not_anonymous_access() {
        for (fields, want) in [
            (fields("%%%", "", "", ""), EntryError::Auth),
            (fields(&base64("nocolon"), "", "", ""), EntryError::Auth),
            (fields(&base64(":a"), "", "", ""), EntryError::Auth),
            (fields(&base64(b"ci:\xff"), "", "", ""), EntryError::Auth),
            (fields(&base64("ci:a"), "ci", "b", ""), EntryError::Contradiction),
            (fields(&base64("ci:a"), "other", "", ""), EntryError::Contradiction),
            (fields(&base64("ci:a"), "", "b", ""), EntryError::Contradiction),
            (fields("", "ci", "", ""), EntryError::Half),
            (fields("", "", "a", ""), EntryError::Half),
            (fields("%%%", "", "", "refresh"), EntryError::Auth),
            (
                Fields { registry_token: Zeroizing::new("a b".into()), ..Fields::default() },
                EntryError::RegistryToken,
            ),
        ] {
            assert_eq!(fields.login(), Err(want));
        }
    }

    #[test]
    fn auth_wrapped_by_base64_is_taken() {
        let auth = base64("ci:".to_owned() + &"x".repeat(60));
        let (head, tail) = auth.split_at(76);
        let wrapped = format!("{head}\n{tail}\n");
        assert_eq!(fields(&wrapped, "", "", "").login(), Ok(Some(basic("ci", &"x".repeat(60)))));
        let config = format!("{{\"auths\":{{\"reg\":{{\"auth\":{}}}}}}}", serde_json::json!(wrapped));
        // The reason.
        assert_eq!(
            get_credential_from_reader(config.as_bytes(), "reg"),
            Err(CredentialRetrievalError::CredentialDecodingError)
        );
    }

    #[test]
    fn padding_of_zero_bytes_is_cut_off() {
        assert_eq!(fields(&base64("ci:a\0\0"), "", "a", "").login(), Ok(Some(basic("ci", "a"))));
    }

    /// The reasons for this module: when one of these fails, the crate has changed and the module can shrink.
    #[test]
    fn why_the_crate_is_wrapped() {
        use CredentialRetrievalError as E;
        let ask = |config: &str, server: &str| get_credential_from_reader(config.as_bytes(), server);
        let auth = base64("ci:a");

        let path = format!("{{\"auths\":{{\"reg.example/team\":{{\"auth\":\"{auth}\"}}}}}}");
        assert_eq!(ask(&path, "reg.example/team/app"), Err(E::NoCredentialConfigured), "no path matching");
        let case = format!("{{\"auths\":{{\"Reg.example\":{{\"auth\":\"{auth}\"}}}}}}");
        assert_eq!(ask(&case, "reg.example"), Err(E::NoCredentialConfigured), "hosts with case");

        let empty = r#"{"auths":{"reg":{"identitytoken":"","username":"ci","password":"a"}}}"#;
        assert_eq!(ask(empty, "reg"), Ok(DockerCredential::IdentityToken(String::new())), "an empty token");
        let empty = r#"{"auths":{"reg":{"auth":"","username":"ci","password":"a"}}}"#;
        assert_eq!(ask(empty, "reg"), Err(E::CredentialDecodingError), "an empty auth");

        let other = format!("{{\"auths\":{{\"reg\":{{\"auth\":\"{auth}\",\"username\":\"other\"}}}}}}");
        let taken = Ok(DockerCredential::UsernamePassword("ci".into(), "a".into()));
        assert_eq!(ask(&other, "reg"), taken, "another user name is not seen");
        let broken = r#"{"auths":{"reg":{"auth":"%%%","identitytoken":"t"}}}"#;
        assert!(ask(broken, "reg").is_ok(), "a broken auth beside a token is not seen");
        let half = r#"{"auths":{"reg":{"username":"ci"}}}"#;
        assert_eq!(ask(half, "reg"), Err(E::NoCredentialConfigured), "half a login is none");

        let error = ask(r#"{"auths":{"reg":{"auth":"%%%"}}}"#, "reg").unwrap_err();
        assert!(!error.to_string().contains("reg"), "which entry is not said: {error}");
        let failure =
            E::HelperFailure { helper: "x".into(), stdout: "hunter2".into(), stderr: String::new() };
        assert!(failure.to_string().contains("hunter2"), "a helper's standard output is shown");
        assert!(format!("{:?}", ask(&other, "reg")).contains("\"a\""), "a password is shown");
    }

    proptest! {
        #[test]
        fn any_user_and_password_come_back(user in "[^:\\x00]{1,12}", password in "[^\\x00]{1,20}") {
            let auth = base64(format!("{user}:{password}"));
            let want = Ok(Some(basic(&user, &password)));
            prop_assert_eq!(fields(&auth, "", "", "").login(), want.clone());
            prop_assert_eq!(fields("", &user, &password, "").login(), want.clone());
            prop_assert_eq!(fields(&auth, &user, &password, "").login(), want);
        }
    }
}
