//! `sign --run`: the image and the run, to every store.

use std::path::Path;
use std::slice::from_ref;

use serde_json::{Value, json};

use crate::kit::step::public_key;
use crate::runs::place::{Place, UID, child, ended_with, pipeline_run, task_run, verified};

const OCI: &str = "artifacts.taskrun.storage=oci";

#[test]
fn the_image_and_the_run_are_signed_and_again_adds_nothing() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    let ended = place.run("sign", from_ref(&run), &[OCI], &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("2 signed"), "{}", ended.stderr);
    assert_eq!(place.step.payloads("team/app", &digest).len(), 1);
    let [statement] = &place.statements("team/app", &digest)[..] else { panic!("one attestation") };
    assert_eq!(statement["subject"][0]["digest"]["sha256"], digest.hex());
    assert_eq!(statement["predicate"]["buildType"], "tekton.dev/v1/TaskRun");
    place.step.registry.clear_requests();
    let ended = place.run("sign", &[run], &[OCI], &[]);
    assert!(ended.stderr.contains("2 unchanged; nothing was added"), "{}", ended.stderr);
    assert_eq!(place.layers("team/app", &digest).len(), 1);
    assert!(place.step.registry.requests().iter().all(|request| request.method == "GET"), "it wrote");
}

#[test]
fn what_is_signed_is_what_plan_shows() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    for format in ["in-toto", "slsa/v2alpha3", "slsa/v2alpha4"] {
        let keys = [OCI, &format!("artifacts.taskrun.format={format}")];
        let plan = place.run("plan", from_ref(&run), &keys, &["--output=json"]);
        let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
        assert_eq!(place.run("sign", from_ref(&run), &keys, &[]).code, 0);
        assert_eq!(place.statements("team/app", &digest).pop().unwrap(), plan["payloads"][1]["statement"]);
    }
    assert_eq!(place.layers("team/app", &digest).len(), 3);
}

#[test]
fn a_folder_has_files_named_by_chains_keys() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    let folder = place.step.path("signatures");
    let keys = ["artifacts.oci.storage=oci,directory", "artifacts.taskrun.storage=directory,oci"];
    let args = ["--signatures-dir", folder.to_str().unwrap(), "--output=json"];
    let ended = place.run("sign", from_ref(&run), &keys, &args);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let told: Vec<(&str, &str)> = report
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["artifact"].as_str().unwrap(), entry["store"].as_str().unwrap()))
        .collect();
    assert_eq!(told.len(), 4, "one object a subject and store: {told:?}");
    let read = |name: String| std::fs::read(folder.join(&name)).unwrap_or_else(|_| panic!("{name}"));
    let statement = verified(&read(format!("signature-taskrun-{UID}")));
    let payload: Value = serde_json::from_slice(&read(format!("payload-taskrun-{UID}"))).unwrap();
    assert_eq!(statement, payload);
    let image = format!("{}_team_app@sha256_{}", place.step.host().replace(':', "_"), digest.hex());
    let payload = read(format!("payload-{image}"));
    let signature = String::from_utf8(read(format!("signature-{image}"))).unwrap();
    use base64::Engine as _;
    let signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
    public_key().verify(&payload, &signature).unwrap();
    let again = place.run("sign", &[run], &keys, &args);
    let report: Value = serde_json::from_str(&again.stdout).unwrap();
    assert!(report.as_array().unwrap().iter().all(|entry| entry["status"] == "unchanged"), "{report}");
}

#[test]
fn the_format_tekton_is_the_status_signed_as_it_is() {
    let place = Place::new();
    let (run, _) = place.built("team/app");
    let folder = place.step.path("signatures");
    let keys =
        ["artifacts.oci.storage=", "artifacts.taskrun.storage=directory", "artifacts.taskrun.format=tekton"];
    let ended = place.run("sign", from_ref(&run), &keys, &["--signatures-dir", folder.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let payload = std::fs::read(folder.join(format!("payload-taskrun-{UID}"))).unwrap();
    let status: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(status["results"], run["status"]["results"]);
    use base64::Engine as _;
    let signature = std::fs::read(folder.join(format!("signature-taskrun-{UID}"))).unwrap();
    let signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
    public_key().verify(&payload, &signature).unwrap();
}

#[test]
fn a_signature_that_begins_like_an_envelope_is_unchanged_in_its_file_and_verifies() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use stepseal::payload::provenance::payload;
    use stepseal::run::{ProvenanceOptions, RunFormat};
    let place = Place::new();
    let pem = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys/ed25519.pkcs8.pem");
    std::fs::remove_file(place.step.path("keys/cosign.key")).unwrap();
    std::fs::remove_file(place.step.path("keys/cosign.password")).unwrap();
    std::fs::copy(&pem, place.step.path("keys/x509.pem")).unwrap();
    let source: stepseal::sign::KeySource = pem.to_str().unwrap().parse().unwrap();
    let key = source.read(&|_| None).unwrap().unlock().unwrap();
    let mut run = task_run(&[]);
    let signature = (0..100_000).find_map(|number| {
        run["status"]["podName"] = format!("build-{number}").into();
        let parsed = stepseal::run::Run::from_objects(run.clone(), Vec::new()).unwrap();
        let made = payload(&parsed, RunFormat::Tekton, &ProvenanceOptions::default()).unwrap();
        Some(key.sign(&made.payload.bytes).unwrap().0).filter(|signature| signature[0] == b'{')
    });
    let folder = place.step.path("signatures");
    let keys = ["artifacts.taskrun.storage=directory", "artifacts.taskrun.format=tekton"];
    let args = ["--signatures-dir", folder.to_str().unwrap()];
    for words in ["1 signed", "1 unchanged"] {
        let ended = place.run("sign", from_ref(&run), &keys, &args);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    let read = |part: &str| std::fs::read(folder.join(format!("{part}-taskrun-{UID}"))).unwrap();
    assert_eq!(STANDARD.decode(read("signature")).unwrap(), signature.unwrap());
    let name = |part: &str| format!("chains.tekton.dev/{part}-taskrun-{UID}");
    run["metadata"]["annotations"] = json!({
        name("payload"): STANDARD.encode(read("payload")),
        name("signature"): String::from_utf8(read("signature")).unwrap(),
    });
    let public = place.step.path("ed25519.pub");
    std::fs::write(&public, key.public_key().to_pem().as_bytes()).unwrap();
    let file = place.step.path("run.json");
    std::fs::write(&file, run.to_string()).unwrap();
    let key = ["--key", public.to_str().unwrap(), "--insecure-ignore-tlog"];
    let ended = place.step.run(&[&["verify-run", "--run", file.to_str().unwrap()], &key[..]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn attestations_can_go_to_a_repository_of_their_own_and_to_referrers() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    let repository = format!("storage.oci.repository={}/signatures/all", place.step.host());
    assert_eq!(place.run("sign", from_ref(&run), &[OCI, &repository], &[]).code, 0);
    assert!(place.layers("team/app", &digest).is_empty());
    assert_eq!(place.statements("signatures/all", &digest).len(), 1);
    let bundle = "storage.oci.encoding-format=sigstore-bundle";
    for _ in 0..2 {
        let ended = place.run("sign", from_ref(&run), &[OCI, bundle], &[]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
    let types: Vec<String> = place
        .step
        .registry
        .content()
        .referrers("team/app", &digest)
        .iter()
        .map(|(_, bytes)| {
            let manifest: Value = serde_json::from_slice(bytes).unwrap();
            manifest["annotations"]["dev.sigstore.bundle.predicateType"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(types.len(), 2, "{types:?}");
    assert!(types.contains(&"https://slsa.dev/provenance/v0.2".to_owned()), "{types:?}");
}

#[test]
fn a_run_without_an_image_has_no_place_in_a_registry_and_nothing_is_called_signed() {
    let place = Place::new();
    let ended = place.run("sign", &[task_run(&[])], &[OCI], &["--output=json"]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report[0]["status"], "failed");
    assert_eq!(report[0]["uid"], UID);
    assert!(ended.stderr.contains("names no built image"), "{}", ended.stderr);
}

#[test]
fn one_store_that_fails_does_not_hide_the_other() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    let file = place.step.path("file");
    std::fs::write(&file, "").unwrap();
    let keys = ["artifacts.taskrun.storage=oci,directory"];
    let ended = place.run("sign", &[run], &keys, &["--signatures-dir", file.to_str().unwrap()]);
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    assert_eq!(place.statements("team/app", &digest).len(), 1);
    assert!(ended.stderr.contains("--signatures-dir"), "{}", ended.stderr);
}

#[test]
fn a_run_that_goes_on_is_signed_so_far_and_the_report_says_so() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    let ended = place.run("sign", &[ended_with(run, None)], &[OCI], &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("so far"), "{}", ended.stderr);
    assert_eq!(place.statements("team/app", &digest).len(), 1);
}

#[test]
fn repositories_that_are_not_allowed_get_no_attestation() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    let ended = place.run("sign", &[run], &[OCI], &["--allow", "other.example/**", "--lenient"]);
    assert_ne!(ended.code, 0);
    assert!(
        place.layers("team/app", &digest).is_empty() && place.step.layers("team/app", &digest).is_empty()
    );
}

#[test]
fn a_pod_that_must_be_there_is_not_in_a_file() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    let ended = place.run("sign", &[run], &[OCI], &["--require-pod"]);
    assert_ne!(ended.code, 0);
    assert!(ended.stderr.contains("--require-pod"), "{}", ended.stderr);
    assert!(
        place.layers("team/app", &digest).is_empty() && place.step.layers("team/app", &digest).is_empty()
    );
}

#[test]
fn a_pipeline_run_with_two_hundred_task_runs_is_signed_in_seconds() {
    let place = Place::new();
    let (name, digest) = place.image("team/app");
    let children: Vec<Value> = (0..200).map(|number| child(&format!("task-{number:03}"), &[])).collect();
    let mut run = pipeline_run(&children);
    run["status"]["results"] =
        json!([{ "name": "IMAGE_URL", "value": name }, { "name": "IMAGE_DIGEST", "value": digest.as_str() }]);
    let runs = [&[run], &children[..]].concat();
    let keys = ["artifacts.pipelinerun.storage=oci", "artifacts.pipelinerun.format=slsa/v1"];
    let begun = std::time::Instant::now();
    let ended = place.run("sign", &runs, &keys, &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(begun.elapsed() < std::time::Duration::from_secs(180), "{:?}", begun.elapsed());
    let statement = place.statements("team/app", &digest).remove(0);
    assert_eq!(statement["predicate"]["buildConfig"]["tasks"].as_array().unwrap().len(), 200);
}
