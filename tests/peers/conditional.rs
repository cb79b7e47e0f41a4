//! None of the registries here heeds a condition on a write: a writer cannot make the replacement of a list depend on what it read.
//!
//! If one of them begins to, this fails, and `store/tagged.rs` can send `If-Match`. As of distribution 3.1.2 the header is read where
//! a manifest is fetched alone, and the specification's proposal is open.
//!
//! Sources: <https://github.com/distribution/distribution/blob/v3.1.2/registry/handlers/manifests.go>,
//! <https://github.com/opencontainers/distribution-spec/pull/251>, <https://github.com/google/go-containerregistry/issues/1333>

use std::path::Path;

use crate::kit::scene::Place;
use crate::kit::{Registry, Scene};
use crate::storm::{Direct, Ground};

const MANIFEST: &str = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";

fn heeds_no_condition(start: fn(&Path) -> Registry) {
    let scene = Scene::quick();
    let registry = start(scene.home());
    let ground = Ground::of(&scene, &registry);
    let image = ground.push("app", 1).remove(0);
    scene.sign(Place::Tag, &[registry.host()], &[&image.reference()]).ok();
    let name = image.repository.split_once('/').unwrap().1;
    let path = format!("/v2/{name}/manifests/{}.sig", image.digest.replace(':', "-"));
    let mut direct = Direct::to(registry.address());
    let list = direct.send("GET", &path, "", "");
    let list = String::from_utf8(list.body).unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    for condition in [format!("If-Match: \"{other}\"\r\n"), "If-None-Match: *\r\n".to_owned()] {
        let answer = direct.send("PUT", &path, &format!("{MANIFEST}{condition}"), &list);
        assert_eq!(answer.status(), "201", "{condition}");
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn no_registry_heeds_a_condition_on_a_write() {
    for start in [Registry::docker, Registry::distribution_3, Registry::gitea, Registry::with_referrers] {
        heeds_no_condition(start);
    }
}
