//! Every field of what is stored, changed on purpose.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::law::{Piece, holds};
use super::scene::{Scene, Way, run};

/// What is done to a field.
enum Do {
    Set(Value),
    Remove,
}

use Do::{Remove, Set};

/// Sets or removes the field at a pointer; whether anything came of it.
fn change(document: &mut Value, pointer: &str, what: &Do) -> bool {
    let before = document.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/").replace("~0", "~");
    let Some(parent) = document.pointer_mut(parent) else { return false };
    match (parent, what) {
        (Value::Object(fields), Set(value)) => {
            fields.insert(name, value.clone());
        }
        (Value::Object(fields), Remove) => {
            fields.remove(&name);
        }
        (Value::Array(items), Set(value)) => match items.get_mut(name.parse::<usize>().unwrap()) {
            Some(item) => *item = value.clone(),
            None => items.push(value.clone()),
        },
        (Value::Array(items), Remove) => {
            items.remove(name.parse().unwrap());
        }
        _ => return false,
    }
    *document != before
}

const SIGNATURE: &str = "/annotations/dev.cosignproject.cosign~1signature";

/// The changes: which piece, which field, and what is done to it.
fn changes() -> Vec<(Piece, &'static str, Do)> {
    let log = json!({
        "logIndex": "1", "logId": { "keyId": "AA==" }, "integratedTime": "1", "canonicalizedBody": "AA==",
        "kindVersion": { "kind": "hashedrekord", "version": "0.0.1" },
    });
    let stamps = json!({ "rfc3161Timestamps": [{ "signedTimestamp": "AAAA" }] });
    let other = json!(format!("sha256:{}", "ab".repeat(32)));
    let mut all = vec![
        (Piece::Entry, "/mediaType", Set(json!("application/octet-stream"))),
        (Piece::Entry, "/mediaType", Set(json!(5))),
        (Piece::Entry, "/mediaType", Remove),
        (Piece::Entry, "/size", Set(json!(1))),
        (Piece::Entry, "/size", Set(json!("234"))),
        (Piece::Entry, "/size", Set(json!(90_000_000_000_u64))),
        (Piece::Entry, "/size", Remove),
        (Piece::Entry, "/digest", Set(other.clone())),
        (Piece::Entry, "/digest", Set(json!("sha512:00"))),
        (Piece::Entry, "/digest", Remove),
        (Piece::Entry, "/annotations", Remove),
        (Piece::Entry, "/annotations", Set(json!("x"))),
        (Piece::Entry, "/urls", Set(json!(["https://example.com"]))),
        (Piece::Entry, "/artifactType", Set(json!("application/x"))),
        (Piece::Entry, "/artifactType", Set(json!("application/vnd.dev.sigstore.bundle+json;version=0.2"))),
        (Piece::Entry, "/artifactType", Remove),
        (Piece::Entry, SIGNATURE, Set(json!("AAAA"))),
        (Piece::Entry, SIGNATURE, Set(json!("not base64"))),
        (Piece::Entry, SIGNATURE, Remove),
        (Piece::Entry, "/annotations/predicateType", Set(json!("https://example.com/other"))),
        (Piece::Entry, "/annotations/dev.sigstore.bundle.predicateType", Set(json!("https://example.com/o"))),
        (Piece::Entry, "/annotations/dev.sigstore.bundle.content", Set(json!("x"))),
        (Piece::List, "/schemaVersion", Set(json!(1))),
        (Piece::List, "/mediaType", Remove),
        (Piece::List, "/config", Set(json!({}))),
        (Piece::List, "/annotations", Set(json!({ "a": "b" }))),
        (Piece::List, "/layers", Set(json!({}))),
        (Piece::List, "/manifests", Set(json!([1]))),
        (Piece::Blob, "/payload", Set(json!("e30="))),
        (Piece::Blob, "/payload", Set(json!("?"))),
        (Piece::Blob, "/payloadType", Set(json!("text/plain"))),
        (Piece::Blob, "/signatures", Set(json!([]))),
        (Piece::Blob, "/signatures/0/sig", Set(json!("AAAA"))),
        (Piece::Blob, "/signatures/0/sig", Set(json!("?"))),
        (Piece::Blob, "/signatures/0/keyid", Set(json!("SHA256:somebody"))),
        (Piece::Blob, "/signatures/1", Set(json!({ "keyid": "", "sig": "AAAA" }))),
        (Piece::Blob, "/x", Set(json!(1))),
        (Piece::Blob, "/optional", Set(json!({ "a": "b" }))),
        (Piece::Blob, "/critical/type", Set(json!("x"))),
        (Piece::Referrer, "/subject/digest", Set(other.clone())),
        (Piece::Referrer, "/subject/size", Set(json!(1))),
        (Piece::Referrer, "/subject", Remove),
        (Piece::Referrer, "/artifactType", Set(json!("application/x"))),
        (Piece::Referrer, "/artifactType", Remove),
        (Piece::Referrer, "/config/mediaType", Set(json!("application/x"))),
        (Piece::Referrer, "/layers/0/mediaType", Set(json!("application/octet-stream"))),
        (
            Piece::Referrer,
            "/layers/0/mediaType",
            Set(json!("application/vnd.dev.sigstore.bundle.v0.3+jsonx")),
        ),
        (Piece::Referrer, "/layers/0/size", Set(json!(7))),
        (Piece::Referrer, "/layers/0/digest", Set(other)),
        (Piece::Referrer, "/layers/1", Set(json!({ "mediaType": "x" }))),
        (Piece::Referrer, "/layers", Set(json!("x"))),
        (Piece::Referrer, "/annotations", Remove),
        (Piece::Bundle, "/x", Set(json!(1))),
        (Piece::Bundle, "/mediaType", Set(json!("application/json"))),
        (Piece::Bundle, "/mediaType", Set(json!("application/vnd.dev.sigstore.bundle+json;version=0.2"))),
        (Piece::Bundle, "/mediaType", Remove),
        (Piece::Bundle, "/verificationMaterial", Remove),
        (Piece::Bundle, "/verificationMaterial/publicKey/hint", Set(json!("somebody"))),
        (Piece::Bundle, "/verificationMaterial/publicKey/x", Set(json!(1))),
        (Piece::Bundle, "/verificationMaterial/certificate", Set(json!({ "rawBytes": "AAAA" }))),
        (Piece::Bundle, "/verificationMaterial/tlogEntries", Set(json!([log]))),
        (Piece::Bundle, "/verificationMaterial/tlogEntries", Set(json!([]))),
        (Piece::Bundle, "/verificationMaterial/timestampVerificationData", Set(stamps)),
        (Piece::Bundle, "/verificationMaterial/timestampVerificationData", Set(json!({}))),
        (Piece::Bundle, "/messageSignature", Set(json!({ "signature": "AAAA" }))),
        (Piece::Bundle, "/dsseEnvelope", Remove),
        (Piece::Bundle, "/dsseEnvelope/payload", Set(json!("e30="))),
        (Piece::Bundle, "/dsseEnvelope/payloadType", Set(json!("text/plain"))),
        (Piece::Bundle, "/dsseEnvelope/signatures", Set(json!([]))),
        (Piece::Bundle, "/dsseEnvelope/signatures/0/sig", Set(json!("AAAA"))),
        (Piece::Bundle, "/dsseEnvelope/signatures/0/keyid", Set(json!("somebody"))),
        (Piece::Bundle, "/dsseEnvelope/signatures/1", Set(json!({ "sig": "AAAA" }))),
    ];
    for name in ["bundle", "rfc3161timestamp", "certificate", "chain"] {
        let pointer: &'static str =
            Box::leak(format!("/annotations/dev.sigstore.cosign~1{name}").into_boxed_str());
        for text in ["x", "", "{}", r#"{"SignedRFC3161Timestamp":"AAAA"}"#] {
            all.push((Piece::Entry, pointer, Set(json!(text))));
        }
    }
    all
}

/// The rows of one way; how many states `verify` accepted, refused, and couldn't read.
fn rows(way: Way) -> BTreeMap<Option<bool>, usize> {
    run(async {
        let mut seen = BTreeMap::new();
        for (piece, pointer, what) in changes() {
            let scene = Scene::new(way).await;
            if !scene.has(piece) {
                continue;
            }
            assert_eq!(scene.sign().await, Ok((1, 0)));
            let mut document = scene.piece(piece);
            if !change(&mut document, pointer, &what) {
                continue;
            }
            scene.put(piece, &document);
            let shown = match &what {
                Set(value) => format!("{piece:?} {pointer} = {value}"),
                Remove => format!("{piece:?} without {pointer}"),
            };
            *seen.entry(holds(&scene, &shown).await).or_default() += 1;
        }
        seen
    })
}

fn check(way: Way, refused: usize, accepted: usize) {
    let seen = rows(way);
    let count = |verdict| seen.get(&verdict).copied().unwrap_or(0);
    assert!(count(Some(false)) >= refused && count(Some(true)) >= accepted, "{way:?}: {seen:?}");
}

#[test]
fn a_spoilt_signature_under_the_tag_gets_a_good_one_beside_it() {
    check(Way::SignatureTag, 20, 5);
}

#[test]
fn a_spoilt_bundle_gets_a_good_one_beside_it() {
    check(Way::SignatureReferrer, 20, 5);
}

#[test]
fn a_spoilt_bundle_in_the_fallback_list_gets_a_good_one_beside_it() {
    check(Way::SignatureFallback, 25, 10);
}

#[test]
fn a_spoilt_attestation_under_the_tag_gets_a_good_one_beside_it() {
    check(Way::AttestationTag, 12, 10);
}

#[test]
fn a_spoilt_attestation_in_a_bundle_gets_a_good_one_beside_it() {
    check(Way::AttestationReferrer, 20, 5);
    check(Way::AttestationFallback, 25, 10);
}

#[test]
fn it_is_so_for_every_kind_of_key() {
    run(async {
        for key in ["p384.pkcs8.pem", "p521.pkcs8.pem", "ed25519.pkcs8.pem", "rsa2048.pkcs8.pem"] {
            for way in Way::ALL {
                let scene = Scene::with_key(way, key).await;
                assert_eq!(scene.sign().await, Ok((1, 0)), "{key}");
                assert_eq!(holds(&scene, key).await, Some(true));
                let (piece, pointer) =
                    if way.is_tag() { (Piece::Entry, "/mediaType") } else { (Piece::Bundle, "/x") };
                let mut document = scene.piece(piece);
                change(&mut document, pointer, &Set(json!("application/x")));
                scene.put(piece, &document);
                assert_eq!(holds(&scene, key).await, Some(false));
            }
        }
    });
}
