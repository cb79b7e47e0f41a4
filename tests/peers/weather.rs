//! A network that fails one request in five: 503, 429 with Retry-After, a reset, an answer lost after the
//! work was done. Every image is signed in one run.

use crate::kit::images::{Image, Kind};
use crate::kit::scene::Place;
use crate::kit::{Registry, Scene};
use crate::proxy::{Conduct, Proxy};

const IMAGES: usize = 40;

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn forty_of_forty_by_tag() {
    forty_of_forty(Place::Tag);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn forty_of_forty_by_the_referrers_fallback() {
    forty_of_forty(Place::Referrers);
}

fn forty_of_forty(place: Place) {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let proxy = Proxy::start(registry.address(), Conduct { fails_one_in: 5, ..Conduct::default() }).unwrap();
    scene.allow(&[registry.host(), proxy.host()]);
    let images: Vec<Image> = (0..IMAGES)
        .map(|number| {
            scene.crane_pushes(Kind::Oci, &registry.host(), &format!("app-{number}"), &number.to_string())
        })
        .collect();
    let through: Vec<String> =
        images.iter().map(|image| image.reference().replacen(&registry.host(), &proxy.host(), 1)).collect();
    let through: Vec<&str> = through.iter().map(String::as_str).collect();

    scene.sign(place, &[proxy.host()], &through).ok();
    let record = proxy.take_record();
    assert!(record.faults > IMAGES, "only {} faults in {} requests", record.faults, record.requests.len());
    for image in &images {
        assert_eq!(scene.verified(place, &image.reference()).len(), 1, "{image:?}");
    }
}
