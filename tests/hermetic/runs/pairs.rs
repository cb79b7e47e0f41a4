//! Pairs of results: half of one in a PipelineRun's TaskRun, and arrays that a matrix leaves.

use std::slice::from_ref;

use serde_json::{Value, json};

use crate::runs::place::{Place, child, pipeline_run, task_run};

const DEEP: &str = "artifacts.pipelinerun.enable-deep-inspection=true";
const STORED: &str = "artifacts.pipelinerun.storage=oci";
const FORMATS: [&str; 4] = ["in-toto", "slsa/v2alpha3", "slsa/v2alpha4", "tekton"];

fn half() -> String {
    format!("sha256:{}", "4d".repeat(32))
}

fn format_of(format: &str) -> String {
    format!("artifacts.pipelinerun.format={format}")
}

fn notes(report: &Value) -> Vec<&str> {
    let entries = report.as_array().unwrap().iter();
    entries
        .flat_map(|entry| entry["notes"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect()
}

const NOTED: &str = "TaskRun jib result IMAGE_DIGEST: half a pair: there is no IMAGE_URL beside it, and an image is named by both; \
                     nothing is signed for it";

/// The log says it once, and the report lists it, whether the run is signed or its images alone.
#[test]
fn half_a_pair_of_a_child_is_noted_and_the_rest_is_signed() {
    for (number, format) in FORMATS.into_iter().enumerate() {
        let place = Place::new();
        let name = format!("team/app{number}");
        let (image, digest) = place.image(&name);
        let built = child("push", &[("IMAGE_URL", &image), ("IMAGE_DIGEST", digest.as_str())]);
        let children = [built, child("jib", &[("IMAGE_DIGEST", &half())])];
        let runs = [&[pipeline_run(&children)][..], &children].concat();
        for keys in [&[DEEP, STORED, &format_of(format)][..], &[DEEP, &format_of(format)]] {
            // The status as it is goes beside no image.
            if format == "tekton" && keys.contains(&STORED) {
                continue;
            }
            let ended = place.run("sign", &runs, keys, &["--output=json"]);
            assert_eq!(ended.code, 0, "{format}: {}", ended.stderr);
            assert_eq!(ended.stderr.matches(NOTED).count(), 1, "{format}: {}", ended.stderr);
            let report: Value = serde_json::from_str(&ended.stdout).unwrap();
            assert_eq!(
                notes(&report).iter().filter(|note| **note == NOTED).count(),
                1,
                "{format}: {report:#}"
            );
            let plan = place.run("plan", &runs, keys, &[]);
            assert_eq!(plan.code, 0, "{}", plan.stderr);
            let title = plan.stdout.find("1 result not taken:").expect("its title");
            assert!(plan.stdout[title..].contains(NOTED), "{}", plan.stdout);
            let noted = plan.stdout.find("note:").or(plan.stdout.find("notes:")).expect("the others' title");
            assert!(
                noted > title && plan.stdout[noted..].contains("PipelineRun ci/all: "),
                "{}",
                plan.stdout
            );
        }
        assert_eq!(place.step.payloads(&name, &digest).len(), 1);
        for statement in place.statements(&name, &digest) {
            let subjects: Vec<&Value> = statement["subject"].as_array().unwrap().iter().collect();
            assert_eq!(subjects.len(), 1, "{format}: {statement:#}");
            assert_eq!(subjects[0]["digest"]["sha256"], digest.hex());
        }
    }
}

#[test]
fn half_pairs_alone_leave_nothing_to_sign_and_are_named() {
    let place = Place::new();
    let children = [child("jib", &[("IMAGE_DIGEST", &half())])];
    let runs = [&[pipeline_run(&children)][..], &children].concat();
    for command in ["sign", "plan"] {
        let ended = place.run(command, &runs, &[DEEP], &[]);
        assert_eq!(ended.code, 3, "{command}: {}", ended.stderr);
        assert!(ended.stderr.contains("there is nothing to sign"), "{command}: {}", ended.stderr);
        assert!(ended.stderr.contains(NOTED), "{command}: {}", ended.stderr);
    }
}

/// In what is signed itself half a pair is an error, and so is a pair of a child that is whole and wrong.
#[test]
fn what_is_wrong_stays_an_error() {
    let place = Place::new();
    let alone = [("IMAGE_DIGEST", half())];
    let alone: Vec<(&str, &str)> = alone.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut own = pipeline_run(&[child("jib", &[])]);
    own["status"]["results"] = json!([{ "name": "IMAGE_DIGEST", "value": half() }]);
    let wrong = child("jib", &[("IMAGE_DIGEST", "sha256:1"), ("IMAGE_URL", "registry.example/a")]);
    for runs in [
        vec![task_run(&alone)],
        vec![child("jib", &alone)],
        vec![own, child("jib", &[])],
        vec![pipeline_run(from_ref(&wrong)), wrong],
    ] {
        let keys = [DEEP, STORED, "artifacts.taskrun.storage=oci"];
        let ended = place.run("sign", &runs, &keys, &[]);
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        assert!(ended.stderr.contains("result IMAGE_DIGEST"), "{}", ended.stderr);
    }
}

/// Images that are named take the place of the results; what the statement leaves out of these is noted still.
#[test]
fn what_the_statement_leaves_out_is_noted_where_images_are_named() {
    let place = Place::new();
    let (image, digest) = place.image("team/app");
    let wrong = child("jib", &[("IMAGE_DIGEST", "sha256:1"), ("IMAGE_URL", "registry.example/a")]);
    let children = [wrong, child("s2i", &[("IMAGE_DIGEST", &half())])];
    let runs = [&[pipeline_run(&children)][..], &children].concat();
    let folder = place.step.path("signatures");
    let named = format!("{image}@{digest}");
    let args = ["--signatures-dir", folder.to_str().unwrap(), "--output=json", &named];
    let ended = place.run("sign", &runs, &[DEEP, "artifacts.pipelinerun.storage=directory"], &args);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    for want in [
        "not among its subjects: TaskRun jib result IMAGE_DIGEST",
        "TaskRun s2i result IMAGE_DIGEST: half a pair",
    ] {
        assert_eq!(notes(&report).iter().filter(|note| note.starts_with(want)).count(), 1, "{report:#}");
        assert!(ended.stderr.contains(want), "{}", ended.stderr);
    }
}

/// The Pipeline gathers the results of a matrix, `$(tasks.build.results.IMAGE_URL[*])`, or each of its TaskRuns is looked at.
#[test]
fn each_image_of_a_matrix_is_signed_and_attested() {
    for (number, format) in ["in-toto", "slsa/v2alpha3", "slsa/v2alpha4"].into_iter().enumerate() {
        for deep in [false, true] {
            let place = Place::new();
            let repositories =
                ["amd64", "arm64", "s390x"].map(|platform| format!("team/{platform}-{number}"));
            let images = repositories.clone().map(|repository| place.image(&repository));
            let urls: Vec<&str> = images.iter().map(|(url, _)| url.as_str()).collect();
            let digests: Vec<&str> = images.iter().map(|(_, digest)| digest.as_str()).collect();
            let children: Vec<Value> = images
                .iter()
                .enumerate()
                .map(|(at, (url, digest))| {
                    let mut run = child(
                        &format!("build-{at}"),
                        &[("IMAGE_URL", url), ("IMAGE_DIGEST", digest.as_str())],
                    );
                    run["metadata"]["labels"]["tekton.dev/pipelineTask"] = json!("build");
                    run
                })
                .collect();
            let mut run = pipeline_run(&children);
            run["status"]["pipelineSpec"]["tasks"] = json!([{"name": "build", "taskRef": {"name": "t"}}]);
            if !deep {
                run["status"]["results"] = json!([
                    {"name": "IMAGE_URL", "type": "array", "value": urls},
                    {"name": "IMAGE_DIGEST", "type": "array", "value": digests},
                ]);
            }
            let runs = [&[run][..], &children].concat();
            let deep = format!("artifacts.pipelinerun.enable-deep-inspection={deep}");
            let ended = place.run("sign", &runs, &[&deep, STORED, &format_of(format)], &[]);
            assert_eq!(ended.code, 0, "{format}: {}", ended.stderr);
            for (repository, (_, digest)) in repositories.iter().zip(&images) {
                assert_eq!(place.step.payloads(repository, digest).len(), 1, "{repository}");
                let [statement] = &place.statements(repository, digest)[..] else { panic!("{repository}") };
                let subjects: Vec<&str> = statement["subject"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|subject| subject["digest"]["sha256"].as_str().unwrap())
                    .collect();
                assert_eq!(subjects, images.each_ref().map(|(_, digest)| digest.hex()), "{format}");
            }
        }
    }
}
