//! The TaskRuns of a PipelineRun, and their Pods.
//!
//! Its TaskRuns are those that its `childReferences` name and that it owns, in their order. They are listed by Tekton's label `tekton.dev/pipelineRun`,
//! a hundred a request; what a list doesn't have (the label was taken away, or the TaskRun itself was) is asked for by its name, ten at a time. So a
//! PipelineRun takes one request for each hundred of its TaskRuns, and never more than one for each, and a page, beside those. The Pods are listed in the same way.

use std::collections::HashMap;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::error::{ClusterError, Failure, Verb};
use super::kind::Kind;
use super::runs::{RunsError, neighbour, owner};
use super::send::Call;
use super::{Cluster, text_at};
use crate::foreign;
use crate::object_name::ObjectName;

/// How many children are asked for by their names at a time.
const AT_A_TIME: usize = 10;

/// The most children a PipelineRun may have; Tekton's own limit is the size of the object.
const MAX_CHILDREN: usize = 5000;

/// The most pages of a list: twice as many as the children fill, as retries have Pods of their own.
const MAX_PAGES: usize = 2 * MAX_CHILDREN / 100;

/// The TaskRuns of a PipelineRun.
#[derive(Clone, Debug, Default)]
pub struct Children {
    /// Those that are there, in the order of `childReferences`.
    pub task_runs: Vec<Value>,
    /// The names of those that are not.
    pub gone: Vec<String>,
    /// Children of another kind, as `KIND NAME`: they have no steps, and nothing is read of them.
    pub others: Vec<String>,
}

/// The Pods of a PipelineRun's TaskRuns, as far as they are still there: of each what it takes to hold a TaskRun against it.
#[derive(Clone, Debug, Default)]
pub struct Pods(HashMap<String, Value>);

impl Pods {
    /// The Pod of a TaskRun; `None` if it is gone.
    pub fn of(&self, task_run: &Value) -> Option<&Value> {
        self.0.get(text_at(task_run, "/status/podName"))
    }
}

impl Cluster {
    /// The TaskRuns of a PipelineRun.
    ///
    /// # Errors
    ///
    /// They may not be listed, or one isn't the PipelineRun's. A deleted TaskRun is not an error.
    pub async fn task_runs_of(&self, pipeline_run: &Value) -> Result<Children, RunsError> {
        let listed = pipeline_run.pointer("/status/childReferences").and_then(Value::as_array);
        let listed = listed.map(Vec::as_slice).unwrap_or_default();
        if listed.len() > MAX_CHILDREN {
            let name = foreign::escape(text_at(pipeline_run, "/metadata/name"), 120);
            return Err(RunsError::TooMany { name, count: listed.len(), limit: MAX_CHILDREN });
        }
        let mut children = Children::default();
        let mut names = Vec::new();
        for child in listed {
            let (kind, name) = (text_at(child, "/kind"), text_at(child, "/name"));
            if kind == Kind::TaskRun.name() {
                names.push(neighbour(pipeline_run, name, "status.childReferences")?);
            } else {
                children.others.push(foreign::escape(&format!("{kind} {name}"), 200));
            }
        }
        // For a few, their names are fewer requests, and need no right to list.
        let mut found = HashMap::new();
        if names.len() > AT_A_TIME {
            self.list(Kind::TaskRun, pipeline_run, |task_run| {
                found.insert(text_at(&task_run, "/metadata/name").to_owned(), task_run);
            })
            .await?;
        }
        let answers = names.iter().map(|name| (name, found.remove(name.name())));
        let mut answers = stream::iter(answers)
            .map(|(name, found)| async move {
                match found {
                    Some(task_run) => (name, Ok(task_run)),
                    None => (name, self.task_run(name).await),
                }
            })
            .buffered(AT_A_TIME);
        while let Some((name, answer)) = answers.next().await {
            match answer {
                Ok(task_run) => {
                    belongs(&task_run, name, pipeline_run)?;
                    children.task_runs.push(task_run);
                }
                Err(error) if error.is_not_found() => children.gone.push(name.to_string()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(children)
    }

    /// The Pods of a PipelineRun's TaskRuns.
    ///
    /// # Errors
    ///
    /// They may not be listed.
    pub async fn pods_of(&self, pipeline_run: &Value) -> Result<Pods, RunsError> {
        let mut pods = HashMap::new();
        self.list(Kind::Pod, pipeline_run, |pod| {
            pods.insert(text_at(&pod, "/metadata/name").to_owned(), compared(&pod));
        })
        .await?;
        Ok(Pods(pods))
    }

    /// Gives `take` each object of this kind with the PipelineRun's label. A page that is too long ends the list.
    async fn list(
        &self,
        kind: Kind,
        pipeline_run: &Value,
        mut take: impl FnMut(Value),
    ) -> Result<(), RunsError> {
        let name = neighbour(pipeline_run, text_at(pipeline_run, "/metadata/name"), "metadata")?;
        let mut page: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let call = Call { verb: Verb::List, kind, object: &name, page: page.as_deref(), body: None };
            let reply = match self.send(&call).await {
                Ok(reply) => reply,
                Err(error) if kind == Kind::TaskRun && is_too_large(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let mut list: Value = serde_json::from_slice(&reply.bytes)
                .ok()
                .filter(|list| is_list(list, kind))
                .ok_or_else(|| self.not_the_object(&call, reply.attempts))?;
            let items = list.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
            for mut item in items.unwrap_or_default() {
                // A list's items don't say what they are.
                if let Some(item) = item.as_object_mut() {
                    item.entry("apiVersion").or_insert_with(|| kind.api_version().into());
                    item.entry("kind").or_insert_with(|| kind.name().into());
                }
                take(item);
            }
            page = Some(text_at(&list, "/metadata/continue").to_owned()).filter(|page| !page.is_empty());
            if page.is_none() {
                return Ok(());
            }
        }
        let call = Call { verb: Verb::List, kind, object: &name, page: None, body: None };
        Err(self.endless(&call, MAX_PAGES).into())
    }
}

fn is_too_large(error: &ClusterError) -> bool {
    error.request().is_some_and(|request| matches!(request.exchange.failure, Failure::TooLarge(_)))
}

fn is_list(list: &Value, kind: Kind) -> bool {
    text_at(list, "/kind") == format!("{}List", kind.name())
}

/// Whether a TaskRun is the PipelineRun's: another may have its name now.
fn belongs(task_run: &Value, name: &ObjectName, pipeline_run: &Value) -> Result<(), RunsError> {
    let uid = text_at(pipeline_run, "/metadata/uid");
    let owner = owner(task_run, Kind::PipelineRun).map_or("", |owner| owner.uid);
    if owner == uid && !uid.is_empty() {
        return Ok(());
    }
    if owner.is_empty() {
        return Err(RunsError::NotOwned { name: name.to_string() });
    }
    Err(RunsError::Another {
        kind: Kind::TaskRun,
        name: format!("{name}, by its owner,"),
        found: foreign::escape(owner, 80),
        wanted: foreign::escape(uid, 80),
    })
}

/// The compared part of a Pod: hundreds of whole Pods would fill the memory of a step.
fn compared(pod: &Value) -> Value {
    let part = |pointer: &str| pod.pointer(pointer).cloned().unwrap_or_default();
    let names = |pointer: &str| {
        let containers = pod.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        containers.map(|container| json!({"name": container.get("name")})).collect::<Vec<_>>()
    };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": part("/metadata/name"), "namespace": part("/metadata/namespace"), "uid": part("/metadata/uid"),
            "ownerReferences": part("/metadata/ownerReferences"),
        },
        "spec": {"initContainers": names("/spec/initContainers"), "containers": names("/spec/containers")},
        "status": {
            "initContainerStatuses": part("/status/initContainerStatuses"), "containerStatuses": part("/status/containerStatuses"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_pod_is_kept_what_is_compared() {
        let pod = json!({
            "metadata": {"name": "p", "ownerReferences": [{"uid": "u"}], "managedFields": ["x"]},
            "spec": {"containers": [{"name": "step-a", "env": ["x"]}], "volumes": ["x"]},
            "status": {"containerStatuses": [{"name": "step-a", "imageID": "i"}], "conditions": ["x"]},
        });
        let kept = compared(&pod);
        assert!(!kept.to_string().contains("\"x\""), "{kept}");
        assert_eq!(kept["spec"]["containers"], json!([{"name": "step-a"}]));
        assert_eq!(kept["status"]["containerStatuses"], pod["status"]["containerStatuses"]);
        let pods = Pods(HashMap::from([("p".to_owned(), kept)]));
        assert!(pods.of(&json!({"status": {"podName": "p"}})).is_some());
        assert!(pods.of(&json!({"status": {}})).is_none());
    }
}
