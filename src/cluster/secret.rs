//! Secrets, read and made in memory that is wiped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use zeroize::Zeroizing;

use super::Cluster;
use super::error::{ClusterError, Verb};
use super::kind::Kind;
use super::secret_data::SecretData;
use super::send::{Call, Reply};
use crate::object_name::ObjectName;
use crate::secret::Secret;

impl Cluster {
    /// The Secret `name`.
    ///
    /// # Errors
    ///
    /// It isn't there, may not be read, or the API server doesn't answer.
    pub async fn secret(&self, name: &ObjectName) -> Result<SecretData, ClusterError> {
        let call = Call { verb: Verb::Get, kind: Kind::Secret, object: name, page: None, body: None };
        let Reply { bytes, attempts } = self.send(&call).await?;
        SecretData::parse(&bytes, name).ok_or_else(|| self.not_the_object(&call, attempts))
    }

    /// Makes the Secret `name` with `entries`, of type `Opaque` and immutable; an existing Secret is never changed.
    ///
    /// # Errors
    ///
    /// It is there already (409), may not be made, or the API server doesn't answer.
    pub async fn create_secret(
        &self,
        name: &ObjectName,
        entries: &[(&str, &Secret)],
    ) -> Result<(), ClusterError> {
        let body = Bytes::from_owner(manifest(name, entries));
        let call =
            Call { verb: Verb::Create, kind: Kind::Secret, object: name, page: None, body: Some(body) };
        match self.send(&call).await {
            Ok(_) => Ok(()),
            Err(error)
                if error.status() == Some(409) && sent_again(&error) && self.is_ours(name, entries).await =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether what is there is what was sent: the answer to the first request may have been lost.
    async fn is_ours(&self, name: &ObjectName, entries: &[(&str, &Secret)]) -> bool {
        matches!(self.left_of(name, entries).await, Left::Ours)
    }

    /// What there is after a [`create_secret`](Self::create_secret) that [left it open](ClusterError::leaves_open).
    pub(crate) async fn left_of(&self, name: &ObjectName, entries: &[(&str, &Secret)]) -> Left {
        match self.secret(name).await {
            Ok(there) if entries.iter().all(|(key, value)| there.value(key) == Some(*value)) => Left::Ours,
            Ok(_) => Left::Other,
            Err(error) if error.is_not_found() => Left::Nothing,
            Err(_) => Left::Unknown,
        }
    }
}

/// What a request to make a Secret has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Left {
    /// The Secret, with all that was sent.
    Ours,
    /// A Secret with something else.
    Other,
    /// There is no Secret of this name.
    Nothing,
    /// The Secret can't be read.
    Unknown,
}

fn sent_again(error: &ClusterError) -> bool {
    error.request().is_some_and(|request| request.exchange.attempts > 1)
}

/// The Secret's JSON. Keys and names have no characters that JSON escapes.
fn manifest(name: &ObjectName, entries: &[(&str, &Secret)]) -> Zeroizing<Vec<u8>> {
    let room: usize = entries.iter().map(|(key, value)| key.len() + value.expose().len() * 2 + 16).sum();
    let mut json = Zeroizing::new(String::with_capacity(room + 1024));
    json.push_str("{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"namespace\":\"");
    json.push_str(name.namespace());
    json.push_str("\",\"name\":\"");
    json.push_str(name.name());
    json.push_str("\"},\"type\":\"Opaque\",\"immutable\":true,\"data\":{");
    for (index, (key, value)) in entries.iter().enumerate() {
        json.push_str(if index == 0 { "\"" } else { ",\"" });
        json.push_str(key);
        json.push_str("\":\"");
        STANDARD.encode_string(value.expose(), &mut json);
        json.push('"');
    }
    json.push_str("}}");
    Zeroizing::new(std::mem::take(&mut *json).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_what_is_read() {
        let name: ObjectName = "ci/signing-secrets".parse().unwrap();
        let (key, empty) = (Secret::new(*b"\x00key"), Secret::new(*b""));
        let json = manifest(&name, &[("cosign.key", &key), ("cosign.password", &empty)]);
        let secret = SecretData::parse(&json, &name).unwrap();
        assert_eq!(secret.kind(), "Opaque");
        assert_eq!(secret.value("cosign.key"), Some(&key));
        assert_eq!(secret.value("cosign.password"), Some(&empty));
        assert_eq!(secret.keys().collect::<Vec<_>>(), ["cosign.key", "cosign.password"]);
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["immutable"], true);
        assert!(!format!("{secret:?}").contains("key\""), "{secret:?}");
    }

    #[test]
    fn another_secret_and_broken_ones_are_refused() {
        let name: ObjectName = "ci/a".parse().unwrap();
        for json in [
            r#"{"metadata":{"namespace":"ci","name":"b"}}"#,
            r#"{"metadata":{"namespace":"ci","name":"a"},"data":{"k":"%%%"}}"#,
            r#"{"metadata":{"namespace":"ci","name":"a"},"data":{"k":1}}"#,
            "[]",
            "",
        ] {
            assert!(SecretData::parse(json.as_bytes(), &name).is_none(), "{json}");
        }
        let none =
            SecretData::parse(br#"{"metadata":{"namespace":"ci","name":"a"},"data":null}"#, &name).unwrap();
        assert_eq!(none.keys().count(), 0);
    }
}
