//! Images by tag, identities of single images, and `COSIGN_REPOSITORY`, beside cosign: what one writes, the other finds.

use std::process::Command;

use crate::kit::images::{Image, Kind};
use crate::kit::scene::{Place, run_quietly};
use crate::kit::{Registry, Scene, run};

const PLACES: [Place; 2] = [Place::Tag, Place::Referrers];

/// What was signed as an image's name.
fn identities(scene: &Scene, reference: &str) -> Vec<String> {
    let name = |verified: &serde_json::Value| {
        verified["critical"]["identity"]["docker-reference"].as_str().unwrap().to_owned()
    };
    let mut names: Vec<String> = scene.verified(Place::Tag, reference).iter().map(name).collect();
    names.sort_unstable();
    names
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_tag_is_signed_as_cosign_signs_it() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    for place in PLACES {
        for (name, tag) in [("app:1.0", "1.0"), ("app", "latest")] {
            let case = format!("{place:?}{tag}").to_lowercase().replace('.', "");
            let push = |who: &str| {
                let repository = format!("{}/{case}/{who}/app", hosts[0]);
                scene.crane_pushes_as(Kind::Oci, &repository, tag, "one")
            };
            let (stepseal, cosigns) = (push("stepseal"), push("cosigns"));
            let by_tag = |image: &Image| image.repository.replace("/app", &format!("/{name}"));
            let ran = scene.sign(place, &hosts, &[&by_tag(&stepseal)]).ok();
            ran.says(&stepseal.reference()).says("warning: a tag can move");
            scene.cosign_signs(place, &by_tag(&cosigns), &[]);
            for image in [&stepseal, &cosigns] {
                let verified = scene.verified(place, &by_tag(image));
                assert_eq!(verified.len(), 1);
                assert_eq!(verified[0]["critical"]["image"]["docker-manifest-digest"], *image.digest);
                if place == Place::Tag {
                    // The repository, without the tag.
                    assert_eq!(identities(&scene, &image.reference()), [image.repository.as_str()]);
                }
            }
            // What cosign signed by tag counts as signed here, and is not signed again. A bundle of its own has other blanks.
            if place == Place::Tag {
                scene.sign(place, &hosts, &[&by_tag(&cosigns)]).ok().says("already signed by this key");
            }
        }
    }
    let absent = format!("{}/app:absent", hosts[0]);
    let good = scene.crane_pushes(Kind::Oci, &hosts[0], "good", "two");
    scene
        .sign(Place::Tag, &hosts, &[&good.reference(), &absent])
        .ended(1)
        .says("app:absent is not in the registry");
    assert!(scene.tag_signatures(&good).is_empty(), "nothing is signed where an argument names nothing");
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn cosigns_variable_names_one_repository_for_both() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let elsewhere = format!("{}/signatures/all", hosts[0]);
    for place in PLACES {
        let name = |who: &str| format!("team/{who}/{place:?}/app").to_lowercase();
        let stepseal =
            scene.crane_pushes(Kind::Oci, &hosts[0], &name("stepseal"), &format!("stepseal {place:?}"));
        let cosigns =
            scene.crane_pushes(Kind::Oci, &hosts[0], &name("cosigns"), &format!("cosigns {place:?}"));
        let with = |mut command: Command| {
            command.env("COSIGN_REPOSITORY", &elsewhere);
            command
        };
        let mut sign = with(scene.stepseal(&hosts, &["sign", &stepseal.reference()]));
        run_quietly(sign.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting())).ok();
        run(with(scene.cosign_sign(place)).arg(cosigns.reference())).ok();
        for image in [&stepseal, &cosigns] {
            assert!(scene.tag_signatures(image).is_empty() && scene.fallback_referrers(image).is_empty());
            let mut verify =
                with(scene.cosign(&["verify", "--insecure-ignore-tlog=true", "--allow-http-registry"]));
            verify.args([place.cosign_flag(), "--key"]).arg(scene.public_key()).arg(image.reference());
            run(&mut verify).ok();
            let arguments = ["verify", "--insecure-ignore-tlog", &image.reference()];
            run_quietly(&mut with(scene.stepseal(&hosts, &arguments))).ok();
            run_quietly(&mut scene.stepseal(&hosts, &arguments)).ended(1);
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_line_of_a_list_gives_its_image_names_of_its_own() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let [one, two] = ["one", "two"].map(|name| scene.crane_pushes(Kind::Oci, &hosts[0], name, name));
    let list = scene.home().join("images");
    let text = format!(
        "{} registry.example/one:1 mirror.example/one:1\n{}\n{} registry.example/one:latest\n",
        one.reference(),
        two.reference(),
        one.reference()
    );
    std::fs::write(&list, text).unwrap();
    scene.sign(Place::Tag, &hosts, &["--images-file", list.to_str().unwrap()]).ok();
    let wanted = ["mirror.example/one:1", "registry.example/one:1", "registry.example/one:latest"];
    assert_eq!(identities(&scene, &one.reference()), wanted);
    assert_eq!(identities(&scene, &two.reference()), [two.repository.as_str()]);
    // cosign signs the same names with a flag for each; what it finds there is what it would add.
    let flags: Vec<String> = wanted.iter().map(|name| format!("--sign-container-identity={name}")).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    scene.cosign_signs(Place::Tag, &two.reference(), &flags);
    let mut all = wanted.to_vec();
    all.push(&two.repository);
    all.sort_unstable();
    assert_eq!(identities(&scene, &two.reference()), all);
}
