//! What Chains v0.29.2 makes of given runs: `tests/data/chains-cases`, a folder a case.

mod any_object;
mod arrays;
mod behaviour;
mod embedded;
mod same_as_plan;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::formats::Claims;
use crate::payload::{Format as _, SimpleSigning};
use crate::plan::{PlanOptions, plan};
use crate::run::{HintOptions, hints};

/// A given run, how Chains was set up, and what it made of it.
struct Case {
    name: String,
    run: Run,
    config: Value,
    expected: Value,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/chains-cases");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let cases: Vec<Case> =
        folders.iter().filter(|folder| folder.is_dir()).map(|folder| case(folder)).collect();
    assert!(cases.len() >= 24, "the cases are there: {}", cases.len());
    cases
}

fn case(folder: &Path) -> Case {
    let json = |file: &str| -> Value {
        let text = std::fs::read_to_string(folder.join(file))
            .unwrap()
            .replace("DEFAULT-REGISTRY", "index.docker.io");
        serde_json::from_str(&text).unwrap()
    };
    Case {
        name: folder.file_name().unwrap().to_string_lossy().into_owned(),
        run: Run::parse(&std::fs::read(folder.join("input.yaml")).unwrap()).unwrap(),
        config: json("config.json"),
        expected: json("expected.json"),
    }
}

impl Case {
    fn options(&self, deep_inspection: bool, build_type: BuildType) -> ProvenanceOptions {
        let builder_id =
            self.config["builder.id"].as_str().unwrap_or(crate::run::DEFAULT_BUILDER_ID).to_owned();
        ProvenanceOptions { builder_id, build_type, deep_inspection }
    }

    /// Chains' answer under `key`, or under the key that has the same one.
    fn answer(&self, key: &str) -> &Value {
        let answer = &self.expected["formats"][key];
        answer["sameAs"].as_str().map_or(answer, |same| &self.expected["formats"][same])
    }
}

fn statement_of(run: &Run, format: RunFormat, options: &ProvenanceOptions) -> Value {
    let provenance = payload(run, format, options).unwrap();
    serde_json::from_slice(&provenance.payload.bytes).unwrap()
}

/// `value` with every list sorted: where Chains itself varies in order.
fn unordered(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(unordered).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => {
            let mut fields: Value =
                fields.iter().map(|(name, item)| (name.clone(), unordered(item))).collect();
            fields.sort_all_objects();
            fields
        }
        other => other.clone(),
    }
}

#[test]
fn every_answer_of_chains_is_ours() {
    let mut compared = 0;
    let mut wrong = Vec::new();
    for case in cases() {
        for key in case.expected["formats"].as_object().unwrap().keys() {
            let answer = case.answer(key);
            if answer["statement"].is_null() {
                continue;
            }
            let parts: Vec<&str> = key.split('|').collect();
            let [format, deep, build_type] = parts.as_slice() else { panic!("{key}") };
            let build_type = if *build_type == "slsa" { BuildType::Slsa } else { BuildType::SlsaTekton };
            let options = case.options(*deep == "deep=true", build_type);
            let (mut ours, mut theirs) =
                (statement_of(&case.run, format.parse().unwrap(), &options), answer["statement"].clone());
            if answer["nondeterministic"].as_bool() == Some(true) {
                (ours, theirs) = (unordered(&ours), unordered(&theirs));
            }
            compared += 1;
            if ours != theirs {
                wrong.push(format!("{} {key}\n  ours   {ours}\n  theirs {theirs}", case.name));
            }
        }
    }
    assert!(compared >= 24 * 12, "{compared} statements compared");
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn attestations_go_to_the_images_that_chains_names() {
    for case in cases() {
        for (format, targets) in case.expected["storage"]["ociAttestationTargets"].as_object().unwrap() {
            let ours =
                image_subjects(&case.run, format.parse().unwrap(), &case.options(false, BuildType::Slsa));
            let ours: BTreeSet<String> = ours
                .iter()
                .map(|image| format!("{}:sha256-{}.att", image.repository, image.digest.hex()))
                .collect();
            let theirs = targets.as_array().unwrap().iter();
            let theirs: BTreeSet<String> = theirs
                .filter_map(|target| target["ociTags"]["attestation"].as_str())
                .map(str::to_owned)
                .collect();
            assert_eq!(ours, theirs, "{} {format}", case.name);
        }
    }
}

#[test]
fn signatures_of_runs_have_chains_names() {
    for case in cases() {
        let run = &case.expected["storage"]["run"];
        assert_eq!(case.run.short_key().unwrap(), run["shortKey"].as_str().unwrap(), "{}", case.name);
        assert_eq!(case.run.full_key().unwrap(), run["fullKey"].as_str().unwrap(), "{}", case.name);
    }
}

#[test]
fn the_images_planned_from_a_run_are_those_chains_signs() {
    for case in cases() {
        let plan = plan(&hints(&case.run, &HintOptions::default()), &PlanOptions::default());
        let ours: BTreeSet<(String, Vec<u8>)> = plan
            .images
            .iter()
            .map(|planned| {
                let payloads = SimpleSigning.payloads(&planned.image, &Claims::default()).unwrap();
                (planned.image.to_string(), payloads[0].bytes.to_vec())
            })
            .collect();
        let theirs = case.expected["simplesigning"].as_array().unwrap().iter();
        let theirs: BTreeSet<(String, Vec<u8>)> = theirs
            .map(|image| {
                let text = |name: &str| image[name].as_str().unwrap().to_owned();
                (text("image"), text("rawPayload").into_bytes())
            })
            .collect();
        assert_eq!(ours, theirs, "{}", case.name);
    }
}

#[test]
fn the_same_run_gives_the_same_bytes_in_any_order_of_its_fields() {
    for case in cases() {
        let mut object = case.run.object().clone();
        let children = case.run.children().iter().rev().map(|child| child.value().clone()).collect();
        object.sort_all_objects();
        let shuffled = Run::from_objects(object, children).unwrap();
        for format in [RunFormat::SlsaV1, RunFormat::SlsaV2Alpha3, RunFormat::SlsaV2Alpha4, RunFormat::Tekton]
        {
            let options = case.options(true, BuildType::Slsa);
            let bytes = |run| payload(run, format, &options).unwrap().payload.bytes;
            assert_eq!(bytes(&case.run), bytes(&shuffled), "{} {format}", case.name);
        }
    }
}
