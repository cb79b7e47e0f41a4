//! Where Tekton Chains says "signed" and isn't, or says nothing: one test a case, of what Stepseal does.

use std::path::Path;
use std::slice::from_ref;

use serde_json::{Value, json};

use crate::kit::step::Ended;
use crate::runs::place::{Place, child, ended_with, pipeline_run, task_run};

const OCI: &str = "artifacts.taskrun.storage=oci";

/// No outcome may be called signed.
fn assert_nothing_is_signed(ended: &Ended) {
    assert_ne!(ended.code, 0);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let report = report.as_array().unwrap();
    assert!(!report.is_empty(), "{}", ended.stderr);
    assert!(report.iter().all(|entry| entry["status"] == "failed"), "{report:?}");
}

#[test]
fn one_without_a_usable_key_nothing_is_called_signed() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    std::fs::write(place.step.path("keys/cosign.password"), "another").unwrap();
    assert_nothing_is_signed(&place.run("sign", from_ref(&run), &[OCI], &["--output=json"]));
    std::fs::remove_file(place.step.path("keys/cosign.key")).unwrap();
    assert_nothing_is_signed(&place.run("sign", from_ref(&run), &[OCI], &["--output=json"]));
    let kms = place.run("sign", &[run], &[OCI, "signers.kms.kmsref=gcpkms://x"], &[]);
    assert_eq!(kms.code, 2, "{}", kms.stderr);
    assert!(place.layers("team/app", &digest).is_empty());
}

#[test]
fn two_a_step_without_an_image_digest_is_left_out_and_named() {
    let place = Place::new();
    let (mut run, digest) = place.built("team/app");
    run["status"]["steps"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "never-ran", "container": "step-never-ran" }));
    run["status"]["taskSpec"]["steps"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "never-ran", "image": "i" }));
    let plan = place.run("plan", from_ref(&run), &[OCI], &[]);
    assert!(plan.stdout.contains("step never-ran has no image by digest"), "{}", plan.stdout);
    let ended = place.run("sign", &[run], &[OCI], &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(place.statements("team/app", &digest).len(), 1);
}

#[test]
fn two_a_payload_that_cannot_be_made_is_not_called_signed() {
    let place = Place::new();
    let mut run = task_run(&[]);
    run.as_object_mut().unwrap().remove("status");
    let ended = place.run(
        "sign",
        &[run],
        &[
            "artifacts.taskrun.storage=oci",
            "artifacts.taskrun.format=tekton",
            "artifacts.taskrun.storage=directory",
        ],
        &["--output=json", "--signatures-dir", "/nonexistent/x"],
    );
    assert_nothing_is_signed(&ended);
}

#[test]
fn three_every_kind_of_key_signs_runs() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys");
    for name in ["ed25519", "rsa2048", "p384", "p521"] {
        let place = Place::new();
        let (run, digest) = place.built("team/app");
        std::fs::remove_file(place.step.path("keys/cosign.key")).unwrap();
        std::fs::remove_file(place.step.path("keys/cosign.password")).unwrap();
        std::fs::copy(data.join(format!("{name}.pkcs8.pem")), place.step.path("keys/x509.pem")).unwrap();
        let ended = place.run("sign", &[run], &[OCI], &[]);
        assert_eq!(ended.code, 0, "{name}: {}", ended.stderr);
        let layers = place.layers("team/app", &digest);
        let blob = layers[0]["digest"].as_str().unwrap().parse().unwrap();
        let envelope = place.step.registry.content().blob("team/app", &blob).unwrap();
        let envelope = stepseal::formats::dsse::read(&envelope).unwrap();
        let pem = std::fs::read_to_string(data.join(format!("{name}.pub"))).unwrap();
        let key = stepseal::key::PublicKey::from_pem(&pem).unwrap();
        let head = format!("DSSEv1 28 application/vnd.in-toto+json {} ", envelope.payload.len());
        let signed = [head.as_bytes(), &envelope.payload].concat();
        key.verify(&signed, &envelope.signatures[0].signature).unwrap();
        assert_eq!(envelope.signatures[0].key_id, key.key_id());
    }
}

#[test]
fn four_a_pipeline_run_is_signed_with_what_is_known_of_its_children_and_says_what_is_not() {
    let place = Place::new();
    let (name, digest) = place.image("team/app");
    let mut early = child("early", &[]);
    early["status"].as_object_mut().unwrap().remove("startTime");
    let mut run = pipeline_run(&[early.clone(), child("gone", &[])]);
    run["status"]["childReferences"].as_array_mut().unwrap().push(
        json!({ "apiVersion": "tekton.dev/v1beta1", "kind": "CustomRun", "name": "wait", "pipelineTaskName": "wait" }),
    );
    run["status"]["results"] =
        json!([{ "name": "IMAGE_URL", "value": name }, { "name": "IMAGE_DIGEST", "value": digest.as_str() }]);
    let runs = [run, early];
    let keys = ["artifacts.pipelinerun.storage=oci"];
    let plan = place.run("plan", &runs, &keys, &[]);
    for want in ["was not given, or is gone", "CustomRun", "doesn't say when it began"] {
        assert!(plan.stdout.contains(want), "{want}: {}", plan.stdout);
    }
    let ended = place.run("sign", &runs, &keys, &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(place.statements("team/app", &digest).len(), 1);
}

#[test]
fn five_a_subject_that_is_no_image_stops_no_other() {
    let place = Place::new();
    let (name, digest) = place.image("team/app");
    let run = task_run(&[
        ("a-ARTIFACT_URI", "s3://bucket/a.tar"),
        ("a-ARTIFACT_DIGEST", "sha1:aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"),
        ("b-ARTIFACT_URI", "pkg:generic/b"),
        ("b-ARTIFACT_DIGEST", &format!("sha256:{}", "cd".repeat(32))),
        ("IMAGE_URL", &name),
        ("IMAGE_DIGEST", digest.as_str()),
    ]);
    let ended = place.run("sign", &[run], &[OCI], &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let [statement] = &place.statements("team/app", &digest)[..] else { panic!("one attestation") };
    assert_eq!(statement["subject"].as_array().unwrap().len(), 3);
}

#[test]
fn six_a_run_that_failed_is_not_signed_and_neither_are_its_images() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    let run = ended_with(run, Some("False"));
    let ended = place.run("sign", from_ref(&run), &[OCI], &["--output=json", "--lenient"]);
    assert_nothing_is_signed(&ended);
    assert_eq!(ended.code, 3);
    assert!(ended.stderr.contains("failed: it is not signed"), "{}", ended.stderr);
    assert!(
        place.layers("team/app", &digest).is_empty() && place.step.layers("team/app", &digest).is_empty()
    );
    let ended = place.run("sign", &[run], &[OCI], &["--include-failed"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(place.statements("team/app", &digest).len(), 1);
}

#[test]
fn six_a_run_that_does_not_say_clearly_whether_it_failed_is_not_signed() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    let one = |status: Value| json!({ "type": "Succeeded", "status": status });
    let rows = [
        (json!([one(json!("True")), one(json!("False"))]), "more than one condition"),
        (json!([one(json!(false))]), "has the status false"),
        (json!([one(json!("false"))]), "has the status \"false\""),
        (json!([one(json!("FALSE"))]), "has the status \"FALSE\""),
        (json!([{ "type": "succeeded", "status": "False" }]), "where \"Succeeded\" is meant"),
        (json!([]), "has a completion time"),
        (json!([one(json!("Unknown"))]), "has a completion time"),
    ];
    for (conditions, want) in rows {
        let mut run = run.clone();
        run["status"]["conditions"] = conditions.clone();
        for format in ["slsa/v1", "slsa/v2alpha3", "slsa/v2alpha4", "tekton"] {
            let keys = ["artifacts.taskrun.storage=directory", &format!("artifacts.taskrun.format={format}")];
            let folder = place.step.path("signatures");
            let args = ["--include-failed", "--lenient", "--signatures-dir", folder.to_str().unwrap()];
            let ended = place.run("sign", from_ref(&run), &keys, &args);
            assert_ne!(ended.code, 0, "{conditions} {format}");
            assert!(ended.stderr.contains(want), "{conditions} {format}: {}", ended.stderr);
            let files = std::fs::read_dir(&folder).map_or(0, Iterator::count);
            assert_eq!(files, 0, "{conditions} {format}");
        }
    }
    assert!(place.step.layers("team/app", &digest).is_empty());
    // Read as YAML, what is not quoted is no text.
    let file = place.step.path("run.yaml");
    let text = run.to_string().replace("\"True\"", "False");
    std::fs::write(&file, format!("---\n{text}\n")).unwrap();
    let ended = place.step.run(&["plan", "--run", file.to_str().unwrap()]);
    assert!(ended.stderr.contains("has the status false"), "{}", ended.stderr);
}

#[test]
fn six_a_run_that_goes_on_is_signed_with_or_without_its_condition() {
    for status in [None, Some("Unknown")] {
        let place = Place::new();
        let (run, digest) = place.built("team/app");
        let ended = place.run("sign", &[ended_with(run, status)], &[OCI], &[]);
        assert_eq!(ended.code, 0, "{status:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("so far"), "{status:?}: {}", ended.stderr);
        assert_eq!(place.statements("team/app", &digest).len(), 1);
    }
}

#[test]
fn seven_a_setting_is_carried_out_or_named() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    let ended = place.run("sign", from_ref(&run), &["artifacts.taskrun.storage=oci,"], &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("has an empty entry"), "{}", ended.stderr);
    assert_eq!(place.statements("team/app", &digest).len(), 1);
    let yes = "artifacts.pipelinerun.enable-deep-inspection=yes";
    let ended = place.run("sign", from_ref(&run), &[yes], &[]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("is not true or false"), "{}", ended.stderr);
    let folder = place.step.path("chains-config");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("artifacts.taskrun.storge"), "oci").unwrap();
    let ended = place.run("plan", &[run], &[], &["--config-dir", folder.to_str().unwrap()]);
    assert!(ended.stderr.contains("artifacts.taskrun.storge is not a known key"), "{}", ended.stderr);
}
