//! Logins for Amazon ECR, which last 12 hours.
//!
//! The user is `AWS`, and the password a base64 text of JSON with the time at which it expires. ECR refuses an expired password with
//! 403, `DENIED` and "Your authorization token has expired. Reauthenticate and try again."
//!
//! Spec: <https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::refusal::Refusal;
use crate::registry::keychain::{Credential, Login};

/// The user of each login for ECR.
const USER: &str = "AWS";

const ADVICE: &str = "this login for Amazon ECR has expired, 12 hours after it was made: make the Secret anew right before the run \
                      (aws ecr get-login-password), or use the credential helper docker-credential-ecr-login";

const OTHER_ADVICE: &str = "Amazon ECR refuses this login: make it for the account and region of this registry (aws ecr get-login-password \
                            --region REGION), with a role that may use it; it lasts 12 hours";

/// All that is read of a password.
#[derive(Deserialize)]
struct Token {
    expiration: u64,
}

/// Whether a 400 refuses a login for ECR, which says so in plain text too: `Your Authorization Token is invalid.`
pub(super) fn refuses(credential: &Credential, refusal: &Refusal) -> bool {
    refusal.status == StatusCode::BAD_REQUEST
        && matches!(&credential.login, Login::Basic { user, .. } if user == USER)
        && refusal.words().contains("authorization token")
}

/// What to do about logins that were refused, if one of them is ECR's: has expired, or is refused with ECR's 400.
pub(super) fn advice(credentials: &[Arc<Credential>], refusal: &Refusal) -> Option<&'static str> {
    let is_said = refusal.to_string().to_ascii_lowercase().contains("expired");
    let has_expired = |credential: &Arc<Credential>| match &credential.login {
        Login::Basic { user, password } if user == USER => {
            is_said || expiration(password.expose()).is_some_and(|at| at <= now())
        }
        _ => false,
    };
    if credentials.iter().any(has_expired) {
        return Some(ADVICE);
    }
    credentials.iter().any(|credential| refuses(credential, refusal)).then_some(OTHER_ADVICE)
}

/// When a password expires, in seconds since 1970.
fn expiration(password: &[u8]) -> Option<u64> {
    let json = Zeroizing::new(STANDARD.decode(password.trim_ascii()).ok()?);
    serde_json::from_slice::<Token>(&json).ok().map(|token| token.expiration)
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
