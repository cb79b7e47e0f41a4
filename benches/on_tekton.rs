//! Stepseal beside Tekton Chains, in the same run on the same cluster: `benches/on-tekton`.
//!
//! It prints a table and asserts nothing about time. Three kinds of batch take turns, each of TaskRuns that build and
//! push an image of random bytes and are created at once: *plain*, which is not signed; *Chains*, the same TaskRuns
//! with the controller running; and *Stepseal*, with the signing step and without the controller.
//!
//! - All push to one registry, which this program serves, so that both ends of a time are seen by one clock: from the
//!   moment the build's manifest is in to the moment the signature's is. That the signatures are good is checked
//!   with `cosign verify`.
//! - A TaskRun takes from its creation until its condition is seen.
//! - Memory and CPU are what the kernel counted for the container: of the signing step, or of the controller.
//! - Chains signs images only (its formats for the run are off), as Stepseal does here.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement stops at the first thing that is wrong"
)]

use std::time::Duration;

use batch::{Batch, Ran};
use site::{Signing, Site};

#[path = "on_tekton/batch.rs"]
mod batch;
#[path = "on_tekton/cgroup.rs"]
mod cgroup;
#[path = "on_tekton/registry.rs"]
mod registry;
#[path = "on_tekton/site.rs"]
mod site;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (sizes, rounds): (&[usize], usize) = if quick { (&[1, 3], 1) } else { (&[1, 20], 3) };
    let site = Site::prepare();
    // The first pod pulls its images.
    for signing in [Signing::Nobody, Signing::Step] {
        Batch::new(&site, signing, 1).run();
    }
    say("| | plain | Chains 0.26.2 | Stepseal |");
    say("|---|---|---|---|");
    for &size in sizes {
        let mut ran: [Vec<Ran>; 3] = Default::default();
        for _ in 0..rounds {
            for (ran, signing) in ran.iter_mut().zip([Signing::Nobody, Signing::Chains, Signing::Step]) {
                ran.push(Batch::new(&site, signing, size).run());
            }
        }
        let [plain, chains, step] = &ran;
        let all = [plain, chains, step];
        let at_once = if size == 1 { "1 TaskRun".to_owned() } else { format!("{size} TaskRuns at once") };
        row(&format!("{at_once}: from the image to its signature, median"), all, " s", |ran| {
            median(ran.signing.iter().map(Duration::as_secs_f64))
        });
        row(&format!("{at_once}: the same, at most"), all, " s", |ran| {
            ran.signing.iter().map(Duration::as_secs_f64).reduce(f64::max)
        });
        row(&format!("{at_once}: a TaskRun takes, median"), all, " s", |ran| {
            median(ran.taking.iter().map(Duration::as_secs_f64))
        });
        row(&format!("{at_once}: until all are done and signed"), all, " s", |ran| {
            Some(ran.whole.as_secs_f64())
        });
        row(&format!("{at_once}: the signer's memory, at most"), all, " MiB", |ran| ran.peak_mib);
        row(&format!("{at_once}: the signer's CPU, a TaskRun"), all, " s", |ran| ran.cpu_seconds);
        row(&format!("{at_once}: the signer's registry requests, a TaskRun"), all, "", |ran| {
            (!ran.signing.is_empty()).then_some(ran.requests as f64 / size as f64)
        });
    }
}

/// A row of the table: the median over the rounds of what `figure` takes from each.
fn row(name: &str, all: [&Vec<Ran>; 3], unit: &str, figure: impl Fn(&Ran) -> Option<f64>) {
    let cells = all.map(|ran| {
        let known: Vec<f64> = ran.iter().filter_map(&figure).collect();
        median(known.into_iter()).map_or_else(String::new, |figure| format!("{figure:.2}{unit}"))
    });
    say(&format!("| {name} | {} |", cells.join(" | ")));
}

fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

fn say(line: &str) {
    println!("{line}");
}
