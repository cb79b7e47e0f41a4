//! The time between the read and the write of a list, in which another signer's write is replaced unseen; and how long a signer watches.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::kit::images::Image;
use super::kit::scene::Place;
use super::kit::{Registry, Scene, run};
use super::proxy::{Conduct, Proxy, Served};
use super::storm::{Ground, through};
use super::{Scale, all};

const ROUND_TRIP: Duration = Duration::from_millis(40);
/// How many runs share the images, under load.
const RUNS: usize = 4;

/// What was seen of one image.
struct Seen {
    /// From the moment at which the read before the write reached the registry to the registry's answer to the write.
    gap: Duration,
    /// From that answer to the moment at which the confirming read reached the registry.
    watch: Duration,
}

pub(crate) fn table(scale: Scale) -> String {
    let home = Scene::quick();
    let registry = Registry::docker(home.home());
    let mut text = String::from(
        "| network | form | images | gap: median | 99 of 100 | longest | watched: median | shortest |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (name, round_trip, runs) in [
        ("nearby", Duration::ZERO, 1),
        ("nearby, four runs at once", Duration::ZERO, RUNS),
        ("40 ms away", ROUND_TRIP, 1),
        ("40 ms away, four runs at once", ROUND_TRIP, RUNS),
    ] {
        for (form, place) in [("by tag", Place::Tag), ("bundle, under the fallback tag", Place::Referrers)] {
            let proxy =
                Proxy::start(registry.address(), Conduct { round_trip, ..Conduct::default() }).unwrap();
            let each: Vec<usize> = (0..runs).collect();
            all(runs, each, |number| {
                let repository =
                    format!("gap-{place:?}-{}-{runs}-{number}", round_trip.as_millis()).to_lowercase();
                let scene = Scene::quick();
                let ground = Ground::of(&scene, &registry);
                let images = ground.push(&repository, scale.gaps / runs);
                scene.allow(&[proxy.host()]);
                let mut command = scene.stepseal(&[proxy.host()], &["sign"]);
                command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
                run(command.args(through(&images, &registry.host(), &proxy.host()))).ok();
            });
            let seen = seen(&proxy.take_record().served);
            let [mut gaps, mut watches] = [Vec::new(), Vec::new()];
            for one in &seen {
                gaps.push(one.gap);
                watches.push(one.watch);
            }
            gaps.sort();
            watches.sort();
            let _ = writeln!(
                text,
                "| {name} | {form} | {} | {} | {} | {} | {} | {} |",
                seen.len(),
                ms(gaps[gaps.len() / 2]),
                ms(gaps[gaps.len() * 99 / 100]),
                ms(gaps[gaps.len() - 1]),
                ms(watches[watches.len() / 2]),
                ms(watches[0]),
            );
        }
    }
    text + "\n" + &pairs(scale, &registry)
}

/// Two signers of an image start at once, from different distances.
fn pairs(scale: Scale, registry: &Registry) -> String {
    let mut text = String::from(
        "| two signers at once | form | pairs | both signatures there | one lost |\n|---|---|---|---|---|\n",
    );
    let (near, far) = (Duration::ZERO, ROUND_TRIP);
    for (name, distances) in [
        ("both nearby", [near, near]),
        ("one 40 ms away, one nearby", [far, near]),
        ("both 40 ms away", [far, far]),
    ] {
        for (form, place) in [("by tag", Place::Tag), ("bundle, under the fallback tag", Place::Referrers)] {
            let scene = Scene::quick();
            let ground = Ground::of(&scene, registry);
            let proxies = distances.map(|round_trip| {
                Proxy::start(registry.address(), Conduct { round_trip, ..Conduct::default() }).unwrap()
            });
            scene.allow(&[registry.host(), proxies[0].host(), proxies[1].host()]);
            let images = ground.push(&format!("pairs-{place:?}-{}", name.len()).to_lowercase(), scale.pairs);
            let work: Vec<_> = images.iter().cloned().enumerate().collect();
            let children = |(number, image): (usize, Image)| {
                let image = [image];
                for (signer, child) in [0, 1].map(|signer| {
                    // The nearby signer begins later, by up to the time that the other needs before its write.
                    let behind = distances.iter().max().unwrap().saturating_sub(distances[signer]);
                    std::thread::sleep((behind * 4).mul_f64((number as f64 * 0.618_033_988_75).fract()));
                    let host = proxies[signer].host();
                    let mut command = scene.stepseal(std::slice::from_ref(&host), &["sign"]);
                    command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", place.setting());
                    command.arg(format!("--annotation=signer={signer}"));
                    command.args(through(&image, &registry.host(), &host));
                    (signer, command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
                }) {
                    let output = child.wait_with_output().unwrap();
                    assert!(output.status.success(), "{signer}: {}", String::from_utf8_lossy(&output.stderr));
                }
            };
            all(2, work, children);
            let signatures = ground.signatures(place, &images);
            let both = signatures.iter().filter(|count| **count == 2).count();
            let (pairs, lost) = (signatures.len(), signatures.len() - both);
            let _ = writeln!(text, "| {name} | {form} | {pairs} | {both} | {lost} |");
        }
    }
    text
}

/// What was seen of each tag that was written once.
fn seen(served: &[Served]) -> Vec<Seen> {
    let mut tags: HashMap<&str, Vec<&Served>> = HashMap::new();
    for one in served {
        let target = one.what.split(' ').nth(1).unwrap_or_default();
        if target.split_once("/manifests/").is_some_and(|(_, name)| !name.contains(':')) {
            tags.entry(target).or_default().push(one);
        }
    }
    let of = |requests: Vec<&Served>| {
        let writes: Vec<_> = requests.iter().filter(|one| one.what.starts_with("PUT")).collect();
        let [write] = writes[..] else { return None };
        let reads = || requests.iter().filter(|one| one.what.starts_with("GET"));
        let before = reads().filter(|one| one.answered <= write.sent).max_by_key(|one| one.sent)?;
        let after = reads().filter(|one| one.sent >= write.answered).min_by_key(|one| one.sent)?;
        Some(Seen { gap: write.answered - before.sent, watch: after.sent - write.answered })
    };
    tags.into_values().filter_map(of).collect()
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
