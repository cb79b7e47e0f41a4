//! As whom the API server is spoken to: what the token itself says, for messages and for finding this step's Pod.
//!
//! The claims are read without checking the signature: only the API server can check it, and it does so with every
//! request. Here they say who *asked*, never what is allowed.
//!
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims>

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use serde::Deserialize;

use crate::foreign;
use crate::object_name::ObjectName;

/// The identity that sends requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Where the login comes from, for people.
    pub(super) origin: String,
    /// What a ServiceAccount's token says.
    pub claims: Option<Claims>,
}

/// What a ServiceAccount's token says about its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The ServiceAccount that the token belongs to.
    pub account: ObjectName,
    /// The Pod that the token was made for, with its UID.
    pub pod: Option<(ObjectName, String)>,
    /// When the token expires; `None` if unknown.
    pub expires: Option<SystemTime>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(rename = "kubernetes.io")]
    kubernetes: Kubernetes,
    exp: Option<u64>,
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: String,
    serviceaccount: Named,
    pod: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    uid: String,
}

impl Claims {
    /// Reads a token's claims; `None` if it isn't one of a ServiceAccount.
    pub(crate) fn of_token(token: &str) -> Option<Self> {
        let payload = token.trim().split('.').nth(1)?;
        let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
        let token: Token = serde_json::from_slice(&json).ok()?;
        let named = |named: &Named| ObjectName::new(&token.kubernetes.namespace, &named.name).ok();
        Some(Self {
            account: named(&token.kubernetes.serviceaccount)?,
            pod: token.kubernetes.pod.as_ref().and_then(|pod| Some((named(pod)?, pod.uid.clone()))),
            expires: token.exp.and_then(|exp| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(exp))),
        })
    }

    /// How long ago the token expired at `now`; `None` if it hasn't.
    pub(crate) fn expired(&self, now: SystemTime) -> Option<Duration> {
        now.duration_since(self.expires?).ok()
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.claims {
            Some(claims) => write!(f, "ServiceAccount {}, {}", claims.account, self.origin),
            None => f.write_str(&foreign::escape(&self.origin, 512)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A token without a signature.
    pub(in crate::cluster) fn token(claims: &serde_json::Value) -> String {
        let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        format!("{}.{}.{}", encode(b"{}"), encode(claims.to_string().as_bytes()), encode(b"x"))
    }

    #[test]
    fn a_token_says_whose_it_is_and_for_which_pod() {
        let claims = Claims::of_token(&token(&serde_json::json!({
            "exp": 100,
            "kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "signer", "uid": "s"}, "pod": {"name": "p", "uid": "u"}},
        })))
        .unwrap();
        assert_eq!(claims.account.to_string(), "ci/signer");
        assert_eq!(claims.pod, Some(("ci/p".parse().unwrap(), "u".to_owned())));
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(claims.expired(at(99)), None);
        assert_eq!(claims.expired(at(160)), Some(Duration::from_secs(60)));
    }

    #[test]
    fn another_token_says_nothing() {
        for text in ["", "a.b.c", "sha256~opaque", "..", &token(&serde_json::json!({"sub": "me"}))] {
            assert_eq!(Claims::of_token(text), None, "{text}");
        }
        let odd = serde_json::json!({"kubernetes.io": {"namespace": "../x", "serviceaccount": {"name": "a", "uid": "s"}}});
        assert_eq!(Claims::of_token(&token(&odd)), None);
    }
}
