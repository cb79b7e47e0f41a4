//! Attestations of many images beside cosign, in the same run on the same registry: `benches/run`.
//!
//! Every image gets three predicates (an SBOM of 64 KiB, a scan, a report), by tag, with the same encrypted key, on Debian's
//! docker-registry with a password. Each program gets images of its own. Stepseal does all of it in one call; cosign takes one predicate a
//! call, so it is measured in the two ways in which a script can call it: once for each image and predicate, and once for each
//! predicate with all images.
//!
//! It prints a table and asserts nothing about time; that each image has three attestations that count is checked with
//! `cosign verify-attestation`. `--quick` does a small part of it, so that it can't rot.

#![allow(
    dead_code,
    unused_imports,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement stops at the first thing that is wrong, and needs a part of what the tests share"
)]

use std::fs;
use std::process::Command;
use std::time::Duration;

use kit::images::{Image, Kind};
use kit::scene::Place;
use kit::{Registry, Scene, run};
use proxy::{Conduct, Proxy};
use timed::{Cost, timed};

#[path = "../tests/peers/kit/mod.rs"]
mod kit;
#[path = "../tests/peers/proxy/mod.rs"]
mod proxy;
#[path = "timed/mod.rs"]
mod timed;

const ROUND_TRIP: Duration = Duration::from_millis(40);
/// The predicates' files and types.
const SAID: [(&str, &str); 3] =
    [("sbom.json", "cyclonedx"), ("scan.json", "vuln"), ("report.json", "https://ci.example/report")];
/// A call for each image and predicate.
const EACH: &str = r#"for image; do
  "$COSIGN" attest $FLAGS --key "$KEY" --predicate sbom.json --type cyclonedx "$image" || exit 1
  "$COSIGN" attest $FLAGS --key "$KEY" --predicate scan.json --type vuln "$image" || exit 1
  "$COSIGN" attest $FLAGS --key "$KEY" --predicate report.json --type https://ci.example/report "$image" || exit 1
done"#;
/// A call for each predicate, with all images.
const TOGETHER: &str = r#"
"$COSIGN" attest $FLAGS --key "$KEY" --predicate sbom.json --type cyclonedx "$@" &&
"$COSIGN" attest $FLAGS --key "$KEY" --predicate scan.json --type vuln "$@" &&
"$COSIGN" attest $FLAGS --key "$KEY" --predicate report.json --type https://ci.example/report "$@""#;

/// Who attests, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// cosign, by this script.
    Cosign(&'static str),
    Stepseal,
}

/// Where the measurement takes place.
struct Bench {
    scene: Scene,
    registry: Registry,
    pushed: usize,
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (many, few, rounds) = if quick { (3, 2, 1) } else { (100, 5, 3) };
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let components = (0..600).map(|number| format!(r#"{{"type":"library","name":"package-{number}","version":"1.{number}.0","purl":"pkg:cargo/p{number}"}}"#));
    let sbom = format!(
        r#"{{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{}]}}"#,
        components.collect::<Vec<_>>().join(",")
    );
    let texts = [sbom, r#"{"scanner":{"uri":"pkg:x"}}"#.to_owned(), r#"{"passed":12}"#.to_owned()];
    for ((file, _), text) in SAID.iter().zip(texts) {
        fs::write(scene.home().join("work").join(file), text).unwrap();
    }
    let mut bench = Bench { scene, registry, pushed: 0 };

    println!("| 3 predicates each | cosign 3.1.2 | stepseal | ratio | goal |\n|---|---|---|---|---|");
    let calls = many * SAID.len();
    // Hundreds of calls take minutes: once is enough to see a factor of ten.
    let each = bench.compare(Way::Cosign(EACH), many, 1, Duration::ZERO);
    row(
        &format!("{many} images, {calls} calls beside one, wall"),
        each.map(|cost| cost.wall),
        "s",
        "at least 10",
    );
    row(
        &format!("{many} images, {calls} calls beside one, CPU"),
        each.map(|cost| cost.cpu),
        "s",
        "at least 10",
    );
    let together = bench.compare(Way::Cosign(TOGETHER), many, rounds, Duration::ZERO);
    row(
        &format!("{many} images, 3 calls beside one, wall"),
        together.map(|cost| cost.wall),
        "s",
        "at least 10",
    );
    row(&format!("{many} images, 3 calls beside one, CPU"), together.map(|cost| cost.cpu), "s", "");
    row(&format!("{many} images, peak memory"), together.map(|cost| cost.peak_mib), "MiB", "");
    let far = bench.compare(Way::Cosign(TOGETHER), few, rounds, ROUND_TRIP);
    row(&format!("{few} images behind 40 ms, wall"), far.map(|cost| cost.wall), "s", "at least 10");
    row("requests an image", far.map(|cost| cost.requests / few as f64), "", "stepseal at most 17");
}

impl Bench {
    /// The median cost of attesting `images` new images, cosign's and ours, the two taking turns.
    fn compare(&mut self, cosign: Way, images: usize, rounds: usize, round_trip: Duration) -> [Cost; 2] {
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (costs, way) in costs.iter_mut().zip([cosign, Way::Stepseal]) {
                costs.push(self.measure(way, images, round_trip));
            }
        }
        costs.map(|costs| Cost::median(&costs))
    }

    fn measure(&mut self, way: Way, images: usize, round_trip: Duration) -> Cost {
        // Without latency there is nothing between the program and the registry.
        let proxy =
            Proxy::start(self.registry.address(), Conduct { round_trip, ..Conduct::default() }).unwrap();
        let near = round_trip.is_zero();
        let host = if near { self.registry.host() } else { proxy.host() };
        self.scene.allow(&[self.registry.host(), host.clone()]);
        let images: Vec<Image> = (0..images).map(|_| self.push()).collect();
        let references: Vec<String> =
            images.iter().map(|image| image.reference().replacen(&self.registry.host(), &host, 1)).collect();
        let mut command = match way {
            Way::Cosign(script) => self.cosign(script),
            Way::Stepseal => {
                let mut command = self.scene.stepseal(&[host], &["attest"]);
                for (file, kind) in SAID {
                    command.args(["--predicate", file, "--type", kind]);
                }
                command
            }
        };
        let mut cost = timed(command.args(references), 1);
        cost.requests = if near { f64::NAN } else { proxy.take_record().requests.len() as f64 };
        for image in [images.first().unwrap(), images.last().unwrap()] {
            for (_, kind) in SAID {
                self.verified(image, kind);
            }
        }
        cost
    }

    /// cosign by a script that gets the images as arguments.
    fn cosign(&self, script: &str) -> Command {
        let like = self.scene.cosign(&[]);
        let mut command = Command::new("sh");
        command.env_clear().envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.scene.home().join("work"));
        let flags = [
            "-y",
            "--use-signing-config=false",
            "--tlog-upload=false",
            "--allow-http-registry",
            Place::Tag.cosign_flag(),
        ];
        command.env("COSIGN", like.get_program()).env("FLAGS", flags.join(" "));
        command.env("KEY", self.scene.keys().join("cosign.key")).args(["-c", script, "sh"]);
        command
    }

    fn verified(&self, image: &Image, kind: &str) {
        let mut command = self.scene.cosign(&[
            "verify-attestation",
            "--insecure-ignore-tlog=true",
            "--allow-http-registry",
        ]);
        command.args([Place::Tag.cosign_flag(), "--type", kind, "--key"]).arg(self.scene.public_key());
        let ran = run(command.arg(image.reference())).ok();
        assert_eq!(ran.stdout.lines().count(), 1, "{kind}: {ran}");
    }

    fn push(&mut self) -> Image {
        self.pushed += 1;
        let name = format!("app-{:04}", self.pushed);
        self.scene.crane_pushes(Kind::Oci, &self.registry.host(), &name, &name)
    }
}

fn row(what: &str, [cosign, stepseal]: [f64; 2], unit: &str, goal: &str) {
    let ratio = cosign / stepseal;
    println!("| {what} | {cosign:.2} {unit} | {stepseal:.2} {unit} | {ratio:.1} | {goal} |");
}
