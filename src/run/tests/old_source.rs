//! Sources of Tasks and Pipelines as Tekton Pipelines 0.41 to 0.46 wrote them.

use serde_json::json;

use super::gaps;
use crate::run::*;

/// A run of `kind` with this `status.provenance`.
fn with(kind: &str, version: &str, provenance: &Value) -> Value {
    json!({ "apiVersion": format!("tekton.dev/{version}"), "kind": kind,
        "metadata": { "name": "x", "namespace": "ci", "labels": { "tekton.dev/pipelineTask": "t" } },
        "status": { "provenance": provenance, "completionTime": "2023-01-01T00:00:00Z",
            "pipelineSpec": { "tasks": [{ "name": "t" }] } } })
}

fn left_out(uri: &str) -> String {
    format!(
        "x: the source of its definition, \"{uri}\", is left out: it stands in status.provenance.configSource, which Tekton \
         Pipelines 0.47 and later do not read"
    )
}

/// Tekton's conversion drops it, so that it is in no statement; Chains 0.14 to 0.16 had it there.
#[test]
fn a_source_that_tekton_no_longer_reads_is_named() {
    let source = json!({ "uri": "git+https://example.com/tasks", "digest": { "sha1": "00" }, "entryPoint": "task.yaml" });
    let old = json!({ "configSource": source });
    let want = [left_out("git+https://example.com/tasks")];
    for version in ["v1", "v1beta1"] {
        for kind in ["TaskRun", "PipelineRun"] {
            let run = Run::from_objects(with(kind, version, &old), Vec::new()).unwrap();
            assert!(run.run().ref_source().is_none() && gaps(&run).contains(&want[0]), "{kind} {version}");
            assert!(run.not_in_status().is_empty(), "the format tekton signs the status, in which it stands");
        }
        let mut parent = with("PipelineRun", version, &Value::Null);
        parent["metadata"]["name"] = "pr".into();
        parent["status"]["childReferences"] =
            json!([{ "kind": "TaskRun", "name": "x", "pipelineTaskName": "t" }]);
        let child = with("TaskRun", version, &old);
        let run = Run::from_objects(parent.clone(), vec![child.clone()]).unwrap();
        assert_eq!(gaps(&run), want, "a child of {version}");
        if version == "v1beta1" {
            parent["status"]["taskRuns"] =
                json!({ "x": { "pipelineTaskName": "t", "status": child["status"] } });
            let run = Run::from_objects(parent, Vec::new()).unwrap();
            assert!(gaps(&run).contains(&want[0]), "in the status");
        }
    }
}

#[test]
fn a_source_that_is_read_or_is_not_there_is_no_gap() {
    let (source, other) = (json!({ "uri": "u" }), json!({ "uri": "another" }));
    for provenance in [
        // Tekton Pipelines 0.47 and later write both, for v1beta1.
        json!({ "configSource": source, "refSource": source }),
        json!({ "configSource": other, "refSource": source }),
        json!({ "refSource": source }),
        json!({ "configSource": {} }),
        json!({ "configSource": null }),
        json!({ "configSource": "u" }),
        json!({ "featureFlags": {} }),
        Value::Null,
    ] {
        let run = Run::from_objects(with("TaskRun", "v1beta1", &provenance), Vec::new()).unwrap();
        assert_eq!(gaps(&run), [""; 0], "{provenance}");
    }
}

#[test]
fn what_is_shown_of_a_source_is_escaped_and_cut() {
    for uri in ["a\u{1b}[2J\nsigned".to_owned(), "x".repeat(100_000)] {
        let old = json!({ "configSource": { "uri": uri } });
        let run = Run::from_objects(with("TaskRun", "v1beta1", &old), Vec::new()).unwrap();
        let said = gaps(&run).remove(0);
        assert!(!said.contains(['\u{1b}', '\n']) && said.len() < 1000, "{said}");
    }
}
