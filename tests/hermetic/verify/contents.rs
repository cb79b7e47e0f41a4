//! What the entries of a list name: each content is fetched once for all that name it, and what is large comes last.

use serde_json::{Value, json};
use stepseal::demo::registry::Options;
use stepseal::oci::Digest;

use crate::kit::step::{MANIFEST, Step};
use crate::verify::kit::{
    SIGNATURE, SIMPLE, fails, name, other, passes, payload, signed, signer, verify, with_public_key,
};

const REPOSITORY: &str = "team/app";
/// More than a signature's payload or bundle has.
const LARGE_BYTES: usize = 100_000;

/// A step whose image has a good bundle; returns it with the image's digest and the bundle's manifest.
fn with_bundle() -> (Step, Digest, Value) {
    let step = with_public_key(Step::with(Options { referrers: true, ..Options::default() }));
    let digest = step.built(REPOSITORY);
    step.sign(&["--config=storage.oci.encoding-format=sigstore-bundle"]);
    let (_, manifest) = step.registry.content().referrers(REPOSITORY, &digest).remove(0);
    let manifest = serde_json::from_slice(&manifest).unwrap();
    (step, digest, manifest)
}

fn bundle_of(manifest: &Value) -> Digest {
    manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap()
}

/// Puts a manifest like `good` for a bundle of these bytes, which says that they are so many.
fn put_bundle(step: &Step, good: &Value, bundle: &[u8], size: usize, number: usize) -> Digest {
    let content = step.registry.content();
    let digest = content.put_blob(REPOSITORY, bundle.to_vec()).unwrap();
    let mut manifest = good.clone();
    manifest["layers"][0]["digest"] = digest.as_str().into();
    manifest["layers"][0]["size"] = size.into();
    manifest["annotations"]["n"] = number.to_string().into();
    content.put_manifest(REPOSITORY, None, MANIFEST, manifest.to_string()).unwrap();
    digest
}

/// Large bytes that differ by `number`.
fn large(number: usize) -> Vec<u8> {
    format!("{{}}{number}{}", " ".repeat(LARGE_BYTES)).into_bytes()
}

/// Which blobs were asked for, in that order.
fn asked_for(step: &Step) -> Vec<Digest> {
    let requests = step.registry.requests();
    let digests = requests.iter().filter_map(|request| request.path_and_query.split_once("/blobs/"));
    digests.map(|(_, digest)| digest.parse().unwrap()).collect()
}

#[test]
fn a_bundle_that_many_referrers_name_is_fetched_once_and_refused_for_each() {
    let (step, digest, good) = with_bundle();
    let image = name(&step, REPOSITORY, &digest);
    let junk = large(0);
    for number in 0..400 {
        put_bundle(&step, &good, &junk, junk.len(), number);
    }
    let junk = Digest::of(&junk);
    step.registry.clear_requests();
    passes(verify(&step, &[&image]));
    assert!(asked_for(&step).iter().filter(|asked| **asked == junk).count() <= 1);
    // Where nothing counts, all of them are refused.
    let pem = other().public_key().to_pem();
    std::fs::write(step.path("keys/cosign.pub"), pem).unwrap();
    step.registry.clear_requests();
    let args = ["--key", step.path("keys/cosign.pub").to_str().unwrap(), &image].map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    fails(verify(&step, &args), &["and 381 more that don't count", "bundle"]);
    assert_eq!(asked_for(&step).iter().filter(|asked| **asked == junk).count(), 1);
}

#[test]
fn referrers_of_a_good_bundle_are_copies_of_it() {
    let (step, digest, good) = with_bundle();
    let image = name(&step, REPOSITORY, &digest);
    let bundle = step.registry.content().blob(REPOSITORY, &bundle_of(&good)).unwrap();
    for number in 0..300 {
        put_bundle(&step, &good, &bundle, bundle.len(), number);
    }
    step.registry.clear_requests();
    let ended = passes(verify(&step, &[&image]));
    assert_eq!(ended.stderr.matches("stored at").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("more entries are copies"), "{}", ended.stderr);
    assert_eq!(asked_for(&step), [bundle_of(&good)]);
    // One that lies about the size hides none of them.
    let (step, digest, good) = with_bundle();
    let image = name(&step, REPOSITORY, &digest);
    let bundle = step.registry.content().blob(REPOSITORY, &bundle_of(&good)).unwrap();
    for size in [bundle.len() - 1, bundle.len() + 1] {
        put_bundle(&step, &good, &bundle, size, size);
    }
    let ended = passes(verify(&step, &[&image]));
    assert_eq!(ended.stderr.matches("stored at").count(), 1, "{}", ended.stderr);
}

/// Wherever the good one stands, and whether the others say how large they are or not.
#[test]
fn large_contents_are_looked_at_after_small_ones_and_not_beyond_their_stated_size() {
    for says in [true, false] {
        let (step, digest, good) = with_bundle();
        let image = name(&step, REPOSITORY, &digest);
        for number in 0..40 {
            let bytes = large(number);
            put_bundle(&step, &good, &bytes, if says { bytes.len() } else { 1000 }, number);
        }
        step.registry.clear_requests();
        passes(verify(&step, &[&image]));
        let asked = asked_for(&step);
        let at = asked.iter().position(|asked| *asked == bundle_of(&good)).unwrap();
        assert!(!says || at == 0, "{at} of {}", asked.len());
    }
    let step = crate::verify::kit::step();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    let content = step.registry.content();
    let mut said: Value = serde_json::from_slice(&payload(&step, REPOSITORY, &digest)).unwrap();
    said["optional"] = json!({ "git": "x" });
    let said = said.to_string();
    let layer = |bytes: &[u8], signature: &str| {
        let digest = content.put_blob(REPOSITORY, bytes.to_vec()).unwrap();
        json!({
            "mediaType": SIMPLE, "size": bytes.len(), "digest": digest.as_str(),
            "annotations": { SIGNATURE: signature },
        })
    };
    let wrong = signed(other(), b"x").2;
    let mut layers = vec![layer(said.as_bytes(), &signed(signer(), said.as_bytes()).2)];
    layers.extend((0..40).map(|number| layer(&large(number), &wrong)));
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers });
    let tag = format!("sha256-{}.sig", digest.hex());
    content.put_manifest(REPOSITORY, Some(&tag), MANIFEST, manifest.to_string()).unwrap();
    step.registry.clear_requests();
    passes(verify(&step, &[&image]));
    assert_eq!(asked_for(&step).first(), Some(&Digest::of(said.as_bytes())));
}

/// Each entry for the same payload is judged, since the signature differs; the payload is fetched twice at most.
#[test]
fn a_payload_that_many_layers_name_is_fetched_no_more_than_twice() {
    let step = crate::verify::kit::step();
    let digest = step.built(REPOSITORY);
    let image = name(&step, REPOSITORY, &digest);
    let content = step.registry.content();
    // More than is remembered: blanks make it large.
    let payload = payload(&step, REPOSITORY, &digest);
    let said = format!("{}{}", String::from_utf8_lossy(&payload), " ".repeat(1_000_000));
    let blob = content.put_blob(REPOSITORY, said.clone()).unwrap();
    let layer = |signature: String| {
        json!({
            "mediaType": SIMPLE, "size": said.len(), "digest": blob.as_str(),
            "annotations": { SIGNATURE: signature },
        })
    };
    let wrong = |number: usize| layer(signed(other(), &number.to_be_bytes()).2);
    for position in [0, 30, 60] {
        let mut layers: Vec<Value> = (0..60).map(wrong).collect();
        layers.insert(position, layer(signed(signer(), said.as_bytes()).2));
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers });
        let tag = format!("sha256-{}.sig", digest.hex());
        content.put_manifest(REPOSITORY, Some(&tag), MANIFEST, manifest.to_string()).unwrap();
        step.registry.clear_requests();
        let ended = passes(verify(&step, &[&image]));
        assert!(ended.stderr.contains(&format!(".sig layer {}\n", position + 1)), "{}", ended.stderr);
        assert!(asked_for(&step).len() <= 2, "{:?}", asked_for(&step));
    }
}
