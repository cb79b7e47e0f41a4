//! Where Chains gives up, panics or says nothing: what is done here.

use serde_json::{Value, json};

use super::*;

fn task_run(name: &str) -> Value {
    json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {"name": name, "namespace": "ci", "uid": format!("uid-{name}"),
            "labels": {"tekton.dev/pipelineTask": name}},
        "spec": {"serviceAccountName": "builder"},
        "status": {"startTime": "2025-03-04T05:06:07Z", "completionTime": "2025-03-04T05:06:37Z",
            "conditions": [{"type": "Succeeded", "status": "True"}],
            "taskSpec": {"steps": [{"name": "make", "image": "x"}]},
            "steps": [{"name": "make", "imageID": format!("reg.example/tool@sha256:{}", "a".repeat(64))}]}})
}

fn pipeline_run(children: &[&str]) -> Value {
    let reference = |name: &&str| json!({"kind": "TaskRun", "name": name, "pipelineTaskName": name});
    json!({"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {"name": "release", "namespace": "ci", "uid": "uid-release"},
        "status": {"childReferences": children.iter().map(reference).collect::<Vec<_>>(), "pipelineSpec":
            {"tasks": children.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()}}})
}

fn single(object: Value) -> Run {
    Run::from_objects(object, Vec::new()).unwrap()
}

fn told(provenance: &Provenance) -> Vec<String> {
    provenance.gaps.iter().map(ToString::to_string).collect()
}

fn made(run: &Run, format: RunFormat) -> (Value, Vec<String>) {
    let provenance = payload(run, format, &ProvenanceOptions::default()).unwrap();
    (serde_json::from_slice(&provenance.payload.bytes).unwrap(), told(&provenance))
}

const STATEMENTS: [RunFormat; 3] = [RunFormat::SlsaV1, RunFormat::SlsaV2Alpha3, RunFormat::SlsaV2Alpha4];

/// Chains makes no payload of a run with a step that has no image, as a cancelled one.
#[test]
fn a_step_without_an_image_is_told_and_the_rest_is_signed() {
    let mut object = task_run("build");
    object["status"]["taskSpec"]["steps"] = json!([{"name": "make"}, {"name": "never"}]);
    object["status"]["steps"].as_array_mut().unwrap().push(json!({"name": "never"}));
    let run = single(object);
    for format in STATEMENTS {
        let (statement, gaps) = made(&run, format);
        assert_eq!(gaps, ["build: step never has no image by digest, so its image is left out"], "{format}");
        let predicate = &statement["predicate"];
        let materials = match format {
            RunFormat::SlsaV1 => &predicate["materials"],
            _ => &predicate["buildDefinition"]["resolvedDependencies"],
        };
        assert_eq!(materials.as_array().unwrap().len(), 1, "{format}");
    }
    let (statement, _) = made(&run, RunFormat::SlsaV1);
    assert_eq!(
        statement["predicate"]["buildConfig"]["steps"][1]["environment"],
        json!({"container": "never"}),
        "no image is made up"
    );
}

/// Chains loses the whole PipelineRun's provenance.
#[test]
fn one_cancelled_child_loses_only_its_own_image() {
    let mut cancelled = task_run("two");
    cancelled["status"]["steps"][0]["imageID"] = "".into();
    let run = Run::from_objects(pipeline_run(&["one", "two"]), vec![task_run("one"), cancelled]).unwrap();
    for format in STATEMENTS {
        let (_, gaps) = made(&run, format);
        assert_eq!(gaps, ["two: step make has no image by digest, so its image is left out"], "{format}");
    }
    let (statement, _) = made(&run, RunFormat::SlsaV1);
    assert_eq!(statement["predicate"]["buildConfig"]["tasks"].as_array().unwrap().len(), 2);
}

/// Chains panics on this input.
#[test]
fn a_child_without_its_beginning_has_none_and_is_told() {
    let mut child = task_run("one");
    child["status"].as_object_mut().unwrap().remove("startTime");
    let run = Run::from_objects(pipeline_run(&["one"]), vec![child]).unwrap();
    let (statement, gaps) = made(&run, RunFormat::SlsaV1);
    let task = &statement["predicate"]["buildConfig"]["tasks"][0];
    assert_eq!(task["finishedOn"], "2025-03-04T05:06:37Z");
    assert_eq!(task.get("startedOn"), None);
    assert_eq!(gaps, ["one: this TaskRun doesn't say when it began"]);
}

/// Chains never signs such a PipelineRun, and doesn't say so.
#[test]
fn children_that_are_not_known_are_named_and_the_rest_is_signed() {
    let mut object = pipeline_run(&["one", "gone"]);
    let references = object["status"]["childReferences"].as_array_mut().unwrap();
    references.push(json!({"kind": "CustomRun", "name": "approval", "pipelineTaskName": "approve"}));
    let run = Run::from_objects(object, vec![task_run("one")]).unwrap();
    for format in STATEMENTS {
        let (_, gaps) = made(&run, format);
        assert_eq!(
            gaps,
            [
                "gone: the object of this TaskRun was not given, or is gone",
                "approval: this child is a CustomRun, of which nothing is known"
            ],
            "{format}"
        );
    }
}

#[test]
fn a_child_that_does_not_fit_together_is_told() {
    let mut torn = task_run("one");
    torn["status"]["steps"] = json!([]);
    let run = Run::from_objects(pipeline_run(&["one"]), vec![torn]).unwrap();
    let (statement, gaps) = made(&run, RunFormat::SlsaV1);
    assert_eq!(statement["predicate"]["buildConfig"], json!({"tasks": []}));
    assert_eq!(
        gaps,
        ["one: the steps of this TaskRun are left out: its status has not as many steps as its taskSpec"]
    );
}

#[test]
fn a_commit_without_a_repository_is_told() {
    let mut object = task_run("build");
    object["spec"]["params"] = json!([{"name": "CHAINS-GIT_COMMIT", "value": "b".repeat(40)}]);
    for format in STATEMENTS {
        let (_, gaps) = made(&single(object.clone()), format);
        assert_eq!(gaps, ["build: a CHAINS-GIT_COMMIT is given without a CHAINS-GIT_URL"], "{format}");
    }
}

#[test]
fn a_rounded_number_is_told() {
    let mut object = task_run("build");
    object["spec"]["podTemplate"] = json!({"securityContext": {"fsGroup": 9_007_199_254_740_993_i64}});
    let (statement, gaps) = made(&single(object), RunFormat::SlsaV2Alpha3);
    let spec = &statement["predicate"]["buildDefinition"]["externalParameters"]["runSpec"];
    assert_eq!(spec["podTemplate"]["securityContext"]["fsGroup"], 9_007_199_254_740_992_u64);
    assert_eq!(
        gaps,
        ["build: the number 9007199254740993 stands rounded in the provenance, whose readers keep 53 bits"]
    );
}

/// Chains takes images from a text only.
#[test]
fn images_in_an_array_are_subjects_too() {
    let mut object = task_run("build");
    let image = format!("reg.example/app@sha256:{}", "c".repeat(64));
    object["status"]["results"] = json!([{"name": "IMAGES", "type": "array", "value": [image, "no image"]}]);
    let run = single(object);
    for format in STATEMENTS {
        let images = image_subjects(&run, format, &ProvenanceOptions::default());
        assert_eq!(images.iter().map(ToString::to_string).collect::<Vec<_>>(), [image.as_str()], "{format}");
    }
}

/// Chains takes `https://` for a part of the name, and drops a name with its digest in it.
#[test]
fn subjects_are_named_as_their_signatures_are() {
    let digest = format!("sha256:{}", "d".repeat(64));
    for (url, want) in [
        ("https://reg.example/app", None),
        ("reg.example/App", None),
        ("reg.example/app:v1", Some("reg.example/app")),
        ("localhost/x", Some("localhost/x")),
        (&format!("reg.example/app@{digest}"), Some("reg.example/app")),
        (&format!("reg.example/app@sha256:{}", "e".repeat(64)), None),
    ] {
        let mut object = task_run("build");
        object["status"]["results"] =
            json!([{"name": "IMAGE_URL", "value": url}, {"name": "IMAGE_DIGEST", "value": digest}]);
        let subjects = subjects(&single(object), RunFormat::SlsaV1, &ProvenanceOptions::default());
        assert_eq!(subjects.iter().map(|subject| subject.name.as_str()).next(), want, "{url}");
    }
}

/// In Chains, the first subject that is not an image stops all that follow.
#[test]
fn what_is_no_image_does_not_keep_images_from_their_attestation() {
    let mut object = task_run("build");
    let output = |uri: &str, digest: String| json!({"name": "ARTIFACT_OUTPUTS", "value": {"uri": uri, "digest": digest}});
    object["status"]["results"] = json!([
        output("s3://bucket/x", format!("sha512:{}", "1".repeat(128))),
        output("reg.example/app", format!("sha256:{}", "2".repeat(64)))
    ]);
    let run = single(object);
    assert_eq!(subjects(&run, RunFormat::SlsaV1, &ProvenanceOptions::default()).len(), 2);
    let images = image_subjects(&run, RunFormat::SlsaV1, &ProvenanceOptions::default());
    assert_eq!(images.len(), 1);
}

#[test]
fn tekton_is_the_status_without_an_envelope() {
    let run = single(task_run("build"));
    let made = payload(&run, RunFormat::Tekton, &ProvenanceOptions::default()).unwrap().payload;
    assert_eq!((made.envelope, made.media_type), (Envelope::Bare, "application/json"));
    let status: Value = serde_json::from_slice(&made.bytes).unwrap();
    assert_eq!(status, run.object()["status"]);
    assert_eq!(made.to_be_signed(), &made.bytes[..]);

    let mut object = task_run("build");
    object.as_object_mut().unwrap().remove("status");
    let error = payload(&single(object), RunFormat::Tekton, &ProvenanceOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "TaskRun build has no status");
}

#[test]
fn what_tekton_never_writes_is_refused_with_its_place() {
    let mut object = task_run("build");
    object["spec"]["retries"] = "many".into();
    let error = payload(&single(object), RunFormat::SlsaV2Alpha3, &ProvenanceOptions::default()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(error.to_string(), "cannot write the spec of build");
    assert!(cause.contains("retries"), "{cause}");

    let mut object = task_run("build");
    object["status"]["startTime"] = "yesterday".into();
    let error = payload(&single(object), RunFormat::SlsaV1, &ProvenanceOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "the startTime of build is no time: \"yesterday\"");
}

#[test]
fn formats_and_build_types_have_chains_names() {
    for name in RunFormat::NAMES {
        let format: RunFormat = name.parse().unwrap();
        assert_eq!(format.name(), if name == "in-toto" { "slsa/v1" } else { name });
    }
    for uri in BuildType::URIS {
        assert_eq!(uri.parse::<BuildType>().unwrap().uri(), uri);
    }
    assert!("slsa/v2".parse::<RunFormat>().is_err());
    assert!("slsa".parse::<BuildType>().is_err());
}

#[test]
fn task_runs_in_full_have_a_limit_together() {
    let child = |at: usize, text: &str| {
        json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {"name": format!("c{at}"), "labels": {"tekton.dev/pipelineTask": "t"}},
            "status": {"completionTime": "2025-01-01T00:00:00Z", "podName": text},
        })
    };
    // `<` is six letters in Go's JSON.
    for (text, accepted) in [("x".repeat(1_000_000), true), ("<".repeat(400_000), false)] {
        let children: Vec<Value> = (0..8).map(|at| child(at, &text)).collect();
        let references: Vec<Value> = (0..8)
            .map(|at| json!({"kind": "TaskRun", "name": format!("c{at}"), "pipelineTaskName": "t"}))
            .collect();
        let run = json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "a", "uid": "u"},
            "status": {"pipelineSpec": {"tasks": [{"name": "t"}]}, "childReferences": references},
        });
        let run = Run::from_objects(run, children).unwrap();
        for build_type in [BuildType::Slsa, BuildType::SlsaTekton] {
            let options = ProvenanceOptions { build_type, ..ProvenanceOptions::default() };
            let made = payload(&run, RunFormat::SlsaV2Alpha4, &options);
            let accepted = accepted || build_type == BuildType::Slsa;
            assert_eq!(made.is_ok(), accepted, "{build_type:?}: {:?}", made.err());
        }
    }
}
