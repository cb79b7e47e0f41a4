//! `stepseal attest`: any predicate, beside the image.

use std::process::Stdio;
use std::thread;

use serde_json::{Value, json};
use stepseal::demo::registry::Options;
use stepseal::oci::Digest;

use crate::kit::step::{Ended, MANIFEST, Step, ended};
use crate::runs::place::{Place, verified};

fn attest(place: &Place, image: &str, predicate: &str, kind: &str, args: &[&str]) -> Ended {
    let file = place.step.path("predicate");
    std::fs::write(&file, predicate).unwrap();
    let mut command = place.step.command(&["attest", image, "--type", kind, "--predicate"]);
    command.arg(&file).args(args);
    ended(command.output().unwrap())
}

fn image(place: &Place) -> (String, Digest) {
    let (name, digest) = place.image("team/app");
    (format!("{name}@{digest}"), digest)
}

#[test]
fn any_predicate_is_signed_once_and_stays_as_it_is() {
    let place = Place::new();
    let (name, digest) = image(&place);
    let predicate = "{ \"b\": 1.0,\n \"a\": 12345678901234567890 }";
    let first = attest(&place, &name, predicate, "https://example.com/report/v1", &["--output=json"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let report: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!((&report[0]["artifact"], &report[0]["status"]), (&json!("attestation"), &json!("signed")));
    let [statement] = &place.statements("team/app", &digest)[..] else { panic!("one") };
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v0.1");
    assert_eq!(statement["predicate"], json!({ "b": 1.0, "a": 12_345_678_901_234_567_890_u64 }));
    let again = attest(&place, &name, predicate, "https://example.com/report/v1", &[]);
    assert!(again.stderr.contains("nothing was added"), "{}", again.stderr);
    // Another predicate, another type: both stay.
    assert_eq!(attest(&place, &name, "{}", "spdxjson", &[]).code, 0);
    assert_eq!(place.statements("team/app", &digest).len(), 2);
}

#[test]
fn an_image_by_a_tag_is_attested_by_what_the_tag_names() {
    let place = Place::new();
    let (name, digest) = image(&place);
    let (_, manifest) = place.step.registry.content().manifest("team/app", digest.as_str()).unwrap();
    place.step.registry.content().put_manifest("team/app", Some("1.0"), MANIFEST, manifest).unwrap();
    let tag = format!("{}/team/app:1.0", place.step.host());
    let ended = attest(&place, &tag, "{}", "vuln", &["--output=json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("{tag} is {name}")), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report[0]["digest"], digest.as_str());
    assert_eq!(place.statements("team/app", &digest).len(), 1);
    // A whole statement has to be about what the tag names.
    let other = json!({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://e.x/t", "predicate": {},
        "subject": [{ "digest": { "sha256": "0".repeat(64) } }],
    });
    let file = place.step.path("statement");
    std::fs::write(&file, other.to_string()).unwrap();
    let ended = ended_of(&place, &["attest", &tag, "--statement", file.to_str().unwrap()]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("is not about these images"), "{}", ended.stderr);
    assert_eq!(place.statements("team/app", &digest).len(), 1);
}

fn ended_of(place: &Place, args: &[&str]) -> Ended {
    ended(place.step.command(args).output().unwrap())
}

#[test]
fn a_predicate_that_verify_would_refuse_is_refused_first() {
    let place = Place::new();
    let (name, digest) = image(&place);
    for encoding in ["dsse", "sigstore-bundle"] {
        let encoding = format!("storage.oci.encoding-format={encoding}");
        for predicate in [r#"{"a":1,"a":2}"#, r#"[{"b":{"c":1,"c":1}}]"#] {
            let ended = attest(&place, &name, predicate, "https://e.x/t", &["--config", &encoding]);
            assert_eq!(ended.code, 2, "{}", ended.stderr);
            assert!(ended.stderr.contains("appears twice"), "{}", ended.stderr);
        }
    }
    let folder = place.step.path("signatures");
    let flags = ["--config", "artifacts.oci.storage=directory", "--signatures-dir", folder.to_str().unwrap()];
    let ended = attest(&place, &name, r#"{"a":1,"a":2}"#, "https://e.x/t", &flags);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(!folder.exists());
    assert!(place.layers("team/app", &digest).is_empty());
    assert!(place.step.registry.content().referrers("team/app", &digest).is_empty());
}

#[test]
fn text_becomes_what_cosign_makes_of_it() {
    let place = Place::new();
    let (name, digest) = image(&place);
    assert_eq!(attest(&place, &name, "all is \"well\"\n", "custom", &[]).code, 0);
    let statement = place.statements("team/app", &digest).remove(0);
    assert_eq!(statement["predicateType"], "https://cosign.sigstore.dev/attestation/v1");
    assert_eq!(statement["predicate"], json!({ "Data": "all is \"well\"\n" }));
}

#[test]
fn standard_input_is_a_predicate_too() {
    let place = Place::new();
    let (name, digest) = image(&place);
    let file = place.step.path("predicate");
    std::fs::write(&file, "{\"x\":1}").unwrap();
    let mut command = place.step.command(&["attest", &name, "--type", "vuln", "--predicate", "-"]);
    let output = command.stdin(std::fs::File::open(file).unwrap()).output().unwrap();
    assert_eq!(ended(output).code, 0);
    assert_eq!(place.statements("team/app", &digest)[0]["predicate"], json!({ "x": 1 }));
}

#[test]
fn referrers_hold_a_bundle_of_the_predicates_type_with_and_without_the_api() {
    for referrers in [true, false] {
        let place = Place { step: Step::with(Options { referrers, ..Options::default() }) };
        let (name, digest) = image(&place);
        let bundle = ["--config", "storage.oci.encoding-format=sigstore-bundle"];
        for want in ["1 signed", "nothing was added"] {
            let ended = attest(&place, &name, "{\"x\":1}", "slsaprovenance1", &bundle);
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            assert!(ended.stderr.contains(want), "{}", ended.stderr);
        }
        let content = place.step.registry.content();
        let found = content.referrers("team/app", &digest);
        let [(_, manifest)] = &found[..] else { panic!("one referrer: {}", found.len()) };
        let manifest: Value = serde_json::from_slice(manifest).unwrap();
        let annotations = &manifest["annotations"];
        assert_eq!(annotations["dev.sigstore.bundle.predicateType"], "https://slsa.dev/provenance/v1");
        let layer = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
        let bundle: Value = serde_json::from_slice(&content.blob("team/app", &layer).unwrap()).unwrap();
        assert_eq!(bundle["dsseEnvelope"]["payloadType"], "application/vnd.in-toto+json");
    }
}

#[test]
fn what_others_attested_stays_byte_for_byte() {
    let place = Place::new();
    let (name, digest) = image(&place);
    let content = place.step.registry.content();
    let envelope = r#"{"payload":"e30=","payloadType":"t","signatures":[{"sig":"AQ=="}],"x":1}"#;
    let blob = content.put_blob("team/app", envelope).unwrap();
    let config = content.put_blob("team/app", "{}").unwrap();
    let theirs = json!({
        "mediaType": "application/vnd.dsse.envelope.v1+json", "size": envelope.len(), "digest": blob.as_str(),
        "annotations": { "dev.cosignproject.cosign/signature": "", "predicateType": "https://e.x/t", "x-theirs": "1" },
    });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "x-more": [1],
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": config.as_str() },
        "layers": [theirs],
    });
    let tag = format!("sha256-{}.att", digest.hex());
    content.put_manifest("team/app", Some(&tag), MANIFEST, manifest.to_string()).unwrap();
    let ended = attest(&place, &name, "{}", "https://e.x/t", &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let layers = place.layers("team/app", &digest);
    assert_eq!((layers.len(), &layers[0]), (2, &theirs));
    let (_, bytes) = content.manifest("team/app", &tag).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap()["x-more"], json!([1]));
}

#[test]
fn several_signers_of_one_digest_lose_nothing() {
    let place = Place::new();
    let (name, digest) = image(&place);
    let children: Vec<_> = (0..8)
        .map(|number| {
            let file = place.step.path(&format!("predicate-{number}"));
            std::fs::write(&file, format!("{{\"n\":{number}}}")).unwrap();
            let mut command =
                place.step.command(&["attest", &name, "--type", "https://e.x/t", "--predicate"]);
            command.arg(file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let waiting: Vec<_> = children
        .into_iter()
        .map(|child| thread::spawn(move || ended(child.wait_with_output().unwrap())))
        .collect();
    for thread in waiting {
        let ended = thread.join().unwrap();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
    let mut seen: Vec<u64> =
        place.statements("team/app", &digest).iter().map(|s| s["predicate"]["n"].as_u64().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..8).collect::<Vec<_>>());
}

#[test]
fn a_folder_keeps_each_attestation_of_an_image() {
    let place = Place::new();
    let (name, _) = image(&place);
    let folder = place.step.path("signatures");
    let args = ["--config", "artifacts.oci.storage=directory", "--signatures-dir", folder.to_str().unwrap()];
    for predicate in ["{}", "{\"x\":1}", "{}"] {
        let ended = attest(&place, &name, predicate, "https://e.x/t", &args);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
    let names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("signature-"))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    for name in names {
        verified(&std::fs::read(folder.join(name)).unwrap());
    }
}

#[test]
fn what_cannot_be_attested_says_why() {
    let place = Place::new();
    let (name, digest) = image(&place);
    let tag = format!("{}/team/app:1", place.step.host());
    for (code, image, predicate, kind, args, want) in [
        (1, &tag, "{}", "vuln", &[][..], "there is no such tag"),
        (3, &tag, "{}", "vuln", &["--require-digest"], "1 problem in the images to sign"),
        (2, &name, "{", "vuln", &[], "is not JSON"),
        (2, &name, "{} {}", "vuln", &[], "is not JSON"),
        (2, &name, "[]", "vuln", &[], "is not a predicate of the type vuln"),
        (
            2,
            &name,
            r#"{"builder":"x"}"#,
            "slsaprovenance",
            &[],
            "is not a predicate of the type slsaprovenance",
        ),
        (2, &name, r#"{"name":"x"}"#, "link", &[], "it has no \"_type\""),
        (2, &name, "{}", "sbom", &[], "no type of a predicate"),
        (2, &name, "{}", "https://sigstore.dev/cosign/sign/v1", &[], "type of an image's signature"),
        (2, &name, "{}", "HTTPS://Sigstore.dev/cosign/sign/v2", &[], "type of an image's signature"),
        (3, &name, "{}", "vuln", &["--allow=other.example/**"], "--allow"),
        (2, &name, "{}", "vuln", &["--config=artifacts.oci.storage=tekton"], "no store"),
    ] {
        let ended = attest(&place, image, predicate, kind, args);
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(ended.stderr.contains(want) && ended.stderr.contains("do:"), "{want}: {}", ended.stderr);
    }
    let absent = format!("{}/team/app@sha256:{}", place.step.host(), "0".repeat(64));
    assert_eq!(attest(&place, &absent, "{}", "vuln", &[]).code, 1);
    assert!(place.layers("team/app", &digest).is_empty());
}
