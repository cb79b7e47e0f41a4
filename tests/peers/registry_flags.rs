//! cosign's registry flags beside cosign: the same flags, the same outcome, on a registry with a password and TLS.

use crate::kit::command::{Ran, run};
use crate::kit::images::Kind;
use crate::kit::scene::{PASSWORD, Place, USER, run_quietly};
use crate::kit::tls::Tls;
use crate::kit::{Registry, Scene};

/// What `command` of both programs comes to with these flags: cosign, then Stepseal.
fn both(scene: &Scene, command: &str, flags: &[&str], reference: &str) -> [Ran; 2] {
    let key = scene.keys().join(if command == "sign" { "cosign.key" } else { "cosign.pub" });
    let key = key.to_str().unwrap();
    let always = match command {
        "sign" => &["-y", "--use-signing-config=false", "--tlog-upload=false"][..],
        _ => &["--insecure-ignore-tlog=true"],
    };
    let place = [Place::Tag.cosign_flag(), "--key", key];
    let mut cosign = scene.cosign(&[&[command], always, &place[..], flags, &[reference]].concat());
    // The authority's file has another name until both have one.
    let flags = flags.iter().map(|flag| if *flag == "--registry-cacert" { "--registry-ca" } else { flag });
    let mut stepseal = scene.stepseal(&[], &[command]);
    stepseal.args(flags).arg(reference).env_remove("STEPSEAL_INSECURE_REGISTRIES");
    if command == "verify" {
        stepseal.args(["--insecure-ignore-tlog", "--key", key]);
    }
    [run(&mut cosign), run_quietly(&mut stepseal)]
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_same_flags_have_the_same_outcome() {
    let scene = Scene::new();
    let tls = Tls::new(scene.home());
    let registry = Registry::docker_with_tls(scene.home(), &tls);
    scene.allow(&[registry.host()]);
    let image = scene.crane_pushes(Kind::Oci, &registry.host(), "app", "one").reference();
    scene.credentials_are(&[], &serde_json::Value::Null);
    let ca = tls.ca.to_str().unwrap();
    let (user, password) =
        (&*format!("--registry-username={USER}"), &*format!("--registry-password={PASSWORD}"));
    let insecure = "--allow-insecure-registry";
    let trusted = ["--registry-cacert", ca];
    // Whether cosign does it, and Stepseal.
    for (what, flags, want) in [
        ("nothing", &[][..], [false, false]),
        ("a login without trust", &[user, password], [false, false]),
        ("trust without a login", &[insecure], [false, false]),
        ("any certificate", &[insecure, user, password], [true, true]),
        ("an authority", &[trusted[0], trusted[1], user, password], [true, true]),
        ("a wrong password", &[insecure, user, "--registry-password=wrong"], [false, false]),
        ("half a login", &[insecure, user], [false, false]),
        (
            "another name",
            &[trusted[0], trusted[1], user, password, "--registry-server-name=other"],
            [false, false],
        ),
        (
            "a name of its certificate",
            &[trusted[0], trusted[1], user, password, "--registry-server-name=localhost"],
            [true, true],
        ),
        (
            "HTTPS before plain HTTP",
            &[trusted[0], trusted[1], user, password, "--allow-http-registry"],
            [true, true],
        ),
        ("any keychain", &[trusted[0], trusted[1], "--k8s-keychain"], [false, false]),
        // cosign looks in the cluster's place alone, and takes both of these for nothing.
        ("a login beside the keychain", &[insecure, user, password, "--k8s-keychain"], [false, true]),
        ("a login beside a token", &[insecure, user, password, "--registry-token=x"], [true, false]),
    ] {
        for command in ["sign", "verify"] {
            let ran = both(&scene, command, flags, &image);
            let done = ran.each_ref().map(|ran| ran.code == 0);
            assert_eq!(done, want, "{what}: {command}\n{}\n{}", ran[0], ran[1]);
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_tag_with_a_prefix_is_the_same_tag() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    scene.allow(&[registry.host()]);
    let flags = ["--allow-http-registry", "--attachment-tag-prefix=team-"];
    for (number, signer) in ["cosign", "stepseal"].iter().enumerate() {
        let image = scene.crane_pushes(Kind::Oci, &registry.host(), "app", signer).reference();
        let verified = |flags: &[&str]| both(&scene, "verify", flags, &image).map(|ran| ran.code == 0);
        assert_eq!(verified(&flags), [false, false]);
        let key = scene.keys().join("cosign.key");
        if number == 0 {
            let mut sign = scene.cosign_sign(Place::Tag);
            run(sign.args(&flags[1..]).arg(&image)).ok();
        } else {
            let mut sign = scene.stepseal(&[], &["sign", &image]);
            run(sign.args(flags).arg("--key").arg(key)).ok();
        }
        assert_eq!(verified(&flags), [true, true], "{signer}");
        assert_eq!(verified(&flags[..1]), [false, false], "{signer}");
    }
}
