//! Identities of single images, behind their names in a list.

use serde_json::Value;
use stepseal::oci::Digest;

use crate::kit::step::{Ended, Step};

/// Writes a list; returns its path.
fn list(step: &Step, text: &str) -> String {
    let path = step.path("list");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What is signed as the names of an image, in the order of the signatures.
fn signed(step: &Step, repository: &str, digest: &Digest) -> Vec<String> {
    let name =
        |payload: &Value| payload["critical"]["identity"]["docker-reference"].as_str().unwrap().to_owned();
    step.payloads(repository, digest).iter().map(name).collect()
}

#[test]
fn a_lines_identities_take_the_place_of_those_of_all_for_its_image_alone() {
    let step = Step::new();
    let [one, two] = ["one", "two"].map(|text| step.image("team/app", text));
    let name = format!("{}/team/app", step.host());
    let text =
        format!("{name}@{one} a.example/one:1 b.example/one\n{name}@{two}\n{name}@{one} a.example/one:2\n");
    let list = list(&step, &text);
    let args = ["--images-file", &list, "--annotation=k=v", "--identity=global.example/x"];
    let ended = step.sign(&args);
    assert!(ended.stderr.contains("2 signed"), "{}", ended.stderr);
    assert_eq!(signed(&step, "team/app", &one), ["a.example/one:1", "b.example/one", "a.example/one:2"]);
    assert_eq!(signed(&step, "team/app", &two), ["global.example/x"]);
    assert!(step.payloads("team/app", &one).iter().all(|payload| payload["optional"]["k"] == "v"));
    assert!(step.sign(&args).stderr.contains("nothing was added"));
    let plan = step.run(&[&["plan", "--output=json"], &args[..]].concat());
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let names: Vec<&Value> = plan["payloads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|payload| &payload["statement"]["critical"]["identity"]["docker-reference"])
        .collect();
    assert_eq!(names, ["a.example/one:1", "b.example/one", "a.example/one:2", "global.example/x"]);
    let plan = step.run(&[&["plan"], &args[..]].concat());
    assert!(
        plan.stdout.contains("    as a.example/one:1, b.example/one, a.example/one:2"),
        "{}",
        plan.stdout
    );
}

/// Each store has a signature for each of them.
#[test]
fn other_stores_have_them_too() {
    let step = Step::new();
    let digest = step.image("team/app", "x");
    let list = list(&step, &format!("{}/team/app@{digest} a.example/x b.example/x\n", step.host()));
    let folder = step.path("signatures");
    let folder_text = folder.to_str().unwrap();
    step.sign(&[
        "--images-file",
        &list,
        "--config=artifacts.oci.storage=directory",
        "--signatures-dir",
        folder_text,
    ]);
    let payloads: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .filter(|text| text.contains("docker-reference"))
        .collect();
    for name in ["a.example/x", "b.example/x"] {
        assert_eq!(payloads.iter().filter(|text| text.contains(name)).count(), 1, "{payloads:?}");
    }
}

/// Nothing is signed where one of them can't be: not a name, no place for it, or a command that does nothing with it.
#[test]
fn what_cannot_be_signed_as_asked_stops_all() {
    let step = Step::new();
    std::fs::write(step.path("keys/cosign.pub"), &crate::kit::step::pair().public_pem).unwrap();
    let [one, two] = ["one", "two"].map(|text| step.image("team/app", text));
    let name = format!("{}/team/app", step.host());
    let refused = |ended: Ended, want: &str| {
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        assert!(ended.stderr.contains("list line 2") && ended.stderr.contains(want), "{}", ended.stderr);
        assert!(step.layers("team/app", &one).is_empty(), "something was signed");
    };
    let wrong = list(&step, &format!("{name}@{one}\n{name}@{two} a.example/x@{two}\n"));
    step.registry.clear_requests();
    refused(step.run(&["sign", "--images-file", &wrong]), "identity 1 in it is not an image name");
    let right = list(&step, &format!("{name}@{one}\n{name}@{two} a.example/x\n"));
    let bundle = "--config=storage.oci.encoding-format=sigstore-bundle";
    refused(step.run(&["sign", bundle, "--images-file", &right]), "no place for an identity");
    refused(step.run(&["plan", bundle, "--images-file", &right]), "no place for an identity");
    assert!(step.registry.requests().is_empty());
    refused(step.run(&["verify", "--images-file", &right]), "for stepseal sign alone");
    let ended = step.run(&["sign", "--lenient", bundle, "--images-file", &right]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("not signed: list line 2"), "{}", ended.stderr);
}

#[test]
fn what_an_index_lists_has_the_identities_of_the_index() {
    let step = Step::new();
    let child = step.image("team/app", "child");
    let entry =
        serde_json::json!({ "mediaType": crate::kit::step::MANIFEST, "size": 1, "digest": child.as_str() });
    let index =
        serde_json::json!({ "schemaVersion": 2, "mediaType": crate::kit::step::INDEX, "manifests": [entry] });
    let index = step
        .registry
        .content()
        .put_manifest("team/app", None, crate::kit::step::INDEX, index.to_string())
        .unwrap();
    let list = list(&step, &format!("{}/team/app@{index} a.example/x\n", step.host()));
    step.sign(&["--recursive", "--images-file", &list]);
    assert_eq!(signed(&step, "team/app", &index), ["a.example/x"]);
    assert_eq!(signed(&step, "team/app", &child), ["a.example/x"]);
}
