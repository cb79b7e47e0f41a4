//! Do other verifiers judge every bundle of the corpus as we do? Where one doesn't, the difference is listed, with the reason.
//!
//! A list beside the cases, one for each verifier, has a line a case: its name and why the two verdicts differ. A difference
//! that isn't listed fails, and so does a line for which there is none any more.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::Command;

use crate::folder::{BUNDLE, Found, corpus, found};
use crate::kit::command::{Ran, peer, run};
use crate::kit::scene::binary;

/// Compares the verdicts of `asks` on `cases` with Stepseal's, except for the differences that the list names.
fn compare(list: &str, cases: &[Found], asks: impl Fn(&Found, &str) -> Ran) {
    let listed = fs::read_to_string(corpus().join(list)).unwrap();
    let mut listed: BTreeMap<&str, &str> = listed.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut unlisted = Vec::new();
    for case in cases {
        let name = case.name.as_str();
        let artifact = case.artifact().to_str().unwrap().to_owned();
        let cosigns = asks(case, &artifact);
        let stepseal = run(Command::new(binary()).env_clear().args(case.arguments(&artifact)));
        // The table for whoever wants to see it: one line a case.
        #[expect(clippy::disallowed_methods, reason = "libtest captures the other ways")]
        let mut out = std::io::stdout();
        writeln!(out, "{name}\t{}\t{}", verdict(stepseal.code), verdict(cosigns.code)).unwrap();
        let differ = (stepseal.code == 0) != (cosigns.code == 0);
        if differ != listed.remove(name).is_some() {
            unlisted
                .push(format!("{name}: stepseal {}\n{}\n{}", stepseal.code, stepseal.stderr, cosigns.stderr));
        }
    }
    assert!(cases.len() > 100, "{} cases", cases.len());
    assert!(unlisted.is_empty(), "{}", unlisted.join("\n\n"));
    assert!(listed.is_empty(), "no longer different, or no longer there: {listed:?}");
}

fn verdict(code: i32) -> &'static str {
    if code == 0 { "accepted" } else { "refused" }
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn cosign_and_we_give_one_verdict_on_every_bundle_but_those_listed() {
    let home = tempfile::tempdir().unwrap();
    compare("DIFFERENCES", &found(), |case, artifact| {
        let mut cosign = peer("cosign", home.path());
        match is_old(case) {
            true => old_format(&mut cosign, case, artifact),
            false => cosign.args(case.arguments(artifact)),
        };
        run(&mut cosign)
    });
}

/// Whether it is what cosign wrote before it knew bundles.
fn is_old(case: &Found) -> bool {
    case.has("bundle.cosign.json") || case.has("signature")
}

/// For its old formats cosign has no trusted root: it takes the pieces.
fn old_format<'a>(cosign: &'a mut Command, case: &Found, artifact: &str) -> &'a mut Command {
    let path = |file: &str| corpus().join(file).to_str().unwrap().to_owned();
    let mut arguments = case.arguments(artifact);
    let at = arguments.iter().position(|argument| argument == "--trusted-root").unwrap();
    arguments.drain(at..at + 2);
    let mut pairs = Vec::new();
    if !case.has("key.pub") {
        pairs.extend([("--ca-roots", "root.pem"), ("--ca-intermediates", "intermediate.pem")]);
    }
    if case.has("timestamp.json") {
        pairs.push(("--timestamp-certificate-chain", "timestamps.pem"));
    }
    let pairs = pairs.into_iter().flat_map(|(flag, file)| [flag.to_owned(), path(file)]);
    arguments.splice(1..1, pairs);
    cosign.args(arguments).args(["--new-bundle-format=false", "--offline"]);
    cosign.env("SIGSTORE_REKOR_PUBLIC_KEY", path("rekor.pub"));
    cosign.env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", path("ctlog.pub"))
}

/// One Sigstore bundle about an artifact, and one trusted root: what sigstore-go can be asked about.
fn is_common(case: &Found) -> bool {
    case.has(BUNDLE) && !case.has("trusted_root.jsonl") && case.command() == "verify-blob"
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn sigstore_go_and_we_give_one_verdict_on_every_bundle_but_those_listed() {
    let home = tempfile::tempdir().unwrap();
    let cases: Vec<Found> = found().into_iter().filter(is_common).collect();
    compare("DIFFERENCES.sigstore-go", &cases, |case, artifact| {
        let ran = run(peer("sigstore-go", home.path()).args(case.flags()).arg(artifact));
        // Wrong usage, or a key or trusted root that it can't read, is not a verdict.
        assert!([0, 1].contains(&ran.code), "{ran}");
        ran
    });
}
