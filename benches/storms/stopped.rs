//! Of two signers of an image, one is stopped for ten seconds at a random moment. The signatures of both must be there.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::kit::images::Image;
use super::kit::scene::Place;
use super::kit::{Registry, Scene};
use super::storm::Ground;
use super::{Scale, all};

/// How long it stays stopped.
const STOPPED: Duration = Duration::from_secs(10);
/// In which time of a run it is stopped.
const RUN: Duration = Duration::from_millis(120);

pub(crate) fn table(scale: Scale) -> String {
    let home = Scene::quick();
    let registry = Registry::docker(home.home());
    let mut text = String::from(
        "| form | pairs | stopped before its end | both signatures there | lost, and reported | lost without a word |\n|---|---|---|---|---|---|\n",
    );
    let scene = Scene::quick();
    let ground = Ground::of(&scene, &registry);
    let images = ground.push("stopped", scale.stops);
    let work: Vec<(Place, usize)> = [Place::Tag, Place::Referrers]
        .into_iter()
        .flat_map(|place| (0..scale.stops).map(move |n| (place, n)))
        .collect();
    let found = all(scale.stops.min(20), work.clone(), |(place, number)| {
        pair(&ground, place, &images[number], number as f64 / scale.stops as f64)
    });
    for (form, place) in [("by tag", Place::Tag), ("bundle, under the fallback tag", Place::Referrers)] {
        let of: Vec<_> =
            work.iter().zip(&found).filter(|((at, _), _)| *at == place).map(|(_, one)| one).collect();
        let count = |fits: fn(&Pair) -> bool| of.iter().filter(|pair| fits(pair)).count();
        let silent = count(|pair| pair.signatures < 2 && !pair.reported);
        let _ = writeln!(
            text,
            "| {form} | {} | {} | {} | {} | {silent} |",
            of.len(),
            count(|pair| pair.stopped),
            count(|pair| pair.signatures == 2),
            count(|pair| pair.signatures < 2 && pair.reported),
        );
        assert_eq!(silent, 0, "{form}");
    }
    text
}

struct Pair {
    /// Whether the first signer had not ended before.
    stopped: bool,
    signatures: usize,
    reported: bool,
}

fn pair(ground: &Ground<'_>, place: Place, image: &Image, share: f64) -> Pair {
    let first = sign(ground, place, image, "first").stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(RUN.mul_f64(share));
    let pid = Pid::from_child(&first);
    kill_process(pid, Signal::STOP).unwrap();
    let second = sign(ground, place, image, "second").stderr(Stdio::piped()).output().unwrap();
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    // A signer that has ended already is a zombie until this process waits for it: its state says so.
    let state = std::fs::read_to_string(format!("/proc/{}/stat", first.id())).unwrap();
    let stopped = state.rsplit(')').next().unwrap().trim_start().starts_with('T');
    if stopped {
        std::thread::sleep(STOPPED);
    }
    kill_process(pid, Signal::CONT).unwrap();
    let first = first.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&first.stderr);
    let reported = !first.status.success() || said.contains("may be lost");
    Pair { stopped, signatures: ground.signatures(place, std::slice::from_ref(image))[0], reported }
}

fn sign(ground: &Ground<'_>, place: Place, image: &Image, who: &str) -> Command {
    let mut command = ground.scene.stepseal(&[ground.address.to_string()], &["sign"]);
    command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
    command.arg(format!("--annotation=signer={who}")).arg(image.reference()).stdout(Stdio::null());
    command
}
