//! `plan --run`: what Chains would make of the given runs, and under which keys.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::slice::from_ref;

use serde_json::{Value, json};

use crate::kit::step::{bare, ended};
use crate::runs::place::{Place, UID, child, ended_with, pipeline_run, task_run};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/chains-cases");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    assert!(folders.len() >= 24);
    folders
}

fn json_of(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap().replace("DEFAULT-REGISTRY", "index.docker.io");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn payloads_and_keys_of_the_given_runs_are_those_of_chains() {
    for case in cases() {
        let (config, expected) = (json_of(&case.join("config.json")), json_of(&case.join("expected.json")));
        let folder = tempfile::tempdir().unwrap();
        for (key, value) in config.as_object().unwrap() {
            std::fs::write(folder.path().join(key), value.as_str().unwrap()).unwrap();
        }
        let kind = expected["run"]["kindName"].as_str().unwrap();
        let payloads = folder
            .path()
            .join("..")
            .join(format!("payloads-{}", folder.path().file_name().unwrap().display()));
        let mut plan = bare(&["plan", "--output", "json", "--lenient", "--include-failed", "--payloads"]);
        plan.arg(&payloads).arg("--config-dir").arg(folder.path()).arg("--run").arg(case.join("input.yaml"));
        plan.args(["--config", &format!("artifacts.{kind}.storage=tekton,oci")]);
        let ended = ended(plan.output().unwrap());
        let plan: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr));
        let files: BTreeSet<Vec<u8>> = std::fs::read_dir(&payloads)
            .unwrap()
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .collect();
        std::fs::remove_dir_all(&payloads).unwrap();
        compare(&case.file_name().unwrap().to_string_lossy(), &plan, &files, &expected, kind);
    }
}

fn compare(name: &str, plan: &Value, files: &BTreeSet<Vec<u8>>, expected: &Value, kind: &str) {
    let payloads = plan["payloads"].as_array().unwrap();
    let of = |artifact: &str| payloads.iter().filter(|p| p["artifact"] == artifact).collect::<Vec<_>>();
    let images: Vec<&Value> = of("oci");
    let simple = expected["simplesigning"].as_array().unwrap();
    assert_eq!(images.len(), simple.len(), "{name}");
    for image in simple {
        let raw = image["rawPayload"].as_str().unwrap();
        assert!(files.contains(raw.as_bytes()), "{name}: {raw}");
    }
    for stored in expected["storage"]["images"].as_array().unwrap() {
        let ours = images.iter().find(|image| image["keys"]["fullKey"] == stored["fullKey"]);
        let ours = ours.unwrap_or_else(|| panic!("{name}: {stored}"));
        assert_eq!(ours["keys"]["shortKey"], stored["shortKey"]);
        assert_eq!(ours["keys"]["annotations"], stored["annotations"]);
        assert_eq!(ours["keys"]["signature"], stored["ociTags"]["signature"]);
    }
    let [run] = of(kind)[..] else { panic!("{name}: one payload for the run: {plan}") };
    assert_eq!(run["stores"], json!(["oci", "tekton"]));
    assert_eq!(run["keys"]["shortKey"], expected["storage"]["run"]["shortKey"]);
    assert_eq!(run["keys"]["fullKey"], expected["storage"]["run"]["fullKey"]);
    assert_eq!(run["keys"]["annotations"], expected["storage"]["run"]["annotations"]);
    let format = run["format"].as_str().unwrap();
    let answer = &expected["formats"][format!("{format}|deep=false|slsa")];
    if name != "cfg-builder" && answer["nondeterministic"].is_null() {
        assert_eq!(run["statement"], answer["statement"], "{name}");
    }
}

#[test]
fn the_plan_has_the_documented_shape() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    let ended = place.run("plan", &[run], &["artifacts.taskrun.storage=tekton"], &["--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(plan["subjects"][0]["digest"], digest.as_str());
    assert_eq!(plan["problems"], json!([]));
    assert_eq!(plan["payloads"][1]["artifact"], "taskrun");
    assert_eq!(plan["payloads"][1]["format"], "slsa/v1");
    assert_eq!(plan["payloads"][1]["keys"]["shortKey"], format!("taskrun-{UID}"));
    assert_eq!(plan["payloads"][1]["statement"]["predicateType"], "https://slsa.dev/provenance/v0.2");
}

/// A run that names no image has no place in a registry: `plan` says what `sign` says, and ends with its exit code.
#[test]
fn the_plan_ends_as_signing_does_where_an_attestation_has_no_place() {
    let place = Place::new();
    let (image, digest) = place.image("team/app");
    let half = child("jib", &[("IMAGE_DIGEST", digest.as_str())]);
    let built = child("push", &[("IMAGE_URL", &image), ("IMAGE_DIGEST", digest.as_str())]);
    let deep = "artifacts.pipelinerun.enable-deep-inspection=true";
    let keyed = |storage: &str| format!("artifacts.pipelinerun.storage={storage}");
    let (oci, both) = (keyed("oci"), keyed("oci,directory"));
    let folder = place.step.path("signatures");
    let of = |child: &Value| vec![pipeline_run(from_ref(child)), child.clone()];
    let no_image = "names no built image";
    for (runs, keys, code, lacks) in [
        (vec![pipeline_run(&[])], vec![&oci[..]], 3, true),
        (of(&half), vec![&oci[..], deep], 3, true),
        (of(&built), vec![&oci[..], deep], 0, false),
        (vec![pipeline_run(&[])], vec![&both[..]], 5, true),
        (vec![task_run(&[])], vec!["artifacts.taskrun.storage=oci"], 3, true),
    ] {
        let flags = ["--signatures-dir", folder.to_str().unwrap()];
        let (planned, signed) =
            (place.run("plan", &runs, &keys, &flags), place.run("sign", &runs, &keys, &flags));
        assert_eq!(
            (planned.code, signed.code),
            (code, code),
            "{keys:?}: {} {}",
            planned.stderr,
            signed.stderr
        );
        for ended in [&planned, &signed] {
            assert_eq!(ended.stderr.contains(no_image), lacks, "{keys:?}: {}", ended.stderr);
        }
        assert_eq!(planned.stdout.contains("would sign"), code != 3, "{keys:?}: {}", planned.stdout);
        let json = place.run("plan", &runs, &keys, &[&flags[..], &["--output", "json"]].concat());
        let plan: Value = serde_json::from_str(&json.stdout).unwrap();
        let problems = plan["problems"].as_array().unwrap();
        assert_eq!(
            problems.iter().any(|problem| problem["what"].as_str().unwrap().contains(no_image)),
            lacks,
            "{plan:#}"
        );
    }
}

#[test]
fn without_a_storage_nothing_is_planned_for_the_run_itself_and_that_is_said() {
    let place = Place::new();
    let (run, _) = place.built("team/app");
    let ended = place.run("plan", &[run], &[], &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("artifacts.taskrun.storage is empty"), "{}", ended.stdout);
}

#[test]
fn a_run_comes_from_standard_input_or_the_environment_too() {
    let place = Place::new();
    let (run, _) = place.built("team/app");
    let file = place.file(&[run]);
    let plan = |run: &str, input: &Path| {
        let mut command = place.step.command(&["plan", "--output=json"]);
        command.env("STEPSEAL_RUN", run).env("STEPSEAL_ARTIFACTS_TASKRUN_STORAGE", "tekton");
        command.stdin(std::fs::File::open(input).unwrap());
        ended(command.output().unwrap()).stdout
    };
    let from_file = plan(file.to_str().unwrap(), Path::new("/dev/null"));
    assert!(from_file.contains(UID), "{from_file}");
    assert_eq!(plan("-", &file), from_file);
}

#[test]
fn what_is_no_run_is_bad_usage() {
    let place = Place::new();
    let mut second = task_run(&[]);
    second["metadata"]["name"] = "second".into();
    for runs in [&[json!({ "kind": "Pod" })][..], &[json!([])], &[task_run(&[]), second]] {
        let ended = place.run("plan", runs, &["artifacts.taskrun.storage=tekton"], &[]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("no run that can be signed"), "{}", ended.stderr);
    }
    let ended = ended(place.step.command(&["plan", "--run", "/nonexistent"]).output().unwrap());
    assert_eq!(ended.code, 2);
}

/// As `kubectl get taskruns,pods -o json` writes it.
#[test]
fn objects_of_other_kinds_beside_a_run_are_a_note() {
    let place = Place::new();
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "build-pod" } });
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [pod, task_run(&[]), pod] });
    let ended = place.run("plan", &[list], &["artifacts.taskrun.storage=tekton"], &["--output", "json"]);
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(plan["payloads"].as_array().unwrap().len(), 1);
    assert!(
        plan["notes"].to_string().contains("2 objects of kind Pod in the file: not read"),
        "{}",
        plan["notes"]
    );
}

#[test]
fn a_failed_run_is_a_problem_and_one_that_goes_on_says_so() {
    let place = Place::new();
    let (run, _) = place.built("team/app");
    let keys = ["artifacts.taskrun.storage=tekton"];
    let failed = ended_with(run.clone(), Some("False"));
    let ended = place.run("plan", from_ref(&failed), &keys, &["--output=json"]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(plan["problems"][0]["what"].as_str().unwrap().contains("failed"), "{plan}");
    assert_eq!(place.run("plan", &[failed], &keys, &["--include-failed"]).code, 0);
    let ended = place.run("plan", &[ended_with(run, None)], &keys, &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("known so far"), "{}", ended.stdout);
}

#[test]
fn deep_inspection_takes_what_the_task_runs_built() {
    let place = Place::new();
    let (name, digest) = place.image("team/app");
    let child = child("one", &[("IMAGE_URL", &name), ("IMAGE_DIGEST", digest.as_str())]);
    let runs = [pipeline_run(from_ref(&child)), child];
    let keys = ["artifacts.pipelinerun.storage=oci", "artifacts.pipelinerun.format=slsa/v2alpha4"];
    let images = |more: &[&str]| {
        let ended = place.run("plan", &runs, &[&keys[..], more].concat(), &["--output=json"]);
        let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
        plan["payloads"].as_array().unwrap().iter().filter(|p| p["artifact"] == "oci").count()
    };
    assert_eq!(images(&[]), 0);
    assert_eq!(images(&["artifacts.pipelinerun.enable-deep-inspection=true"]), 1);
}
