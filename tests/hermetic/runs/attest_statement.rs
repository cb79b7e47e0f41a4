//! `stepseal attest --statement`: a whole statement, signed as it is, and only beside images that it names.

use serde_json::{Value, json};
use stepseal::formats::dsse;
use stepseal::oci::Digest;

use crate::kit::step::{INDEX, MANIFEST};
use crate::runs::attest_many::{attest, file, verifies};
use crate::runs::place::Place;

/// A statement about these digests, with blanks and an order of fields that no program writes.
fn statement(version: &str, digests: &[&Digest]) -> String {
    let subjects: Vec<String> = digests
        .iter()
        .map(|digest| format!("{{ \"digest\": {{\"sha256\": \"{}\"}},\n \"name\": \"x\" }}", digest.hex()))
        .collect();
    format!(
        "{{ \"predicateType\" : \"https://e.x/s\",\n\t\"predicate\": {{\"n\": 1.50}}, \"subject\": [{}], \
         \"_type\": \"https://in-toto.io/Statement/{version}\" }}\n",
        subjects.join(", ")
    )
}

/// The payloads beside an image, byte for byte.
fn payloads(place: &Place, repository: &str, digest: &Digest) -> Vec<Vec<u8>> {
    let payload = |layer: &Value| {
        let blob = layer["digest"].as_str().unwrap().parse().unwrap();
        let bytes = place.step.registry.content().blob(repository, &blob).unwrap();
        dsse::read(&bytes).unwrap().payload.to_vec()
    };
    place.layers(repository, digest).iter().map(payload).collect()
}

#[test]
fn a_statement_is_signed_byte_for_byte_beside_each_image_that_it_names() {
    for version in ["v0.1", "v1"] {
        let place = Place::new();
        let [(one, first), (two, second)] = ["team/a", "team/b"].map(|name| place.image(name));
        let images = [format!("{one}@{first}"), format!("{two}@{second}")];
        let text = statement(version, &[&first, &second]);
        let (whole, predicate) = (file(&place, "statement", &text), file(&place, "predicate", "{}"));
        let args =
            [&images[0], &images[1], "--statement", &whole, "--predicate", &predicate, "--type", "vuln"];
        for want in ["2 signed", "nothing was added"] {
            let ended = attest(&place, &args);
            assert!(ended.code == 0 && ended.stderr.contains(want), "{}", ended.stderr);
        }
        for (image, (repository, digest)) in images.iter().zip([("team/a", &first), ("team/b", &second)]) {
            let payloads = payloads(&place, repository, digest);
            assert_eq!(payloads.len(), 2);
            assert!(payloads.contains(&text.clone().into_bytes()), "{version}");
            for kind in ["https://e.x/s", "vuln"] {
                let ended = verifies(&place, image, kind);
                assert_eq!(ended.code, 0, "{version}: {}", ended.stderr);
            }
        }
    }
}

#[test]
fn a_statement_about_something_else_is_refused_and_nothing_is_done() {
    let place = Place::new();
    let [(one, first), (two, second)] = ["team/a", "team/b"].map(|name| place.image(name));
    let images = [format!("{one}@{first}"), format!("{two}@{second}")];
    let whole = file(&place, "statement", &statement("v1", &[&first]));
    let predicate = file(&place, "predicate", "{}");
    place.step.registry.clear_requests();
    for args in [
        &[&images[0], &images[1], "--statement", &whole][..],
        &[&images[1], "--statement", &whole],
        &[&images[0], &images[1], "--statement", &whole, "--predicate", &predicate, "--lenient"],
    ] {
        let ended = attest(&place, args);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        for told in ["not about these images", &images[1], "do:"] {
            assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
        }
        assert!(!ended.stderr.contains(&images[0]), "{}", ended.stderr);
    }
    assert!(place.step.registry.requests().is_empty());
}

#[test]
fn what_is_no_statement_says_why() {
    let place = Place::new();
    let (name, digest) = place.image("team/a");
    let image = format!("{name}@{digest}");
    let good = statement("v1", &[&digest]);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut document: Value = serde_json::from_str(&good).unwrap();
        change(&mut document);
        document.to_string()
    };
    place.step.registry.clear_requests();
    for (text, want) in [
        ("{".to_owned(), "is not an in-toto statement"),
        ("{}".to_owned(), "none of in-toto's"),
        (format!("{good}{good}"), "not JSON that says each thing once"),
        (good.replacen("{ ", "{ \"predicate\": 1, ", 1), "not JSON that says each thing once"),
        (statement("v2", &[&digest]), "none of in-toto's"),
        (changed(&|d| d["predicateType"] = json!("")), "it has no predicateType"),
        (changed(&|d| drop(d.as_object_mut().unwrap().remove("subject"))), "no list of subjects"),
        (changed(&|d| d["subject"] = json!([])), "not about these images"),
        (changed(&|d| d["subject"][0]["digest"] = json!({ "sha512": "ab" })), "not about these images"),
        (changed(&|d| d["subject"][0]["digest"]["sha256"] = json!(7)), "digests are not text"),
        (
            changed(&|d| d["subject"][0]["digest"]["sha256"] = json!(digest.hex().to_uppercase())),
            "not about these images",
        ),
        (
            changed(&|d| d["predicateType"] = json!("https://sigstore.dev/cosign/sign/v1")),
            "type of an image's signature",
        ),
    ] {
        let whole = file(&place, "statement", &text);
        let ended = attest(&place, &[&image, "--statement", &whole]);
        assert_eq!(ended.code, 2, "{want}: {}", ended.stderr);
        assert!(ended.stderr.contains(want) && ended.stderr.contains("do:"), "{want}: {}", ended.stderr);
    }
    assert!(place.step.registry.requests().is_empty());
}

#[test]
fn with_recursive_a_manifest_that_the_statement_does_not_name_fails_alone() {
    let place = Place::new();
    let children = ["one", "two"].map(|text| place.step.image("team/app", text));
    let entries: Vec<Value> = children
        .iter()
        .map(|digest| json!({ "mediaType": MANIFEST, "size": 1, "digest": digest.as_str() }))
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
    let index = place.step.registry.content().put_manifest("team/app", None, INDEX, index).unwrap();
    let name = format!("{}/team/app@{index}", place.step.host());
    let whole = file(&place, "statement", &statement("v1", &[&index, &children[0]]));
    let ended = attest(&place, &[&name, "--statement", &whole, "--recursive"]);
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    assert!(ended.stderr.contains("none of the subjects of the statement"), "{}", ended.stderr);
    let count = |digest: &Digest| place.layers("team/app", digest).len();
    assert_eq!([count(&index), count(&children[0]), count(&children[1])], [1, 1, 0]);
}
