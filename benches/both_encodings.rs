//! Both encodings of the same images, by tag and as bundles: one run of ours beside two, and beside cosign's two: `benches/run`.
//!
//! It prints a table and asserts nothing about time; that the first and the last image have both is checked with `cosign verify`, and that one run takes fewer
//! requests than two is asserted. `--quick` does a small part of it.
//!
//! - On Debian's docker-registry with a password and the same encrypted key. cosign gets all references in one invocation for each
//!   encoding: `--new-bundle-format=false`, then `=true`.
//! - "Behind 40 ms" is through `tests/peers/proxy`, which counts the requests too: each round trip takes 40 ms.
//! - Several rounds alternate, and the median counts. `timed/mod.rs` says where the figures come from.

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
const PLACES: [Place; 2] = [Place::Tag, Place::Referrers];

/// Who writes both.
#[derive(Clone, Copy, Debug)]
enum Way {
    CosignTwice,
    StepsealTwice,
    StepsealOnce,
}

const WAYS: [Way; 3] = [Way::CosignTwice, Way::StepsealTwice, Way::StepsealOnce];

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
    println!(
        "| both encodings of | cosign 3.1.2, two runs | stepseal, two runs | stepseal, one run | cosign's / one run | two runs / one |"
    );
    println!("|---|---|---|---|---|---|");
    for (images, round_trip) in [(many, Duration::ZERO), (few, ROUND_TRIP), (1, ROUND_TRIP)] {
        let costs = bench.compare(images, rounds, round_trip);
        let far = if round_trip.is_zero() { "" } else { " behind 40 ms" };
        let images = if images == 1 { "1 image".to_owned() } else { format!("{images} images") };
        row(&format!("{images}{far}, wall"), costs.map(|cost| cost.wall), " s");
        row(&format!("{images}{far}, CPU"), costs.map(|cost| cost.cpu), " s");
        if !round_trip.is_zero() {
            let requests = costs.map(|cost| cost.requests);
            row(&format!("{images}{far}, requests"), requests, "");
            assert!(requests[2] < requests[1], "{requests:?}");
        }
    }
}

impl Bench {
    /// The median cost of signing `images` new images, the three taking turns.
    fn compare(&mut self, images: usize, rounds: usize, round_trip: Duration) -> [Cost; 3] {
        let mut costs = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (costs, way) in costs.iter_mut().zip(WAYS) {
                costs.push(self.measure(way, images, round_trip));
            }
        }
        costs.map(|costs| Cost::median(&costs))
    }

    fn measure(&mut self, way: Way, images: usize, round_trip: Duration) -> Cost {
        let proxy =
            Proxy::start(self.registry.address(), Conduct { round_trip, ..Conduct::default() }).unwrap();
        // Without latency there is nothing between the program and the registry.
        let near = round_trip.is_zero();
        let host = if near { self.registry.host() } else { proxy.host() };
        self.scene.allow(&[self.registry.host(), host.clone()]);
        let images: Vec<Image> = (0..images).map(|_| self.push()).collect();
        let references: Vec<String> =
            images.iter().map(|image| image.reference().replacen(&self.registry.host(), &host, 1)).collect();
        let stepseal = |encodings: &str| {
            let mut command = self.scene.stepseal(std::slice::from_ref(&host), &["sign"]);
            command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", encodings);
            command
        };
        let commands: Vec<Command> = match way {
            Way::CosignTwice => PLACES.map(|place| self.scene.cosign_sign(place)).into(),
            Way::StepsealTwice => PLACES.map(|place| stepseal(place.setting())).into(),
            Way::StepsealOnce => vec![stepseal("dsse,sigstore-bundle")],
        };
        let mut cost = Cost { wall: 0.0, cpu: 0.0, peak_mib: 0.0, requests: f64::NAN };
        for mut command in commands {
            let one = timed(command.args(&references), 1);
            cost.wall += one.wall;
            cost.cpu += one.cpu;
            cost.peak_mib = cost.peak_mib.max(one.peak_mib);
        }
        if !near {
            cost.requests = proxy.take_record().requests.len() as f64;
        }
        for image in [images.first().unwrap(), images.last().unwrap()] {
            for place in PLACES {
                assert_eq!(self.scene.verified(place, &image.reference()).len(), 1, "{way:?}, {place:?}");
            }
        }
        cost
    }

    fn push(&mut self) -> Image {
        self.pushed += 1;
        let name = format!("app-{:04}", self.pushed);
        self.scene.crane_pushes(Kind::Oci, &self.registry.host(), &name, &name)
    }
}

fn row(what: &str, [cosign, twice, once]: [f64; 3], unit: &str) {
    let (by_cosign, by_two) = (cosign / once, twice / once);
    println!(
        "| {what} | {cosign:.2}{unit} | {twice:.2}{unit} | {once:.2}{unit} | {by_cosign:.1} | {by_two:.2} |"
    );
}
