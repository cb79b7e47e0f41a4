//! `stepseal attest --replace`: earlier attestations of the same type by the same key go, and nothing else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use stepseal::formats::dsse;
use stepseal::oci::Digest;

use crate::kit::step::{Ended, MANIFEST};
use crate::runs::attest_many::{attest, file, verifies};
use crate::runs::place::Place;

const TYPE: &str = "https://e.x/report";

struct Attested {
    place: Place,
    image: String,
    digest: Digest,
}

impl Attested {
    fn new() -> Self {
        let place = Place::new();
        let (name, digest) = place.image("team/app");
        Self { image: format!("{name}@{digest}"), place, digest }
    }

    /// Attests `{"n":number}`.
    fn attest(&self, number: u32, kind: &str, args: &[&str]) -> Ended {
        let predicate = file(&self.place, &format!("p{number}"), &format!("{{\"n\":{number}}}"));
        attest(
            &self.place,
            &[&[self.image.as_str(), "--predicate", &predicate, "--type", kind], args].concat(),
        )
    }

    /// The same, which must end well.
    #[track_caller]
    fn attests(&self, number: u32, kind: &str, args: &[&str]) -> Ended {
        let ended = self.attest(number, kind, args);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended
    }

    fn tag(&self) -> String {
        format!("sha256-{}.att", self.digest.hex())
    }

    /// The list as it is.
    fn list(&self) -> Value {
        let (_, bytes) = self.place.step.registry.content().manifest("team/app", &self.tag()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn put(&self, list: &Value) {
        let content = self.place.step.registry.content();
        content.put_manifest("team/app", Some(&self.tag()), MANIFEST, list.to_string()).unwrap();
    }

    /// The numbers that the list has, sorted, with their types.
    fn numbers(&self) -> Vec<(u64, String)> {
        let number = |layer: &Value| {
            let blob = layer["digest"].as_str().unwrap().parse().unwrap();
            let bytes = self.place.step.registry.content().blob("team/app", &blob).unwrap();
            let statement: Value = serde_json::from_slice(&dsse::read(&bytes).unwrap().payload).unwrap();
            (
                statement["predicate"]["n"].as_u64().unwrap(),
                statement["predicateType"].as_str().unwrap().to_owned(),
            )
        };
        let mut numbers: Vec<_> = self.list()["layers"].as_array().unwrap().iter().map(number).collect();
        numbers.sort();
        numbers
    }
}

fn of(numbers: &[(u64, &str)]) -> Vec<(u64, String)> {
    numbers.iter().map(|(number, kind)| (*number, (*kind).to_owned())).collect()
}

#[test]
fn only_what_this_key_attested_of_the_same_type_goes() {
    let attested = Attested::new();
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keys/p256.pkcs8.pem");
    for number in [1, 2] {
        attested.attests(number, TYPE, &[]);
    }
    attested.attests(3, "https://e.x/other", &[]);
    attested.attests(4, TYPE, &["--key", other]);
    let ended = attested.attests(5, TYPE, &["--replace", "--output=json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report[0]["added"], &report[0]["replaced"]), (&json!(1), &json!(2)));
    assert_eq!(attested.numbers(), of(&[(3, "https://e.x/other"), (4, TYPE), (5, TYPE)]));
    assert_eq!(verifies(&attested.place, &attested.image, TYPE).code, 0);
    let again = attested.attests(5, TYPE, &["--replace"]);
    assert!(again.stderr.contains("nothing was added"), "{}", again.stderr);
    // What is there already stays, and only the others go.
    attested.attests(6, TYPE, &[]);
    let ended = attested.attests(5, TYPE, &["--replace"]);
    assert!(ended.stderr.contains("replaced 1 earlier attestation "), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("1 signed") && !ended.stderr.contains("nothing was added"),
        "{}",
        ended.stderr
    );
    assert_eq!(attested.numbers(), of(&[(3, "https://e.x/other"), (4, TYPE), (5, TYPE)]));
    assert_eq!(attested.attests(7, TYPE, &["--replace=false"]).code, 0);
    assert_eq!(attested.numbers().len(), 4);
}

/// The label isn't what counts: a signature, and the type that is signed.
#[test]
fn what_only_says_that_it_is_of_this_type_stays() {
    let attested = Attested::new();
    attested.attests(1, "https://e.x/other", &[]);
    attested.attests(2, TYPE, &[]);
    let mut list = attested.list();
    list["layers"][0]["annotations"]["predicateType"] = json!(TYPE);
    let damaged =
        r#"{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AQ=="}]}"#;
    let content = attested.place.step.registry.content();
    let blob = content.put_blob("team/app", damaged).unwrap();
    let mut theirs = list["layers"][1].clone();
    theirs["digest"] = json!(blob.as_str());
    theirs["size"] = json!(damaged.len());
    list["layers"].as_array_mut().unwrap().push(theirs.clone());
    let kept = list["layers"][0].clone();
    attested.put(&list);
    let ended = attested.attests(3, TYPE, &["--replace"]);
    assert!(ended.stderr.contains("replaced 1 earlier attestation "), "{}", ended.stderr);
    let layers = attested.list()["layers"].as_array().unwrap().clone();
    assert_eq!(layers.len(), 3);
    for stays in [kept, theirs] {
        assert!(layers.contains(&stays), "{stays}");
    }
}

/// One that another signer adds meanwhile stays, by the same key too; what was removed doesn't come back with it.
#[test]
fn what_is_added_at_the_same_time_is_not_lost_and_what_is_removed_does_not_come_back() {
    let attested = Attested::new();
    attested.attests(0, TYPE, &[]);
    let before = attested.list();
    attested.attests(1, TYPE, &[]);
    let meanwhile = attested.list();
    attested.put(&before);
    let (tag, times) = (attested.tag(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&times);
    attested.place.step.registry.faults().after_manifest_put(move |content, put| {
        if put.reference == tag && seen.fetch_add(1, Ordering::Relaxed) == 0 {
            content.put_manifest("team/app", Some(&tag), MANIFEST, meanwhile.to_string()).unwrap();
        }
    });
    let ended = attested.attests(2, TYPE, &["--replace"]);
    assert!(ended.stderr.contains("replaced 1 earlier attestation "), "{}", ended.stderr);
    assert_eq!(attested.numbers(), of(&[(1, TYPE), (2, TYPE)]));
    assert!(times.load(Ordering::Relaxed) >= 2);
}

#[test]
fn another_signer_that_puts_it_back_for_ever_is_an_error_and_ours_is_there() {
    let attested = Attested::new();
    attested.attests(0, TYPE, &[]);
    let old = attested.list()["layers"][0].clone();
    let tag = attested.tag();
    attested.place.step.registry.faults().after_manifest_put(move |content, put| {
        if put.reference != tag {
            return;
        }
        let (_, bytes) = content.manifest("team/app", &tag).unwrap();
        let mut list: Value = serde_json::from_slice(&bytes).unwrap();
        list["layers"].as_array_mut().unwrap().push(old.clone());
        content.put_manifest("team/app", Some(&tag), MANIFEST, list.to_string()).unwrap();
    });
    let ended = attested.attest(1, TYPE, &["--replace", "--timeout=60s"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("reappeared") && ended.stderr.contains("do:"), "{}", ended.stderr);
    assert_eq!(attested.numbers(), of(&[(0, TYPE), (1, TYPE)]));
}

#[test]
fn several_that_replace_at_once_lose_nothing_of_each_other() {
    let attested = Attested::new();
    attested.attests(0, TYPE, &[]);
    let ended: Vec<Ended> = std::thread::scope(|scope| {
        let attested = &attested;
        let signers: Vec<_> = (1..=4)
            .map(|number| scope.spawn(move || attested.attest(number, TYPE, &["--replace"])))
            .collect();
        signers.into_iter().map(|signer| signer.join().unwrap()).collect()
    });
    for ended in &ended {
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
    let numbers: Vec<u64> = attested.numbers().iter().map(|(number, _)| *number).collect();
    assert!(!numbers.contains(&0), "{numbers:?}");
    // Each keeps those that it didn't see at first; the last may have seen, and replaced, all others.
    assert!(!numbers.is_empty());
}

#[test]
fn where_it_cannot_be_done_nothing_is_half_done() {
    let attested = Attested::new();
    let folder = attested.place.step.path("signatures").display().to_string();
    attested.place.step.registry.clear_requests();
    for config in [
        "storage.oci.encoding-format=sigstore-bundle",
        "artifacts.oci.storage=directory",
        "artifacts.oci.storage=oci,directory",
    ] {
        let ended = attested.attest(1, TYPE, &["--replace", "--config", config, "--signatures-dir", &folder]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("--replace works only for") && ended.stderr.contains("do:"),
            "{}",
            ended.stderr
        );
    }
    assert!(attested.place.step.registry.requests().is_empty());
}
