//! Do other verifiers judge every bundle of the corpus as we do? Where one doesn't, the difference is listed, with the reason.
//!
//! A list beside the cases, one for each verifier, has a line a case: its name and why the two verdicts differ. A difference
//! that isn't listed fails, and so does a line for which there is none any more.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::command::{Ran, peer, run};
use crate::kit::scene::binary;

const IDENTITY: &str = "https://ci.example/team/app/build.yaml@refs/heads/main";
const ISSUER: &str = "https://issuer.example";

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundles")
}

fn own(case: &Path, file: &str) -> PathBuf {
    let own = case.join(file);
    if own.exists() { own } else { corpus().join(file) }
}

/// The flags that all of them take.
fn flags(case: &Path) -> Vec<String> {
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let mut flags: Vec<String> = vec![
        "--bundle".into(),
        text(case.join("bundle.sigstore.json")),
        "--trusted-root".into(),
        text(own(case, "trusted_root.json")),
    ];
    let more = std::fs::read_to_string(case.join("flags")).unwrap_or_default();
    match case.join("key.pub") {
        key if key.exists() => flags.extend(["--key".into(), text(key)]),
        _ => {
            let pairs = [["--certificate-identity", IDENTITY], ["--certificate-oidc-issuer", ISSUER]];
            let pairs = pairs.into_iter().filter(|[flag, _]| !more.contains(flag)).flatten();
            flags.extend(pairs.map(str::to_owned));
        }
    }
    flags.extend(more.split_whitespace().map(str::to_owned));
    flags.push(text(own(case, "artifact")));
    flags
}

/// Compares the verdicts of whoever `asks` with ours, but for the differences in the list of that name.
fn compare(list: &str, asks: impl Fn(&[String]) -> Ran) {
    let listed = std::fs::read_to_string(corpus().join(list)).unwrap();
    let mut listed: BTreeMap<&str, &str> = listed.lines().filter_map(|line| line.split_once(": ")).collect();
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    let mut unlisted = Vec::new();
    for case in &cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let flags = flags(case);
        let theirs = asks(&flags);
        let ours = run(Command::new(binary()).env_clear().arg("verify-blob").args(&flags));
        // The table for whoever wants to see it: one line a case.
        #[expect(clippy::disallowed_methods, reason = "libtest captures the other ways")]
        let mut out = std::io::stdout();
        writeln!(out, "{name}\t{}\t{}", verdict(ours.code), verdict(theirs.code)).unwrap();
        let differ = (ours.code == 0) != (theirs.code == 0);
        if differ != listed.remove(name).is_some() {
            unlisted.push(format!("{name}: ours {}\n{}\n{}", ours.code, ours.stderr, theirs.stderr));
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
    compare("DIFFERENCES", |flags| run(peer("cosign", home.path()).arg("verify-blob").args(flags)));
}

#[test]
#[ignore = "needs the real peers: tests/peers/run"]
fn sigstore_go_and_we_give_one_verdict_on_every_bundle_but_those_listed() {
    let home = tempfile::tempdir().unwrap();
    compare("DIFFERENCES.sigstore-go", |flags| {
        let ran = run(peer("sigstore-go", home.path()).args(flags));
        // Wrong use, or a key or trusted root that it can't read, is no verdict.
        assert!([0, 1].contains(&ran.code), "{ran}");
        ran
    });
}
