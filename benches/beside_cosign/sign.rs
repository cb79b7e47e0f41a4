//! Signing: many images, few and one, by tag and as bundles. cosign gets all references in one invocation.

use std::time::Duration;

use super::kit::scene::Place;
use super::timed::{Cost, timed};
use super::{Bench, ROUND_TRIP, alternate, requests};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Cosign,
    Stepseal,
}

/// Measures it, and prints its table.
pub(crate) fn measure(quick: bool) {
    let (many, few, rounds) = if quick { (4, 2, 1) } else { (100, 10, 3) };
    let mut bench = Bench::new();

    println!("| | cosign 3.1.2 | stepseal | ratio | goal |");
    println!("|---|---|---|---|---|");
    let near = bench.sign(Place::Tag, many, rounds, Duration::ZERO);
    row(format!("{many} images, wall"), near.map(|cost| cost.wall), "s", "at least 10");
    row(format!("{many} images, CPU"), near.map(|cost| cost.cpu), "s", "at least 30");
    row(
        format!("{many} images, peak memory"),
        near.map(|cost| cost.peak_mib),
        "MiB",
        "stepseal at most 96 MiB",
    );
    let far = bench.sign(Place::Tag, few, rounds, ROUND_TRIP);
    row(format!("{few} images behind 40 ms, wall"), far.map(|cost| cost.wall), "s", "at least 12");
    let each = far.map(|cost| cost.requests / few as f64);
    row("requests an image".into(), each, "", "stepseal at most 9");
    let one = bench.sign(Place::Tag, 1, rounds, ROUND_TRIP);
    row("1 image behind 40 ms, wall".into(), one.map(|cost| cost.wall), "s", "at least 2.5");
    row("1 image behind 40 ms, requests".into(), one.map(|cost| cost.requests), "", "");
    let bundles = bench.sign(Place::Referrers, few, rounds, ROUND_TRIP);
    row(format!("{few} bundles behind 40 ms, wall"), bundles.map(|cost| cost.wall), "s", "");
    let each = bundles.map(|cost| cost.requests / few as f64);
    row("requests an image, as a bundle".into(), each, "", "");
}

impl Bench {
    /// The median cost of signing `images` new images with cosign and with Stepseal, in turns.
    fn sign(&mut self, place: Place, images: usize, rounds: usize, round_trip: Duration) -> [Cost; 2] {
        alternate([Program::Cosign, Program::Stepseal], rounds, |program| {
            let images = self.push(images, round_trip);
            let mut command = match program {
                Program::Cosign => self.scene.cosign_sign(place),
                Program::Stepseal => {
                    let mut command = self.scene.stepseal(std::slice::from_ref(&images.host), &["sign"]);
                    command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
                    command
                }
            };
            let mut cost = timed(command.args(&images.references), 1);
            cost.requests = requests(images.proxy.as_ref());
            for image in images.ends() {
                assert_eq!(self.scene.verified(place, &image.reference()).len(), 1, "{program:?}");
            }
            cost
        })
    }
}

fn row(what: String, costs: [f64; 2], unit: &str, goal: &str) {
    super::row(2, &what, costs, unit, goal);
}
