//! Requests are broken: each kind of fault alone, and all of them together.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use super::kit::images::{Image, Kind};
use super::kit::scene::{Place, USER};
use super::kit::token::TokenService;
use super::kit::{Registry, Scene, run};
use super::proxy::{Conduct, Expected, Fault, Of, Proxy, TABLE};
use super::storm::{Ground, Outcome, limited, through};
use super::{Scale, all};

/// The longest that cosign may take for an image.
const COSIGN_SECONDS: u32 = 60;

const PLACES: [Place; 2] = [Place::Tag, Place::Referrers];

/// Starts a registry whose files lie below a folder.
type Start = fn(&Path) -> Registry;

/// The registries, by the name that the page has for them.
const REGISTRIES: [(&str, Start); 4] = [
    ("docker-registry 2.8", Registry::docker),
    ("distribution 3.1.2", Registry::distribution_3),
    ("Gitea 1.24.0", Registry::gitea),
    ("go-containerregistry with the referrers API", Registry::with_referrers),
];

/// How many of a hundred requests fail, where all kinds come together.
const SHARES: [u64; 3] = [5, 20, 40];

/// The kinds that occur together: a client can continue after each of them.
fn together() -> &'static [Fault] {
    let kinds = TABLE.iter().filter(|row| row.expected == Expected::Signed).map(|row| row.fault);
    Box::leak(kinds.collect())
}

pub(crate) struct Tables {
    pub(crate) kinds: String,
    pub(crate) together: String,
}

/// One run of one of the programs.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Which registry; that with tokens comes behind the others.
    registry: usize,
    place: Place,
    faults: &'static [Fault],
    percent: u64,
    images: usize,
    cosign: bool,
}

pub(crate) fn tables(scale: Scale) -> Tables {
    let home = Scene::new();
    let service = TokenService::start(home.home());
    let mut registries: Vec<Registry> = REGISTRIES.iter().map(|(_, start)| start(home.home())).collect();
    registries.push(Registry::docker_with_tokens(home.home(), &service));
    let with_tokens = registries.len() - 1;

    let mut runs = Vec::new();
    let all_kinds = together();
    let (kinds, shares) = if scale.quick { (&TABLE[..2], &SHARES[1..2]) } else { (&TABLE[..], &SHARES[..]) };
    for percent in shares.iter().copied() {
        for registry in 0..REGISTRIES.len() {
            for place in PLACES {
                let run =
                    Run { registry, place, faults: all_kinds, percent, images: scale.many, cosign: false };
                runs.push(run);
            }
        }
        if scale.cosign > 0 {
            let run = Run {
                registry: 0,
                place: Place::Tag,
                faults: all_kinds,
                percent,
                images: scale.cosign,
                cosign: true,
            };
            runs.push(run);
        }
    }
    for row in kinds {
        let faults: &'static [Fault] = Box::leak(Box::new([row.fault]));
        let on: Vec<usize> = match row.of {
            Of::Tokens => vec![with_tokens],
            _ => (0..REGISTRIES.len()).collect(),
        };
        for registry in on {
            for place in PLACES {
                let images = if registry == 0 { scale.each } else { scale.few };
                runs.push(Run { registry, place, faults, percent: 20, images, cosign: false });
            }
        }
        if scale.cosign > 0 {
            let registry = if row.of == Of::Tokens { with_tokens } else { 0 };
            let images = scale.cosign;
            runs.push(Run { registry, place: Place::Tag, faults, percent: 20, images, cosign: true });
        }
    }
    // Each run has credentials of its own, as its proxy has an address of its own; making a key takes its time.
    let scenes: Mutex<Vec<Scene>> = Mutex::default();
    let outcomes = all(scale.at_once, runs.iter().copied().enumerate().collect(), |(number, run)| {
        let scene = scenes.lock().unwrap().pop().unwrap_or_else(Scene::new);
        let tokens = (run.registry == with_tokens).then(|| service.host());
        let ground = Ground::of(&scene, &registries[run.registry]);
        let outcome = one(&run, number, &Ground { tokens, ..ground });
        scenes.lock().unwrap().push(scene);
        eprintln!("{}/{} {run:?}: {outcome}", number + 1, runs.len());
        outcome
    });
    let found: Vec<(Run, Outcome)> = runs.into_iter().zip(outcomes).collect();
    let wrong: Vec<_> = found.iter().filter(|(run, outcome)| !run.cosign && outcome.wrong > 0).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    Tables { kinds: kinds_table(&found), together: together_table(&found) }
}

fn one(run: &Run, number: usize, ground: &Ground<'_>) -> Outcome {
    let images = ground.push(&format!("run-{number}"), run.images);
    let conduct = Conduct { percent: run.percent, faults: run.faults, ..Conduct::default() };
    if run.cosign { cosign(ground, &images, conduct) } else { ground.storm(run.place, &images, conduct) }
}

/// The same by cosign, which gets one image at a time: it ends at the first that fails.
fn cosign(ground: &Ground<'_>, images: &[Image], conduct: Conduct) -> Outcome {
    let proxy = Proxy::start(ground.address, conduct).unwrap();
    ground.scene.allow(&[ground.address.to_string(), proxy.host()]);
    let references = through(images, &ground.address.to_string(), &proxy.host());
    let codes = all(5, references, |reference| {
        let mut command = ground.scene.cosign_sign(Place::Tag);
        command.arg(reference);
        run(&mut limited(&command, COSIGN_SECONDS)).code
    });
    let mut outcome = Outcome { images: images.len(), ..Outcome::default() };
    for (code, count) in codes.iter().zip(ground.signatures(Place::Tag, images)) {
        *outcome.codes.entry(if *code == 137 { -1 } else { *code }).or_default() += 1;
        match code {
            0 if count == 1 => outcome.signed += 1,
            0 => outcome.wrong += 1,
            _ => outcome.failed += 1,
        }
    }
    let record = proxy.take_record();
    (outcome.requests, outcome.faults) = (record.requests.len(), record.faults);
    outcome
}

fn cells(outcome: &Outcome) -> String {
    let Outcome { faults, images, signed, failed, wrong, .. } = outcome;
    format!("{faults} | {images} | {signed} | {failed} | {wrong} | {}", outcome.exits())
}

fn cosign_cells(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "– | – | – | – | –".to_owned(),
        Some(Outcome { faults, images, signed, failed, wrong, codes, .. }) => {
            let slow = codes.get(&-1).copied().unwrap_or_default();
            let failed = if slow > 0 { format!("{failed} ({slow} too slow)") } else { failed.to_string() };
            format!("{faults} | {images} | {signed} | {failed} | {wrong}")
        }
    }
}

fn kinds_table(found: &[(Run, Outcome)]) -> String {
    let mut text = String::from(
        "| fault | dealt out | images | signed | reported failed | wrongly reported | exit codes | cosign: dealt out | images | signed | failed | wrongly reported |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in &TABLE {
        let of = |cosign: bool| {
            let mut sum = Outcome::default();
            let mut seen = false;
            for (run, outcome) in found {
                if run.cosign == cosign && run.faults == [row.fault] {
                    sum.add(outcome);
                    seen = true;
                }
            }
            seen.then_some(sum)
        };
        if let Some(stepseal) = of(false) {
            let cosign = cosign_cells(of(true).as_ref());
            let _ = writeln!(text, "| {} | {} | {cosign} |", row.name, cells(&stepseal));
        }
    }
    text
}

fn together_table(found: &[(Run, Outcome)]) -> String {
    let mut text = String::from(
        "| requests that fail | registry | form | dealt out | images | signed | reported failed | wrongly reported | exit code |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for (run, outcome) in found.iter().filter(|(run, _)| run.faults.len() > 1) {
        let form = match (run.cosign, run.place) {
            (true, _) => "cosign, by tag",
            (false, Place::Tag) => "by tag",
            (false, Place::Referrers) => "bundle",
        };
        let name = REGISTRIES[run.registry].0;
        let _ = writeln!(text, "| {} % | {name} | {form} | {} |", run.percent, cells(outcome));
    }
    text
}
