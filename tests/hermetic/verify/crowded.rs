//! One good signature in a crowd: whatever anyone with the right to push put beside it, and wherever it stands, it is found.

use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use stepseal::demo::registry::Options;
use stepseal::oci::Digest;

use crate::kit::peak::peak_kib;
use crate::kit::step::{Ended, INDEX, MANIFEST, Step};
use crate::verify::kit::{
    ENVELOPE, SIGNATURE, SIMPLE, envelope, fails, name, other, passes, payload, provenance, signed, signer,
    step, verify, with_public_key,
};

const REPOSITORY: &str = "team/app";
/// How many entries there are beside the good one: more than are judged once something counts.
const CROWD: usize = 1500;
/// The most memory that looking at a hostile list may take, in KiB.
const MAX_MEMORY_KIB: u64 = 128 * 1024;
/// The longest manifest.
const MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// The kinds of entries that hide a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Junk {
    /// The same payload, and signatures that another key made of something else.
    WrongSignature,
    /// Payloads that the registry doesn't hold.
    Absent,
    /// Other payloads, of which each has to be fetched.
    OtherPayload,
    /// The same payload with a certificate that isn't one.
    Certificate,
    /// Objects that say nothing.
    Empty,
    /// Descriptors with much in them.
    Deep,
    /// The good one with annotations that mean nothing.
    Copy,
}

const KINDS: [Junk; 7] = [
    Junk::WrongSignature,
    Junk::Absent,
    Junk::OtherPayload,
    Junk::Certificate,
    Junk::Empty,
    Junk::Deep,
    Junk::Copy,
];

/// A layer with this content and signature.
fn layer(kind: &str, bytes: &[u8], signature: &str) -> Value {
    json!({
        "mediaType": kind, "size": bytes.len(), "digest": Digest::of(bytes).as_str(),
        "annotations": { SIGNATURE: signature },
    })
}

/// Signatures by another key: a few, as making them takes time.
fn foreign() -> Vec<String> {
    (0..16_u8).map(|number| STANDARD.encode(other().sign(&[number]).unwrap().0)).collect()
}

impl Junk {
    /// As many layers of this kind beside one for `ours`, of which `good` is the signature.
    fn layers(self, step: &Step, ours: &Bytes, good: &str, count: usize) -> Vec<Value> {
        let content = step.registry.content();
        let foreign = foreign();
        let one = |number: usize| {
            let wrong = foreign[number % foreign.len()].as_str();
            match self {
                Self::WrongSignature => {
                    let mut layer = layer(SIMPLE, ours, wrong);
                    layer["annotations"]["n"] = number.to_string().into();
                    layer
                }
                Self::Absent => layer(SIMPLE, format!("absent {number}").as_bytes(), wrong),
                Self::OtherPayload => {
                    let bytes = format!("other {number}");
                    content.put_blob(REPOSITORY, bytes.clone()).unwrap();
                    layer(SIMPLE, bytes.as_bytes(), wrong)
                }
                Self::Certificate => {
                    let mut layer = layer(SIMPLE, ours, wrong);
                    layer["annotations"]["dev.sigstore.cosign/certificate"] =
                        format!("not one {number}").into();
                    layer
                }
                Self::Empty => json!({}),
                Self::Deep => json!({ "a": [[[{}, {}, [number]]]], "digest": 1 }),
                Self::Copy => {
                    let mut layer = layer(SIMPLE, ours, good);
                    layer["annotations"]["n"] = number.to_string().into();
                    layer
                }
            }
        };
        (0..count).map(one).collect()
    }
}

/// Puts these layers under an image's tag that ends in `end`.
fn put(step: &Step, digest: &Digest, end: &str, layers: &[Value]) {
    let content = step.registry.content();
    let config = content.put_blob(REPOSITORY, "{}").unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": config.as_str() },
    });
    put_text(step, digest, end, manifest.to_string());
}

fn put_text(step: &Step, digest: &Digest, end: &str, manifest: String) {
    assert!(manifest.len() <= MANIFEST_BYTES, "{}", manifest.len());
    let tag = format!("sha256-{}{end}", digest.hex());
    step.registry.content().put_manifest(REPOSITORY, Some(&tag), MANIFEST, manifest).unwrap();
}

/// As many copies of `entry` as fit into a manifest with the list `field`.
fn full_of(field: &str, entry: &str) -> String {
    let head = format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","{field}":["#);
    let count = (MANIFEST_BYTES - head.len() - 2) / (entry.len() + 1);
    format!("{head}{}]}}", vec![entry; count].join(","))
}

#[test]
fn a_good_signature_is_found_wherever_it_stands_in_a_crowd_and_is_not_signed_again() {
    for kind in KINDS {
        let step = step();
        let digest = step.built(REPOSITORY);
        let image = name(&step, REPOSITORY, &digest);
        step.sign(&[]);
        let good = step.layers(REPOSITORY, &digest).remove(0);
        let signature = good["annotations"][SIGNATURE].as_str().unwrap();
        let junk = kind.layers(&step, &payload(&step, REPOSITORY, &digest), signature, CROWD);
        for position in [0, CROWD / 2, CROWD] {
            let mut layers = junk.clone();
            layers.insert(position, good.clone());
            put(&step, &digest, ".sig", &layers);
            let ended = passes(verify(&step, &[&image]));
            if kind == Junk::Copy {
                let printed: Value = serde_json::from_str(ended.stdout.trim()).unwrap();
                assert_eq!(printed.as_array().unwrap().len(), 1, "a copy is not another signature");
            } else {
                let place = format!(".sig layer {}\n", position + 1);
                assert!(ended.stderr.contains(&place), "{kind:?} at {position}: {}", ended.stderr);
            }
            // Signing looks at the newest first: this is the worst place.
            if position == 0 {
                let ended = step.sign(&[]);
                assert!(ended.stderr.contains("unchanged"), "{kind:?}: {}", ended.stderr);
                assert_eq!(step.layers(REPOSITORY, &digest).len(), CROWD + 1, "{kind:?}");
            }
        }
    }
}

#[test]
fn where_nothing_counts_a_crowd_is_refused_and_counted() {
    for kind in KINDS.into_iter().filter(|kind| *kind != Junk::Copy) {
        let step = step();
        let digest = step.built(REPOSITORY);
        let image = name(&step, REPOSITORY, &digest);
        let junk = kind.layers(&step, &payload(&step, REPOSITORY, &digest), "", CROWD);
        put(&step, &digest, ".sig", &junk);
        let more = format!("and {} more that don't count", CROWD - 20);
        let ended = fails(verify(&step, &[&image]), &["layer 1: ", "layer 20: ", &more]);
        assert!(!ended.stderr.contains("layer 21: "), "{kind:?}: {}", ended.stderr);
    }
}

/// The order of judging is not that of the list.
#[test]
fn good_signatures_are_printed_in_the_order_of_the_list() {
    let step = step();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    step.sign(&["--annotation=n=1"]);
    step.sign(&[]);
    step.sign(&["--annotation=n=2"]);
    let ended = passes(verify(&step, &[&image]));
    let places: Vec<_> = ended.stderr.lines().filter(|line| line.contains("stored at")).collect();
    assert_eq!(places.len(), 3, "{}", ended.stderr);
    for (at, place) in places.iter().enumerate() {
        assert!(place.ends_with(&format!(".sig layer {}", at + 1)), "{}", ended.stderr);
    }
    let printed: Value = serde_json::from_str(ended.stdout.trim()).unwrap();
    let said: Vec<_> = printed.as_array().unwrap().iter().map(|one| one["optional"]["n"].clone()).collect();
    assert_eq!(said, [json!("1"), Value::Null, json!("2")]);
}

/// Once something counts, the rest of a crowd is not fetched, and the output says so.
#[test]
fn a_crowd_beside_what_counts_is_not_fetched_to_its_end() {
    let step = step();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    let ours = payload(&step, REPOSITORY, &digest);
    let mut layers = Junk::Absent.layers(&step, &ours, "", CROWD);
    let (_, bytes, signature) = signed(signer(), &ours);
    layers.insert(0, layer(SIMPLE, bytes, &signature));
    put(&step, &digest, ".sig", &layers);
    step.registry.clear_requests();
    let ended = passes(verify(&step, &[&image]));
    assert!(ended.stderr.contains("warning: not everything at"), "{}", ended.stderr);
    let requests = step.registry.requests().len();
    assert!(requests < 400, "{requests}");
    // Where nothing counts, each is looked for.
    layers.remove(0);
    put(&step, &digest, ".sig", &layers);
    step.registry.clear_requests();
    let ended = fails(verify(&step, &[&image]), &["more that don't count"]);
    assert!(!ended.stderr.contains("not everything"), "{}", ended.stderr);
    assert!(step.registry.requests().len() >= CROWD);
}

/// A payload that never comes, beside a signature that counts: the time limit ends the wait, and takes nothing from what was found.
#[test]
fn what_is_still_waited_for_when_the_time_is_over_hides_nothing() {
    use stepseal::demo::registry::{Effect, Fault};
    let step = step();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    let ours = payload(&step, REPOSITORY, &digest);
    let slow = layer(SIMPLE, b"slow", &signed(other(), b"slow").2);
    step.registry.content().put_blob(REPOSITORY, "slow").unwrap();
    step.registry.faults().add(Fault::new(Effect::Delay(Duration::from_secs(60))).path("/blobs/"));
    put(&step, &digest, ".sig", &[slow.clone(), layer(SIMPLE, &ours, &signed(signer(), &ours).2)]);
    let ended = passes(verify(&step, &["--timeout=3s", &image]));
    assert!(ended.stderr.contains("the time limit of the run was reached"), "{}", ended.stderr);
    put(&step, &digest, ".sig", &[slow]);
    fails(verify(&step, &["--timeout=1s", &image]), &["cannot determine whether"]);
}

/// What a policy needs more of than one, or younger, is looked for further.
#[test]
fn a_policy_that_is_not_met_yet_looks_at_all_of_a_crowd() {
    let step = step();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    let ours = payload(&step, REPOSITORY, &digest);
    let pem = |key: &stepseal::key::PublicKey| json!({ "publicKey": key.to_pem() });
    let policy = json!({
        "version": 1,
        "signers": { "one": pem(signer().public_key()), "two": pem(other().public_key()) },
        "rules": [{
            "name": "both", "images": ["**"],
            "signature": { "by": ["one", "two"], "atLeast": 2, "log": false },
        }],
    });
    let file = step.path("policy");
    std::fs::write(&file, policy.to_string()).unwrap();
    let run = || {
        let mut command = step.command(&["verify", "--policy", file.to_str().unwrap(), &image]);
        crate::kit::step::ended(command.env_remove("STEPSEAL_KEY").output().unwrap())
    };
    let mut layers = Junk::WrongSignature.layers(&step, &ours, "", CROWD);
    layers.push(layer(SIMPLE, &ours, &signed(signer(), &ours).2));
    put(&step, &digest, ".sig", &layers);
    fails(run(), &["does not pass the rule \"both\""]);
    layers.insert(0, layer(SIMPLE, &ours, &signed(other(), &ours).2));
    put(&step, &digest, ".sig", &layers);
    passes(run());
}

#[test]
fn attestations_in_a_crowd_are_found_by_type_and_fetched_first() {
    let step = step();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    let content = step.registry.content();
    let kind = "https://slsa.dev/provenance/v1";
    let attestation = |bytes: &[u8], kind: &str| {
        let mut layer = layer(ENVELOPE, bytes, "");
        layer["annotations"]["predicateType"] = kind.into();
        layer
    };
    let good = envelope(signer(), &provenance(&digest, "2026-01-01T00:00:00Z"));
    content.put_blob(REPOSITORY, good.clone()).unwrap();
    // One that many entries name, of which each could be another.
    let bad = envelope(other(), &provenance(&digest, "2026-01-01T00:00:00Z"));
    content.put_blob(REPOSITORY, bad.clone()).unwrap();
    let junk = |number: usize| match number % 3 {
        0 => attestation(format!("absent {number}").as_bytes(), "https://other.example/type"),
        1 => {
            let mut layer = attestation(&bad, kind);
            layer["annotations"]["n"] = number.to_string().into();
            layer
        }
        _ => json!({ "n": number }),
    };
    for position in [0, CROWD / 2, CROWD] {
        let mut layers: Vec<Value> = (0..CROWD).map(junk).collect();
        layers.insert(position, attestation(&good, kind));
        put(&step, &digest, ".att", &layers);
        step.registry.clear_requests();
        let args = ["verify-attestation", "--insecure-ignore-tlog", "--type=slsaprovenance1", &image];
        let ended = passes(step.run(&args));
        assert!(ended.stderr.contains(&format!(".att layer {}", position + 1)), "{}", ended.stderr);
        assert_eq!(ended.stdout.lines().count(), 1);
        let requests = step.registry.requests().len();
        assert!(requests < 400, "{requests}");
    }
}

/// By the API and by the fallback tag.
#[test]
fn a_good_bundle_is_found_among_referrers_that_are_something_else() {
    for referrers in [true, false] {
        let step = with_public_key(Step::with(Options {
            referrers,
            unchecked_manifests: true,
            page_size: std::num::NonZeroUsize::new(100),
            ..Options::default()
        }));
        let digest = step.built(REPOSITORY);
        let image = name(&step, REPOSITORY, &digest);
        let encoding = "--config=storage.oci.encoding-format=sigstore-bundle";
        step.sign(&[encoding]);
        let content = step.registry.content();
        let subject = json!({ "mediaType": MANIFEST, "size": 1, "digest": digest.as_str() });
        let other_thing = |number: usize| {
            json!({
                "schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "subject": subject, "n": number,
                "config": { "mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": Digest::of(b"{}").as_str() },
            })
            .to_string()
        };
        let put = |number| content.put_manifest(REPOSITORY, None, MANIFEST, other_thing(number)).unwrap();
        let crowd: Vec<Digest> = (0..600).map(put).collect();
        if !referrers {
            let tag = format!("sha256-{}", digest.hex());
            let (_, index) = content.manifest(REPOSITORY, &tag).unwrap();
            let mut index: Value = serde_json::from_slice(&index).unwrap();
            let entries = index["manifests"].as_array_mut().unwrap();
            let entry =
                |digest: &Digest| json!({ "mediaType": MANIFEST, "size": 1, "digest": digest.as_str() });
            entries.extend(crowd.iter().map(entry));
            content.put_manifest(REPOSITORY, Some(&tag), INDEX, index.to_string()).unwrap();
        }
        let ended = passes(verify(&step, &[&image]));
        assert_eq!(ended.stderr.matches("stored at").count(), 1, "{}", ended.stderr);
        let before = content.referrers(REPOSITORY, &digest).len();
        let ended = step.sign(&[encoding]);
        assert!(ended.stderr.contains("unchanged"), "{}", ended.stderr);
        assert_eq!(content.referrers(REPOSITORY, &digest).len(), before);
    }
}

/// The peak of the memory that a command takes while it runs, in KiB, and how it ended.
fn measured(mut command: Command) -> (u64, Ended) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak_kib(child.id()).unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(1));
    }
    (peak, crate::kit::step::ended(child.wait_with_output().unwrap()))
}

/// Entries of which a list of 4 MiB has as many as fit.
fn hostile_entries() -> Vec<(&'static str, String)> {
    let digest = Digest::of(b"x");
    vec![
        ("empty objects", "{}".to_owned()),
        ("objects with a field", r#"{"a":0}"#.to_owned()),
        ("descriptors", format!(r#"{{"mediaType":"{ENVELOPE}","digest":"{digest}","size":1}}"#)),
        ("a descriptor of objects", format!(r#"{{"a":[{}]}}"#, vec![r#"{"a":0}"#; 400_000].join(","))),
    ]
}

#[test]
fn hostile_lists_take_little_memory() {
    for (what, entry) in hostile_entries() {
        for (end, field) in [(".sig", "layers"), (".att", "layers"), ("", "manifests")] {
            let step = with_public_key(Step::with(Options { referrers: false, ..Options::default() }));
            let digest = step.built(REPOSITORY);
            let image = name(&step, REPOSITORY, &digest);
            put_text(&step, &digest, end, full_of(field, &entry));
            let verify = match end {
                ".att" => {
                    &["verify-attestation", "--insecure-ignore-tlog", "--timeout=3s", "--type=spdx"][..]
                }
                _ => &["verify", "--insecure-ignore-tlog", "--timeout=3s"],
            };
            let encoding = match end {
                "" => "--config=storage.oci.encoding-format=sigstore-bundle",
                _ => "--config=storage.oci.encoding-format=dsse",
            };
            let sign = ["sign", "--timeout=3s", encoding];
            for args in [verify, &sign] {
                let (peak, ended) = measured(step.command(&[args, &[&image]].concat()));
                eprintln!("{what}, {end}, {}: {} MiB, {}", args[0], peak / 1024, ended.code);
                assert!(peak <= MAX_MEMORY_KIB, "{what}, {end}, {}: {} KiB", args[0], peak);
                assert!([0, 1].contains(&ended.code), "{}", ended.stderr);
            }
        }
    }
}

/// Referrers with layers as under cosign's tags, each as large as a manifest can be.
#[test]
fn referrers_full_of_layers_take_little_memory() {
    let options = Options { referrers: false, unchecked_manifests: true, ..Options::default() };
    let step = with_public_key(Step::with(options));
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    let kind = "application/vnd.dev.cosign.artifact.sig.v1+json";
    let entries: Vec<Value> = (0..24)
        .map(|number| {
            let layer = layer(SIMPLE, format!("absent {number}").as_bytes(), "AAAA").to_string();
            let end = format!(r#","subject":{{"digest":"{digest}"}}}}"#);
            let list = full_of("layers", &layer);
            let room = list.len() - 2 - (layer.len() + 1) * (end.len() / layer.len() + 1);
            let manifest = format!("{}]{end}", &list[..room]);
            let referrer =
                step.registry.content().put_manifest(REPOSITORY, None, MANIFEST, manifest).unwrap();
            json!({ "mediaType": MANIFEST, "size": 1, "digest": referrer.as_str(), "artifactType": kind })
        })
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
    put_text(&step, &digest, "", index);
    let (peak, ended) = measured(step.command(&["verify", "--insecure-ignore-tlog", "--timeout=5s", &image]));
    assert!(peak <= MAX_MEMORY_KIB, "{peak} KiB");
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    // Beside a good signature they hide nothing.
    step.sign(&["--timeout=60s"]);
    passes(verify(&step, &["--timeout=60s", &image]));
}

#[test]
fn a_hostile_index_takes_little_memory() {
    let step = step();
    for (what, entry) in hostile_entries() {
        let index = full_of("manifests", &entry);
        let digest = step.registry.content().put_manifest(REPOSITORY, None, INDEX, index).unwrap();
        let image = name(&step, REPOSITORY, &digest);
        for command in [&["verify", "--insecure-ignore-tlog", "--recursive"][..], &["sign", "--recursive"]] {
            let (peak, ended) = measured(step.command(&[command, &["--timeout=3s", &image]].concat()));
            eprintln!("{what}, {}: {} MiB, {}", command[0], peak / 1024, ended.code);
            assert!(peak <= MAX_MEMORY_KIB, "{what}, {}: {peak} KiB", command[0]);
        }
    }
}
