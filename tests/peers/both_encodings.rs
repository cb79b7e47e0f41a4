//! One run that writes both encodings: each verifier finds the encoding that it reads.

use std::fs;

use crate::image_policy::Policy;
use crate::kit::images::Kind;
use crate::kit::scene::{Place, run_quietly};
use crate::kit::{Registry, Scene, run};

const BOTH: &str = "dsse,sigstore-bundle";

/// Runs our program with both encodings.
fn both(scene: &Scene, hosts: &[String], arguments: &[&str]) -> crate::kit::command::Ran {
    let mut command = scene.stepseal(hosts, arguments);
    run_quietly(command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", BOTH)).ok()
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn cosign_with_and_without_bundles_and_podmans_policy_accept_an_image_signed_once() {
    for api in [false, true] {
        let scene = Scene::new();
        let registry =
            if api { Registry::with_referrers(scene.home()) } else { Registry::docker(scene.home()) };
        let hosts = [registry.host()];
        scene.allow(&hosts);
        let policy = Policy::new(&scene, &hosts[0], &scene.public_key());
        let members = ["one", "two"].map(|content| scene.crane_pushes(Kind::Oci, &hosts[0], "app", content));
        let index = scene.crane_pushes_index(Kind::Oci, &members[0].repository, &members).reference();
        both(&scene, &hosts, &["sign", "--recursive", &index]).says("6 signed");
        for image in members.iter().map(|member| member.reference()).chain([index.clone()]) {
            for place in [Place::Tag, Place::Referrers] {
                assert_eq!(scene.verified(place, &image).len(), 1, "{place:?}");
            }
            // By default cosign looks for bundles, and then for tags.
            let mut verify =
                scene.cosign(&["verify", "--insecure-ignore-tlog=true", "--allow-http-registry"]);
            run(verify.arg("--key").arg(scene.public_key()).arg(&image)).ok();
            policy.decides(&scene, &image).ok();
        }
        both(&scene, &hosts, &["sign", "--recursive", &index]).says("nothing was added");
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn cosign_with_and_without_bundles_accepts_an_attestation_signed_once() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one").reference();
    let predicate = scene.home().join("predicate.json");
    fs::write(&predicate, r#"{"x":1}"#).unwrap();
    let predicate = predicate.to_str().unwrap();
    let attest = ["attest", &image, "--type", "https://e.x/t", "--predicate", predicate];
    both(&scene, &hosts, &attest).says("2 signed");
    for place in [Place::Tag, Place::Referrers] {
        let mut verify = scene.cosign(&["verify-attestation", "--insecure-ignore-tlog=true"]);
        verify.args(["--allow-http-registry", "--type", "https://e.x/t", place.cosign_flag(), "--key"]);
        run(verify.arg(scene.public_key()).arg(&image)).ok();
    }
    both(&scene, &hosts, &attest).says("nothing was added");
}
