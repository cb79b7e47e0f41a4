//! Keys from elsewhere sign so that cosign verifies; keys from here are keys that cosign can use.

use std::fs;

use crate::kit::images::Kind;
use crate::kit::scene::{KEY_PASSWORD, Place, run_quietly};
use crate::kit::{Registry, Scene, peer, run};

/// The arguments of `openssl genpkey` for each kind of key.
const KINDS: [(&str, &[&str]); 6] = [
    ("p256", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("p384", &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ("p521", &["EC", "-pkeyopt", "ec_paramgen_curve:P-521"]),
    ("ed25519", &["ED25519"]),
    ("rsa2048", &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ("rsa4096", &["RSA", "-pkeyopt", "rsa_keygen_bits:4096"]),
];

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn openssl_keys_of_every_kind_sign_what_cosign_verifies() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    for (name, how) in KINDS {
        let work = scene.home().join("work");
        let (key, public) = (work.join(format!("{name}.pem")), work.join(format!("{name}.pub")));
        run(peer("openssl", &work).args(["genpkey", "-algorithm"]).args(how).arg("-out").arg(&key)).ok();
        run(peer("openssl", &work).args(["pkey", "-pubout", "-in"]).arg(&key).arg("-out").arg(&public)).ok();
        scene.mount_key(&[("x509.pem", &fs::read(&key).unwrap())]);
        let image = scene.crane_pushes(Kind::Oci, &hosts[0], name, name);
        for place in [Place::Tag, Place::Referrers] {
            scene.sign(place, &hosts, &[&image.reference()]).ok();
            let mut verify =
                scene.cosign(&["verify", "--insecure-ignore-tlog=true", "--allow-http-registry"]);
            verify.args([place.cosign_flag(), "--key"]).arg(&public).arg(image.reference());
            run(&mut verify).ok();
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn cosign_signs_and_verifies_with_a_key_pair_made_here() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let made = scene.home().join("made");
    fs::create_dir(&made).unwrap();
    let mut generate = scene.stepseal(&hosts, &["generate-key-pair"]);
    run_quietly(generate.env("COSIGN_PASSWORD", KEY_PASSWORD).current_dir(&made)).ok();
    let [key, public] = ["cosign.key", "cosign.pub"].map(|name| fs::read(made.join(name)).unwrap());
    let password = KEY_PASSWORD.as_bytes();
    scene.mount_key(&[("cosign.key", &key), ("cosign.pub", &public), ("cosign.password", password)]);

    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    for place in [Place::Tag, Place::Referrers] {
        scene.cosign_signs(place, &image.reference(), &["-a", "by=cosign"]);
        scene.sign(place, &hosts, &["--annotation", "by=stepseal", &image.reference()]).ok();
        assert_eq!(scene.verified(place, &image.reference()).len(), 2);
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_key_without_a_password_and_a_password_with_a_newline() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");

    let key = fs::read(scene.keys().join("cosign.key")).unwrap();
    let public = fs::read(scene.public_key()).unwrap();
    let newline = format!("{KEY_PASSWORD}\n");
    scene.mount_key(&[
        ("cosign.key", &key),
        ("cosign.pub", &public),
        ("cosign.password", newline.as_bytes()),
    ]);
    scene.sign(Place::Tag, &hosts, &[&image.reference()]).ok();
    scene.verified(Place::Tag, &image.reference());

    let work = scene.home().join("work");
    fs::remove_file(work.join("cosign.key")).unwrap();
    fs::remove_file(work.join("cosign.pub")).unwrap();
    run(scene.cosign(&["generate-key-pair"]).env("COSIGN_PASSWORD", "").current_dir(&work)).ok();
    let [key, public] = ["cosign.key", "cosign.pub"].map(|name| fs::read(work.join(name)).unwrap());
    scene.mount_key(&[("cosign.key", &key), ("cosign.pub", &public), ("cosign.password", b"")]);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "two");
    scene.sign(Place::Tag, &hosts, &[&image.reference()]).ok();
    scene.verified(Place::Tag, &image.reference());
}
