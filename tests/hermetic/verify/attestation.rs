//! `verify-attestation`: what is attested, of what, by whom.

use serde_json::{Value, json};
use stepseal::oci::Digest;

use crate::kit::step::{Ended, Step};
use crate::verify::kit::{ENVELOPE, envelope, fails, name, other, passes, provenance, signer, step, tag};

fn verify(step: &Step, args: &[&str]) -> Ended {
    step.run(&[&["verify-attestation", "--insecure-ignore-tlog"], args].concat())
}

fn attest(step: &Step, digest: &Digest, envelopes: &[&[u8]]) {
    let layers: Vec<_> = envelopes.iter().map(|bytes| (ENVELOPE, *bytes, String::new())).collect();
    tag(step, "team/app", digest, "att", &layers);
}

#[test]
fn what_is_attested_is_printed_and_required() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let envelope = envelope(signer(), &provenance(&digest, "2026-01-01T00:00:00Z"));
    attest(&step, &digest, &[&envelope]);
    let ended = passes(verify(
        &step,
        &[
            "--type=slsaprovenance1",
            "--require=$.predicate.runDetails.builder.id=https://tekton.dev/chains/v2",
            "--require=$.predicate.buildDefinition.buildType=https://tekton.dev/chains/v2/slsa",
            &image,
        ],
    ));
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(printed, serde_json::from_slice::<Value>(&envelope).unwrap());
    for (args, want) in [
        (["--type=slsaprovenance", "--output=json"], "it states"),
        (
            ["--type=slsaprovenance1", "--require=$.predicate.runDetails.builder.id=x"],
            "and \"x\" is required",
        ),
        (["--type=slsaprovenance1", "--require=$.predicate.nothing=x"], "it says nothing at"),
    ] {
        fails(verify(&step, &[&args[..], &[&image]].concat()), &["has no attestation of", want]);
    }
    for (args, want) in [
        (["--type=nonsense", "-o=json"], "no predicate type"),
        (["--type=custom", "--require=a"], "PATH=VALUE"),
        (["--type=custom", "--require=a=b"], "not a JSONPath"),
    ] {
        let ended = verify(&step, &[&args[..], &[&image]].concat());
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(want), "{}", ended.stderr);
    }
}

#[test]
fn what_is_not_attested_of_this_image_by_an_accepted_key_does_not_count() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let good = provenance(&digest, "2026-01-01T00:00:00Z");
    let mut no_subject = good.clone();
    no_subject["subject"] = json!([]);
    let mut by_name = good.clone();
    by_name["subject"][0]["digest"] = json!({ "sha512": digest.hex() });
    let other_image = provenance(&Digest::of(b"y"), "2026-01-01T00:00:00Z");
    let mut type_v2 = good.clone();
    type_v2["_type"] = json!("https://in-toto.io/Statement/v2");
    let mixed = {
        // The signature of one envelope over the payload of another.
        let mut one: Value = serde_json::from_slice(&envelope(signer(), &good)).unwrap();
        let two: Value = serde_json::from_slice(&envelope(signer(), &other_image)).unwrap();
        one["signatures"] = two["signatures"].clone();
        one.to_string()
    };
    let retyped = String::from_utf8(envelope(signer(), &good).to_vec()).unwrap().replacen(
        "in-toto+json",
        "in-toto+jsom",
        1,
    );
    for (bytes, want) in [
        (envelope(other(), &good).to_vec(), "none of the accepted signers"),
        (envelope(signer(), &other_image).to_vec(), "it is signed for another image"),
        (envelope(signer(), &no_subject).to_vec(), "it is signed for another image"),
        (envelope(signer(), &by_name).to_vec(), "it is signed for another image"),
        (envelope(signer(), &type_v2).to_vec(), "its _type is none of in-toto's"),
        (mixed.into_bytes(), "none of the accepted signers"),
        (retyped.into_bytes(), "none of the accepted signers"),
        (b"{}".to_vec(), "not a DSSE envelope"),
    ] {
        attest(&step, &digest, &[&bytes]);
        fails(verify(&step, &["--type=slsaprovenance1", &image]), &["layer 1: ", want]);
    }
    attest(&step, &digest, &[b"{}", &envelope(other(), &good), &envelope(signer(), &good)]);
    passes(verify(&step, &["--type=slsaprovenance1", &image]));
}

#[test]
fn a_predicate_of_megabytes_is_read() {
    let step = step();
    let digest = step.built("team/app");
    let image = name(&step, "team/app", &digest);
    let mut statement = provenance(&digest, "2026-01-01T00:00:00Z");
    statement["predicate"]["packages"] = json!(vec!["x".repeat(1000); 8 * 1024]);
    attest(&step, &digest, &[&envelope(signer(), &statement)]);
    passes(verify(&step, &["--type=slsaprovenance1", &image]));
}
