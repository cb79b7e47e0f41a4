//! The ways in: a token service, an identity token, HTTPS by a private authority.

use crate::kit::images::Kind;
use crate::kit::scene::{Place, run_quietly};
use crate::kit::tls::Tls;
use crate::kit::token::TokenService;
use crate::kit::{Registry, Scene};

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_token_service_gives_one_token_a_repository() {
    let scene = Scene::new();
    let service = TokenService::start(scene.home());
    let registry = Registry::docker_with_tokens(scene.home(), &service);
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let insecure = [registry.host(), service.host()];
    let images = ["one", "two"].map(|name| scene.crane_pushes(Kind::Oci, &hosts[0], name, name));
    service.take_asked();
    let [one, two] = images.each_ref().map(crate::kit::images::Image::reference);
    for place in [Place::Tag, Place::Referrers] {
        scene.sign(place, &insecure, &[&one, &two]).ok();
        let asked = service.take_asked();
        assert!(asked.len() <= 4, "tokens are not reused: {asked:?}");
        for reference in [&one, &two] {
            assert_eq!(scene.verified(place, reference).len(), 1);
        }
        service.take_asked();
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn an_identity_token_is_as_good_as_a_password() {
    let scene = Scene::new();
    let service = TokenService::start(scene.home());
    let registry = Registry::docker_with_tokens(scene.home(), &service);
    let hosts = [registry.host()];
    scene.allow_by_identity_token(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    let insecure = [registry.host(), service.host()];
    scene
        .sign(Place::Tag, &hosts, &[&image.reference()])
        .ended(1)
        .says(&format!("--insecure-registry {}", service.host()));
    scene.sign(Place::Tag, &insecure, &[&image.reference()]).ok();
    assert_eq!(scene.verified(Place::Tag, &image.reference()).len(), 1);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_private_authority_has_to_be_named() {
    let scene = Scene::new();
    let tls = Tls::new(scene.home());
    let registry = Registry::docker_with_tls(scene.home(), &tls);
    scene.allow(&[registry.host()]);
    let image = scene.crane_pushes(Kind::Oci, &registry.host(), "app", "one");
    scene.sign(Place::Tag, &[], &[&image.reference()]).ended(1).says("certificate").says("--registry-ca");

    let mut sign = scene.stepseal(&[], &["sign", &image.reference()]);
    run_quietly(sign.env("STEPSEAL_REGISTRY_CA", &tls.ca)).ok();
    let ca = format!("--registry-cacert={}", tls.ca.display());
    scene.cosign_verify(Place::Tag, &image.reference(), &[&ca]).ok();
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_self_signed_certificate_is_trusted_as_cosign_trusts_it() {
    let scene = Scene::new();
    let tls = Tls::self_signed(scene.home());
    let registry = Registry::docker_with_tls(scene.home(), &tls);
    scene.allow(&[registry.host()]);
    let image = scene.crane_pushes(Kind::Oci, &registry.host(), "app", "one");
    scene.sign(Place::Tag, &[], &[&image.reference()]).ended(1).says("certificate");

    let mut sign = scene.stepseal(&[], &["sign", &image.reference()]);
    run_quietly(sign.env("STEPSEAL_REGISTRY_CA", &tls.ca)).ok();
    let ca = format!("--registry-cacert={}", tls.ca.display());
    scene.cosign_verify(Place::Tag, &image.reference(), &[&ca]).ok();
}
