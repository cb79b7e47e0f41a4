//! Attestations of many images in one call, beside cosign's call for each: cosign verifies each of Stepseal's, refuses the same predicates,
//! and makes the same statement where it keeps the predicate.

use std::fs;

use serde_json::{Value, json};

use crate::kit::command::Ran;
use crate::kit::images::{Image, Kind};
use crate::kit::scene::{Place, run_quietly};
use crate::kit::{Registry, Scene, run};
use crate::runs::statements;

const PLACES: [Place; 2] = [Place::Tag, Place::Referrers];

/// Predicates of cosign's types in which cosign keeps everything, so that both programs sign the same statement.
const KEPT: [(&str, &str); 9] = [
    (
        "slsaprovenance",
        r#"{"builder":{"id":"https://b.example"},"buildType":"t","materials":[{"uri":"git+https://x","digest":{"sha1":"ab"}}]}"#,
    ),
    (
        "slsaprovenance02",
        r#"{"builder":{"id":"b"},"metadata":{"buildStartedOn":"2026-01-01T00:00:00Z","reproducible":true}}"#,
    ),
    (
        "slsaprovenance1",
        r#"{"buildDefinition":{"buildType":"t","externalParameters":{"a":[1]}},"runDetails":{"builder":{"id":"b"},"metadata":{"invocationId":"i"}}}"#,
    ),
    ("spdx", "SPDXVersion: SPDX-2.3\n"),
    ("spdxjson", r#"{"spdxVersion":"SPDX-2.3","packages":[{"name":"a"}]}"#),
    ("cyclonedx", r#"{"bomFormat":"CycloneDX","components":[]}"#),
    (
        "link",
        r#"{"_type":"link","name":"build","materials":{},"products":{"app":{"sha256":"ab"}},"byproducts":{},"command":["make"],"environment":{}}"#,
    ),
    (
        "vuln",
        r#"{"invocation":{"parameters":["-x"],"uri":"u","event_id":"e","builder.id":"b"},"scanner":{"uri":"u","version":"1","db":{"uri":"u","version":"2"},"result":{"a":1}},"metadata":{"scanStartedOn":"2026-01-01T00:00:00Z","scanFinishedOn":"2026-01-01T00:01:00Z"}}"#,
    ),
    ("openvex", r#"{"@context":"https://openvex.dev/ns/v0.2.0","statements":[]}"#),
];

/// Other predicates, and whether they are taken.
const SHAPES: [(&str, &str, bool); 17] = [
    ("slsaprovenance", "{}", true),
    ("slsaprovenance", r#"{"builder":null,"x":[1]}"#, true),
    ("slsaprovenance", r#"{"builder":"b"}"#, false),
    ("slsaprovenance", r#"{"builder":{"id":1}}"#, false),
    ("slsaprovenance02", r#"{"materials":{}}"#, false),
    ("slsaprovenance", r#"{"metadata":{"reproducible":"no"}}"#, false),
    ("slsaprovenance1", r#"{"runDetails":{"builder":{"version":{"a":1}}}}"#, false),
    ("slsaprovenance1", r#"{"buildDefinition":[]}"#, false),
    ("vuln", r#"{"x":1}"#, true),
    ("vuln", r#"{"scanner":[]}"#, false),
    ("vuln", r#"{"invocation":{"uri":{}}}"#, false),
    ("link", r#"{"name":"x"}"#, false),
    ("spdxjson", "[]", false),
    ("cyclonedx", "\"x\"", false),
    ("openvex", "1", false),
    ("https://e.x/t", "[{}]", false),
    ("custom", "[", true),
];

fn file(scene: &Scene, name: &str, text: &str) -> String {
    let path = scene.home().join("work").join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn attest(scene: &Scene, place: Place, hosts: &[String], args: &[&str]) -> Ran {
    let mut command = scene.stepseal(hosts, &[&["attest"], args].concat());
    run_quietly(command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting()))
}

fn cosign(scene: &Scene, place: Place, args: &[&str]) -> Ran {
    let mut command = scene.cosign(&["attest", "-y", "--use-signing-config=false", "--tlog-upload=false"]);
    command.args(["--allow-http-registry", place.cosign_flag()]);
    if !args.contains(&"--key") {
        command.arg("--key").arg(scene.keys().join("cosign.key"));
    }
    run(command.args(args))
}

/// A registry and so many images in it.
fn images(scene: &Scene, number: usize) -> (Registry, [String; 1], Vec<Image>) {
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = |number| {
        let name = format!("app-{number}");
        scene.crane_pushes(Kind::Oci, &hosts[0], &name, &name)
    };
    let images = (0..number).map(image).collect();
    (registry, hosts, images)
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn cosign_verifies_every_attestation_of_one_call() {
    for place in PLACES {
        let scene = Scene::new();
        let (_registry, hosts, images) = images(&scene, 3);
        let subjects: Vec<Value> = images
            .iter()
            .map(|image| json!({ "name": image.repository, "digest": { "sha256": image.digest.trim_start_matches("sha256:") } }))
            .collect();
        let whole = json!({
            "_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicateType": "https://e.x/whole",
            "predicate": { "n": 1 },
        });
        let whole = file(&scene, "whole.json", &serde_json::to_string_pretty(&whole).unwrap());
        let list: Vec<String> = images.iter().map(Image::reference).collect();
        let list = file(&scene, "images", &list.join("\n"));
        let (sbom, note) =
            (file(&scene, "sbom.json", r#"{"packages":[]}"#), file(&scene, "note", "all is well"));
        let args = [
            "--images-file",
            &list,
            "--predicate",
            &sbom,
            "--type",
            "spdxjson",
            "--predicate",
            &note,
            "--type",
            "custom",
            "--statement",
            &whole,
        ];
        attest(&scene, place, &hosts, &args).ok().says("3 signed");
        for image in &images {
            for kind in ["spdxjson", "custom", "https://e.x/whole"] {
                assert_eq!(statements(&scene, place, kind, image, None).len(), 1, "{place:?} {kind}");
            }
            let whole = statements(&scene, place, "https://e.x/whole", image, None).remove(0);
            assert_eq!((&whole["subject"], &whole["predicate"]["n"]), (&json!(subjects), &json!(1)));
        }
        attest(&scene, place, &hosts, &args).ok().says("nothing was added");
    }
}

/// An attestation of cosign by the same key with the same content counts as Stepseal's, so that nothing is added.
#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_statement_is_cosigns_for_each_of_its_types() {
    let scene = Scene::new();
    let (_registry, hosts, images) = images(&scene, 1);
    let image = images[0].reference();
    for (kind, predicate) in KEPT {
        let file = file(&scene, "predicate", predicate);
        cosign(&scene, Place::Tag, &["--predicate", &file, "--type", kind, &image]).ok();
        let args = [&image, "--predicate", &file, "--type", kind];
        attest(&scene, Place::Tag, &hosts, &args).ok().says("nothing was added");
    }
    // The attestation that contains a time.
    let note = file(&scene, "note", "all \"is\" well\n");
    cosign(&scene, Place::Tag, &["--predicate", &note, &image]).ok();
    attest(&scene, Place::Tag, &hosts, &[&image, "--predicate", &note]).ok().says("1 signed");
    let found = statements(&scene, Place::Tag, "custom", &images[0], None);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|statement| statement["predicate"]["Data"] == "all \"is\" well\n"), "{found:?}");
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn a_predicate_of_another_shape_is_refused_by_both() {
    let scene = Scene::new();
    let (_registry, hosts, images) = images(&scene, 1);
    let image = images[0].reference();
    for (kind, predicate, taken) in SHAPES {
        let file = file(&scene, "predicate", predicate);
        let args = ["--predicate", &file, "--type", kind, &image];
        let cosigns = cosign(&scene, Place::Tag, &args);
        assert_eq!(cosigns.code == 0, taken, "{kind} {predicate}: {cosigns}");
        let stepseal = attest(&scene, Place::Tag, &hosts, &args);
        assert_eq!(stepseal.code, if taken { 0 } else { 2 }, "{kind} {predicate}: {stepseal}");
    }
}

/// cosign replaces by the type alone, and only by tag; we leave what other keys attested.
#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn replacing_removes_less_than_cosign_does() {
    const TYPE: &str = "https://e.x/report";
    let scene = Scene::new();
    let (_registry, hosts, images) = images(&scene, 2);
    let cosigns = scene.folder("cosigns");
    run(scene.cosign(&["generate-key-pair"]).current_dir(&cosigns)).ok();
    let other = cosigns.join("cosign.key").to_str().unwrap().to_owned();
    let files: Vec<String> =
        (0..4).map(|number| file(&scene, &format!("p{number}"), &format!("{{\"n\":{number}}}"))).collect();
    let of_others = |image: &Image| {
        let mut command =
            scene.cosign(&["verify-attestation", "--insecure-ignore-tlog=true", "--allow-http-registry"]);
        command.args([Place::Tag.cosign_flag(), "--type", TYPE, "--key"]).arg(cosigns.join("cosign.pub"));
        let ran = run(command.arg(image.reference()));
        if ran.code == 0 { ran.stdout.lines().count() } else { 0 }
    };
    for image in &images {
        let reference = image.reference();
        cosign(&scene, Place::Tag, &["--predicate", &files[0], "--type", TYPE, &reference]).ok();
        cosign(&scene, Place::Tag, &["--predicate", &files[1], "--type", TYPE, "--key", &other, &reference])
            .ok();
        cosign(&scene, Place::Tag, &["--predicate", &files[2], "--type", "openvex", &reference]).ok();
    }
    let [stepseal, cosigns] = &images[..] else { panic!("two images") };
    attest(
        &scene,
        Place::Tag,
        &hosts,
        &[&stepseal.reference(), "--predicate", &files[3], "--type", TYPE, "--replace"],
    )
    .ok()
    .says("replaced 1 earlier attestation of the same type by this key");
    cosign(
        &scene,
        Place::Tag,
        &["--predicate", &files[3], "--type", TYPE, "--replace", &cosigns.reference()],
    )
    .ok();
    for (image, kept) in [(stepseal, 1), (cosigns, 0)] {
        let found = statements(&scene, Place::Tag, TYPE, image, None);
        assert_eq!(
            found.iter().map(|statement| statement["predicate"]["n"].clone()).collect::<Vec<_>>(),
            [json!(3)]
        );
        assert_eq!(statements(&scene, Place::Tag, "openvex", image, None).len(), 1);
        assert_eq!(of_others(image), kept);
    }
    // As bundles cosign's flag does nothing.
    for number in [0, 1] {
        let args = ["--predicate", &files[number], "--type", TYPE, "--replace", &stepseal.reference()];
        cosign(&scene, Place::Referrers, &args).ok();
    }
    assert_eq!(statements(&scene, Place::Referrers, TYPE, stepseal, None).len(), 2);
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn cosign_takes_no_statement_for_an_image() {
    let scene = Scene::new();
    let (_registry, _, images) = images(&scene, 1);
    let whole = file(&scene, "whole.json", "{}");
    cosign(&scene, Place::Tag, &["--statement", &whole, &images[0].reference()])
        .ended(1)
        .says("predicate cannot be empty");
}
