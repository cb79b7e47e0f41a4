//! Arrays of names and of digests, as a matrix leaves them: the statement names what is signed, in each format.

use serde_json::{Value, json};

use super::*;

pub(super) const FORMATS: [RunFormat; 3] =
    [RunFormat::SlsaV1, RunFormat::SlsaV2Alpha3, RunFormat::SlsaV2Alpha4];

fn hex(byte: &str) -> String {
    byte.repeat(32)
}

pub(super) fn sha256(byte: &str) -> String {
    format!("sha256:{}", hex(byte))
}

/// A TaskRun with these results, one with them as its step's, a PipelineRun with them, and one whose TaskRun has them.
pub(super) fn runs(results: &Value) -> Vec<(Run, bool)> {
    let task_run = |results: Value, of_step: Value| {
        json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {"name": "build", "namespace": "ci", "uid": "uid-build", "labels": {"tekton.dev/pipelineTask": "build"}},
            "spec": {},
            "status": {"startTime": "2025-03-04T05:06:07Z", "completionTime": "2025-03-04T05:06:37Z",
                "conditions": [{"type": "Succeeded", "status": "True"}], "results": results,
                "taskSpec": {"steps": [{"name": "make", "image": "x"}]},
                "steps": [{"name": "make", "imageID": format!("reg.example/tool@{}", sha256("aa")), "results": of_step}]}})
    };
    let pipeline_run = |results: Value| {
        json!({"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
            "metadata": {"name": "release", "namespace": "ci", "uid": "uid-release"},
            "status": {"startTime": "2025-03-04T05:06:07Z", "completionTime": "2025-03-04T05:07:37Z", "results": results,
                "childReferences": [{"kind": "TaskRun", "name": "build", "pipelineTaskName": "build"}],
                "pipelineSpec": {"tasks": [{"name": "build"}]}}})
    };
    let run = |object, children| Run::from_objects(object, children).unwrap();
    vec![
        (run(task_run(results.clone(), json!([])), vec![]), false),
        (run(task_run(json!([]), results.clone()), vec![]), true),
        (run(pipeline_run(results.clone()), vec![]), false),
        (run(pipeline_run(json!([])), vec![task_run(results.clone(), json!([]))]), false),
    ]
}

#[test]
fn arrays_are_subjects_by_position_and_the_same_as_are_signed() {
    let array = |items: &[&str]| json!(items);
    // Tekton's files hold JSON, and a result that is declared as a string keeps its text.
    let text = |items: &[&str]| Value::String(json!(items).to_string());
    let (a, b) = (sha256("5e"), sha256("6f"));
    let names = ["reg.example/a", "reg.example/b"];
    for (urls, digests, want) in [
        (array(&names), array(&[&a, &b]), vec![("reg.example/a", "5e"), ("reg.example/b", "6f")]),
        (text(&names), array(&[&a, &b]), vec![("reg.example/a", "5e"), ("reg.example/b", "6f")]),
        (text(&names), text(&[&a, &b]), vec![("reg.example/a", "5e"), ("reg.example/b", "6f")]),
        (array(&names), array(&[&b, &a]), vec![("reg.example/a", "6f"), ("reg.example/b", "5e")]),
        (array(&["reg.example/a", " reg.example/a\n"]), array(&[&a, &a]), vec![("reg.example/a", "5e")]),
        (array(&["", "reg.example/b"]), array(&["", &b]), vec![("reg.example/b", "6f")]),
        (array(&["reg.example/a", "reg.example/b"]), array(&["sha256:1", &b]), vec![("reg.example/b", "6f")]),
        (array(&names), array(&[&a]), vec![]),
        (array(&names[..1]), json!(a), vec![]),
        (json!(names[0]), array(&[&a]), vec![]),
        (text(&names[..1]), json!(a), vec![]),
        (array(&[]), array(&[]), vec![]),
        (array(&["", ""]), array(&[&a, &b]), vec![]),
        (json!(["reg.example/a", 7]), array(&[&a, &b]), vec![]),
        (json!({"a": "reg.example/a"}), array(&[&a]), vec![]),
        (array(&vec![names[0]; 4097]), array(&vec![a.as_str(); 4097]), vec![]),
        (json!(names[0]), json!(a), vec![("reg.example/a", "5e")]),
    ] {
        let results =
            json!([{"name": "x-IMAGE_URL", "value": urls}, {"name": "x-IMAGE_DIGEST", "value": digests}]);
        for (run, of_step) in runs(&results) {
            for format in FORMATS.into_iter().filter(|format| !of_step || format.reads_step_results()) {
                let options = ProvenanceOptions { deep_inspection: true, ..ProvenanceOptions::default() };
                let found: Vec<(String, String)> = subjects(&run, format, &options)
                    .into_iter()
                    .map(|subject| (subject.name, subject.digest["sha256"].clone()))
                    .collect();
                let want: Vec<(String, String)> =
                    want.iter().map(|(name, byte)| ((*name).to_owned(), hex(byte))).collect();
                assert_eq!(found, want, "{format} {results}");
                let hints = hints(&run, &HintOptions { deep: true, steps: format.reads_step_results() });
                let planned = plan(&hints, &PlanOptions::default()).images.into_iter().map(|one| one.image);
                let attested = image_subjects(&run, format, &options);
                assert_eq!(planned.collect::<Vec<_>>(), attested, "{format} {results}");
            }
        }
    }
}

#[test]
fn artifacts_in_arrays_are_subjects_where_chains_takes_artifacts() {
    let digests = json!([sha256("5e"), format!("sha512:{}", "6f".repeat(64))]);
    let results = json!([
        {"name": "ARTIFACT_DIGEST", "value": digests},
        {"name": "ARTIFACT_URI", "value": ["pkg:maven/a", "pkg:maven/b"]},
    ]);
    for (run, _) in runs(&results).into_iter().filter(|(_, of_step)| !of_step) {
        let options = ProvenanceOptions { deep_inspection: true, ..ProvenanceOptions::default() };
        for format in [RunFormat::SlsaV1, RunFormat::SlsaV2Alpha3] {
            let names: Vec<String> =
                subjects(&run, format, &options).into_iter().map(|subject| subject.name).collect();
            assert_eq!(names, ["pkg:maven/a", "pkg:maven/b"], "{format}");
        }
    }
}

#[test]
fn images_in_the_text_of_an_array_are_those_that_are_signed() {
    let image = format!("reg.example/a@{}", sha256("5e"));
    for value in
        [json!([image]), json!(json!([image]).to_string()), json!(image), json!(format!(" {image},\n"))]
    {
        for (run, of_step) in runs(&json!([{"name": "IMAGES", "value": value}])) {
            let options = ProvenanceOptions { deep_inspection: true, ..ProvenanceOptions::default() };
            for format in FORMATS.into_iter().filter(|format| !of_step || format.reads_step_results()) {
                let images = image_subjects(&run, format, &options);
                assert_eq!(
                    images.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    [image.as_str()],
                    "{value}"
                );
            }
        }
    }
}
