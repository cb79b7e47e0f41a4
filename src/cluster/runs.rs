//! Which run this step belongs to, and the runs around it. Never by guessing: every object is compared by its UID.
//!
//! A step learns its TaskRun in one of two ways. The Task tells it, as `NAMESPACE/NAME` from `$(context.taskRun.namespace)` and
//! `$(context.taskRun.name)`, with `$(context.taskRun.uid)` beside it, so that a run of the same name made later is not taken for it. Or it
//! reads its own Pod: its name and UID are in the ServiceAccount's token, signed by the API server (`HOSTNAME` where the token isn't bound
//! to a Pod), and Tekton's labels on it must agree with its owner, which only whoever may make Pods can choose.

use serde_json::Value;

use super::error::ClusterError;
use super::kind::Kind;
use super::{Cluster, Environment, text_at};
use crate::explain::explain;
use crate::foreign;
use crate::object_name::{NameError, ObjectName, Uid};

/// What the step's parameters say about its run.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The TaskRun that the Pod names, if any.
    pub task_run: Option<ObjectName>,
    /// The UID that the Pod names for it, if any.
    pub uid: Option<Uid>,
}

/// The TaskRun, and its Pod where it is known or still there.
#[derive(Clone, Debug)]
pub struct Own {
    /// The TaskRun as the API server returned it.
    pub task_run: Value,
    /// The Pod of the TaskRun; `None` if it is deleted.
    pub pod: Option<Value>,
}

/// Why the run isn't known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunsError {
    /// The API server refused, or wasn't reached.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Nothing says which Pod this is.
    #[error("cannot tell which TaskRun this step belongs to: neither the token nor HOSTNAME names its Pod")]
    NoPod,
    /// Tekton didn't make the Pod for a TaskRun.
    #[error("cannot tell which TaskRun this step belongs to: Pod {pod}: {what}")]
    NotTekton {
        /// The name of the Pod.
        pod: String,
        /// What is missing, or doesn't fit.
        what: String,
    },
    /// The object has another UID than it must have.
    #[error("{kind} {name} is not the one that was meant: its UID is {found}, not {wanted}")]
    Another {
        /// What kind of object.
        kind: Kind,
        /// The name of the run.
        name: String,
        /// The UID it has.
        found: String,
        /// The UID it must have.
        wanted: String,
    },
    /// A TaskRun that the PipelineRun names and doesn't own.
    #[error("TaskRun {name} is not the PipelineRun's: it has no ownerReferences that name a PipelineRun")]
    NotOwned {
        /// The name of the run.
        name: String,
    },
    /// A name in an object is none.
    #[error("{place} holds no name of an object")]
    Name {
        /// The label or field that holds the name.
        place: String,
        /// Why it is not a valid name.
        source: NameError,
    },
    /// More children than can be.
    #[error("PipelineRun {name} has {count} children; no more than {limit} are read")]
    TooMany {
        /// The name of the run.
        name: String,
        /// How many it names.
        count: usize,
        /// How many are read.
        limit: usize,
    },
}

explain! { RunsError,
    Self::Cluster(error) => [of error],
    Self::NoPod | Self::NotTekton { .. } => ["run-not-named", Failed,
        "let the Task set STEPSEAL_TASKRUN to $(context.taskRun.namespace)/$(context.taskRun.name) and STEPSEAL_TASKRUN_UID to \
         $(context.taskRun.uid) in this step"],
    Self::NotOwned { .. } => ["run-not-owned", Failed,
        "don't trust it: Tekton makes the PipelineRun its owner; see who made it, or removed the owner"],
    Self::Another { .. } => ["run-made-again", Failed, "it was deleted and made again; sign the new one by itself"],
    Self::Name { .. } | Self::TooMany { .. } => ["run-odd-object", Failed, "see whether Tekton wrote this object"],
}

impl Cluster {
    /// The TaskRun that this step belongs to, or the TaskRun that it was given.
    ///
    /// # Errors
    ///
    /// It is unknown, isn't there, or isn't the intended TaskRun.
    pub async fn own_task_run(&self, told: &Told, env: Environment<'_>) -> Result<Own, RunsError> {
        if let Some(name) = &told.task_run {
            let task_run = self.task_run(name).await?;
            if let Some(uid) = &told.uid {
                same(Kind::TaskRun, &task_run, uid.as_str())?;
            }
            let pod = self.pod_of(&task_run).await?;
            return Ok(Own { task_run, pod });
        }
        let pod = self.own_pod(env).await?;
        let (name, uid) = task_run_of(&pod)?;
        let task_run = self.task_run(&name).await?;
        same(Kind::TaskRun, &task_run, &uid)?;
        Ok(Own { task_run, pod: Some(pod) })
    }

    /// This process' own Pod.
    async fn own_pod(&self, env: Environment<'_>) -> Result<Value, RunsError> {
        if let Some((name, uid)) = self.who().claims.and_then(|claims| claims.pod) {
            let pod = self.pod(&name).await?;
            same(Kind::Pod, &pod, &uid)?;
            return Ok(pod);
        }
        let host = env("HOSTNAME").unwrap_or_default();
        let name = ObjectName::new(self.namespace(), &host).map_err(|_| RunsError::NoPod)?;
        Ok(self.pod(&name).await?)
    }

    /// The Pod of a TaskRun; `None` if it is gone, or there never was one.
    ///
    /// # Errors
    ///
    /// It may not be read, or belongs to another.
    pub async fn pod_of(&self, task_run: &Value) -> Result<Option<Value>, RunsError> {
        let name = text_at(task_run, "/status/podName");
        if name.is_empty() {
            return Ok(None);
        }
        let pod = match self.pod(&neighbour(task_run, name, "status.podName")?).await {
            Ok(pod) => pod,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let uid = text_at(task_run, "/metadata/uid");
        if owner(&pod, Kind::TaskRun).is_some_and(|owner| owner.uid == uid) {
            return Ok(Some(pod));
        }
        let what = format!("it is not owned by TaskRun {}", text_at(task_run, "/metadata/name"));
        Err(RunsError::NotTekton { pod: foreign::escape(name, 120), what })
    }

    /// The PipelineRun that owns a TaskRun; `None` if none does.
    ///
    /// # Errors
    ///
    /// It isn't there, may not be read, or another has its name now.
    pub async fn pipeline_run_of(&self, task_run: &Value) -> Result<Option<Value>, RunsError> {
        let Some(owner) = owner(task_run, Kind::PipelineRun) else { return Ok(None) };
        let name = neighbour(task_run, owner.name, "metadata.ownerReferences")?;
        let pipeline_run = self.pipeline_run(&name).await?;
        same(Kind::PipelineRun, &pipeline_run, owner.uid)?;
        Ok(Some(pipeline_run))
    }
}

/// The object `name` in the namespace of `object`.
pub(super) fn neighbour(object: &Value, name: &str, place: &str) -> Result<ObjectName, RunsError> {
    let bad = |source| RunsError::Name { place: place.to_owned(), source };
    ObjectName::new(text_at(object, "/metadata/namespace"), name).map_err(bad)
}

pub(super) fn same(kind: Kind, object: &Value, wanted: &str) -> Result<(), RunsError> {
    let found = text_at(object, "/metadata/uid");
    if found == wanted && !wanted.is_empty() {
        return Ok(());
    }
    Err(RunsError::Another {
        kind,
        name: foreign::escape(text_at(object, "/metadata/name"), 120),
        found: foreign::escape(found, 80),
        wanted: foreign::escape(wanted, 80),
    })
}

/// An entry of `ownerReferences`.
pub(super) struct Owner<'a> {
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
}

/// The controlling owner of this kind of Tekton's.
pub(super) fn owner(object: &Value, kind: Kind) -> Option<Owner<'_>> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| {
        text_at(owner, "/kind") == kind.name()
            && text_at(owner, "/apiVersion").split_once('/').is_some_and(|(group, _)| group == kind.group())
            && owner.get("controller").and_then(Value::as_bool) == Some(true)
    })?;
    Some(Owner { name: text_at(owner, "/name"), uid: text_at(owner, "/uid") })
}

/// The TaskRun that Tekton made this Pod for: labels and owner must agree.
fn task_run_of(pod: &Value) -> Result<(ObjectName, String), RunsError> {
    let not = |what: &str| RunsError::NotTekton {
        pod: foreign::escape(text_at(pod, "/metadata/name"), 120),
        what: what.to_owned(),
    };
    let owner = owner(pod, Kind::TaskRun).ok_or_else(|| not("no TaskRun owns it"))?;
    let labels = pod.pointer("/metadata/labels");
    let label = |name: &str| labels.and_then(|labels| labels.get(name)?.as_str());
    if label("tekton.dev/taskRun").is_some_and(|name| name != owner.name) {
        return Err(not("its label tekton.dev/taskRun names another than its owner"));
    }
    // The label came with Tekton 0.60.
    if label("tekton.dev/taskRunUID").is_some_and(|uid| uid != owner.uid) {
        return Err(not("its label tekton.dev/taskRunUID names another than its owner"));
    }
    Ok((neighbour(pod, owner.name, "metadata.ownerReferences")?, owner.uid.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(labels: &Value, owners: &Value) -> Value {
        json!({"metadata": {"name": "p", "namespace": "ci", "labels": labels, "ownerReferences": owners}})
    }

    fn owned() -> Value {
        json!([{"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": "build", "uid": "u", "controller": true}])
    }

    #[test]
    fn a_pod_names_its_task_run_by_owner_and_labels() {
        let labels = json!({"tekton.dev/taskRun": "build", "tekton.dev/taskRunUID": "u"});
        let (name, uid) = task_run_of(&pod(&labels, &owned())).unwrap();
        assert_eq!((name.to_string().as_str(), uid.as_str()), ("ci/build", "u"));
    }

    #[test]
    fn a_pod_whose_labels_and_owner_differ_is_nobodys() {
        for (labels, owners) in [
            (json!({"tekton.dev/taskRun": "other"}), owned()),
            (json!({"tekton.dev/taskRun": "build", "tekton.dev/taskRunUID": "v"}), owned()),
            // Labels alone: whoever may label a Pod could choose any run.
            (json!({"tekton.dev/taskRun": "build", "tekton.dev/taskRunUID": "u"}), json!([])),
            (
                json!({}),
                json!([{"apiVersion": "evil.dev/v1", "kind": "TaskRun", "name": "build", "uid": "u", "controller": true}]),
            ),
            (
                json!({}),
                json!([{"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": "../x", "uid": "u", "controller": true}]),
            ),
        ] {
            assert!(task_run_of(&pod(&labels, &owners)).is_err(), "{labels} {owners}");
        }
    }

    #[test]
    fn no_uid_is_no_match() {
        assert!(same(Kind::TaskRun, &json!({"metadata": {}}), "").is_err());
    }
}
