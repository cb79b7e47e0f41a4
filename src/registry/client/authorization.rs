//! The `Authorization` header, in memory that is wiped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::registry::keychain::{Credential, Login};
use crate::secret::Secret;

/// The `Authorization` header of a name and password.
pub(super) fn basic(credential: &Credential) -> Option<HeaderValue> {
    let Login::Basic { user, password } = &credential.login else { return None };
    of(user, password)
}

/// The same of any two.
pub(super) fn of(user: &str, password: &Secret) -> Option<HeaderValue> {
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
}
