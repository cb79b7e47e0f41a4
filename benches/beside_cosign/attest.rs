//! Attesting: three predicates an image (an SBOM of 64 KiB, a scan, a report), by tag.
//!
//! Stepseal does all of it in one call. cosign takes one predicate a call, so it is measured in the two ways in which a script can call
//! it: once for each image and predicate, and once for each predicate with all images.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::kit::images::Image;
use super::kit::run;
use super::kit::scene::Place;
use super::timed::{Cost, timed};
use super::{Bench, ROUND_TRIP, alternate, requests};

/// The predicates' files and types.
const SAID: [(&str, &str); 3] =
    [("sbom.json", "cyclonedx"), ("scan.json", "vuln"), ("report.json", "https://ci.example/report")];
/// A call for each image and predicate.
const EACH: &str = r#"for image; do
  "$COSIGN" attest $FLAGS --key "$KEY" --predicate sbom.json --type cyclonedx "$image" || exit 1
  "$COSIGN" attest $FLAGS --key "$KEY" --predicate scan.json --type vuln "$image" || exit 1
  "$COSIGN" attest $FLAGS --key "$KEY" --predicate report.json --type https://ci.example/report "$image" || exit 1
done"#;
/// A call for each predicate, with all images.
const TOGETHER: &str = r#"
"$COSIGN" attest $FLAGS --key "$KEY" --predicate sbom.json --type cyclonedx "$@" &&
"$COSIGN" attest $FLAGS --key "$KEY" --predicate scan.json --type vuln "$@" &&
"$COSIGN" attest $FLAGS --key "$KEY" --predicate report.json --type https://ci.example/report "$@""#;

/// The program that attests, and how it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// cosign, by this script.
    Cosign(&'static str),
    Stepseal,
}

/// Measures it, and prints its table.
pub(crate) fn measure(quick: bool) {
    let (many, few, rounds) = if quick { (3, 2, 1) } else { (100, 5, 3) };
    let mut bench = Bench::new();
    let components = (0..600).map(|number| format!(r#"{{"type":"library","name":"package-{number}","version":"1.{number}.0","purl":"pkg:cargo/p{number}"}}"#));
    let sbom = format!(
        r#"{{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{}]}}"#,
        components.collect::<Vec<_>>().join(",")
    );
    let texts = [sbom, r#"{"scanner":{"uri":"pkg:x"}}"#.to_owned(), r#"{"passed":12}"#.to_owned()];
    for ((file, _), text) in SAID.iter().zip(texts) {
        fs::write(bench.scene.home().join("work").join(file), text).unwrap();
    }

    println!("| 3 predicates each | cosign 3.1.2 | stepseal | ratio | goal |\n|---|---|---|---|---|");
    let calls = many * SAID.len();
    // Hundreds of calls take minutes: once is enough to see a factor of ten.
    let each = bench.attest(Way::Cosign(EACH), many, 1, Duration::ZERO);
    row(
        &format!("{many} images, {calls} calls beside one, wall"),
        each.map(|cost| cost.wall),
        "s",
        "at least 10",
    );
    row(
        &format!("{many} images, {calls} calls beside one, CPU"),
        each.map(|cost| cost.cpu),
        "s",
        "at least 10",
    );
    let together = bench.attest(Way::Cosign(TOGETHER), many, rounds, Duration::ZERO);
    row(
        &format!("{many} images, 3 calls beside one, wall"),
        together.map(|cost| cost.wall),
        "s",
        "at least 10",
    );
    row(&format!("{many} images, 3 calls beside one, CPU"), together.map(|cost| cost.cpu), "s", "");
    row(&format!("{many} images, peak memory"), together.map(|cost| cost.peak_mib), "MiB", "");
    let far = bench.attest(Way::Cosign(TOGETHER), few, rounds, ROUND_TRIP);
    row(&format!("{few} images behind 40 ms, wall"), far.map(|cost| cost.wall), "s", "at least 10");
    row("requests an image", far.map(|cost| cost.requests / few as f64), "", "stepseal at most 17");
}

impl Bench {
    /// The median cost of attesting `images` new images with cosign and with Stepseal, in turns.
    fn attest(&mut self, cosign: Way, images: usize, rounds: usize, round_trip: Duration) -> [Cost; 2] {
        alternate([cosign, Way::Stepseal], rounds, |way| {
            let images = self.push(images, round_trip);
            let mut command = match way {
                Way::Cosign(script) => self.cosign_attest(script),
                Way::Stepseal => {
                    let mut command = self.scene.stepseal(std::slice::from_ref(&images.host), &["attest"]);
                    for (file, kind) in SAID {
                        command.args(["--predicate", file, "--type", kind]);
                    }
                    command
                }
            };
            let mut cost = timed(command.args(&images.references), 1);
            cost.requests = requests(images.proxy.as_ref());
            for image in images.ends() {
                SAID.iter().for_each(|(_, kind)| self.attested(image, kind));
            }
            cost
        })
    }

    /// cosign by a script that gets the images as arguments.
    fn cosign_attest(&self, script: &str) -> Command {
        let like = self.scene.cosign(&[]);
        let mut command = Command::new("sh");
        command.env_clear().envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.scene.home().join("work"));
        let flags = [
            "-y",
            "--use-signing-config=false",
            "--tlog-upload=false",
            "--allow-http-registry",
            Place::Tag.cosign_flag(),
        ];
        command.env("COSIGN", like.get_program()).env("FLAGS", flags.join(" "));
        command.env("KEY", self.scene.keys().join("cosign.key")).args(["-c", script, "sh"]);
        command
    }

    fn attested(&self, image: &Image, kind: &str) {
        let mut command = self.scene.cosign(&[
            "verify-attestation",
            "--insecure-ignore-tlog=true",
            "--allow-http-registry",
        ]);
        command.args([Place::Tag.cosign_flag(), "--type", kind, "--key"]).arg(self.scene.public_key());
        let ran = run(command.arg(image.reference())).ok();
        assert_eq!(ran.stdout.lines().count(), 1, "{kind}: {ran}");
    }
}

fn row(what: &str, costs: [f64; 2], unit: &str, goal: &str) {
    super::row(2, what, costs, unit, goal);
}
