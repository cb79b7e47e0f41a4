//! The Kubernetes API: the run that this step belongs to, Secrets with keys and credentials, and annotations.
//!
//! One client, with time limits and retries as the registry's has; each request is one GET of one object by its name, one POST of a Secret, one PATCH by
//! server-side apply, or a page of what belongs to a PipelineRun, so that a Role can be as small as the job: nothing is ever watched. Objects of Tekton's stay the JSON that the
//! API server gave. Secrets are read into memory that is wiped; what hyper and rustls buffered of them is not ours to wipe.
//!
//! Refused: names that could be another path, answers above 8 MiB, and an object that isn't the one that was asked for (its name and UID are compared).

mod account;
mod annotations;
mod children;
mod connect;
mod error;
mod kind;
mod kubeconfig;
mod runs;
mod secret;
mod secret_data;
mod send;
mod sent;
mod so_far;
#[cfg(test)]
mod tests;
pub mod truth;
mod who;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::Value;

pub use account::{AccountCredentials, AccountDocument, AccountError};
pub use annotations::{ANNOTATIONS_BYTES, Annotated, AnnotationError, Wanted};
pub use children::{Children, Pods};
pub use connect::{ACCOUNT_FOLDER, Environment, Reach, in_pod};
pub use error::{ClusterError, Exchange, Failure, KubeconfigFault, Refusal, RequestError, SetupFault, Verb};
pub use kind::Kind;
pub use kubeconfig::{Kubeconfigs, Look};

use crate::object_name::ObjectName;
pub use runs::{Own, RunsError, Told};
pub use secret::Left;
pub use secret_data::SecretData;
pub use so_far::so_far;
pub use who::{Claims, Who};

use connect::Login;
use send::Call;

/// The name of Stepseal's fields in an object's `managedFields`.
pub(crate) const FIELD_MANAGER: &str = "stepseal";

/// The API server, as this step reaches it.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    client: kube::Client,
    server: String,
    namespace: String,
    login: Login,
    /// A kubeconfig that is there and is not read, and why.
    unread: Option<String>,
    deadline: Instant,
    requests: AtomicU64,
}

impl Cluster {
    /// Sets the connection up. Nothing is sent yet. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// There is neither a pod's token nor a kubeconfig, or what there is can't be used.
    pub async fn connect(reach: &Reach, env: Environment<'_>) -> Result<Self, ClusterError> {
        let connected = connect::connect(reach, env).await?;
        let connect::Connected { client, server, namespace, login, unread } = connected;
        let (deadline, requests) = (reach.deadline, AtomicU64::new(0));
        Ok(Self(Arc::new(Inner { client, server, namespace, login, unread, deadline, requests })))
    }

    /// The namespace of the pod, or of the kubeconfig's context.
    pub(crate) fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// As whom the API server is asked.
    pub(crate) fn who(&self) -> Who {
        let token = self.0.login.token().ok().flatten();
        self.0.login.who(token.as_ref().map(|token| token.as_str()))
    }

    /// How many requests have been sent.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// The TaskRun `name`.
    ///
    /// # Errors
    ///
    /// It isn't there, may not be read, or the API server doesn't answer.
    pub async fn task_run(&self, name: &ObjectName) -> Result<Value, ClusterError> {
        self.object(Kind::TaskRun, name).await
    }

    /// The PipelineRun `name`.
    ///
    /// # Errors
    ///
    /// As [`task_run`](Self::task_run).
    pub async fn pipeline_run(&self, name: &ObjectName) -> Result<Value, ClusterError> {
        self.object(Kind::PipelineRun, name).await
    }

    /// The Pod `name`.
    ///
    /// # Errors
    ///
    /// As [`task_run`](Self::task_run).
    pub async fn pod(&self, name: &ObjectName) -> Result<Value, ClusterError> {
        self.object(Kind::Pod, name).await
    }

    /// Reads an object that holds nothing secret.
    async fn object(&self, kind: Kind, name: &ObjectName) -> Result<Value, ClusterError> {
        let call = Call { verb: Verb::Get, kind, object: name, page: None, body: None };
        let reply = self.send(&call).await?;
        let mut object: Value = serde_json::from_slice(&reply.bytes)
            .ok()
            .filter(|object| is(object, kind, name))
            .ok_or_else(|| self.not_the_object(&call, reply.attempts))?;
        // A GET of one object always says both; a list's items wouldn't.
        if let Some(object) = object.as_object_mut() {
            object.entry("apiVersion").or_insert_with(|| kind.api_version().into());
            object.entry("kind").or_insert_with(|| kind.name().into());
        }
        Ok(object)
    }
}

/// Whether `object` is the requested object.
fn is(object: &Value, kind: Kind, name: &ObjectName) -> bool {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    text("/metadata/name") == Some(name.name())
        && text("/metadata/namespace") == Some(name.namespace())
        && text("/kind").is_none_or(|found| found == kind.name())
}

/// A text in an object; empty if there is none.
fn text_at<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
