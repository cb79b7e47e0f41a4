//! What we write, cosign verifies: in both places, for both manifest kinds, for indexes, identities and
//! another signature repository.

use serde_json::Value;

use crate::kit::images::{Image, Kind};
use crate::kit::scene::{Place, run_quietly};
use crate::kit::{Registry, Scene, run};

const PLACES: [Place; 2] = [Place::Tag, Place::Referrers];

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn both_manifest_kinds_by_whoever_pushed_them() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    for kind in [Kind::Docker, Kind::Oci] {
        let name = format!("team/{kind:?}").to_lowercase();
        let pushed = scene.crane_pushes(kind, &hosts[0], &name, &name);
        let copied = scene.skopeo_copies(&pushed, kind, &hosts[0], &format!("{name}-copy"));
        for image in [pushed, copied] {
            for place in PLACES {
                scene.sign(place, &hosts, &[&image.reference()]).ok();
                let verified = scene.verified(place, &image.reference());
                assert_eq!(verified.len(), 1);
                assert_eq!(verified[0]["critical"]["image"]["docker-manifest-digest"], *image.digest);
            }
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_referrers_api_is_used_where_there_is_one() {
    let scene = Scene::new();
    let registry = Registry::with_referrers(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    // go-containerregistry's has the API, and doesn't say OCI-Subject: by the specification, the fallback tag is kept too.
    scene.sign(Place::Referrers, &hosts, &[&image.reference()]).ok();
    assert_eq!(scene.verified(Place::Referrers, &image.reference()).len(), 1);
    assert_eq!(scene.fallback_referrers(&image).len(), 1);

    scene.sign(Place::Referrers, &hosts, &[&image.reference()]).ok().says("already");
    assert_eq!(scene.verified(Place::Referrers, &image.reference()).len(), 1);
    assert_eq!(scene.fallback_referrers(&image).len(), 1);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_recursive_signature_covers_every_manifest_of_an_index() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    for kind in [Kind::Docker, Kind::Oci] {
        for place in PLACES {
            let name = format!("{kind:?}/{place:?}").to_lowercase();
            let members = ["one", "two"].map(|content| scene.crane_pushes(kind, &hosts[0], &name, content));
            let index = scene.crane_pushes_index(kind, &members[0].repository, &members);

            scene.sign(place, &hosts, &[&index.reference()]).ok();
            assert_eq!(scene.verified(place, &index.reference()).len(), 1);
            scene.cosign_verify(place, &members[1].reference(), &[]).ended(10);

            scene.sign(place, &hosts, &["--recursive", &index.reference()]).ok();
            for image in members.iter().chain([&index]) {
                assert_eq!(scene.verified(place, &image.reference()).len(), 1, "{image:?}");
            }
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn each_identity_gets_its_signature() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    let identities = ["registry.example/app:1.2", "mirror.example/app:1.2"];
    let [one, two] = identities;
    scene.sign(Place::Tag, &hosts, &["--identity", one, "--identity", two, &image.reference()]).ok();
    let verified = scene.verified(Place::Tag, &image.reference());
    let mut signed: Vec<&str> = verified.iter().map(identity).collect();
    signed.sort_unstable();
    assert_eq!(signed, ["mirror.example/app:1.2", "registry.example/app:1.2"]);
}

fn identity(verified: &Value) -> &str {
    verified["critical"]["identity"]["docker-reference"].as_str().unwrap()
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn signatures_may_live_in_another_repository() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    let elsewhere = format!("{}/signatures/all", hosts[0]);
    let mut sign = scene.stepseal(&hosts, &["sign", &image.reference()]);
    run_quietly(sign.env("STEPSEAL_STORAGE_OCI_REPOSITORY", &elsewhere)).ok();

    assert!(scene.tag_signatures(&image).is_empty());
    let there = Image { repository: elsewhere.clone(), digest: image.digest.clone() };
    assert_eq!(scene.tag_signatures(&there).len(), 1);
    let mut verify = scene.cosign(&["verify", "--insecure-ignore-tlog=true", "--allow-http-registry"]);
    verify.arg("--key").arg(scene.public_key()).env("COSIGN_REPOSITORY", &elsewhere);
    run(verify.args([Place::Tag.cosign_flag(), &image.reference()])).ok();
}
