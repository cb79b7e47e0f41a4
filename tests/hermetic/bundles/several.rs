//! `stepseal verify-blob` with several bundles in one file, and with files that are something else.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use super::blob::{IDENTIFIED, Scratch, told};
use super::recipe::{ARTIFACT, Recipe};
use super::sigstore::{ISSUER, Leaf};

fn good() -> String {
    Recipe::rekor1().bundle().to_string()
}

fn of_another_issuer() -> String {
    let leaf = Leaf { issuers: ("https://other.example", "https://other.example"), ..Leaf::default() };
    Recipe { leaf, ..Recipe::rekor1() }.bundle().to_string()
}

fn verify(bundles: &str) -> (Option<i32>, String) {
    let scratch = Scratch::new();
    scratch.write("bundle.json", bundles);
    scratch.run(&[&IDENTIFIED[..], &["artifact"]].concat())
}

#[test]
fn one_bundle_that_counts_is_enough_and_the_lines_are_told() {
    let (good, other) = (good(), of_another_issuer());
    let pretty = serde_json::to_string_pretty(&Recipe::rekor1().bundle()).unwrap();
    let long = pretty.lines().count();
    for (file, counting, refused) in [
        (format!("{good}\n{other}\n"), vec![1], vec![2]),
        (format!("{other}\r\n\r\n{good}\r\n"), vec![3], vec![1]),
        (format!("\u{feff}{good}\n{good}\n"), vec![1, 2], vec![]),
        (format!("{pretty}\n{other}"), vec![1], vec![long + 1]),
        (format!("{{}}\n{good}\n[1]\n"), vec![2], vec![1, 3]),
    ] {
        let (code, text) = verify(&file);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.starts_with("Verified OK\n"), "{text}");
        for line in counting {
            assert!(text.contains(&format!("\n  line {line}:\n  signed by ")), "{line}: {text}");
        }
        assert_eq!(text.matches("does not count: ").count(), refused.len(), "{text}");
        for line in refused {
            assert!(text.contains(&format!("\n  line {line} does not count: ")), "{line}: {text}");
        }
    }
    for file in [format!("\u{feff}{good}\r\n\r\n"), pretty] {
        let (code, text) = verify(&file);
        assert_eq!(code, Some(0), "{text}");
        assert!(!text.contains("line"), "{text}");
    }
}

#[test]
fn where_none_counts_each_line_has_its_reason() {
    let other = of_another_issuer();
    let (code, text) = verify(&format!("{other}\n{{}}\n"));
    assert_eq!(code, Some(1), "{text}");
    for part in ["none of the 2 bundles", "line 1: the signature is by another signer", "line 2: ", "do:"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (code, text) = verify(&format!("{other}\n{other}\n"));
    assert!(code == Some(1) && text.contains("(check: identity)"), "{text}");
}

#[test]
fn a_file_that_was_cut_or_is_too_long_is_refused_though_a_bundle_in_it_counts() {
    let good = good();
    let (code, text) = verify(&format!("{good}\n{}", &good[..good.len() / 2]));
    assert!(code == Some(1) && text.contains("the document on line 2 is not JSON"), "{text}");
    let (code, text) = verify(&format!("{good}\n{}", "{}\n".repeat(1024)));
    assert!(code == Some(1) && text.contains("more than 1024 documents"), "{text}");
}

#[test]
fn standard_input_is_read_once_for_all_of_them() {
    let scratch = Scratch::new();
    scratch.write("bundle.json", format!("{}\n{}\n", of_another_issuer(), good()));
    let mut command = scratch.command(&[&IDENTIFIED[..], &["-"]].concat());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(ARTIFACT).unwrap();
    let (code, text) = told(child.wait_with_output().unwrap());
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn what_holds_bundles_says_how_they_are_taken_out() {
    let bundle = Recipe::rekor1().envelope().bundle();
    let npm =
        json!({ "attestations": [{ "predicateType": "https://slsa.dev/provenance/v1", "bundle": bundle }] });
    let (code, text) = verify(&npm.to_string());
    assert_eq!(code, Some(1), "{text}");
    for part in ["npm's list of attestations", "jq -c '.attestations[].bundle' FILE > bundles.jsonl"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let trusted: Value = Recipe::rekor1().trusted_root();
    assert!(verify(&trusted.to_string()).1.contains("it is a trusted root"));
    let scratch = Scratch::new();
    let root = ["--trusted-root", "bundle.json", "--bundle", "bundle.json", "--certificate-identity", "x"];
    let (code, text) = scratch.run(&[&root[..], &["--certificate-oidc-issuer", ISSUER, "artifact"]].concat());
    assert!(code == Some(2) && text.contains("this is a Sigstore bundle, not a trusted root"), "{text}");
}
