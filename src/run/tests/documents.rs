//! Which files hold a run, and what is said of the others.

use serde_json::json;

use super::{TASK_RUN, pipeline_run, reference, task_run};
use crate::explain::Explain as _;
use crate::run::*;

fn of(kind: &str, name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name, "namespace": "ci" } })
}

#[test]
fn lists_arrays_and_several_documents_are_the_same() {
    let (run, child) = (pipeline_run(&json!([reference("TaskRun", "a")])), task_run("a", "one"));
    let bare = |object: &Value| {
        let mut object = object.clone();
        for name in ["kind", "apiVersion"] {
            object.as_object_mut().unwrap().remove(name);
        }
        object
    };
    let list = |kind: &str, items: &[&Value]| json!({ "apiVersion": "v1", "kind": kind, "metadata": { "resourceVersion": "" }, "items": items });
    let of_tekton = |kind: &str, item: &Value| json!({ "apiVersion": "tekton.dev/v1", "kind": kind, "items": [bare(item)] });
    let (pod, event, task) = (of("Pod", "p"), of("Event", "e"), of("Task", "t"));
    let mut elsewhere = task_run("a", "one");
    elsewhere["metadata"]["namespace"] = "other".into();
    for (text, left_over) in [
        (list("List", &[&child, &run]).to_string(), 0),
        (json!([{ "kind": "PipelineRunList", "items": [run] }, [child]]).to_string(), 0),
        (format!("---\n{run}\n---\n# nothing\n---\n{child}\n"), 0),
        (format!("{run}\n{child}"), 0),
        (format!("{run}{child}"), 0),
        (format!("{run}\r\n{child}\r\n"), 0),
        (format!("{run}\r\n---\r\n{child}\r\n"), 0),
        (format!("\u{feff}{run}\n{child}"), 0),
        (format!("\u{feff}---\n{run}\n---\n{child}\n...\n"), 0),
        // Files that were put together, each with its mark.
        (format!("\u{feff}{run}\n\u{feff}{child}"), 0),
        (format!("\u{feff}{run}\u{feff}{child}"), 0),
        (format!("{run}\r\n---\r\n\u{feff}{child}"), 0),
        (format!("{run}\n\u{feff}---\n{child}"), 0),
        // The API server's own lists, whose items don't say what they are.
        (format!("{}\n{}", of_tekton("PipelineRunList", &run), of_tekton("TaskRunList", &child)), 0),
        // Each as it is, twice.
        (format!("{run}\n{child}\n{run}\n{child}"), 0),
        // All of a namespace, and of others.
        (list("List", &[&pod, &run, &event, &child, &task, &pod]).to_string(), 0),
        (list("List", &[&run, &child, &task_run("stranger", "x")]).to_string(), 1),
        (list("List", &[&elsewhere, &run, &child]).to_string(), 1),
    ] {
        let read = Run::parse(text.as_bytes()).unwrap();
        let gaps = read.gaps();
        assert_eq!(
            (read.name(), read.children().len(), gaps.len()),
            ("pr", 1, left_over),
            "{text}: {gaps:?}"
        );
        assert!(gaps.iter().all(|gap| gap.why == GapReason::NoChild), "{gaps:?}");
        assert_eq!(read.children()[0].namespace(), "ci");
        let passed_over = "2 objects of kind Pod";
        assert_eq!(read.passed_over().is_some_and(|what| what.contains(passed_over)), text.contains("Pod"));
    }
}

/// A text, what is said of it, and what to do.
type Row<'a> = (&'a str, &'a str, &'a str);

fn refused(rows: &[Row<'_>]) {
    for (text, want, instead) in rows {
        let error = Run::parse(text.as_bytes()).unwrap_err();
        let hint = error.hint().unwrap_or_default();
        assert!(error.to_string().contains(want) && hint.contains(instead), "{text}: {error}: {hint}");
    }
}

#[test]
fn what_is_no_run_is_refused_with_its_reason() {
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let get = "kubectl get -o yaml";
    refused(&[
        ("", "it is empty", "the command that wrote it failed"),
        ("\u{feff} \r\n", "it is empty", "the command that wrote it failed"),
        ("null", "no TaskRun or PipelineRun", "give one TaskRun"),
        ("{", "not JSON", get),
        ("a: b: c", "not YAML", get),
        ("7", "JSON number", get),
        (deep.as_str(), "not JSON", get),
        ("kind: TaskRun\nmetadata: {name: x}", "a TaskRun has no API version", "tekton.dev/v1"),
        (
            "kind: TaskRun\napiVersion: serving.dev/v1",
            "is not an API version of Tekton's runs",
            "tekton.dev/v1",
        ),
        ("kind: TaskRun\napiVersion: tekton.dev/v1", "no metadata.name", get),
        ("kind: TaskRun\nkind: TaskRun\napiVersion: tekton.dev/v1", "not YAML", get),
        (r#"{"kind":"TaskRun","kind":"TaskRun"}"#, "not JSON", get),
        (r#"{"kind":"TaskRun","n":123456789012345678901234567890}"#, "not JSON", get),
    ]);
    let compressed = Run::parse(b"\x1f\x8b\x08\xff").unwrap_err().to_string();
    assert!(compressed.contains("a compressed file"), "{compressed}");
    for utf16 in [&b"\xff\xfe{\0}\0"[..], b"\xfe\xff\0{\0}"] {
        let error = Run::parse(utf16).unwrap_err();
        assert!(
            error.to_string().contains("UTF-16") && error.hint().unwrap().contains("Out-File"),
            "{error}"
        );
    }
    assert!(matches!(Run::parse(b"kind: \xff"), Err(RunError::NotText)));
}

/// What a user may give in place of a run, or what a program prints that found none.
#[test]
fn another_document_is_called_what_it_is() {
    let get = "kubectl get -o yaml";
    let kind = |kind: &str| of(kind, "x").to_string();
    let (task, pipeline, pod, config) = (kind("Task"), kind("Pipeline"), kind("Pod"), kind("ConfigMap"));
    let status = json!({ "conditions": [], "startTime": "t" }).to_string();
    let refusal = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
        "message": "taskruns.tekton.dev \"x\" not found" });
    let several = json!({ "apiVersion": "v1", "kind": "List", "items": [of("Pod", "a"), of("Pod", "b"), of("Task", "c")] });
    let watch = json!({ "type": "ADDED", "object": task_run("a", "x") }).to_string();
    let beside = format!(
        "{}\n{}",
        task_run("a", "x"),
        json!({ "_type": "https://in-toto.io/Statement/v1", "subject": [] })
    );
    refused(&[
        (task.as_str(), "it holds an object of kind Task, and", "give the TaskRun"),
        (pipeline.as_str(), "it holds an object of kind Pipeline, and", "give the PipelineRun"),
        (pod.as_str(), "it holds an object of kind Pod, and", "tekton.dev/taskRun"),
        (config.as_str(), "it holds an object of kind ConfigMap, and", "give one TaskRun"),
        (&several.to_string(), "2 objects of kind Pod, an object of kind Task", "tekton.dev/taskRun"),
        (
            &refusal.to_string(),
            "a response of the Kubernetes API server (taskruns.tekton.dev",
            "found no run",
        ),
        (
            "No resources found in ci namespace.\n",
            "the text \"No resources found in ci namespace.\"",
            "found no run",
        ),
        (
            "Error from server (NotFound): taskruns.tekton.dev \"x\" not found\n",
            "the text \"Error from server (NotFound): taskruns.tekton.dev",
            "found no run",
        ),
        (
            "error: the server doesn't have a resource type \"taskruns\"",
            "the text \"error: the server",
            "found no run",
        ),
        ("<!DOCTYPE html>\n<html><head>", "an HTML page", "found no run"),
        ("<?xml version=\"1.0\"?>", "an XML document", "found no run"),
        ("<a: b>", "an XML document", "found no run"),
        ("<<: {a: b}", "not YAML", get),
        // What a bundle or a trusted root is taken for is recognized here too.
        (
            "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
            "it holds a private key, and",
            "give one TaskRun",
        ),
        ("PK\u{3}\u{4}", "it holds a compressed file, and", "unpack it"),
        (&"MEUC".repeat(24), "a base64 signature without a bundle", "give one TaskRun"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a Git LFS pointer", "git lfs pull"),
        (r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#, "a CycloneDX document", "give one TaskRun"),
        (
            r#"[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}]"#,
            "a Sigstore bundle",
            "not the run",
        ),
        (
            r#"{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}"#,
            "an error response of GitHub's API",
            "give one TaskRun",
        ),
        // An object of a cluster that can't be read is not called what its kind says.
        ("kind: Pod\napiVersion: v1\nkind: Pod", "not YAML", get),
        (r#"{"_type":"https://in-toto.io/Statement/v1"}"#, "an in-toto statement", "not the run"),
        (r#"{"payloadType":"application/vnd.in-toto+json","payload":""}"#, "a DSSE envelope", "not the run"),
        (
            r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{}}"#,
            "a Sigstore bundle",
            "not the run",
        ),
        (r#"{"critical":{},"optional":null}"#, "an image's signature", "not the run"),
        (status.as_str(), "only the status of a run", "whole object"),
        (watch.as_str(), "a watch event", "without --watch"),
        (r#"{"metadata":{"name":"x"},"spec":{}}"#, "an object without a kind", "give one TaskRun"),
        // A document that isn't a Kubernetes object may not come with a run.
        (beside.as_str(), "an in-toto statement", "not the run"),
        // Neither is what some readers take for one.
        ("kind: taskrun\napiVersion: tekton.dev/v1", "an object of kind taskrun", "give one TaskRun"),
        ("kind: 'TaskRun '\napiVersion: tekton.dev/v1", "an object of kind TaskRun ", "give one TaskRun"),
        ("Kind: TaskRun\napiVersion: tekton.dev/v1", "an object without a kind", "give one TaskRun"),
    ]);
}

#[test]
fn several_runs_are_named() {
    let run = |name: &str| {
        let mut run = pipeline_run(&json!([]));
        run["metadata"]["name"] = name.into();
        run
    };
    let two = format!("{}\n{}", task_run("a", "x"), task_run("b", "x"));
    let two_pipelines = format!("{}\n{}\n{}", run("one"), task_run("a", "x"), run("two"));
    let many: Vec<String> = (0..30).map(|at| task_run(&format!("t{at}"), "x").to_string()).collect();
    let later = || {
        let mut later = task_run("a", "x");
        later["metadata"]["resourceVersion"] = "2".into();
        later
    };
    let watched = format!("{}\n{}", task_run("a", "x"), later());
    let of_run = format!("{}\n{}\n{}", run("one"), task_run("a", "x"), later());
    let mut changed = run("one");
    changed["status"]["startTime"] = "2025-03-04T05:06:07Z".into();
    let run_twice = format!("{}\n{changed}", run("one"));
    refused(&[
        (
            two.as_str(),
            "2 objects of kind TaskRun, and one run is signed at a time: ci/a, ci/b",
            "PipelineRun",
        ),
        (
            two_pipelines.as_str(),
            "2 objects of kind PipelineRun, and one run is signed at a time: ci/one, ci/two",
            "-l tekton",
        ),
        (
            &many.join("\n"),
            "30 objects of kind TaskRun, and one run is signed at a time: ci/t0, ",
            "PipelineRun",
        ),
        (&many.join("\n"), "ci/t9 and 20 more", "PipelineRun"),
        (watched.as_str(), "TaskRun a stands in it twice, and not as the same", "without --watch"),
        (of_run.as_str(), "TaskRun a stands in it twice, and not as the same", "without --watch"),
        (run_twice.as_str(), "PipelineRun one stands in it twice, and not as the same", "without --watch"),
    ]);
    let same = format!("{TASK_RUN}---\n{TASK_RUN}");
    assert!(Run::parse(same.as_bytes()).is_ok());
}

#[test]
fn what_is_shown_of_a_foreign_document_is_escaped_and_cut() {
    let long = "x".repeat(100_000);
    let evil = "a\u{1b}[2J\u{202e}\nsigned";
    for text in [
        of(evil, "x").to_string(),
        of(&long, "x").to_string(),
        json!({ "error": evil }).to_string(),
        json!({ "error": long }).to_string(),
        json!({ "kind": "Status", "apiVersion": "v1", "message": evil }).to_string(),
        json!([evil]).to_string(),
        format!("{}\n{}", of(evil, "x"), of(&long, "y")),
        format!("{}\n{}", task_run(evil, "x"), task_run(&long, "x")),
    ] {
        let error = Run::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains(['\u{1b}', '\u{202e}', '\n']) && error.len() < 2000, "{error}");
    }
    let beside = format!("{}\n{}", task_run("a", "x"), of(evil, "x"));
    let run = Run::parse(beside.as_bytes()).unwrap();
    assert!(!run.passed_over().unwrap().contains(['\u{1b}', '\n']));
}

#[test]
fn a_mark_within_a_document_stays() {
    let with = |value: &str| TASK_RUN.replace("value: x", &format!("value: {value}"));
    let json = Run::parse(TASK_RUN.as_bytes()).unwrap().object().to_string();
    let marked = "\u{feff}a\\\\\u{feff}";
    let text = format!("\u{feff}{}", json.replace("\"x\"", &format!("\"{marked}\"")));
    assert_eq!(Run::parse(text.as_bytes()).unwrap().run().results()[0].value.text(), "\u{feff}a\\\u{feff}");
    let text = format!("---\n\u{feff}{}", with("\"\u{feff}y\""));
    assert_eq!(Run::parse(text.as_bytes()).unwrap().run().results()[0].value.text(), "\u{feff}y");
    assert!(Run::parse(json.replace(':', "\u{feff}:").as_bytes()).is_err(), "no JSON");
}

#[test]
fn a_custom_run_alone_is_named() {
    let run = of("CustomRun", "c").to_string();
    let error = Run::parse(run.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("an object of kind CustomRun"), "{error}");
}
