//! Registry credentials of a ServiceAccount: every Secret that its `imagePullSecrets` and `secrets` name.
//!
//! A Secret that only `imagePullSecrets` names reaches no step of a TaskRun as a file: the kubelet uses it for the pod's own images. Here it is
//! read by its name, as Tekton Chains does it. Taken are Secrets of type `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg`; others in
//! `secrets` belong to something else (tokens, git) and are passed over, others in `imagePullSecrets` get a note, and so does a name that
//! nothing answers to, which the kubelet ignores too. What may not be read is an error if it is an `imagePullSecret`, and a note otherwise.

use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use zeroize::Zeroizing;

use super::Cluster;
use super::error::ClusterError;
use super::kind::Kind;
use super::secret_data::SecretData;
use crate::explain::explain;
use crate::foreign;
use crate::object_name::ObjectName;

/// How many Secrets of one ServiceAccount are read. OpenShift makes two for each; more than this is a mistake.
const MAX_SECRETS: usize = 100;

/// How many are asked for at a time.
const AT_A_TIME: usize = 8;

/// A credentials file in a Secret.
pub struct AccountDocument {
    /// The Secret and the ServiceAccount that names it, for messages.
    pub origin: String,
    /// The file, as docker would have it.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// What a ServiceAccount's Secrets hold.
#[derive(Default)]
pub struct AccountCredentials {
    /// The files, `imagePullSecrets` first, each in the order of the ServiceAccount.
    pub documents: Vec<AccountDocument>,
    /// What a user may wonder about.
    pub notes: Vec<String>,
}

/// Why a ServiceAccount gives no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The ServiceAccount, or a Secret of it, can't be read.
    #[error("cannot get the registry credentials of ServiceAccount {account}")]
    Cluster {
        /// The ServiceAccount that was read, with its namespace.
        account: ObjectName,
        /// Why the request to the cluster failed.
        source: ClusterError,
    },
    /// It names no Secret with any.
    #[error("ServiceAccount {account} has no registry credentials{}", listed(.notes))]
    Nothing {
        /// The ServiceAccount that was read, with its namespace.
        account: ObjectName,
        /// What there is instead.
        notes: Vec<String>,
    },
    /// It names more than can be meant.
    #[error("ServiceAccount {account} names {count} Secrets, and no more than {MAX_SECRETS} are read")]
    TooMany {
        /// The ServiceAccount that was read, with its namespace.
        account: ObjectName,
        /// How many it names.
        count: usize,
    },
}

fn listed(notes: &[String]) -> String {
    notes.iter().map(|note| format!("; {note}")).collect()
}

explain! { AccountError,
    Self::Cluster { source, .. } => [of source],
    Self::Nothing { account, .. } => ["account-no-credentials", Usage,
        "name a Secret of type kubernetes.io/dockerconfigjson in its imagePullSecrets: kubectl -n {namespace} patch serviceaccount {name} \
         -p '{{\"imagePullSecrets\":[{{\"name\":\"SECRET\"}}]}}'" with (namespace = account.namespace(), name = account.name())],
    Self::TooMany { .. } => ["account-many-secrets", Usage, "leave those out that are not for registries"],
}

/// A name of a Secret, and the list that names it.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    name: String,
    for_images: bool,
}

/// What came of a name.
enum Found {
    Document(AccountDocument),
    Note(String),
    Nothing,
}

impl Cluster {
    /// The registry credentials of `account`.
    ///
    /// # Errors
    ///
    /// The ServiceAccount or one of its `imagePullSecrets` can't be read, or it has none at all.
    pub async fn registry_credentials(
        &self,
        account: &ObjectName,
    ) -> Result<AccountCredentials, AccountError> {
        let failed = |source| AccountError::Cluster { account: account.clone(), source };
        let object = self.object(Kind::ServiceAccount, account).await.map_err(failed)?;
        let named = named(&object);
        if named.len() > MAX_SECRETS {
            return Err(AccountError::TooMany { account: account.clone(), count: named.len() });
        }
        let mut answers = stream::iter(&named).map(|named| self.one(account, named)).buffered(AT_A_TIME);
        let mut all = AccountCredentials::default();
        while let Some(found) = answers.next().await {
            match found.map_err(failed)? {
                Found::Document(document) => all.documents.push(document),
                Found::Note(note) => all.notes.push(note),
                Found::Nothing => {}
            }
        }
        if all.documents.is_empty() {
            return Err(AccountError::Nothing { account: account.clone(), notes: all.notes });
        }
        Ok(all)
    }

    async fn one(&self, account: &ObjectName, named: &Named) -> Result<Found, ClusterError> {
        let list = if named.for_images { "imagePullSecrets" } else { "secrets" };
        let place = format!("{list} of ServiceAccount {account}");
        let Ok(name) = ObjectName::new(account.namespace(), &named.name) else {
            return Ok(Found::Note(format!(
                "{place}: \"{}\" is not a name",
                foreign::escape(&named.name, 80)
            )));
        };
        match self.secret(&name).await {
            Ok(secret) => Ok(taken(&secret, &place, named.for_images)),
            Err(error) if error.is_not_found() => {
                Ok(Found::Note(format!("{place}: there is no Secret {name}")))
            }
            Err(error) if error.is_refused() && !named.for_images => {
                Ok(Found::Note(format!("{place}: Secret {name} may not be read, and is passed over")))
            }
            Err(error) => Err(error),
        }
    }
}

/// The file in a Secret of one of the two types.
fn taken(secret: &SecretData, place: &str, for_images: bool) -> Found {
    let key = match secret.kind() {
        "kubernetes.io/dockerconfigjson" => ".dockerconfigjson",
        "kubernetes.io/dockercfg" => ".dockercfg",
        other if for_images => {
            let other = foreign::escape(other, 80);
            return Found::Note(format!(
                "{place}: Secret {} is of type {other} and holds no registry credentials",
                secret.name()
            ));
        }
        _ => return Found::Nothing,
    };
    match secret.value(key) {
        Some(value) => Found::Document(AccountDocument {
            origin: format!("Secret {} ({place})", secret.name()),
            bytes: Zeroizing::new(value.expose().to_vec()),
        }),
        None => Found::Note(format!("{place}: Secret {} has no {key}", secret.name())),
    }
}

/// The names, each once.
fn named(account: &Value) -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    for (list, for_images) in [("imagePullSecrets", true), ("secrets", false)] {
        for entry in account.get(list).and_then(Value::as_array).into_iter().flatten() {
            let Some(name) = entry.get("name").and_then(Value::as_str) else { continue };
            if !all.iter().any(|named| named.name == name) {
                all.push(Named { name: name.to_owned(), for_images });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_is_named_once_and_image_pull_secrets_come_first() {
        let account = serde_json::json!({
            "secrets": [{"name": "token"}, {"name": "pull"}],
            "imagePullSecrets": [{"name": "pull"}, {"name": "other"}, {"name": "pull"}],
        });
        let names: Vec<(String, bool)> =
            named(&account).into_iter().map(|named| (named.name, named.for_images)).collect();
        let want = [("pull", true), ("other", true), ("token", false)];
        assert_eq!(names, want.map(|(name, for_images)| (name.to_owned(), for_images)));
        assert!(named(&serde_json::json!({})).is_empty());
    }
}
