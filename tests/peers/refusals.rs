//! Bad input against real registries: what the step log says, with which exit code, and
//! that no secret is in it ([`Scene::sign`] looks at every run).

use std::fs;

use serde_json::json;

use crate::kit::images::Kind;
use crate::kit::scene::{Place, run_quietly};
use crate::kit::{Registry, Scene};

const PLACES: [Place; 2] = [Place::Tag, Place::Referrers];

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_wrong_registry_password() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    // robot:wrong-KEEP-ME-OUT
    scene.credentials_are(&hosts, &json!({ "auth": "cm9ib3Q6d3JvbmctS0VFUC1NRS1PVVQ=" }));
    for place in PLACES {
        let ran = scene.sign(place, &hosts, &[&image.reference()]).ended(4);
        let ran = ran.says("401").says("robot").says(".dockerconfigjson").says(&hosts[0]);
        assert!(!ran.stderr.contains("KEEP-ME-OUT"), "{ran}");
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn no_credentials_for_the_registry() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    scene.allow(&["elsewhere.example".into()]);
    scene.sign(Place::Tag, &hosts, &[&image.reference()]).ended(4).says("401").says("--registry-config");
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_wrong_key_password() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    let key = fs::read(scene.keys().join("cosign.key")).unwrap();
    scene.mount_key(&[("cosign.key", &key), ("cosign.password", b"wrong")]);
    scene.sign(Place::Tag, &hosts, &[&image.reference()]).ended(2).says("password").says("cosign.key");
    assert!(scene.tag_signatures(&image).is_empty());
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_digest_that_the_registry_lacks() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let mut image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    image.digest = format!("sha256:{}", "0".repeat(64));
    for place in PLACES {
        scene
            .sign(place, &hosts, &[&image.reference()])
            .ended(1)
            .says("is not in the registry")
            .says(&image.digest);
    }
    assert!(scene.tag_signatures(&image).is_empty());
    assert!(scene.fallback_referrers(&image).is_empty());
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_registry_that_takes_no_writes() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let read_only = Registry::docker_read_only(scene.home(), &registry);
    let hosts = [registry.host(), read_only.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    for place in PLACES {
        let reference = format!("{}/app@{}", read_only.host(), image.digest);
        let ran = scene.sign(place, &hosts, &[&reference]);
        assert!(ran.code == 1 || ran.code == 4, "{ran}");
        ran.says("405").says(&read_only.host());
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn one_image_that_fails_does_not_hide_the_others() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    let lacking = format!("{}/app@sha256:{}", hosts[0], "0".repeat(64));
    scene.sign(Place::Tag, &hosts, &[&lacking, &image.reference()]).ended(5).says("is not in the registry");
    assert_eq!(scene.verified(Place::Tag, &image.reference()).len(), 1);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn no_process_listens() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    drop(registry);
    let reference = format!("{}/app@sha256:{}", hosts[0], "0".repeat(64));
    let mut sign = scene.stepseal(&hosts, &["sign", &reference]);
    run_quietly(sign.env("STEPSEAL_TIMEOUT", "3s")).ended(1).says(&hosts[0]).says("refused");
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn plain_http_that_is_not_allowed() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    scene.allow(&[registry.host()]);
    let image = scene.crane_pushes(Kind::Oci, &registry.host(), "app", "one");
    scene
        .sign(Place::Tag, &[], &[&image.reference(), "--timeout", "5s"])
        .ended(1)
        .says("--insecure-registry");
    assert!(scene.tag_signatures(&image).is_empty());
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn an_unknown_host() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    scene.allow(&[registry.host()]);
    // RFC 2606 keeps this name from ever being anyone's.
    let reference = format!("registry.invalid/app@sha256:{}", "0".repeat(64));
    let ran = scene.sign(Place::Tag, &[], &[&reference, "--timeout", "10s"]).ended(1);
    ran.says("registry.invalid").says("do:");
}
