//! What is signed for runs, and attestations of any kind: cosign verifies them, by tag and by referrers, and what cosign attests stays.

use std::fs;
use std::process::{Child, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kit::command::Ran;
use crate::kit::images::{Image, Kind};
use crate::kit::scene::{Place, run_quietly};
use crate::kit::{Registry, Scene, run};

const PLACES: [Place; 2] = [Place::Tag, Place::Referrers];
const UID: &str = "495215fc-1bc7-4c33-894d-fb6c5ed7f30e";

/// A TaskRun that built `image`, in a file.
fn task_run(scene: &Scene, image: &Image) -> String {
    let run = json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": { "name": "build", "namespace": "ci", "uid": UID },
        "spec": { "serviceAccountName": "builder", "taskRef": { "name": "build" } },
        "status": {
            "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z",
            "conditions": [{ "type": "Succeeded", "status": "True" }],
            "steps": [{ "name": "make", "container": "step-make", "imageID": image.reference() }],
            "taskSpec": { "steps": [{ "name": "make", "image": "builder", "command": ["make"] }] },
            "results": [
                { "name": "IMAGE_URL", "type": "string", "value": image.repository },
                { "name": "IMAGE_DIGEST", "type": "string", "value": image.digest },
            ],
        },
    });
    let path = scene.home().join("run.json");
    fs::write(&path, run.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// `cosign verify-attestation`: the statements that it found and verified.
pub(crate) fn statements(
    scene: &Scene,
    place: Place,
    kind: &str,
    image: &Image,
    elsewhere: Option<&str>,
) -> Vec<Value> {
    let mut command =
        scene.cosign(&["verify-attestation", "--insecure-ignore-tlog=true", "--allow-http-registry"]);
    command.args([place.cosign_flag(), "--type", kind, "--key"]).arg(scene.public_key());
    if let Some(repository) = elsewhere {
        command.env("COSIGN_REPOSITORY", repository);
    }
    let ran = run(command.arg(image.reference())).ok();
    ran.stdout.lines().map(|line| statement(&serde_json::from_str(line).unwrap())).collect()
}

/// The statement in an envelope or in a bundle.
pub(crate) fn statement(line: &Value) -> Value {
    let envelope = line.get("dsseEnvelope").unwrap_or(line);
    let payload = envelope["payload"].as_str().unwrap_or_else(|| panic!("no envelope: {line}"));
    serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap()
}

fn attest(scene: &Scene, place: Place, hosts: &[String], image: &Image, kind: &str, predicate: &str) -> Ran {
    let file = scene.home().join("predicate.json");
    fs::write(&file, predicate).unwrap();
    let mut command = scene.stepseal(hosts, &["attest", &image.reference(), "--type", kind, "--predicate"]);
    command.arg(file).env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
    run_quietly(&mut command)
}

fn cosign_attests(scene: &Scene, place: Place, image: &Image, kind: &str) {
    let file = scene.home().join("cosigns.json");
    fs::write(&file, r#"{"from":"cosign"}"#).unwrap();
    let mut command = scene.cosign(&["attest", "-y", "--use-signing-config=false", "--tlog-upload=false"]);
    command.args(["--allow-http-registry", place.cosign_flag(), "--type", kind, "--key"]);
    run(command.arg(scene.keys().join("cosign.key")).arg("--predicate").arg(file).arg(image.reference()))
        .ok();
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn provenance_of_runs_is_verified_by_tag_and_by_referrers_here_and_elsewhere() {
    let scene = Scene::new();
    for registry in [Registry::docker(scene.home()), Registry::with_referrers(scene.home())] {
        let hosts = [registry.host()];
        scene.allow(&hosts);
        for (number, place) in PLACES.into_iter().enumerate() {
            for elsewhere in [None, Some(format!("{}/attestations/all{number}", hosts[0]))] {
                let name = format!("app-{number}-{}", elsewhere.is_some());
                let image = scene.crane_pushes(Kind::Oci, &hosts[0], &name, &name);
                let file = task_run(&scene, &image);
                for (format, kind) in [("slsa/v1", "slsaprovenance"), ("slsa/v2alpha4", "slsaprovenance1")] {
                    let mut sign = scene.stepseal(&hosts, &["sign", "--run", &file]);
                    sign.env("STEPSEAL_ARTIFACTS_TASKRUN_STORAGE", "oci")
                        .env("STEPSEAL_ARTIFACTS_TASKRUN_FORMAT", format)
                        .env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting())
                        .env("STEPSEAL_STORAGE_OCI_REPOSITORY", elsewhere.as_deref().unwrap_or_default());
                    run_quietly(&mut sign).ok();
                    let found = statements(&scene, place, kind, &image, elsewhere.as_deref());
                    assert_eq!(found.len(), 1, "{place:?} {format} {elsewhere:?}");
                    assert_eq!(
                        format!("sha256:{}", found[0]["subject"][0]["digest"]["sha256"].as_str().unwrap()),
                        image.digest
                    );
                }
            }
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn any_predicate_is_verified_and_what_cosign_attests_stays() {
    let scene = Scene::new();
    for registry in [Registry::docker(scene.home()), Registry::with_referrers(scene.home())] {
        let hosts = [registry.host()];
        scene.allow(&hosts);
        for place in PLACES {
            let image = scene.crane_pushes(Kind::Oci, &hosts[0], &format!("{place:?}").to_lowercase(), "one");
            cosign_attests(&scene, place, &image, "https://e.x/report");
            for kind in ["https://e.x/report", "spdxjson", "cyclonedx", "vuln", "openvex", "custom"] {
                attest(&scene, place, &hosts, &image, kind, r#"{"from":"stepseal"}"#).ok();
            }
            attest(&scene, place, &hosts, &image, "vuln", r#"{"from":"stepseal"}"#)
                .ok()
                .says("nothing was added");
            let found = statements(&scene, place, "https://e.x/report", &image, None);
            let mut from: Vec<&str> =
                found.iter().map(|s| s["predicate"]["from"].as_str().unwrap()).collect();
            from.sort_unstable();
            assert_eq!(from, ["cosign", "stepseal"]);
            for kind in ["spdxjson", "cyclonedx", "vuln", "openvex", "custom"] {
                assert_eq!(statements(&scene, place, kind, &image, None).len(), 1, "{kind}");
            }
            cosign_attests(&scene, place, &image, "openvex");
            assert_eq!(statements(&scene, place, "openvex", &image, None).len(), 2);
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn what_lies_in_a_folder_is_verified_as_a_blob() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    let file = task_run(&scene, &image);
    for format in ["tekton", "slsa/v2alpha3"] {
        let folder = scene.home().join(format.replace('/', "-"));
        let mut sign =
            scene.stepseal(&hosts, &["sign", "--run", &file, "--signatures-dir", folder.to_str().unwrap()]);
        sign.env("STEPSEAL_ARTIFACTS_TASKRUN_STORAGE", "directory")
            .env("STEPSEAL_ARTIFACTS_TASKRUN_FORMAT", format);
        run_quietly(&mut sign).ok();
        let signature = folder.join(format!("signature-taskrun-{UID}"));
        let payload = folder.join(format!("payload-taskrun-{UID}"));
        let command = if format == "tekton" { "verify-blob" } else { "verify-blob-attestation" };
        let flags = [command, "--insecure-ignore-tlog=true", "--key"];
        for mut verify in [scene.cosign(&flags), scene.stepseal(&[], &flags)] {
            verify.arg(scene.public_key()).arg("--signature").arg(&signature);
            if format == "tekton" {
                verify.arg(&payload);
            } else {
                let digest = image.digest.trim_start_matches("sha256:");
                verify.args(["--type", "slsaprovenance1", "--digest", digest, "--digestAlg", "sha256"]);
            }
            run(&mut verify).ok();
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn twenty_attestations_of_one_digest_at_once_are_all_there() {
    let scene = Scene::new();
    for (registry, place) in [
        (Registry::docker(scene.home()), Place::Tag),
        (Registry::docker(scene.home()), Place::Referrers),
        (Registry::with_referrers(scene.home()), Place::Referrers),
    ] {
        let hosts = [registry.host()];
        scene.allow(&hosts);
        let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
        let signers: Vec<Child> = (0..20)
            .map(|number| {
                let file = scene.home().join(format!("predicate-{number}.json"));
                fs::write(&file, format!("{{\"n\":{number}}}")).unwrap();
                let mut command = scene.stepseal(
                    &hosts,
                    &["attest", &image.reference(), "--type", "https://e.x/t", "--predicate"],
                );
                command.arg(file).env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for signer in signers {
            let output = signer.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let found = statements(&scene, place, "https://e.x/t", &image, None);
        let mut numbers: Vec<u64> = found.iter().map(|s| s["predicate"]["n"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>(), "{place:?}");
    }
}
