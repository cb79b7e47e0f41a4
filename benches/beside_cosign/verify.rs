//! Verifying signatures by tag, which cosign made.

use std::time::Duration;

use super::kit::run;
use super::kit::scene::Place;
use super::timed::{Cost, timed};
use super::{Bench, ROUND_TRIP, alternate, requests};

/// Measures it, and prints its table.
pub(crate) fn measure(quick: bool) {
    let (many, rounds, times) = if quick { (3, 1, 1) } else { (100, 5, 20) };
    let mut bench = Bench::new();
    let images = bench.push(many, Duration::ZERO).references;
    let mut sign = bench.scene.cosign_sign(Place::Tag);
    run(sign.args(&images)).ok();

    println!("| | cosign 3.1.2 | stepseal | ratio | goal |");
    println!("|---|---|---|---|---|");
    let near = bench.verify(&images[..1], [rounds, times], Duration::ZERO);
    row("1 image, wall", near.map(|cost| cost.wall * 1000.0), "ms", "at least 4");
    row("1 image, CPU", near.map(|cost| cost.cpu * 1000.0), "ms", "at least 4");
    let one = bench.verify(&images[..1], [rounds, 1], ROUND_TRIP);
    row("1 image behind 40 ms, wall", one.map(|cost| cost.wall), "s", "");
    row("1 image, requests", one.map(|cost| cost.requests), "", "at least 1");
    let far = bench.verify(&images, [rounds.min(3), 1], ROUND_TRIP);
    row(&format!("{many} images behind 40 ms, wall"), far.map(|cost| cost.wall), "s", "at least 15");
    row(&format!("{many} images behind 40 ms, CPU"), far.map(|cost| cost.cpu), "s", "at least 15");
    row(&format!("{many} images, requests"), far.map(|cost| cost.requests), "", "at least 1");
}

impl Bench {
    /// The median cost of verifying `images` with cosign and with Stepseal, in turns.
    fn verify(&self, images: &[String], [rounds, times]: [usize; 2], round_trip: Duration) -> [Cost; 2] {
        alternate([false, true], rounds, |stepseal| {
            let (host, proxy) = self.reach(round_trip);
            let mut command = if stepseal {
                self.scene.stepseal(std::slice::from_ref(&host), &["verify", "--insecure-ignore-tlog=true"])
            } else {
                self.scene.cosign(&["verify", "--insecure-ignore-tlog=true", "--allow-http-registry"])
            };
            command.env_remove("STEPSEAL_KEY").arg("--key").arg(self.scene.public_key());
            command.args(images.iter().map(|image| image.replacen(&self.registry.host(), &host, 1)));
            let mut cost = timed(&command, times);
            cost.requests = requests(proxy.as_ref()) / times as f64;
            cost
        })
    }
}

fn row(what: &str, costs: [f64; 2], unit: &str, goal: &str) {
    super::row(3, what, costs, unit, goal);
}
