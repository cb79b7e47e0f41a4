//! A TaskRun that is still running, as far as it is known.
//!
//! While the last step runs, the object says little: Tekton writes results, and each step's final state, when the last step has
//! ended. What is known already is added from the Pod's container statuses (which image each step runs) and from the
//! results that steps have written. Nothing else is: no completion time, no condition, no result of a step that still runs.

use serde_json::{Map, Value, json};

use super::text_at;

/// The prefixes that Tekton gives the containers of steps and sidecars.
pub(super) const STEP: &str = "step-";
const SIDECAR: &str = "sidecar-";

/// Adds to `task_run` what its object lacks while it runs. A completed TaskRun stays as it is.
///
/// `results` are the Task's results so far: texts, lists of texts, or objects of texts.
pub fn so_far(mut task_run: Value, pod: Option<&Value>, results: &[(String, Value)]) -> Value {
    if task_run.pointer("/status/completionTime").is_some_and(Value::is_string) {
        return task_run;
    }
    let Some(object) = task_run.as_object_mut() else { return task_run };
    let status = object.entry("status").or_insert_with(|| json!({}));
    let Some(status) = status.as_object_mut() else { return task_run };
    if let Some(pod) = pod {
        add_containers(status, "steps", STEP, pod);
        add_containers(status, "sidecars", SIDECAR, pod);
    }
    let known: Vec<Value> = list(status, "results").to_vec();
    let new = results.iter().filter(|(name, _)| !known.iter().any(|result| text_at(result, "/name") == name));
    let all: Vec<Value> = known.iter().cloned().chain(new.map(|(name, value)| result(name, value))).collect();
    if !all.is_empty() {
        status.insert("results".into(), all.into());
    }
    task_run
}

fn result(name: &str, value: &Value) -> Value {
    let kind = match value {
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        _ => "string",
    };
    json!({"name": name, "type": kind, "value": value})
}

fn list<'a>(status: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    status.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The statuses of the Pod's containers, in the order in which its specification names them.
pub(super) fn containers(pod: &Value) -> Vec<&Value> {
    let part =
        |pointer| pod.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let statuses = || part("/status/initContainerStatuses").iter().chain(part("/status/containerStatuses"));
    let named = part("/spec/initContainers").iter().chain(part("/spec/containers"));
    let named = named.map(|container| text_at(container, "/name"));
    named.filter_map(|name| statuses().find(|status| text_at(status, "/name") == name)).collect()
}

/// Adds the entries of `key` that are missing, and the images of those that have none.
fn add_containers(status: &mut Map<String, Value>, key: &str, prefix: &str, pod: &Value) {
    let mut entries: Vec<Value> = list(status, key).to_vec();
    for container in containers(pod) {
        let name = text_at(container, "/name");
        let Some(short) = name.strip_prefix(prefix) else { continue };
        let image = text_at(container, "/imageID");
        let entry = match entries.iter().position(|entry| text_at(entry, "/container") == name) {
            Some(index) => entries.get_mut(index),
            None => {
                let state = container.get("state").filter(|state| state.is_object());
                entries.push(state.cloned().unwrap_or_else(|| json!({})));
                entries.last_mut()
            }
        };
        let Some(entry) = entry.and_then(Value::as_object_mut) else { continue };
        entry.entry("name").or_insert_with(|| short.into());
        entry.entry("container").or_insert_with(|| name.into());
        if !image.is_empty() && entry.get("imageID").and_then(Value::as_str).unwrap_or_default().is_empty() {
            entry.insert("imageID".into(), image.into());
        }
    }
    if !entries.is_empty() {
        status.insert(key.into(), entries.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Value {
        json!({
            "spec": {"containers": [{"name": "step-build"}, {"name": "step-sign"}, {"name": "sidecar-db"}]},
            "status": {"containerStatuses": [
                {"name": "step-sign", "imageID": "", "state": {"waiting": {"reason": "x"}}},
                {"name": "sidecar-db", "imageID": "r/db@sha256:d", "state": {"running": {"startedAt": "t"}}},
                {"name": "step-build", "imageID": "r/build@sha256:b", "state": {"terminated": {"exitCode": 0}}},
            ]},
        })
    }

    #[test]
    fn what_the_object_lacks_is_added_and_nothing_else() {
        let run = json!({"metadata": {"name": "a"}, "status": {"startTime": "s", "results": [{"name": "A", "type": "string", "value": "old"}]}});
        let results = [("A".to_owned(), json!("new")), ("B".to_owned(), json!(["x"]))];
        let known = so_far(run, Some(&pod()), &results);
        assert_eq!(
            known["status"],
            json!({
                "startTime": "s",
                "results": [{"name": "A", "type": "string", "value": "old"}, {"name": "B", "type": "array", "value": ["x"]}],
                "steps": [
                    {"terminated": {"exitCode": 0}, "name": "build", "container": "step-build", "imageID": "r/build@sha256:b"},
                    {"waiting": {"reason": "x"}, "name": "sign", "container": "step-sign"},
                ],
                "sidecars": [{"running": {"startedAt": "t"}, "name": "db", "container": "sidecar-db", "imageID": "r/db@sha256:d"}],
            })
        );
    }

    #[test]
    fn an_entry_that_has_its_image_keeps_it() {
        let run = json!({"status": {"steps": [{"container": "step-build", "name": "build", "imageID": "r/first@sha256:f"}]}});
        let known = so_far(run, Some(&pod()), &[]);
        assert_eq!(known["status"]["steps"][0]["imageID"], "r/first@sha256:f");
        assert!(known["status"].get("results").is_none() && known["status"].get("completionTime").is_none());
    }

    #[test]
    fn a_run_that_has_completed_stays_as_it_is() {
        let run = json!({"status": {"completionTime": "2026-01-01T00:00:00Z"}});
        assert_eq!(so_far(run.clone(), Some(&pod()), &[("A".into(), json!("x"))]), run);
        assert_eq!(so_far(json!([]), None, &[]), json!([]));
    }
}
