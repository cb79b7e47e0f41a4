//! The main job: a step with mounted Secrets, Tekton's results, `STEPSEAL_*`, and nothing else.

use crate::kit::images::Kind;
use crate::kit::scene::{Place, run_quietly};
use crate::kit::{Registry, Scene};

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn three_images_from_the_results_and_the_second_run_adds_nothing() {
    for place in [Place::Tag, Place::Referrers] {
        let scene = Scene::new();
        let registry = Registry::docker(scene.home());
        let hosts = [registry.host()];
        scene.allow(&hosts);
        let images = ["one", "two", "three"]
            .map(|name| scene.crane_pushes(Kind::Oci, &hosts[0], &format!("team/{name}"), name));
        let [one, two, three] = &images;
        scene.result("IMAGE_URL", &format!("{}:latest", one.repository));
        scene.result("IMAGE_DIGEST", &one.digest);
        scene.result("IMAGES", &format!("{},\n{}", two.reference(), three.reference()));

        scene.sign(place, &hosts, &[]).ok();
        for image in &images {
            assert_eq!(scene.verified(place, &image.reference()).len(), 1);
        }
        scene.sign(place, &hosts, &[]).ok().says("already");
        for image in &images {
            assert_eq!(scene.verified(place, &image.reference()).len(), 1);
        }
    }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn the_report_names_every_image_and_its_signature() {
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    let image = scene.crane_pushes(Kind::Oci, &hosts[0], "app", "one");
    scene.result("IMAGES", &image.reference());
    let report = scene.home().join("work/report.json");
    let mut sign = scene.stepseal(&hosts, &["sign", "--output", "json", "--report"]);
    run_quietly(sign.arg(&report)).ok();
    let report = std::fs::read_to_string(report).unwrap();
    let _: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert!(report.contains(&image.digest) && report.contains(".sig"), "{report}");
}
