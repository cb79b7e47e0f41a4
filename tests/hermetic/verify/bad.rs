//! What doesn't count, and what is said of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::verify::kit::{
    SIMPLE, envelope, fails, name, other, passes, payload, signed, signer, step, tag, verify,
};

#[test]
fn an_image_without_signatures_says_where_was_looked() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    fails(verify(&step, &[&image]), &["has no signature that counts", ".sig and the referrers of"]);
}

#[test]
fn another_keys_another_images_and_changed_payloads_do_not_count() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let good = payload(&step, "team/app", &digest);
    let elsewhere = payload(&step, "team/app", &stepseal::oci::Digest::of(b"elsewhere"));
    let text = |from: &str, to: &str| String::from_utf8(good.to_vec()).unwrap().replacen(from, to, 1);
    let twice = text(r#""optional":null"#, r#""optional":null,"optional":null"#);
    let more = text(r#""optional":null"#, r#""optional":null,"more":1"#);
    let kind = text("cosign container image signature", "atomic container signature");
    let garbage = (SIMPLE, &good[..], "!!!".to_owned());
    let cut = (SIMPLE, &good[..], STANDARD.encode(&signer().sign(&good).unwrap().0[..20]));
    let foreign_kind = ("text/plain", &good[..], signed(signer(), &good).2);
    for (layer, want) in [
        (signed(other(), &good), "it was made by none of the accepted signers"),
        (signed(signer(), &elsewhere), "it is signed for another image"),
        (signed(signer(), twice.as_bytes()), "the key \"optional\" appears twice"),
        (signed(signer(), more.as_bytes()), "the document is not {critical, optional}"),
        (signed(signer(), kind.as_bytes()), "not an image signature's"),
        (signed(signer(), b"{}"), "critical is missing"),
        (signed(signer(), format!("{kind} ").as_bytes()), "not an image signature's"),
        (garbage, "the layer has no signature in base64"),
        (cut, "it was made by none of the accepted signers"),
        (foreign_kind, "the layer's media type is not"),
        ((SIMPLE, b"other bytes", signed(signer(), &good).2), "it was made by none of the accepted signers"),
    ] {
        tag(&step, "team/app", &digest, "sig", &[layer]);
        fails(verify(&step, &[&image]), &["layer 1: ", want]);
    }
    // With a good one beside them all, the image passes.
    tag(&step, "team/app", &digest, "sig", &[signed(other(), &good), signed(signer(), &good)]);
    let ended = passes(verify(&step, &[&image]));
    assert!(ended.stderr.contains(".sig layer 2"), "{}", ended.stderr);
}

#[test]
fn one_bad_image_of_several_fails_the_run_and_the_others_are_told() {
    let step = step();
    let good = step.image("team/one", "one");
    let bad = step.image("team/two", "two");
    let [good, bad] = [name(&step, "team/one", &good), name(&step, "team/two", &bad)];
    step.sign(&[&good]);
    let ended = verify(&step, &[&good, &bad]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains(&format!("good       {good}")), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("error: {bad} has no signature")), "{}", ended.stderr);
}

#[test]
fn thousands_of_foreign_signatures_hide_nothing() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let ours = payload(&step, "team/app", &digest);
    let theirs: Vec<String> = (0..300).map(|number| format!("{{\"n\":{number}}}")).collect();
    let foreign = STANDARD.encode(other().sign(&ours).unwrap().0);
    let mut layers: Vec<(&str, &[u8], String)> =
        (0..3000).map(|_| (SIMPLE, &ours[..], foreign.clone())).collect();
    layers.extend(theirs.iter().map(|text| (SIMPLE, text.as_bytes(), foreign.clone())));
    tag(&step, "team/app", &digest, "sig", &layers);
    let ended = fails(verify(&step, &[&image]), &["and 3280 more that don't count"]);
    assert!(ended.stderr.len() < 20_000, "{}", ended.stderr.len());
    layers.insert(1500, signed(signer(), &ours));
    tag(&step, "team/app", &digest, "sig", &layers);
    let ended = passes(verify(&step, &[&image]));
    assert!(ended.stderr.contains(".sig layer 1501"), "{}", ended.stderr);
}

#[test]
fn a_payload_of_megabytes_is_not_read() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let huge = vec![b' '; 2 * 1024 * 1024];
    tag(&step, "team/app", &digest, "sig", &[signed(signer(), &huge)]);
    fails(verify(&step, &[&image]), &["is larger than 1048576 bytes"]);
}

#[test]
fn an_attestation_is_no_signature_of_the_image() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let statement = crate::verify::kit::provenance(&digest, "2026-01-01T00:00:00Z");
    let envelope = envelope(signer(), &statement);
    let envelope: serde_json::Value = serde_json::from_slice(&envelope).unwrap();
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let bundle = json!({
        "mediaType": kind,
        "verificationMaterial": { "publicKey": { "hint": signer().public_key().hint() } },
        "dsseEnvelope": envelope,
    })
    .to_string();
    let content = step.registry.content();
    let layer = content.put_blob("team/app", bundle.clone()).unwrap();
    let config = content.put_blob("team/app", "{}").unwrap();
    let (media_type, bytes) = content.manifest("team/app", digest.as_str()).unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": crate::kit::step::MANIFEST, "artifactType": kind,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": config.as_str() },
        "layers": [{ "mediaType": kind, "size": bundle.len(), "digest": layer.as_str() }],
        "subject": { "mediaType": media_type, "size": bytes.len(), "digest": digest.as_str() },
    });
    content.put_manifest("team/app", None, crate::kit::step::MANIFEST, manifest.to_string()).unwrap();
    fails(
        verify(&step, &[&image]),
        &[
            r#"it states "https://slsa.dev/provenance/v1", and "https://sigstore.dev/cosign/sign/v1" is wanted"#,
        ],
    );
    let args = ["verify-attestation", "--insecure-ignore-tlog", "--type=slsaprovenance1", &image];
    passes(step.run(&args));
}
