//! Registries that delete what an overwritten tag pointed to: a list then names content that is gone.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, Response, StatusCode};
use serde_json::Value;
use stepseal::demo::registry::{Content, Effect, Fault, Options};
use stepseal::oci::Digest;

use crate::kit::step::{Ended, Step, ended};

/// Where signatures go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Signatures,
    Attestations,
    Bundles,
}

const WAYS: [Way; 3] = [Way::Signatures, Way::Attestations, Way::Bundles];

impl Way {
    fn encoding(self) -> &'static str {
        if self == Self::Bundles { "sigstore-bundle" } else { "dsse" }
    }

    fn tag(self, digest: &Digest) -> String {
        let suffix = match self {
            Self::Signatures => ".sig",
            Self::Attestations => ".att",
            Self::Bundles => "",
        };
        format!("sha256-{}{suffix}", digest.hex())
    }

    fn list(self) -> &'static str {
        if self == Self::Bundles { "manifests" } else { "layers" }
    }
}

/// A step before such a registry, without a referrers API.
fn step() -> Step {
    Step::with(Options { referrers: false, deletes_overwritten: true, ..Options::default() })
}

/// The run of one of several signers, told apart by their `number`.
fn signer(step: &Step, way: Way, digest: &Digest, number: usize) -> std::process::Command {
    let mut command = match way {
        Way::Attestations => {
            let predicate = step.path(&format!("predicate-{number}.json"));
            std::fs::write(&predicate, format!("{{\"signer\":{number}}}")).unwrap();
            let image = format!("{}/team/app@{digest}", step.host());
            let mut command = step.command(&["attest", &image, "--type", "https://example.com/p"]);
            command.arg("--predicate").arg(predicate);
            command
        }
        _ => step.command(&["sign", &format!("--annotation=signer={number}")]),
    };
    command.env("STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", way.encoding());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(step: &Step, way: Way, digest: &Digest, number: usize) -> Ended {
    ended(signer(step, way, digest, number).output().unwrap())
}

/// The digest that an entry names.
fn named(entry: &Value) -> Digest {
    entry["digest"].as_str().unwrap().parse().unwrap()
}

/// Deletes what an entry names.
fn delete(content: &Content, way: Way, digest: &Digest) {
    let deleted = match way {
        Way::Bundles => content.remove_manifest("team/app", digest),
        _ => content.remove_blob("team/app", digest),
    };
    assert!(deleted, "{way:?}: {digest}");
}

/// What the list names; everything that it names must be there.
fn listed(step: &Step, way: Way, digest: &Digest) -> Vec<Value> {
    let content = step.registry.content();
    let (_, bytes) = content.manifest("team/app", &way.tag(digest)).expect("there is a list");
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let blob = |value: &Value| {
        assert!(content.blob("team/app", &named(value)).is_some(), "{value} is gone");
    };
    let entries = manifest[way.list()].as_array().unwrap().clone();
    for entry in &entries {
        if way == Way::Bundles {
            let (_, bytes) = content.manifest("team/app", named(entry).as_str()).expect("it is there");
            let referrer: Value = serde_json::from_slice(&bytes).unwrap();
            blob(&referrer["config"]);
            referrer["layers"].as_array().unwrap().iter().for_each(blob);
        } else {
            blob(entry);
        }
    }
    if way != Way::Bundles {
        blob(&manifest["config"]);
    }
    entries
}

fn all_of(signers: usize, way: Way) {
    let step = step();
    let digest = step.built("team/app");
    let children: Vec<_> =
        (0..signers).map(|number| signer(&step, way, &digest, number).spawn().unwrap()).collect();
    for child in children {
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!(ended.code, 0, "{way:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("WARN"), "{way:?}: {}", ended.stderr);
    }
    assert_eq!(listed(&step, way, &digest).len(), signers, "{way:?}");
}

#[test]
fn the_signatures_of_ten_at_once_are_there() {
    for way in WAYS {
        all_of(10, way);
    }
}

#[test]
fn the_signatures_of_twenty_at_once_are_there() {
    for way in WAYS {
        all_of(20, way);
    }
}

/// How a registry says that a list names something that isn't there: as ours does, as Gitea does, and as if the list were wrong.
const REFUSALS: [Option<(u16, &str)>; 4] = [
    None,
    Some((404, r#"{"errors":[{"code":"BLOB_UNKNOWN","message":""}]}"#)),
    Some((400, r#"{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}"#)),
    Some((404, "404 page not found")),
];

fn refuse_as(step: &Step, (status, body): (u16, &'static str)) {
    step.registry.faults().change_answers(move |asked, answer| {
        if *asked.method == Method::PUT && answer.status() == StatusCode::NOT_FOUND {
            *answer = Response::builder().status(status).body(body.into()).unwrap();
        }
    });
}

/// What a run has read is put back by it, whoever signed it.
#[test]
fn what_was_read_before_it_was_deleted_is_put_back() {
    for (way, refusal) in WAYS.into_iter().flat_map(|way| REFUSALS.map(|refusal| (way, refusal))) {
        let step = step();
        let digest = step.built("team/app");
        if way == Way::Signatures {
            // What it says is known without reading it.
            step.sign(&[]);
        } else {
            assert_eq!(run(&step, way, &digest, 0).code, 0);
        }
        let theirs = listed(&step, way, &digest).remove(0);
        if let Some(refusal) = refusal {
            refuse_as(&step, refusal);
        }
        let (mut lost, tag) = (Some(named(&theirs)), way.tag(&digest));
        step.registry.faults().before_manifest_put(move |content, put| {
            if let Some(lost) = (put.reference == tag).then(|| lost.take()).flatten() {
                delete(content, way, &lost);
            }
        });
        let ran = run(&step, way, &digest, 1);
        assert_eq!(ran.code, 0, "{way:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("WARN"), "{way:?}: {}", ran.stderr);
        let all = listed(&step, way, &digest);
        assert!(all.len() == 2 && all[0] == theirs, "{way:?}: {all:?}");
    }
}

/// Over a slow network too, on registries that keep what was overwritten and others, and whatever the read is answered first.
#[test]
fn a_list_that_came_in_between_is_read_before_it_is_overwritten() {
    for (way, deletes_overwritten, first_answer, code) in [
        (Way::Signatures, true, None, 0),
        (Way::Attestations, true, None, 0),
        (Way::Signatures, false, None, 0),
        (Way::Signatures, false, Some(503), 0),
        (Way::Attestations, false, Some(429), 0),
        (Way::Bundles, false, Some(500), 0),
        (Way::Signatures, false, Some(403), 4),
    ] {
        let row = format!("{way:?} {deletes_overwritten} {first_answer:?}");
        let step = Step::with(Options { referrers: false, deletes_overwritten, ..Options::default() });
        let digest = step.built("team/app");
        assert_eq!(run(&step, way, &digest, 0).code, 0);
        let theirs = listed(&step, way, &digest).remove(0);
        let tag = way.tag(&digest);
        let (content, path) = (step.registry.content().clone(), format!("/manifests/{tag}"));
        let (media_type, bytes) = content.manifest("team/app", &tag).unwrap();
        content.remove_tag("team/app", &tag);
        let slow = Fault::new(Effect::Delay(Duration::from_millis(50)));
        step.registry.faults().add(slow.method(Method::GET).path(&path));
        // The first list that is read is empty; the other signer comes while ours is uploaded.
        let (came, answered) = (AtomicBool::new(false), AtomicBool::new(false));
        step.registry.faults().answer_instead(move |asked| {
            if *asked.method == Method::POST && !came.swap(true, Ordering::SeqCst) {
                let put = asked.content.put_manifest("team/app", Some(&tag), &media_type, bytes.clone());
                put.unwrap();
            }
            let reads = *asked.method == Method::GET && asked.path_and_query.ends_with(&path);
            let status = first_answer.filter(|_| reads && came.load(Ordering::SeqCst))?;
            let is_first = !answered.swap(true, Ordering::SeqCst);
            is_first.then(|| Response::builder().status(status).body(bytes::Bytes::new()).unwrap())
        });
        let ran = run(&step, way, &digest, 1);
        assert_eq!(ran.code, code, "{row}: {}", ran.stderr);
        assert!(!ran.stderr.contains("WARN"), "{row}: {}", ran.stderr);
        let all = listed(&step, way, &digest);
        let ours = usize::from(code == 0);
        assert!(all.len() == 1 + ours && all[0] == theirs, "{row}: {all:?}");
    }
}

/// An entry that nobody can put back doesn't keep ours from getting there, and isn't left out in silence.
#[test]
fn an_entry_that_is_gone_for_good_is_left_out_and_named() {
    let run_one = |(way, refusal)| {
        let step = Step::with(Options { referrers: false, ..Options::default() });
        let digest = step.built("team/app");
        for number in [0, 1] {
            assert_eq!(run(&step, way, &digest, number).code, 0);
        }
        let before = listed(&step, way, &digest);
        delete(step.registry.content(), way, &named(&before[0]));
        if let Some(refusal) = refusal {
            refuse_as(&step, refusal);
        }
        let ran = run(&step, way, &digest, 2);
        assert_eq!(ran.code, 0, "{way:?}: {}", ran.stderr);
        let warning =
            format!("WARN stepseal::flow::lost: the signature {} is no longer at", named(&before[0]));
        assert!(ran.stderr.contains(&warning) && ran.stderr.contains("left out"), "{way:?}: {}", ran.stderr);
        let after = listed(&step, way, &digest);
        assert!(after.len() == 2 && after[0] == before[1], "{way:?}: {after:?}");
    };
    // Each is tried for seconds.
    std::thread::scope(|scope| {
        for (way, refusal) in WAYS.into_iter().zip(REFUSALS) {
            scope.spawn(move || run_one((way, refusal)));
        }
    });
}

/// A registry that takes a list with such an entry gets it: what lies there isn't ours to clean up.
#[test]
fn an_entry_that_the_registry_takes_stays() {
    for way in WAYS {
        let options = Options { referrers: false, unchecked_manifests: true, ..Options::default() };
        let step = Step::with(options);
        let digest = step.built("team/app");
        assert_eq!(run(&step, way, &digest, 0).code, 0);
        let before = listed(&step, way, &digest);
        delete(step.registry.content(), way, &named(&before[0]));
        let ran = run(&step, way, &digest, 1);
        assert_eq!(ran.code, 0, "{way:?}: {}", ran.stderr);
        let (_, bytes) = step.registry.content().manifest("team/app", &way.tag(&digest)).unwrap();
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        let entries = manifest[way.list()].as_array().unwrap();
        assert!(entries.len() == 2 && entries[0] == before[0], "{way:?}: {entries:?}");
    }
}

/// A registry that refuses a list for another reason says so, and nothing is left out.
#[test]
fn a_list_that_is_refused_for_another_reason_is_an_error() {
    for way in WAYS {
        let step = step();
        let digest = step.built("team/app");
        assert_eq!(run(&step, way, &digest, 0).code, 0);
        let before = listed(&step, way, &digest);
        let tag = way.tag(&digest);
        step.registry.faults().answer_instead(move |asked| {
            let refused = *asked.method == Method::PUT && asked.path_and_query.ends_with(&tag);
            let body = r#"{"errors":[{"code":"MANIFEST_INVALID","message":"no more than one"}]}"#;
            refused.then(|| Response::builder().status(400).body(body.into()).unwrap())
        });
        let ran = run(&step, way, &digest, 1);
        assert_ne!(ran.code, 0);
        assert!(ran.stderr.contains("MANIFEST_INVALID: no more than one"), "{way:?}: {}", ran.stderr);
        assert_eq!(listed(&step, way, &digest), before);
    }
}
