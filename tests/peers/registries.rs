//! The same scenarios on each registry without a referrers API: docker-registry 2.8, distribution 3, and Gitea, which deletes
//! what an overwritten tag pointed to. cosign judges what is there. `suite_on.rs` tries the features that every product has to have.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::kit::images::{Image, Kind};
use crate::kit::scene::{Place, run_quietly};
use crate::kit::{Registry, Scene, run};
use crate::proxy::{Conduct, Proxy};

const PLACES: [Place; 2] = [Place::Tag, Place::Referrers];
const SIGNERS: usize = 20;
/// How many images are signed while one request in five fails.
const IMAGES: usize = 40;
/// The type of what is attested.
const TYPE: &str = "https://ci.example/tests";

/// Runs each scenario on each registry, as a test of its own.
macro_rules! table {
    ($($registry:ident),+) => { $(
        mod $registry {
            use super::Registry;

            #[test]
            #[ignore = "needs the real peers: tests/peers/run"]
            fn signs_and_attests() {
                super::signs_and_attests(Registry::$registry);
            }

            #[test]
            #[ignore = "needs the real peers: tests/peers/run"]
            fn twenty_attest_at_once() {
                super::twenty_attest_at_once(Registry::$registry);
            }

            #[test]
            #[ignore = "needs the real peers: tests/peers/run"]
            fn one_request_in_five_fails() {
                super::one_request_in_five_fails(Registry::$registry);
            }
        }
    )+ };
}

table!(docker, distribution_3, gitea);

/// The name of an image that every registry takes.
fn name(name: &str) -> String {
    format!("{}/{name}", crate::kit::scene::USER)
}

fn predicate(scene: &Scene, number: usize) -> PathBuf {
    let path = scene.home().join(format!("predicate-{number}.json"));
    fs::write(&path, format!("{{\"attester\":{number}}}")).unwrap();
    path
}

/// `stepseal attest` with a predicate that says `number`.
fn attest(scene: &Scene, host: &str, place: Place, image: &Image, number: usize) -> Command {
    let mut command = scene.stepseal(&[host.to_owned()], &["attest", &image.reference(), "--type", TYPE]);
    command.arg("--predicate").arg(predicate(scene, number));
    command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
    command
}

/// The numbers that the attestations say which cosign verified.
fn attested(scene: &Scene, place: Place, image: &Image) -> BTreeSet<u64> {
    let mut command =
        scene.cosign(&["verify-attestation", "--insecure-ignore-tlog=true", "--allow-http-registry"]);
    command.args([place.cosign_flag(), "--type", TYPE, "--key"]).arg(scene.public_key());
    let ran = run(command.arg(image.reference())).ok();
    ran.stdout.lines().map(|line| number(&serde_json::from_str(line).unwrap())).collect()
}

fn number(envelope: &Value) -> u64 {
    use base64::Engine as _;
    let payload = envelope["payload"].as_str().unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    statement["predicate"]["attester"].as_u64().unwrap_or_else(|| panic!("{statement}"))
}

fn signs_and_attests(start: fn(&Path) -> Registry) {
    let scene = Scene::new();
    let registry = start(scene.home());
    let hosts = [registry.host()];
    scene.allow(&hosts);
    for place in PLACES {
        let app = name(&format!("{place:?}").to_lowercase());
        let image = scene.crane_pushes(Kind::Oci, &hosts[0], &app, &app);
        let reference = image.reference();
        let stepseal = |command: &[&str]| {
            let mut command = scene.stepseal(&hosts, command);
            let key = scene.public_key();
            command.env_remove("STEPSEAL_KEY").args(["--insecure-ignore-tlog=true", "--key"]).arg(key);
            run_quietly(command.arg(&reference))
        };
        stepseal(&["verify"]).ended(1);
        scene.sign(place, &hosts, &[&reference]).ok();
        assert_eq!(scene.verified(place, &reference).len(), 1);
        stepseal(&["verify"]).ok();
        let lists = || [scene.manifest(&image.tag(".sig")), scene.manifest(&image.tag(""))];
        let signed = lists();
        scene.sign(place, &hosts, &[&reference]).ok().says("already");
        assert_eq!(lists(), signed, "a second run has changed something");

        stepseal(&["verify-attestation", "--type", TYPE]).ended(1);
        for number in [0, 1] {
            run_quietly(&mut attest(&scene, &hosts[0], place, &image, number)).ok();
        }
        run_quietly(&mut attest(&scene, &hosts[0], place, &image, 0)).ok().says("already");
        stepseal(&["verify-attestation", "--type", TYPE]).ok();
        assert_eq!(attested(&scene, place, &image), BTreeSet::from([0, 1]));
        scene.verified(place, &reference);
    }
}

/// Runs all at once. Each must end well, and have nothing to warn of.
fn all_at_once(commands: impl Iterator<Item = Command>) {
    let start = |mut command: Command| {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = commands.map(start).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("WARN"), "{said}");
    }
}

fn twenty_attest_at_once(start: fn(&Path) -> Registry) {
    let scene = Scene::new();
    let registry = start(scene.home());
    let host = registry.host();
    scene.allow(std::slice::from_ref(&host));
    for place in PLACES {
        let app = name(&format!("{place:?}").to_lowercase());
        let image = scene.crane_pushes(Kind::Oci, &host, &app, &app);
        all_at_once((0..SIGNERS).map(|number| attest(&scene, &host, place, &image, number)));
        assert_eq!(attested(&scene, place, &image).len(), SIGNERS, "{place:?}");
    }
}

/// 503, 429 with Retry-After, a reset, an answer lost after the work was done: every image is signed in one run.
fn one_request_in_five_fails(start: fn(&Path) -> Registry) {
    let scene = Scene::new();
    let registry = start(scene.home());
    let proxy = Proxy::start(registry.address(), Conduct::stormy()).unwrap();
    scene.allow(&[registry.host(), proxy.host()]);
    for place in PLACES {
        let push = |number| {
            let app = name(&format!("{place:?}-{number}").to_lowercase());
            scene.crane_pushes(Kind::Oci, &registry.host(), &app, &app)
        };
        let images: Vec<Image> = (0..IMAGES).map(push).collect();
        let through =
            images.iter().map(|image| image.reference().replacen(&registry.host(), &proxy.host(), 1));
        let through: Vec<String> = through.collect();
        let through: Vec<&str> = through.iter().map(String::as_str).collect();
        scene.sign(place, &[proxy.host()], &through).ok();
        let record = proxy.take_record();
        assert!(
            record.faults > IMAGES,
            "only {} faults in {} requests",
            record.faults,
            record.requests.len()
        );
        for image in &images {
            assert_eq!(scene.verified(place, &image.reference()).len(), 1, "{image:?}");
        }
    }
}
