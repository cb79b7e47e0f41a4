//! Attestations in both encodings in one run: signed once, stored twice.

use std::slice::from_ref;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use stepseal::demo::registry::{Answer, Fault, Options};
use stepseal::oci::Digest;

use crate::kit::step::{Ended, Step, ended, pair};
use crate::runs::place::{Place, UID, task_run, verified};

const BOTH: &str = "storage.oci.encoding-format=dsse,sigstore-bundle";
const OCI: &str = "artifacts.taskrun.storage=oci";
const NO_IMAGES: &str = "artifacts.oci.storage=";

/// Of each outcome the artifact, the encoding and the status.
fn told(ended: &Ended) -> Vec<[String; 3]> {
    let report: Vec<Value> =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr));
    let text = |outcome: &Value, name: &str| outcome[name].as_str().unwrap_or_default().to_owned();
    report.iter().map(|outcome| ["artifact", "encoding", "status"].map(|name| text(outcome, name))).collect()
}

/// The DSSE envelopes of the bundles beside an image, by predicate type.
fn bundled(place: &Place, digest: &Digest, predicate_type: &str) -> Vec<Value> {
    let content = place.step.registry.content();
    let mut envelopes = Vec::new();
    for (_, manifest) in content.referrers("team/app", digest) {
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        if manifest["annotations"]["dev.sigstore.bundle.predicateType"] == predicate_type {
            let layer = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
            let bundle: Value = serde_json::from_slice(&content.blob("team/app", &layer).unwrap()).unwrap();
            envelopes.push(bundle["dsseEnvelope"].clone());
        }
    }
    envelopes
}

/// The one attestation by tag and the one in a bundle are the same envelope's.
fn same_in_both(place: &Place, digest: &Digest, predicate_type: &str) {
    let layers = place.layers("team/app", digest);
    assert_eq!(layers.len(), 1);
    let blob = layers[0]["digest"].as_str().unwrap().parse().unwrap();
    let tagged = place.step.registry.content().blob("team/app", &blob).unwrap();
    verified(&tagged);
    let tagged: Value = serde_json::from_slice(&tagged).unwrap();
    let [bundled] = &bundled(place, digest, predicate_type)[..] else { panic!("one bundle") };
    assert_eq!(tagged["payload"], bundled["payload"]);
    assert_eq!(tagged["signatures"][0]["sig"], bundled["signatures"][0]["sig"]);
}

/// Whether `verify-attestation` accepts the image with our key.
fn verifies(place: &Place, digest: &Digest, kind: &str) -> bool {
    let public = place.step.path("cosign.pub");
    std::fs::write(&public, &pair().public_pem).unwrap();
    let image = format!("{}/team/app@{digest}", place.step.host());
    let key = ["--key", public.to_str().unwrap(), "--insecure-ignore-tlog", "--type", kind];
    place.step.run(&[&["verify-attestation", &image][..], &key].concat()).code == 0
}

fn looks(place: &Place, digest: &Digest) -> usize {
    let end = format!("/manifests/{digest}");
    let requests = place.step.registry.requests();
    requests
        .iter()
        .filter(|request| request.method == Method::GET && request.path_and_query.ends_with(&end))
        .count()
}

#[test]
fn a_runs_attestation_is_signed_once_and_stored_twice() {
    for referrers in [true, false] {
        let place = Place { step: Step::with(Options { referrers, ..Options::default() }) };
        let (run, digest) = place.built("team/app");
        let plan = place.run("plan", from_ref(&run), &[OCI, BOTH, NO_IMAGES], &["--output=json"]);
        let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
        let repository = format!("{}/team/app", place.step.host());
        let places =
            json!([format!("{repository}:sha256-{}.att", digest.hex()), format!("{repository}@{digest}")]);
        assert_eq!(plan["payloads"].as_array().unwrap().len(), 1);
        assert_eq!(plan["payloads"][0]["keys"]["attestations"], places);
        place.step.registry.clear_requests();
        for status in ["signed", "unchanged"] {
            let done = place.run("sign", from_ref(&run), &[OCI, BOTH, NO_IMAGES], &["--output=json"]);
            assert_eq!(done.code, 0, "{}", done.stderr);
            assert_eq!(told(&done), [["taskrun", "dsse", status], ["taskrun", "sigstore-bundle", status]]);
            assert_eq!(looks(&place, &digest), 1);
            place.step.registry.clear_requests();
        }
        same_in_both(&place, &digest, "https://slsa.dev/provenance/v0.2");
        assert!(verifies(&place, &digest, "slsaprovenance"));
        let content = place.step.registry.content();
        assert!(content.remove_tag("team/app", &format!("sha256-{}.att", digest.hex())));
        assert!(verifies(&place, &digest, "slsaprovenance"), "by the bundle");
    }
}

#[test]
fn images_and_runs_go_to_both_in_one_run() {
    let place = Place::new();
    let (run, digest) = place.built("team/app");
    let done = place.run("sign", from_ref(&run), &[OCI, BOTH], &["--output=json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let want =
        [("oci", "dsse"), ("oci", "sigstore-bundle"), ("taskrun", "dsse"), ("taskrun", "sigstore-bundle")];
    assert_eq!(told(&done), want.map(|(artifact, encoding)| [artifact, encoding, "signed"]));
    assert_eq!(place.step.payloads("team/app", &digest).len(), 1);
    assert_eq!(place.step.registry.content().referrers("team/app", &digest).len(), 2);
    let again = place.run("sign", &[run], &[OCI, BOTH], &[]);
    assert!(again.stderr.contains("4 unchanged; nothing was added"), "{}", again.stderr);
}

#[test]
fn any_predicate_goes_to_both_and_one_that_fails_does_not_stop_the_other() {
    let place = Place::new();
    let (name, digest) = place.image("team/app");
    let (image, predicate) = (format!("{name}@{digest}"), place.step.path("predicate"));
    std::fs::write(&predicate, "{\"x\":1}").unwrap();
    let attest = || {
        let folder = place.step.path("signatures");
        let mut command = place.step.command(&["attest", &image, "--type=https://e.x/t", "--output=json"]);
        command.arg("--predicate").arg(&predicate).arg("--signatures-dir").arg(folder);
        command.args(["--config", BOTH, "--config=artifacts.oci.storage=oci,directory"]);
        ended(command.output().unwrap())
    };
    let denied = Answer::new(StatusCode::FORBIDDEN);
    place.step.registry.faults().add(Fault::answer(denied).method(Method::PUT).path(".att"));
    let want = |of_tag: &str, others: &str| {
        [
            ["attestation", "dsse", of_tag],
            ["attestation", "sigstore-bundle", others],
            ["attestation", "", others],
        ]
        .map(|outcome| outcome.map(ToOwned::to_owned))
    };
    let first = attest();
    assert_eq!((first.code, told(&first)), (5, want("failed", "signed").to_vec()), "{}", first.stderr);
    place.step.registry.faults().clear();
    let second = attest();
    assert_eq!((second.code, told(&second)), (0, want("signed", "unchanged").to_vec()), "{}", second.stderr);
    assert_eq!(told(&attest()), want("unchanged", "unchanged"));
    same_in_both(&place, &digest, "https://e.x/t");
}

#[test]
fn an_image_that_is_not_there_and_a_run_without_one_fail_in_both() {
    let place = Place::new();
    let absent = Digest::of(b"absent");
    let name = format!("{}/team/app", place.step.host());
    let run = task_run(&[("IMAGE_URL", &name), ("IMAGE_DIGEST", absent.as_str())]);
    for (run, code, error) in [(run, 1, "is not in the registry"), (task_run(&[]), 3, "names no built image")]
    {
        place.step.registry.clear_requests();
        let failed = place.run("sign", &[run], &[OCI, BOTH, NO_IMAGES], &["--output=json"]);
        assert_eq!(failed.code, code, "{}", failed.stderr);
        assert_eq!(told(&failed), [["taskrun", "dsse", "failed"], ["taskrun", "sigstore-bundle", "failed"]]);
        assert!(failed.stderr.contains(error) && failed.stdout.contains(error), "{}", failed.stderr);
        assert!(looks(&place, &absent) <= 1);
        assert!(code != 3 || failed.stdout.contains(UID));
    }
}
