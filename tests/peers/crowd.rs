//! Twenty signers of one digest at once. Nobody's signature is lost.

use std::path::Path;

use crate::kit::images::Kind;
use crate::kit::scene::Place;
use crate::kit::{Registry, Scene};
use crate::registries::twenty_sign;

fn twenty_at_once(start: fn(&Path) -> Registry, place: Place) {
    let scene = Scene::new();
    let registry = start(scene.home());
    scene.allow(&[registry.host()]);
    let image = scene.crane_pushes(Kind::Oci, &registry.host(), "app", "one");
    twenty_sign(&scene, &registry.host(), place, &image);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn twenty_at_once_by_tag() {
    twenty_at_once(Registry::docker, Place::Tag);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn twenty_at_once_by_the_referrers_api() {
    twenty_at_once(Registry::with_referrers, Place::Referrers);
}
