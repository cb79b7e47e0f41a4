//! `verify-run` of a v1beta1 PipelineRun whose TaskRuns stand in its status.

use serde_json::{Value, json};
use stepseal::run::{BuildType, RunFormat};

use crate::verify::covered::{FORMATS, Signed, made};
use crate::verify::run::Objects;

fn status(byte: &str) -> Value {
    json!({ "startTime": "2022-03-04T05:06:07Z", "completionTime": "2022-03-04T05:06:37Z", "podName": "pod",
        "conditions": [{ "type": "Succeeded", "status": "True" }],
        "taskResults": [{ "name": "IMAGE_URL", "value": "reg.example/app" },
            { "name": "IMAGE_DIGEST", "value": format!("sha256:{}", byte.repeat(64)) }],
        "taskSpec": { "steps": [{ "name": "s", "image": "t", "script": "make" }] },
        "steps": [{ "name": "s", "container": "step-s", "imageID": format!("reg.example/tool@sha256:{}", byte.repeat(64)) }] })
}

fn objects() -> Objects {
    let entry = |task: &str, byte: &str| json!({ "pipelineTaskName": task, "status": status(byte) });
    let object = json!({ "apiVersion": "tekton.dev/v1beta1", "kind": "PipelineRun",
        "metadata": { "name": "nightly", "namespace": "ci", "uid": "u-nightly" },
        "spec": { "pipelineRef": { "name": "p" } },
        "status": { "startTime": "2022-03-04T05:06:07Z", "completionTime": "2022-03-04T05:07:07Z",
            "conditions": [{ "type": "Succeeded", "status": "True" }],
            "pipelineSpec": { "tasks": [{ "name": "fetch" }, { "name": "build" }] },
            "taskRuns": { "b-fetch": entry("fetch", "1"), "a-build": entry("build", "2") } } });
    Objects { object, children: Vec::new() }
}

#[test]
fn what_was_signed_passes_and_a_change_of_a_task_run_does_not() {
    let signed = objects();
    let whole = |format, build_type| build_type == BuildType::SlsaTekton || format == RunFormat::SlsaV1;
    // Where in the TaskRun, another value, and which payloads show it.
    type Shows<'a> = &'a dyn Fn(RunFormat, BuildType, bool) -> bool;
    let changes: &[(&str, Value, Shows<'_>)] = &[
        ("/steps/0/imageID", json!("reg.example/evil@sha256:e"), &|_, _, _| true),
        ("/taskSpec/steps/0/script", json!("evil"), &|format, build, _| whole(format, build)),
        ("/completionTime", json!("2022-03-04T05:06:38Z"), &|format, build, _| whole(format, build)),
        ("/conditions/0/status", json!("False"), &|format, build, _| whole(format, build)),
        ("/taskResults/1/value", json!(format!("sha256:{}", "e".repeat(64))), &|format, build, deep| {
            whole(format, build) || deep
        }),
    ];
    for (format, build_type) in FORMATS {
        for deep in [false, true] {
            let payload = Signed::new(&made(&signed.run(), (format, build_type, deep)));
            assert_eq!(payload.refusals(&signed), [""; 0], "{format} {deep}");
            let refused = |change: &dyn Fn(&mut Value)| {
                let mut objects = signed.clone();
                change(&mut objects.object["status"]);
                !payload.refusals(&objects).is_empty()
            };
            let is_statement = format != RunFormat::Tekton;
            for (pointer, value, shows) in changes {
                let changed = refused(&|status| {
                    *status["taskRuns"]["a-build"]["status"].pointer_mut(pointer).unwrap() = value.clone();
                });
                assert_eq!(
                    changed,
                    is_statement && shows(format, build_type, deep),
                    "{format} {deep} {pointer}"
                );
            }
            let dropped = refused(&|status| {
                status["taskRuns"].as_object_mut().unwrap().remove("a-build");
            });
            let moved = refused(&|status| {
                let fields = status["taskRuns"].as_object_mut().unwrap();
                let [one, two] = ["a-build", "b-fetch"].map(|name| fields.remove(name).unwrap());
                fields.insert("a-build".into(), two);
                fields.insert("b-fetch".into(), one);
            });
            assert_eq!(dropped, is_statement, "{format} {deep}");
            // A TaskRun's name stands in a whole TaskRun alone.
            assert_eq!(moved, build_type == BuildType::SlsaTekton, "{format} {build_type:?} {deep}");
        }
    }
}

#[test]
fn a_note_says_what_is_not_covered() {
    for (format, words) in [(RunFormat::SlsaV1, "not covered"), (RunFormat::Tekton, "without the TaskRuns")] {
        note_of(format, words);
    }
}

fn note_of(format: RunFormat, words: &str) {
    let mut objects = objects();
    let payload = made(&objects.run(), (format, BuildType::Slsa, false));
    let key = objects.run().short_key().unwrap();
    objects.annotate("payload", &key, payload.to_string().as_bytes());
    let signature = match format {
        RunFormat::Tekton => crate::verify::kit::signer().sign(payload.to_string().as_bytes()).unwrap().0,
        _ => crate::verify::kit::envelope(crate::verify::kit::signer(), &payload).to_vec(),
    };
    objects.annotate("signature", &key, &signature);
    let verdict = stepseal::flow::verify_run::verify(&objects.run(), &crate::verify::run::trust(), &[]);
    let coverage = &verdict.good[0].coverage;
    let note = coverage.note.unwrap();
    assert!(note.contains("status.taskRuns") && note.contains(words), "{note}");
    // What passes after a change of it is not said to be covered.
    assert!(coverage.not_covered.contains(&"TaskRuns: name"), "{coverage:?}");
    assert!(!coverage.covered.contains(&"other fields of the status"), "{coverage:?}");
}

/// The refusal says what to give where the file holds other TaskRuns than at signing.
#[test]
fn other_task_runs_than_at_signing_are_told_with_what_to_give() {
    let alone = objects();
    let own = |name: &str, task: &str, byte: &str| {
        let mut status = status(byte);
        status["results"] = status.as_object_mut().unwrap().remove("taskResults").unwrap();
        json!({ "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "status": status,
            "metadata": { "name": name, "namespace": "ci", "uid": format!("u-{name}"), "labels": { "tekton.dev/pipelineTask": task } },
            "spec": { "serviceAccountName": "builder", "params": [{ "name": "p", "value": "v" }] } })
    };
    let children = vec![own("b-fetch", "fetch", "1"), own("a-build", "build", "2")];
    let beside = Objects { children: children.clone(), ..alone.clone() };
    let mut whole = beside.clone();
    whole.object["apiVersion"] = "tekton.dev/v1".into();
    whole.object["status"].as_object_mut().unwrap().remove("taskRuns");
    let reference =
        |name: &str, task: &str| json!({ "kind": "TaskRun", "name": name, "pipelineTaskName": task });
    whole.object["status"]["childReferences"] =
        json!([reference("b-fetch", "fetch"), reference("a-build", "build")]);
    let part = Objects { children: children[..1].to_vec(), ..whole.clone() };
    for (signed, given, words) in [
        (&alone, &beside, "give it alone"),
        (&beside, &alone, "give them beside it"),
        (&whole, &part, "a-build is named by the PipelineRun and not given"),
        (&part, &whole, "leave them out"),
    ] {
        let payload = made(&signed.run(), (RunFormat::SlsaV1, BuildType::Slsa, false));
        let hint = Signed::new(&payload).hint(given);
        assert!(hint.contains("don't trust the run") && hint.contains(words), "{words}: {hint}");
    }
    let mut changed = alone.clone();
    changed.object["metadata"]["labels"] = json!({ "x": "y" });
    let payload = made(&alone.run(), (RunFormat::SlsaV1, BuildType::Slsa, false));
    let hint = Signed::new(&payload).hint(&changed);
    assert_eq!(hint, "don't trust the run: somebody changed it after it was signed");
}
