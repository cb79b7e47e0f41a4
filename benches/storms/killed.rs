//! Runs are killed at random moments and started again: each image must have exactly one signature then.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use stepseal::demo::registry::{Auth, EmbeddedRegistry, Options, User};

use super::kit::images::Image;
use super::kit::scene::{PASSWORD, Place, USER};
use super::kit::{Registry, Scene, run};
use super::storm::Ground;
use super::{Scale, all};

/// Images of a run.
const IMAGES: usize = 3;

pub(crate) fn table(scale: Scale) -> String {
    let home = Scene::quick();
    let docker = Registry::docker(home.home());
    let user = User::new(USER, PASSWORD).may_pull("**").may_push("**");
    let embedded = EmbeddedRegistry::start_blocking(Options {
        auth: Auth::Basic,
        users: vec![user],
        ..Options::default()
    });
    let embedded = embedded.unwrap();
    let grounds = [
        ("docker-registry 2.8", docker.address()),
        ("the embedded registry, with the referrers API", embedded.host().parse().unwrap()),
    ];
    let mut text = String::from(
        "| registry | form | runs killed | before any image was signed | with some signed | when all were | images | signed exactly once | lost or doubled |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for (name, address) in grounds {
        for (form, place) in [("by tag", Place::Tag), ("bundle", Place::Referrers)] {
            let scene = Scene::quick();
            scene.allow(&[address.to_string()]);
            let ground = Ground { scene: &scene, address, tokens: None };
            let repository = format!("killed-{place:?}").to_lowercase();
            let images = ground.push(&repository, (scale.kills + 1) * IMAGES);
            let (first, rest) = images.split_at(IMAGES);
            let begun = Instant::now();
            run(&mut sign(&ground, place, first)).ok();
            let whole = begun.elapsed();
            let runs: Vec<(usize, &[Image])> = rest.chunks(IMAGES).enumerate().collect();
            let kills = all(scale.at_once.min(4), runs, |(number, images)| {
                kill(&ground, place, images, number, whole)
            });
            let when = |fits: fn(usize) -> bool| kills.iter().filter(|(signed, _)| fits(*signed)).count();
            let (none, every) = (when(|signed| signed == 0), when(|signed| signed == IMAGES));
            let (number, once) = (kills.len(), kills.iter().map(|(_, once)| once).sum::<usize>());
            let images = number * IMAGES;
            let _ = writeln!(
                text,
                "| {name} | {form} | {number} | {none} | {} | {every} | {images} | {once} | {} |",
                number - none - every,
                images - once
            );
            assert_eq!(once, images, "{name}, {form}");
        }
    }
    text
}

/// How many images were signed when the run was killed, and how many are signed exactly once after the next run.
fn kill(
    ground: &Ground<'_>,
    place: Place,
    images: &[Image],
    number: usize,
    whole: Duration,
) -> (usize, usize) {
    let mut child = sign(ground, place, images).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    // By the golden ratio, which spreads any number of moments evenly. Several runs at once take longer than a single run.
    std::thread::sleep(whole.mul_f64(2.5 * (number as f64 * 0.618_033_988_75).fract()));
    child.kill().unwrap();
    child.wait().unwrap();
    let signed = ground.signatures(place, images).into_iter().filter(|count| *count > 0).count();
    run(&mut sign(ground, place, images)).ok();
    let once = ground.signatures(place, images).into_iter().filter(|count| *count == 1).count();
    (signed, once)
}

fn sign(ground: &Ground<'_>, place: Place, images: &[Image]) -> std::process::Command {
    let mut command = ground.scene.stepseal(&[ground.address.to_string()], &["sign"]);
    command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
    command.args(images.iter().map(Image::reference));
    command
}
