//! Both encodings of the same images, by tag and as bundles: one run of Stepseal beside two runs, and beside two of cosign.
//!
//! That the first and the last image have both is checked with `cosign verify`; that one run takes fewer requests than two is asserted.
//! cosign gets all references in one invocation for each encoding: `--new-bundle-format=false`, then `=true`.

use std::process::Command;
use std::time::Duration;

use super::kit::scene::Place;
use super::timed::{Cost, timed};
use super::{Bench, ROUND_TRIP, alternate, requests};

const PLACES: [Place; 2] = [Place::Tag, Place::Referrers];

/// The program that writes both encodings.
#[derive(Clone, Copy, Debug)]
enum Way {
    CosignTwice,
    StepsealTwice,
    StepsealOnce,
}

const WAYS: [Way; 3] = [Way::CosignTwice, Way::StepsealTwice, Way::StepsealOnce];

/// Measures it, and prints its table.
pub(crate) fn measure(quick: bool) {
    let (many, few, rounds) = if quick { (4, 2, 1) } else { (100, 10, 3) };
    let mut bench = Bench::new();
    println!(
        "| both encodings of | cosign 3.1.2, two runs | stepseal, two runs | stepseal, one run | cosign's / one run | two runs / one |"
    );
    println!("|---|---|---|---|---|---|");
    for (images, round_trip) in [(many, Duration::ZERO), (few, ROUND_TRIP), (1, ROUND_TRIP)] {
        let costs = bench.sign_both(images, rounds, round_trip);
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
    fn sign_both(&mut self, images: usize, rounds: usize, round_trip: Duration) -> [Cost; 3] {
        alternate(WAYS, rounds, |way| {
            let images = self.push(images, round_trip);
            let stepseal = |encodings: &str| {
                let mut command = self.scene.stepseal(std::slice::from_ref(&images.host), &["sign"]);
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
                let one = timed(command.args(&images.references), 1);
                cost.wall += one.wall;
                cost.cpu += one.cpu;
                cost.peak_mib = cost.peak_mib.max(one.peak_mib);
            }
            cost.requests = requests(images.proxy.as_ref());
            for image in images.ends() {
                for place in PLACES {
                    assert_eq!(self.scene.verified(place, &image.reference()).len(), 1, "{way:?}, {place:?}");
                }
            }
            cost
        })
    }
}

fn row(what: &str, [cosign, twice, once]: [f64; 3], unit: &str) {
    let (by_cosign, by_two) = (cosign / once, twice / once);
    println!(
        "| {what} | {cosign:.2}{unit} | {twice:.2}{unit} | {once:.2}{unit} | {by_cosign:.1} | {by_two:.2} |"
    );
}
