//! What the start takes, and one small job of each kind, beside cosign and beside an older binary: `benches/run`.
//!
//! It prints a table and asserts nothing about time. `STEPSEAL_BEFORE` names the older binary; without it that column is empty.
//! `--quick` does a small part of it, so that it can't rot.
//!
//! - `verify-blob` checks one file with a public key: no registry, no password.
//! - `sign` signs a new image each time, on Debian's docker-registry with a password, with an encrypted key.
//! - `timed/mod.rs` says where the figures come from. The programs take turns, and the median counts.

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
use std::path::PathBuf;
use std::process::Command;

use kit::images::Kind;
use kit::scene::Place;
use kit::{Registry, Scene, run};
use timed::{Cost, timed};

#[path = "../tests/peers/kit/mod.rs"]
mod kit;
#[path = "timed/mod.rs"]
mod timed;

/// The programs, in the order of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Cosign,
    Before,
    Stepseal,
}

const PROGRAMS: [Program; 3] = [Program::Cosign, Program::Before, Program::Stepseal];

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (rounds, times) = if quick { (1, 2) } else { (11, 20) };
    let scene = Scene::new();
    let registry = Registry::docker(scene.home());
    scene.allow(&[registry.host()]);

    println!("| | cosign 3.1.2 | stepseal before | stepseal |");
    println!("|---|---|---|---|");
    table("--version", rounds, times, |program| match program {
        Program::Cosign => Some(scene.cosign(&["version"])),
        _ => stepseal(&scene, program, &["--version"]),
    });
    let work = scene.home().join("work");
    fs::write(work.join("file"), "what is signed").unwrap();
    let mut sign = scene.cosign(&["sign-blob", "-y", "--use-signing-config=false", "--tlog-upload=false"]);
    sign.args(["--bundle", "file.bundle", "--key"]).arg(scene.keys().join("cosign.key")).arg("file");
    run(sign.current_dir(&work)).ok();
    let key = scene.public_key();
    let verify = ["verify-blob", "--insecure-ignore-tlog=true", "--bundle", "file.bundle", "--key"];
    let verify: Vec<&str> = verify.into_iter().chain([key.to_str().unwrap(), "file"]).collect();
    table("verify-blob", rounds, times, |program| {
        let command = match program {
            Program::Cosign => Some(scene.cosign(&verify)),
            _ => stepseal(&scene, program, &verify),
        };
        command.map(|mut command| {
            command.current_dir(&work).env_remove("STEPSEAL_KEY");
            command
        })
    });
    let mut pushed = 0;
    table("sign of one image", rounds, 1, |program| {
        let mut command = match program {
            Program::Cosign => scene.cosign_sign(Place::Tag),
            _ => stepseal(&scene, program, &["sign"])?,
        };
        command.env("STEPSEAL_INSECURE_REGISTRIES", registry.host());
        pushed += 1;
        let name = format!("app-{pushed:04}");
        command.arg(scene.crane_pushes(Kind::Oci, &registry.host(), &name, &name).reference());
        Some(command)
    });
}

/// Stepseal, this build or the previous build; `None` if no other build is named.
fn stepseal(scene: &Scene, program: Program, arguments: &[&str]) -> Option<Command> {
    let command = scene.stepseal(&[], arguments);
    if program == Program::Stepseal {
        return Some(command);
    }
    let mut before = Command::new(PathBuf::from(std::env::var_os("STEPSEAL_BEFORE")?));
    before.env_clear().current_dir(command.get_current_dir().unwrap()).args(command.get_args());
    before.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Some(before)
}

/// Prints a row for the time and one for the memory of what `job` makes; the programs take turns.
fn table(what: &str, rounds: usize, times: usize, mut job: impl FnMut(Program) -> Option<Command>) {
    let mut costs = PROGRAMS.map(|_| Vec::new());
    for _ in 0..rounds {
        for (costs, program) in costs.iter_mut().zip(PROGRAMS) {
            costs.extend(job(program).map(|command| timed(&command, times)));
        }
    }
    let costs = costs.map(|costs| (!costs.is_empty()).then(|| Cost::median(&costs)));
    row(&format!("{what}, wall"), "ms", costs.map(|cost| cost.map(|cost| cost.wall * 1000.0)));
    row(&format!("{what}, peak memory"), "MiB", costs.map(|cost| cost.map(|cost| cost.peak_mib)));
}

fn row(what: &str, unit: &str, figures: [Option<f64>; 3]) {
    let figures =
        figures.map(|figure| figure.map(|figure| format!("{figure:.2} {unit}")).unwrap_or_default());
    println!("| {what} | {} |", figures.join(" | "));
}
