//! Are the peers what the other tests take them for? Without us: cosign, on every registry.

use crate::kit::images::Kind;
use crate::kit::scene::Place;
use crate::kit::tls::Tls;
use crate::kit::token::TokenService;
use crate::kit::{Registry, Scene};
use crate::proxy::{Conduct, Proxy};

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn cosign_signs_and_verifies_on_a_registry_with_a_password() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    scene.allow(&[registry.host()]);
    for (kind, name) in [(Kind::Docker, "docker"), (Kind::Oci, "oci")] {
        let image = scene.crane_pushes(kind, &registry.host(), name, name);
        let copy = scene.skopeo_copies(&image, kind, &registry.host(), &format!("copy/{name}"));
        for place in [Place::Tag, Place::Referrers] {
            scene.cosign_signs(place, &copy.reference(), &[]);
            assert_eq!(scene.verified(place, &copy.reference()).len(), 1);
        }
        assert_eq!(scene.tag_signatures(&copy).len(), 1);
        // No referrers API here: the bundle is listed under the fallback tag.
        assert_eq!(scene.fallback_referrers(&copy).len(), 1);
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn cosign_signs_and_verifies_on_a_registry_with_the_referrers_api() {
    let scene = Scene::new();
    let registry = Registry::with_referrers(scene.home());
    let image = scene.crane_pushes(Kind::Oci, &registry.host(), "app", "one");
    scene.cosign_signs(Place::Referrers, &image.reference(), &[]);
    assert_eq!(scene.verified(Place::Referrers, &image.reference()).len(), 1);
    assert!(scene.fallback_referrers(&image).is_empty());
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_token_service_lets_only_cosign_in() {
    let scene = Scene::new();
    let service = TokenService::start(scene.home());
    let registry = Registry::docker_with_tokens(scene.home(), &service);
    scene.allow(&[registry.host()]);
    let image = scene.crane_pushes(Kind::Oci, &registry.host(), "app", "one");
    service.take_asked();
    scene.cosign_signs(Place::Tag, &image.reference(), &[]);
    assert!(service.take_asked().iter().any(|scope| scope.contains("repository:app:")));
    scene.allow_by_identity_token(&[registry.host()]);
    assert_eq!(scene.verified(Place::Tag, &image.reference()).len(), 1);
    scene.credentials_are(&[registry.host()], &serde_json::json!({ "auth": "cm9ib3Q6d3Jvbmc=" }));
    scene.cosign_verify(Place::Tag, &image.reference(), &[]).ended(1).says("UNAUTHORIZED");
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_private_authority_is_trusted_when_named() {
    let scene = Scene::new();
    let tls = Tls::new(scene.home());
    let registry = Registry::docker_with_tls(scene.home(), &tls);
    scene.allow(&[registry.host()]);
    let image = scene.crane_pushes(Kind::Oci, &registry.host(), "app", "one");
    let ca = format!("--registry-cacert={}", tls.ca.display());
    scene.cosign_signs(Place::Tag, &image.reference(), &[&ca]);
    scene.cosign_verify(Place::Tag, &image.reference(), &[]).ended(1).says("HTTPS");
    scene.cosign_verify(Place::Tag, &image.reference(), &[&ca]).ok();
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_proxy_counts_requests_and_breaks_the_chosen_requests() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let proxy = Proxy::start(registry.address(), Conduct::default()).unwrap();
    scene.allow(&[registry.host(), proxy.host()]);
    let image = scene.crane_pushes(Kind::Oci, &proxy.host(), "app", "one");
    proxy.take_record();
    scene.cosign_signs(Place::Tag, &image.reference(), &[]);
    let record = proxy.take_record();
    assert!((10..20).contains(&record.requests.len()), "{record:?}");
    assert_eq!(record.faults, 0);

    let stormy = Proxy::start(registry.address(), Conduct { percent: 50, ..Conduct::stormy() }).unwrap();
    scene.allow(&[stormy.host()]);
    let reference = format!("{}/app@{}", stormy.host(), image.digest);
    while stormy.take_record().faults == 0 {
        scene.cosign_verify(Place::Tag, &reference, &[]);
    }
}
