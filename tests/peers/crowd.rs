//! Twenty signers of one digest at once. Nobody's signature is lost.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};

use crate::kit::images::{Image, Kind};
use crate::kit::scene::Place;
use crate::kit::{Registry, Scene};

const SIGNERS: usize = 20;

/// Starts all signers, waits for all, and gives the image they signed.
fn sign_all_at_once(scene: &Scene, registry: &Registry, place: Place) -> Image {
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    let signers: Vec<Child> = (0..SIGNERS)
        .map(|number| {
            let annotation = format!("signer={number}");
            let mut command = scene.stepseal(&hosts, &["sign", "--annotation", &annotation]);
            command.arg(image.reference());
            command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for signer in signers {
        let output = signer.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    image
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn twenty_at_once_by_tag() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let image = sign_all_at_once(&scene, &registry, Place::Tag);
    let verified = scene.verified(Place::Tag, &image.reference());
    let signers: BTreeSet<&str> =
        verified.iter().map(|one| one["optional"]["signer"].as_str().unwrap()).collect();
    assert_eq!((signers.len(), verified.len()), (SIGNERS, SIGNERS), "{signers:?}");
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn twenty_at_once_by_the_referrers_fallback() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let image = sign_all_at_once(&scene, &registry, Place::Referrers);
    assert_eq!(scene.fallback_referrers(&image).len(), SIGNERS);
    assert_eq!(scene.verified(Place::Referrers, &image.reference()).len(), SIGNERS);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn twenty_at_once_by_the_referrers_api() {
    let scene = Scene::new();
    let registry = Registry::with_referrers(scene.home());
    let image = sign_all_at_once(&scene, &registry, Place::Referrers);
    assert_eq!(scene.verified(Place::Referrers, &image.reference()).len(), SIGNERS);
}
