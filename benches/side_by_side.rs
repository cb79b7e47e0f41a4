//! Stepseal beside cosign, in the same run on the same registry: `benches/run`.
//!
//! It prints a table and asserts nothing about time; that both programs did their work is checked with
//! `cosign verify`. `--quick` does a small part of it, so that it can't rot.
//!
//! - Both sign the same number of images of the same size, each its own, by tag, with the same encrypted
//!   key, on Debian's docker-registry with a password. cosign gets all references in one invocation.
//! - "Behind 40 ms" is through `tests/peers/proxy`: each round trip takes 40 ms, a new connection one more.
//!   It also counts the requests.
//! - `timed/mod.rs` says where the figures come from. Several rounds alternate, and the median counts.

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

use std::fmt::Display;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Cosign,
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
    let (many, few, rounds) = if quick { (4, 2, 1) } else { (100, 10, 3) };
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    let mut bench = Bench { scene, registry, pushed: 0 };

    say("| | cosign 3.1.2 | stepseal | ratio | goal |");
    say("|---|---|---|---|---|");
    let near = bench.compare(Place::Tag, many, rounds, Duration::ZERO);
    row(format!("{many} images, wall"), near.map(|cost| cost.wall), "s", "at least 10");
    row(format!("{many} images, CPU"), near.map(|cost| cost.cpu), "s", "at least 30");
    row(
        format!("{many} images, peak memory"),
        near.map(|cost| cost.peak_mib),
        "MiB",
        "stepseal at most 96 MiB",
    );
    let far = bench.compare(Place::Tag, few, rounds, ROUND_TRIP);
    row(format!("{few} images behind 40 ms, wall"), far.map(|cost| cost.wall), "s", "at least 12");
    let each = far.map(|cost| cost.requests / few as f64);
    row("requests an image".into(), each, "", "stepseal at most 9");
    let one = bench.compare(Place::Tag, 1, rounds, ROUND_TRIP);
    row("1 image behind 40 ms, wall".into(), one.map(|cost| cost.wall), "s", "at least 2.5");
    row("1 image behind 40 ms, requests".into(), one.map(|cost| cost.requests), "", "");
    let bundles = bench.compare(Place::Referrers, few, rounds, ROUND_TRIP);
    row(format!("{few} bundles behind 40 ms, wall"), bundles.map(|cost| cost.wall), "s", "");
    let each = bundles.map(|cost| cost.requests / few as f64);
    row("requests an image, as a bundle".into(), each, "", "");
}

impl Bench {
    /// The median cost of signing `images` new images, cosign's and ours, the two taking turns.
    fn compare(&mut self, place: Place, images: usize, rounds: usize, round_trip: Duration) -> [Cost; 2] {
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (costs, program) in costs.iter_mut().zip([Program::Cosign, Program::Stepseal]) {
                costs.push(self.measure(program, place, images, round_trip));
            }
        }
        costs.map(|costs| Cost::median(&costs))
    }

    fn measure(&mut self, program: Program, place: Place, images: usize, round_trip: Duration) -> Cost {
        // Without latency there is nothing between the program and the registry.
        let proxy =
            Proxy::start(self.registry.address(), Conduct { round_trip, ..Conduct::default() }).unwrap();
        let near = round_trip.is_zero();
        let host = if near { self.registry.host() } else { proxy.host() };
        self.scene.allow(&[self.registry.host(), host.clone()]);
        let images: Vec<Image> = (0..images).map(|_| self.push()).collect();
        let references: Vec<String> =
            images.iter().map(|image| image.reference().replacen(&self.registry.host(), &host, 1)).collect();

        let mut command = match program {
            Program::Cosign => self.scene.cosign_sign(place),
            Program::Stepseal => {
                let mut command = self.scene.stepseal(&[host], &["sign"]);
                command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
                command
            }
        };
        command.args(references);
        let mut cost = timed(&command, 1);
        cost.requests = if near { f64::NAN } else { proxy.take_record().requests.len() as f64 };
        for image in [images.first().unwrap(), images.last().unwrap()] {
            assert_eq!(self.scene.verified(place, &image.reference()).len(), 1, "{program:?}");
        }
        cost
    }

    fn push(&mut self) -> Image {
        self.pushed += 1;
        let name = format!("app-{:04}", self.pushed);
        self.scene.crane_pushes(Kind::Oci, &self.registry.host(), &name, &name)
    }
}

fn row(what: String, [cosign, stepseal]: [f64; 2], unit: &str, goal: &str) {
    let ratio = cosign / stepseal;
    say(format!("| {what} | {cosign:.2} {unit} | {stepseal:.2} {unit} | {ratio:.1} | {goal} |"));
}

fn say(line: impl Display) {
    println!("{line}");
}
