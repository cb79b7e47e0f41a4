//! Twenty signers of one digest at the same time.

use std::collections::BTreeSet;

use stepseal::demo::registry::Options;

use crate::kit::step::{Step, ended};

const SIGNERS: usize = 20;

/// Starts all signers at once, each with an annotation of its own; all must end well.
fn sign_at_once(step: &Step, encoding: &str) {
    let children: Vec<_> = (0..SIGNERS)
        .map(|number| {
            let mut command = step.command(&["sign", &format!("--annotation=signer={number}")]);
            command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", encoding);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
}

#[test]
fn all_signatures_are_there_by_tag() {
    let step = Step::new();
    let digest = step.built("team/app");
    sign_at_once(&step, "dsse");
    let payloads = step.payloads("team/app", &digest);
    let signers: BTreeSet<String> =
        payloads.iter().map(|payload| payload["optional"]["signer"].to_string()).collect();
    assert_eq!((payloads.len(), signers.len()), (SIGNERS, SIGNERS));
}

#[test]
fn all_signatures_are_there_by_the_fallback_index() {
    let step = Step::with(Options { referrers: false, ..Options::default() });
    let digest = step.built("team/app");
    sign_at_once(&step, "sigstore-bundle");
    let tag = format!("sha256-{}", digest.hex());
    let (_, index) = step.registry.content().manifest("team/app", &tag).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), SIGNERS);
}

#[test]
fn all_signatures_are_there_in_both_encodings() {
    let step = Step::with(Options { referrers: false, ..Options::default() });
    let digest = step.built("team/app");
    sign_at_once(&step, "dsse,sigstore-bundle");
    assert_eq!(step.payloads("team/app", &digest).len(), SIGNERS);
    assert_eq!(step.registry.content().referrers("team/app", &digest).len(), SIGNERS);
}
