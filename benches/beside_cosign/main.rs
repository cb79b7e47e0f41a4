//! Stepseal beside cosign, in the same run on the same registry: `benches/run`. Signing, attesting, verifying, and both encodings at
//! once, a table each.
//!
//! It asserts nothing about time; that what was written counts is checked with cosign. `--quick` does a small part of it, so that it
//! can't rot.
//!
//! - The registry is Debian's docker-registry with a password; both programs have the same encrypted key, and get images of their own.
//! - "Behind 40 ms" is through `tests/peers/proxy`, which counts the requests too: each round trip takes 40 ms, a new
//!   connection adds one.
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

use std::time::Duration;

use kit::images::{Image, Kind};
use kit::{Registry, Scene};
use proxy::{Conduct, Proxy};
use timed::Cost;

mod attest;
mod both_encodings;
#[path = "../../tests/peers/kit/mod.rs"]
mod kit;
#[path = "../../tests/peers/proxy/mod.rs"]
mod proxy;
mod sign;
#[path = "../timed/mod.rs"]
mod timed;
mod verify;

const ROUND_TRIP: Duration = Duration::from_millis(40);

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    sign::measure(quick);
    attest::measure(quick);
    verify::measure(quick);
    both_encodings::measure(quick);
}

/// Where a measurement takes place.
struct Bench {
    scene: Scene,
    registry: Registry,
    pushed: usize,
}

/// New images, and how they are reached.
struct Images {
    images: Vec<Image>,
    references: Vec<String>,
    /// The registry's, or the proxy's before it.
    host: String,
    /// Nothing where there is no latency.
    proxy: Option<Proxy>,
}

impl Bench {
    fn new() -> Self {
        let scene = Scene::new();
        let registry = Registry::docker(scene.home());
        Self { scene, registry, pushed: 0 }
    }

    /// Pushes so many images, to be reached in that time.
    fn push(&mut self, images: usize, round_trip: Duration) -> Images {
        let (host, proxy) = self.reach(round_trip);
        let images: Vec<Image> = (0..images).map(|_| self.push_one()).collect();
        let reference = |image: &Image| image.reference().replacen(&self.registry.host(), &host, 1);
        Images { references: images.iter().map(reference).collect(), images, host, proxy }
    }

    /// How the registry is reached in that time; without latency there is nothing before it.
    fn reach(&self, round_trip: Duration) -> (String, Option<Proxy>) {
        let proxy = (!round_trip.is_zero()).then(|| {
            Proxy::start(self.registry.address(), Conduct { round_trip, ..Conduct::default() }).unwrap()
        });
        let host = proxy.as_ref().map_or_else(|| self.registry.host(), Proxy::host);
        self.scene.allow(&[self.registry.host(), host.clone()]);
        (host, proxy)
    }

    fn push_one(&mut self) -> Image {
        self.pushed += 1;
        let name = format!("app-{:04}", self.pushed);
        self.scene.crane_pushes(Kind::Oci, &self.registry.host(), &name, &name)
    }
}

impl Images {
    /// The first and the last, which are checked.
    fn ends(&self) -> [&Image; 2] {
        [self.images.first().unwrap(), self.images.last().unwrap()]
    }
}

/// How many requests came through the proxy.
fn requests(proxy: Option<&Proxy>) -> f64 {
    proxy.map_or(f64::NAN, |proxy| proxy.take_record().requests.len() as f64)
}

/// The median cost of each of `ways`, which take turns.
fn alternate<W: Copy, const N: usize>(
    ways: [W; N],
    rounds: usize,
    mut measure: impl FnMut(W) -> Cost,
) -> [Cost; N] {
    let mut costs = [const { Vec::new() }; N];
    for _ in 0..rounds {
        for (costs, way) in costs.iter_mut().zip(ways) {
            costs.push(measure(way));
        }
    }
    costs.map(|costs| Cost::median(&costs))
}

/// A row of a table with two programs, with so many digits after the point.
fn row(digits: usize, what: &str, [cosign, stepseal]: [f64; 2], unit: &str, goal: &str) {
    let ratio = cosign / stepseal;
    println!("| {what} | {cosign:.digits$} {unit} | {stepseal:.digits$} {unit} | {ratio:.1} | {goal} |");
}
