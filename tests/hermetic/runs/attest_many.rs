//! `stepseal attest`: many images, several predicates, one run.

use serde_json::{Value, json};
use stepseal::demo::registry::Options;
use stepseal::oci::Digest;

use crate::kit::step::{Ended, INDEX, Step, ended, pair};
use crate::runs::place::Place;

const REPORT: &str = "https://e.x/report";

/// Writes a file; its path.
pub(crate) fn file(place: &Place, name: &str, text: &str) -> String {
    let path = place.step.path(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// So many images in repositories of their own: names with digests.
fn images(place: &Place, number: usize) -> Vec<(String, Digest)> {
    let image = |number| {
        let (name, digest) = place.image(&format!("team/app-{number}"));
        (format!("{name}@{digest}"), digest)
    };
    (0..number).map(image).collect()
}

pub(crate) fn attest(place: &Place, args: &[&str]) -> Ended {
    ended(place.step.command(&[&["attest"], args].concat()).output().unwrap())
}

/// `verify-attestation` with the public key of the step.
pub(crate) fn verifies(place: &Place, image: &str, kind: &str) -> Ended {
    let key = file(place, "keys/cosign.pub", &pair().public_pem);
    let args = ["verify-attestation", image, "--type", kind, "--insecure-ignore-tlog", "--key", &key];
    ended(place.step.command(&args).output().unwrap())
}

/// How many requests with this method went to paths with this part.
fn asked(place: &Place, method: &str, part: &str) -> usize {
    let requests = place.step.registry.requests();
    requests
        .iter()
        .filter(|request| request.method.as_str() == method && request.path_and_query.contains(part))
        .count()
}

#[test]
fn every_image_gets_every_predicate_with_one_look_and_one_write_of_its_list() {
    let place = Place::new();
    let images = images(&place, 4);
    let (sbom, scan, note) =
        (file(&place, "sbom", "{\"s\":1}"), file(&place, "scan", "{}"), file(&place, "note", "fine"));
    let mut args: Vec<&str> = images.iter().map(|(name, _)| name.as_str()).collect();
    let said = ["--predicate", &sbom, "--predicate", &scan, "--type", "spdxjson", "--type", "vuln"];
    args.extend(said);
    args.extend(["--predicate", &note, "--type", "custom", "--output=json", "--jobs=2"]);
    place.step.registry.clear_requests();
    let first = attest(&place, &args);
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert!(first.stderr.contains("4 signed"), "{}", first.stderr);
    let report: Vec<Value> = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(report.len(), 4);
    assert!(
        report.iter().all(|entry| entry["added"] == 3 && entry["artifact"] == "attestation"),
        "{report:?}"
    );
    for (number, (name, digest)) in images.iter().enumerate() {
        let repository = format!("team/app-{number}");
        let mut kinds: Vec<(Value, Value)> = place
            .statements(&repository, digest)
            .into_iter()
            .map(|statement| {
                assert_eq!(statement["subject"][0]["digest"]["sha256"], digest.hex());
                assert_eq!(statement["subject"][0]["name"], name.split('@').next().unwrap());
                (statement["predicateType"].clone(), statement["predicate"].clone())
            })
            .collect();
        kinds.sort_by_key(|(kind, _)| kind.to_string());
        let wanted = [
            ("https://cosign.sigstore.dev/attestation/v1", json!({ "Data": "fine" })),
            ("https://cosign.sigstore.dev/attestation/vuln/v1", json!({})),
            ("https://spdx.dev/Document", json!({ "s": 1 })),
        ];
        assert_eq!(kinds, wanted.map(|(kind, predicate)| (json!(kind), predicate)));
        for kind in ["spdxjson", "vuln", "custom"] {
            let ended = verifies(&place, name, kind);
            assert_eq!(ended.code, 0, "{kind}: {}", ended.stderr);
        }
    }
    let again = attest(&place, &args);
    assert!(again.code == 0 && again.stderr.contains("nothing was added"), "{}", again.stderr);
}

/// The requests of an attestation more are its own upload and what reads it back, and nothing else.
#[test]
fn a_predicate_more_takes_its_upload_and_its_read_and_nothing_else() {
    let mut counts = Vec::new();
    for predicates in [1, 3] {
        let place = Place::new();
        let (name, digest) = images(&place, 1).remove(0);
        let files: Vec<String> = (0..predicates)
            .map(|number| file(&place, &format!("p{number}"), &format!("{{\"n\":{number}}}")))
            .collect();
        let mut args = vec![name.as_str()];
        files.iter().for_each(|file| args.extend(["--type", REPORT, "--predicate", file]));
        place.step.registry.clear_requests();
        let ended = attest(&place, &args);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(place.layers("team/app-0", &digest).len(), predicates);
        assert_eq!(asked(&place, "PUT", "/manifests/"), 1, "one list, one write");
        assert_eq!(asked(&place, "GET", &format!("/manifests/{digest}")), 1, "one look at the image");
        counts.push(place.step.registry.requests().len());
    }
    let [one, three] = counts[..] else { panic!("two counts") };
    // POST, PUT and GET of each blob.
    assert_eq!(three - one, 2 * 3, "{one} and {three} requests");
}

#[test]
fn lists_of_images_are_read_as_by_sign_and_what_is_malformed_stops_everything() {
    let place = Place::new();
    let images = images(&place, 3);
    let predicate = file(&place, "predicate", "{}");
    let [(one, first), (two, _), (three, third)] = &images[..] else { panic!("three") };
    let list = file(&place, "images", &format!("# built\n{one}\n{two}, {one}\n"));
    let said = ["--predicate", &predicate, "--type", REPORT];
    let ended = attest(&place, &[&[three.as_str(), one, "--images-file", &list], &said[..]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("3 signed"), "duplicates are one image: {}", ended.stderr);
    assert_eq!(place.layers("team/app-0", first).len(), 1);

    let place = Place::new();
    let (one, digest) = (one.replace(one.split('/').next().unwrap(), &place.step.host()), first);
    place.image("team/app-0");
    let predicate = file(&place, "predicate", "{}");
    let list = file(&place, "images", &format!("{one}\nteam/app:latest\nx@sha256:12\n"));
    let args = ["--images-file", &list, "--predicate", &predicate, "--type", REPORT];
    place.step.registry.clear_requests();
    let ended = attest(&place, &[&args[..], &["also@wrong"]].concat());
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    for told in ["3 problems", "line 2", "line 3", "argument 1", "--lenient attests the rest"] {
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
    }
    assert!(place.step.registry.requests().is_empty(), "nothing is asked or half done");
    let ended = attest(&place, &[&args[..], &["--lenient"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("not attested").count(), 2, "{}", ended.stderr);
    assert_eq!(place.layers("team/app-0", digest).len(), 1);
    let empty = file(&place, "images", "# none\n");
    let ended = attest(&place, &["--images-file", &empty, "--predicate", &predicate]);
    assert!(ended.code == 3 && ended.stderr.contains("nothing to attest"), "{}", ended.stderr);
    assert_eq!(third.as_str().len(), digest.as_str().len());
}

#[test]
fn one_image_that_fails_does_not_hide_the_others() {
    let place = Place::new();
    let images = images(&place, 2);
    let absent = format!("{}/team/app-0@sha256:{}", place.step.host(), "0".repeat(64));
    let predicate = file(&place, "predicate", "{}");
    let report = place.step.path("report.json").display().to_string();
    let args = [&images[0].0, &absent, &images[1].0, "--predicate", &predicate, "--report", &report];
    let ended = attest(&place, &args);
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    let report: Vec<Value> = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let mut statuses: Vec<&str> = report.iter().map(|entry| entry["status"].as_str().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["failed", "signed", "signed"]);
    // Without --type it is cosign's: any text.
    assert_eq!(place.statements("team/app-1", &images[1].1)[0]["predicate"], json!({ "Data": "{}" }));
    let ended = attest(&place, &[&absent, "--predicate", &predicate]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
}

#[test]
fn with_recursive_each_manifest_gets_a_statement_about_itself_in_every_store() {
    let place = Place::new();
    let children = ["one", "two"].map(|text| place.step.image("team/app", text));
    let entries: Vec<Value> = children
        .iter()
        .map(
            |digest| json!({ "mediaType": crate::kit::step::MANIFEST, "size": 1, "digest": digest.as_str() }),
        )
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
    let index = place.step.registry.content().put_manifest("team/app", None, INDEX, index).unwrap();
    let name = format!("{}/team/app@{index}", place.step.host());
    let predicate = file(&place, "predicate", "{}");
    let folder = place.step.path("signatures");
    let config = "artifacts.oci.storage=oci,directory";
    let ended = attest(
        &place,
        &[
            &name,
            "--predicate",
            &predicate,
            "--recursive",
            "--config",
            config,
            "--signatures-dir",
            folder.to_str().unwrap(),
        ],
    );
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("6 signed"), "{}", ended.stderr);
    for digest in children.iter().chain([&index]) {
        let statements = place.statements("team/app", digest);
        assert_eq!(statements.len(), 1);
        assert_eq!(statements[0]["subject"][0]["digest"]["sha256"], digest.hex());
    }
    let kept =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(kept.filter(|name| name.starts_with("signature-")).count(), 3);
}

#[test]
fn referrers_hold_a_bundle_for_each_predicate_with_and_without_the_api() {
    for referrers in [true, false] {
        let place = Place { step: Step::with(Options { referrers, ..Options::default() }) };
        let images = images(&place, 2);
        let (a, b) = (file(&place, "a", "{\"a\":1}"), file(&place, "b", "{\"b\":1}"));
        let bundle = "storage.oci.encoding-format=sigstore-bundle";
        for want in ["2 signed", "nothing was added"] {
            let ended = attest(
                &place,
                &[
                    &images[0].0,
                    &images[1].0,
                    "--config",
                    bundle,
                    "--predicate",
                    &a,
                    "--type",
                    "spdxjson",
                    "--predicate",
                    &b,
                    "--type",
                    "cyclonedx",
                ],
            );
            assert!(ended.code == 0 && ended.stderr.contains(want), "{}", ended.stderr);
        }
        for (name, _) in &images {
            for kind in ["spdxjson", "cyclonedx"] {
                let ended = verifies(&place, name, kind);
                assert_eq!(ended.code, 0, "{kind}: {}", ended.stderr);
            }
        }
    }
}

#[test]
fn types_belong_to_predicates_by_their_order_and_nothing_is_guessed() {
    let place = Place::new();
    let (name, digest) = images(&place, 1).remove(0);
    let (a, b) = (file(&place, "a", "{\"a\":1}"), file(&place, "b", "{\"b\":1}"));
    let list = file(&place, "images", &name);
    place.step.registry.clear_requests();
    for (args, want) in [
        (
            &["--predicate", &a, "--predicate", &b, "--type", "vuln"][..],
            "--type is given 1 times and --predicate 2 times",
        ),
        (
            &["--predicate", &a, "--type", "vuln", "--type", "vuln"],
            "--type is given 2 times and --predicate 1 times",
        ),
        (&["--statement", &a, "--type", "vuln"], "--type is given 1 times and --predicate 0 times"),
        (&["--predicate", "-", "--statement", "-"], "standard input is named 2 times"),
        (&["--predicate", "-", "--images-file", "-"], "standard input is named 2 times"),
        (&[], "no predicate and no statement is given"),
        (
            &["--predicate", &a, "--type", "vuln", "--predicate", &b, "--type", "sbom"],
            "no type of a predicate",
        ),
    ] {
        let ended = attest(&place, &[&[name.as_str()], args].concat());
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(want) && ended.stderr.contains("do:"), "{want}: {}", ended.stderr);
    }
    let many: Vec<String> = (0..33).map(|_| format!("--predicate={a}")).collect();
    let crowd = attest(&place, &many.iter().map(String::as_str).chain([name.as_str()]).collect::<Vec<_>>());
    assert!(crowd.code == 2 && crowd.stderr.contains("more than 32"), "{}", crowd.stderr);
    assert!(place.step.registry.requests().is_empty());
    let alone = attest(&place, &["--predicate", &a]);
    assert_eq!(alone.code, 2, "no image: {}", alone.stderr);
    // The variables by which cosign reads its flags.
    let mut command = place.step.command(&["attest", "--images-file", &list]);
    command.env("COSIGN_PREDICATE", &b).env("COSIGN_TYPE", "openvex");
    let done = ended(command.output().unwrap());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(place.statements("team/app-0", &digest)[0]["predicateType"], "https://openvex.dev/ns");
}

#[test]
fn the_files_are_bounded_together() {
    let place = Place::new();
    let (name, _) = images(&place, 1).remove(0);
    let half = format!("\"{}\"", "x".repeat(33 * 1024 * 1024));
    let (a, b) = (file(&place, "a", &half), file(&place, "b", &half));
    place.step.registry.clear_requests();
    let ended = attest(&place, &[&name, "--predicate", &a, "--predicate", &b]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("more than 67108864 bytes together"), "{}", ended.stderr);
    assert!(place.step.registry.requests().is_empty());
}
