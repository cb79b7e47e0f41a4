//! Names, namespaces and UIDs that no object of Kubernetes has, and texts that would print lines of their own: by each way in.

use std::collections::BTreeSet;
use std::path::Path;
use std::slice::from_ref;

use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};
use stepseal::demo::registry::{Answer, ErrorCode, Fault, Page};

use crate::kit::step::{Ended, ended, harmless, pair};
use crate::runs::place::{Place, child, pipeline_run, task_run};

/// What would begin a line, clear the screen and turn the text.
const FORGED: &str = "x\nFORGED     registry.example/a\r\nFORGED\u{1b}[2J\u{202e}\u{9b}\u{2028}FORGED";

/// UIDs that would lead elsewhere, break a line, or be no name of a file or an annotation.
fn bad_uids() -> Vec<String> {
    let uids = [
        "../x",
        "a/../../b",
        "/etc/x",
        "..",
        ".",
        "...",
        "a..b",
        "a\0b",
        "a\nsigned     x",
        "\u{1b}[2J",
        "\u{202e}x",
        "a b",
        "ü",
        "a/b",
        "a\\b",
        "%2e%2e",
        " ",
        FORGED,
    ];
    uids.into_iter().map(str::to_owned).chain(["u".repeat(64), "u".repeat(100_000)]).collect()
}

/// Every file below `folder`.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.to_string_lossy().into_owned());
        }
    }
    found
}

/// The same object with `value` in its metadata.
fn with(run: &Value, field: &str, value: &str) -> Value {
    let mut run = run.clone();
    run["metadata"][field] = value.into();
    run
}

/// No line is one that a text from outside began, on either output.
#[track_caller]
fn not_forged(ended: &Ended) {
    for line in ended.stderr.lines().chain(ended.stdout.lines()) {
        assert!(!line.trim_start().starts_with("FORGED"), "{}{}", ended.stderr, ended.stdout);
    }
}

/// The command refuses the run of `kind` and says which `field` of which object is wrong; nothing is written.
#[track_caller]
fn assert_refused(place: &Place, runs: &[Value], object: &str, field: &str) {
    let out = place.step.path("out/deep");
    let out = out.to_str().unwrap();
    let public = place.step.path("cosign.pub");
    std::fs::write(&public, &pair().public_pem).unwrap();
    place.file(runs);
    let before = files(place.step.folder.path());
    let keys = ["artifacts.taskrun.storage=directory", "artifacts.pipelinerun.storage=directory"];
    for (command, keys, args) in [
        ("sign", &keys[..], &["--signatures-dir", out][..]),
        ("sign", &keys[..], &["--signatures-dir", out, "--lenient", "--include-failed", "--output=json"]),
        ("plan", &keys[..], &["--payloads", out, "--signatures-dir", out]),
        ("verify-run", &[], &["--key", public.to_str().unwrap(), "--insecure-ignore-tlog"]),
    ] {
        let ended = place.run(command, runs, keys, args);
        assert_eq!(ended.code, 2, "{command}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{command}");
        not_forged(&ended);
        assert!(ended.stderr.contains(&format!("{object}: {field} cannot be used")), "{}", ended.stderr);
        assert!(!ended.stderr.lines().any(|line| line.starts_with("signed")), "{}", ended.stderr);
        assert!(ended.stderr.len() < 2000, "{}", ended.stderr.len());
        assert_eq!(files(place.step.folder.path()), before, "{command} wrote something");
    }
}

#[test]
fn a_uid_that_no_object_has_is_refused_and_nothing_is_written() {
    let place = Place::new();
    for uid in bad_uids() {
        assert_refused(&place, &[with(&task_run(&[]), "uid", &uid)], "TaskRun build", "metadata.uid");
    }
    let one = child("one", &[]);
    let all = pipeline_run(from_ref(&one));
    for uid in ["../x", "a\nsigned     x"] {
        let wrong = with(&all, "uid", uid);
        assert_refused(&place, &[wrong, one.clone()], "PipelineRun all", "metadata.uid");
        let wrong = with(&one, "uid", uid);
        assert_refused(&place, &[all.clone(), wrong], "TaskRun one", "metadata.uid");
        let old: Value = serde_json::from_str(
            &with(&all, "uid", uid).to_string().replace("tekton.dev/v1\"", "tekton.dev/v1beta1\""),
        )
        .unwrap();
        assert_refused(&place, &[old], "PipelineRun all", "metadata.uid");
    }
}

#[test]
fn a_name_or_namespace_that_no_object_has_is_refused() {
    let place = Place::new();
    let long = "n".repeat(254);
    for name in ["../x", "a/b", "A", "a_b", "-a", "a.", "a\nsigned     x", "\u{1b}[2J", &long] {
        let run = with(&task_run(&[]), "name", name);
        let shown: String = stepseal::foreign::escape(name, 100);
        assert_refused(&place, &[run], &format!("TaskRun {shown}"), "metadata.name");
    }
    for namespace in ["../x", "a.b", "A", "kube system", "a\nsigned     x", &"n".repeat(64)] {
        let run = with(&task_run(&[]), "namespace", namespace);
        assert_refused(&place, &[run], "TaskRun build", "metadata.namespace");
    }
    for (kind, name) in [("TaskRun", "../x"), ("TaskRun", FORGED), ("CustomRun", "a/b")] {
        let mut run = pipeline_run(&[child("one", &[])]);
        run["status"]["childReferences"].as_array_mut().unwrap().push(json!({ "kind": kind, "name": name }));
        assert_refused(&place, &[run], "PipelineRun all", "status.childReferences[1].name");
    }
}

#[test]
fn a_run_that_lacks_uid_and_namespace_is_planned_and_its_images_are_signed() {
    let place = Place::new();
    let (mut run, digest) = place.built("team/app");
    for uid in [Value::Null, "".into(), 7.into()] {
        run["metadata"] = json!({ "name": "build", "uid": uid });
        let ended = place.run("sign", from_ref(&run), &[], &[]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(place.step.layers("team/app", &digest).len(), 1);
        let out = place.step.path("out");
        let args = ["--signatures-dir", out.to_str().unwrap()];
        let ended = place.run("sign", from_ref(&run), &["artifacts.taskrun.storage=directory"], &args);
        assert_ne!(ended.code, 0);
        assert!(ended.stderr.contains("TaskRun build has no metadata.uid"), "{}", ended.stderr);
        assert!(!out.exists());
    }
}

#[test]
fn uids_that_are_not_uuids_are_taken() {
    let place = Place::new();
    let out = place.step.path("out");
    for uid in ["u-1", "A_b.c", &"u".repeat(63)] {
        let run = with(&task_run(&[]), "uid", uid);
        let args = ["--signatures-dir", out.to_str().unwrap()];
        let ended = place.run(
            "sign",
            &[run],
            &["artifacts.oci.storage=", "artifacts.taskrun.storage=directory"],
            &args,
        );
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(out.join(format!("signature-taskrun-{uid}")).is_file());
    }
}

#[test]
fn a_uid_that_the_task_tells_is_checked_too() {
    let place = Place::new();
    for uid in ["../x", FORGED] {
        let args = ["sign", "--taskrun", "ci/build", "--taskrun-uid", uid];
        let told = place.step.run(&args);
        assert_eq!(told.code, 2, "{}", told.stderr);
        assert!(told.stderr.contains("taskrun-uid"), "{}", told.stderr);
        not_forged(&told);
        let mut command = place.step.command(&["sign"]);
        command.env("STEPSEAL_TASKRUN", "ci/build").env("STEPSEAL_TASKRUN_UID", uid);
        let told = ended(command.output().unwrap());
        assert_eq!(told.code, 2, "{}", told.stderr);
        not_forged(&told);
    }
}

#[test]
fn no_text_of_a_run_begins_a_line() {
    let place = Place::new();
    let (mut run, _) = place.built("team/app");
    run["status"]["results"].as_array_mut().unwrap().extend([
        json!({ "name": format!("{FORGED}-IMAGE_URL"), "value": FORGED }),
        json!({ "name": "x-IMAGE_URL", "value": FORGED }),
        json!({ "name": "y-ARTIFACT_URI", "value": FORGED }),
        json!({ "name": "y-ARTIFACT_DIGEST", "value": FORGED }),
        json!({ "name": "IMAGES", "value": format!("{FORGED}@sha256:{}", "a".repeat(64)) }),
        json!({ "name": "ARTIFACT_OUTPUTS", "value": { "uri": FORGED, "digest": FORGED } }),
    ]);
    run["status"]["steps"][0]["name"] = FORGED.into();
    run["status"]["steps"][0]["imageID"] = FORGED.into();
    run["status"]["sidecars"] = json!([{ "name": FORGED, "imageID": FORGED }]);
    run["status"]["taskSpec"]["steps"][0]["name"] = FORGED.into();
    run["metadata"]["labels"][FORGED] = FORGED.into();
    run["metadata"]["annotations"] = json!({
        "chains.tekton.dev/payload-x\nFORGED": FORGED, "chains.tekton.dev/signature-x\nFORGED": FORGED,
        "chains.tekton.dev/payload-aaaaaaaaaaaa": "e30=", "chains.tekton.dev/signature-aaaaaaaaaaaa": FORGED,
    });
    let keys = ["artifacts.taskrun.storage=oci", "artifacts.taskrun.format=slsa/v2alpha4"];
    for command in ["plan", "sign"] {
        for args in [&[][..], &["--lenient"]] {
            not_forged(&place.run(command, from_ref(&run), &keys, args));
        }
    }
    let key = place.step.path("cosign.pub");
    std::fs::write(&key, &pair().public_pem).unwrap();
    let verify = ["--key", key.to_str().unwrap(), "--insecure-ignore-tlog"];
    let told = place.run("verify-run", from_ref(&run), &[], &verify);
    assert_eq!(told.code, 1, "{}", told.stderr);
    not_forged(&told);

    let mut all = pipeline_run(&[child("one", &[])]);
    let references = all["status"]["childReferences"].as_array_mut().unwrap();
    references.push(json!({ "kind": FORGED, "name": "two", "pipelineTaskName": FORGED }));
    let mut one = child("one", &[]);
    one["metadata"]["labels"]["tekton.dev/pipelineTask"] = FORGED.into();
    let runs = [all, one];
    let told =
        place.run("plan", &runs, &["artifacts.pipelinerun.storage=directory"], &["--signatures-dir", "/x"]);
    assert!(told.stdout.contains("\\nFORGED"), "{}", told.stdout);
    not_forged(&told);
    for wrong in
        [json!({ "kind": FORGED }), json!({ "kind": "TaskRun", "apiVersion": FORGED }), json!(FORGED)]
    {
        let told = place.run("plan", &[wrong], &[], &[]);
        assert_eq!(told.code, 2, "{}", told.stderr);
        not_forged(&told);
    }
    let file = place.step.path("run.json");
    std::fs::write(&file, "kind: \"TaskRun\"\n\"x\\nFORGED\": 1\n\"x\\nFORGED\": 2\n").unwrap();
    not_forged(&place.step.run(&["plan", "--run", file.to_str().unwrap()]));
}

#[test]
fn no_argument_file_or_variable_begins_a_line() {
    let place = Place::new();
    place.step.built("team/app");
    let strange = place.step.path(FORGED.split('/').next().unwrap());
    std::fs::create_dir(&strange).unwrap();
    let list = strange.join("list\nFORGED");
    std::fs::write(&list, format!("{FORGED}\n")).unwrap();
    let strange = strange.to_str().unwrap();
    let list = list.to_str().unwrap();
    let image = format!("{}/team/app:{FORGED}", place.step.host());
    for args in [
        &["sign", FORGED][..],
        &["plan", FORGED],
        &["plan", "--images-file", list],
        &["sign", "--images-file", strange],
        &["sign", "--run", strange],
        &["sign", "--run", list],
        &["sign", "--allow", FORGED],
        &["sign", "--allow", "[\nFORGED"],
        &["sign", "--report", &format!("{strange}/no/FORGED")],
        &["sign", "--signatures-dir", strange, "--config", "artifacts.oci.storage=directory"],
        &["sign", "--config", FORGED],
        &["sign", "--config-dir", strange],
        &["sign", "--timeout", FORGED],
        &["sign", "--key", FORGED],
        &["sign", "--key", strange],
        &["sign", "--results-dir", FORGED],
        &["sign", "--registry-config", strange],
        &["sign", "--registry-ca", strange],
        &["sign", "--insecure-registry", FORGED],
        &["sign", "--taskrun", FORGED],
        &["sign", "--service-account", FORGED],
        &["sign", "--annotation", FORGED],
        &["sign", "--output", FORGED],
        &["sign", "--x\nFORGED"],
        &["x\nFORGED"],
        &["sign", "--recursive=x\nFORGED"],
        &["attest", FORGED, "--predicate", strange, "--type", FORGED],
        &["attest", &image, "--predicate", list, "--type", "custom"],
        &["verify", "--key", strange, &image],
        &["verify", "--key", FORGED, FORGED],
        &["verify", "--policy", list, &image],
        &["verify-attestation", "--key", FORGED, "--type", FORGED, FORGED],
        &["verify-run", "--key", FORGED, "--run", strange],
        &["verify-blob", "--key", FORGED, "--signature", FORGED, strange],
        &["verify-blob", "--bundle", list, "--key", strange, list],
        &["generate-key-pair", FORGED],
        &["generate-key-pair", "--output-key-prefix", strange],
        &["completions", FORGED],
        &["agent", "--socket", FORGED],
        &["agent", "--kind", FORGED],
    ] {
        let mut command = place.step.command(args);
        let told = ended(command.env("COSIGN_PASSWORD", "p").output().unwrap());
        not_forged(&told);
    }
    for variable in [
        "STEPSEAL_LOG",
        "STEPSEAL_TIMEOUT",
        "STEPSEAL_KEY",
        "STEPSEAL_JOBS",
        "SOURCE_DATE_EPOCH",
        "HTTPS_PROXY",
        "STEPSEAL_ALLOW",
    ] {
        let mut command = place.step.command(&["sign"]);
        not_forged(&ended(command.env(variable, FORGED).output().unwrap()));
    }
}

#[test]
fn where_the_files_are_is_told_in_one_line() {
    let place = Place::new();
    let digest = place.step.built("team/app");
    let folder = place.step.path("x\nFORGED\u{1b}[2J");
    let args =
        ["sign", "--signatures-dir", folder.to_str().unwrap(), "--config", "artifacts.oci.storage=directory"];
    let told = place.step.run(&args);
    assert_eq!(told.code, 0, "{}", told.stderr);
    not_forged(&told);
    assert!(told.stderr.contains("x\\nFORGED\\u{1b}[2J"), "{}", told.stderr);
    let told = place.step.run(&[&args[..], &["--output", "json"]].concat());
    let report: Value = serde_json::from_str(&told.stdout).unwrap();
    let location = report[0]["location"].as_str().unwrap();
    assert!(
        Path::new(location).is_file() && location.contains(digest.hex()),
        "programs get the path as it is"
    );
}

#[test]
fn nothing_that_a_registry_says_begins_a_line() {
    for page in [Page::Json(ErrorCode::Denied, FORGED.to_owned()), Page::NotUtf8] {
        for status in [StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED, StatusCode::BAD_REQUEST] {
            let place = Place::new();
            let digest = place.step.built("team/app");
            let image = format!("{}/team/app@{digest}", place.step.host());
            place.step.registry.faults().add(Fault::answer(Answer::new(status).page(page.clone())));
            for log in ["warn", "debug"] {
                for args in [&["sign"][..], &["verify", "--key", "x", &image]] {
                    let mut command = place.step.command(args);
                    let told = ended(command.env("STEPSEAL_LOG", log).output().unwrap());
                    assert_ne!(told.code, 0);
                    not_forged(&told);
                }
            }
        }
    }
}

#[test]
fn the_log_shows_each_event_in_one_line() {
    let place = Place::new();
    place.step.built("team/app");
    let mut command = place.step.command(&["sign"]);
    // A line break makes a key of it, and not the place of one.
    let keys = place.step.path("keys\r\u{1b}[2J\u{9b}\u{202e}FORGED");
    std::fs::rename(place.step.path("keys"), &keys).unwrap();
    command.env("STEPSEAL_KEY", &keys).env("STEPSEAL_LOG", "trace");
    let told = ended(command.output().unwrap());
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(
        told.stderr.contains("keys\\r\\u{1b}[2J\\u{9b}\\u{202e}FORGED"),
        "the key's place is logged: {}",
        told.stderr
    );
    not_forged(&told);
}

#[test]
fn what_verify_prints_of_a_signature_is_one_line_and_the_same_json() {
    let place = Place::new();
    let digest = place.step.built("team/app");
    let image = format!("{}/team/app@{digest}", place.step.host());
    let public = place.step.path("cosign.pub");
    std::fs::write(&public, &pair().public_pem).unwrap();
    let said = "x\nFORGED\u{1b}[2J\u{9b}\u{202e}\u{2028}";
    place.step.sign(&["--annotation", &format!("k={said}")]);
    let verify =
        ["verify", "--insecure-ignore-tlog", "--key", public.to_str().unwrap(), "--output", "json", &image];
    let told = place.step.run(&verify);
    assert_eq!(told.code, 0, "{}", told.stderr);
    not_forged(&told);
    assert!(told.stderr.contains("\\nFORGED"), "{}", told.stderr);
    let payloads: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(payloads[0]["optional"]["k"], said, "{}", told.stdout);
}

/// Texts that are nearly names, and any others.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9.-]{1,70}",
        "[a-zA-Z0-9._/\\\\\n\r\u{1b}\u{202e}-]{1,70}",
        "(\\.\\./){1,3}[a-z]{1,3}"
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_text_as_a_name_is_refused_or_harmless(text in texts(), at in 0..6_usize, yaml in any::<bool>()) {
        let (one, all) = (child("one", &[]), pipeline_run(&[child("one", &[])]));
        let runs = match at {
            0..3 => vec![with(&task_run(&[]), ["name", "namespace", "uid"][at], &text)],
            3 => vec![with(&all, "uid", &text), one],
            4 => vec![all, with(&one, "uid", &text)],
            _ => vec![all, with(&one, "name", &text)],
        };
        let place = Place::new();
        let file = place.file(&runs);
        if yaml {
            let texts: Vec<String> = runs.iter().map(|run| format!("---\n{run}\n")).collect();
            std::fs::write(&file, texts.concat()).unwrap();
        }
        let out = place.step.path("out/deep");
        let before = files(place.step.folder.path());
        let args = ["sign", "--run", file.to_str().unwrap(), "--signatures-dir", out.to_str().unwrap(), "--config", "artifacts.oci.storage="];
        let mut command = place.step.command(&args);
        command.args(["--config", "artifacts.taskrun.storage=directory", "--config", "artifacts.pipelinerun.storage=directory"]);
        let told = ended(command.output().unwrap());
        harmless(&told.stderr);
        let written: Vec<String> = files(place.step.folder.path()).difference(&before).cloned().collect();
        let within = |path: &String| Path::new(path).parent() == Some(&out);
        prop_assert!(written.iter().all(within), "{written:?}");
        prop_assert!(told.code == 0 || written.is_empty(), "{}: {written:?}", told.code);
        let signed = told.stderr.lines().filter(|line| line.starts_with("signed")).count();
        prop_assert_eq!(signed, usize::from(told.code == 0), "{}", told.stderr);
    }
}
