//! Two signers of one image: what cosign wrote stays when Stepseal adds a signature, and the other way round.

use crate::kit::images::Kind;
use crate::kit::scene::Place;
use crate::kit::{Registry, Scene};

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn cosign_first_then_stepseal() {
    for place in [Place::Tag, Place::Referrers] {
        let scene = Scene::new();
        let registry = Registry::docker(scene.home());
        let hosts = [registry.host()];
        scene.allow(&hosts);
        let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
        scene.cosign_signs(place, &image.reference(), &["-a", "by=cosign"]);
        let cosigns = written(&scene, place, &image);
        scene.sign(place, &hosts, &["--annotation", "by=stepseal", &image.reference()]).ok();
        let both = written(&scene, place, &image);
        assert_eq!(both.len(), 2);
        assert!(both.contains(&cosigns[0]), "cosign's signature is gone");
        assert_eq!(scene.verified(place, &image.reference()).len(), 2);
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn stepseal_first_then_cosign() {
    for place in [Place::Tag, Place::Referrers] {
        let scene = Scene::new();
        let registry = Registry::docker(scene.home());
        let hosts = [registry.host()];
        scene.allow(&hosts);
        let image = scene.crane_pushes(Kind::Docker, &hosts[0], "app", "one");
        scene.sign(place, &hosts, &["--annotation", "by=stepseal", &image.reference()]).ok();
        let stepseal = written(&scene, place, &image);
        scene.cosign_signs(place, &image.reference(), &["-a", "by=cosign"]);
        let both = written(&scene, place, &image);
        assert_eq!(both.len(), 2);
        assert!(both.contains(&stepseal[0]), "our signature is gone");
        assert_eq!(scene.verified(place, &image.reference()).len(), 2);
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_second_signature_with_another_annotation_joins_the_first() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    for stage in ["build", "test"] {
        let annotation = format!("stage={stage}");
        scene.sign(Place::Tag, &hosts, &["--annotation", &annotation, &image.reference()]).ok();
    }
    assert_eq!(scene.tag_signatures(&image).len(), 2);
    for stage in ["build", "test"] {
        let annotation = format!("stage={stage}");
        scene.cosign_verify(Place::Tag, &image.reference(), &["-a", &annotation]).ok();
    }
    scene.cosign_verify(Place::Tag, &image.reference(), &["-a", "stage=release"]).ended(12);
}

fn written(scene: &Scene, place: Place, image: &crate::kit::images::Image) -> Vec<String> {
    match place {
        Place::Tag => scene.tag_signatures(image),
        Place::Referrers => scene.fallback_referrers(image),
    }
}
