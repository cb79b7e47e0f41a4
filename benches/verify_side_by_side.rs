//! `stepseal verify` beside `cosign verify`, in the same run on the same registry: `benches/run`.
//!
//! It prints a table and asserts nothing about time. `--quick` does a small part of it, so that it can't rot.
//!
//! - Both verify the same images with the same public key; each has one signature by tag, of cosign's own, on Debian's
//!   docker-registry with a password. Each program gets all references in one invocation.
//! - "Behind 40 ms" is through `tests/peers/proxy`: each round trip takes 40 ms, a new connection one more. It also
//!   counts the requests.
//! - `timed/mod.rs` says where the figures come from. Rounds alternate, and the median counts.

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

use kit::images::Kind;
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

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (many, rounds, times) = if quick { (3, 1, 1) } else { (100, 5, 20) };
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    scene.allow(&[registry.host()]);
    let images: Vec<String> = (0..many)
        .map(|number| {
            let name = format!("app-{number:04}");
            scene.crane_pushes(Kind::Oci, &registry.host(), &name, &name).reference()
        })
        .collect();
    let mut sign = scene.cosign_sign(Place::Tag);
    run(sign.args(&images)).ok();

    say("| | cosign 3.1.2 | stepseal | ratio | goal |");
    say("|---|---|---|---|---|");
    let near = compare(&scene, &registry, &images[..1], [rounds, times], Duration::ZERO);
    row("1 image, wall", near.map(|cost| cost.wall * 1000.0), "ms", "at least 4");
    row("1 image, CPU", near.map(|cost| cost.cpu * 1000.0), "ms", "at least 4");
    let one = compare(&scene, &registry, &images[..1], [rounds, 1], ROUND_TRIP);
    row("1 image behind 40 ms, wall", one.map(|cost| cost.wall), "s", "");
    row("1 image, requests", one.map(|cost| cost.requests), "", "at least 1");
    let far = compare(&scene, &registry, &images, [rounds.min(3), 1], ROUND_TRIP);
    row(&format!("{many} images behind 40 ms, wall"), far.map(|cost| cost.wall), "s", "at least 15");
    row(&format!("{many} images behind 40 ms, CPU"), far.map(|cost| cost.cpu), "s", "at least 15");
    row(&format!("{many} images, requests"), far.map(|cost| cost.requests), "", "at least 1");
}

/// The median cost of verifying `images`, cosign's and ours, the two taking turns.
fn compare(
    scene: &Scene,
    registry: &Registry,
    images: &[String],
    [rounds, times]: [usize; 2],
    round_trip: Duration,
) -> [Cost; 2] {
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (ours, costs) in [false, true].into_iter().zip(&mut costs) {
            let proxy =
                Proxy::start(registry.address(), Conduct { round_trip, ..Conduct::default() }).unwrap();
            let host = if round_trip.is_zero() { registry.host() } else { proxy.host() };
            scene.allow(&[registry.host(), host.clone()]);
            let mut command = if ours {
                scene.stepseal(std::slice::from_ref(&host), &["verify", "--insecure-ignore-tlog=true"])
            } else {
                scene.cosign(&["verify", "--insecure-ignore-tlog=true", "--allow-http-registry"])
            };
            command.env_remove("STEPSEAL_KEY").arg("--key").arg(scene.public_key());
            command.args(images.iter().map(|image| image.replacen(&registry.host(), &host, 1)));
            let mut cost = timed(&command, times);
            if !round_trip.is_zero() {
                cost.requests = proxy.take_record().requests.len() as f64 / times as f64;
            }
            costs.push(cost);
        }
    }
    costs.map(|costs| Cost::median(&costs))
}

fn row(what: &str, [cosign, stepseal]: [f64; 2], unit: &str, goal: &str) {
    let ratio = cosign / stepseal;
    say(format!("| {what} | {cosign:.3} {unit} | {stepseal:.3} {unit} | {ratio:.1} | {goal} |"));
}

fn say(line: impl Display) {
    println!("{line}");
}
