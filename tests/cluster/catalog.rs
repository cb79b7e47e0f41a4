//! What the catalog ships, as the API server and Tekton take it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::kit::steps::{build, task};
use crate::kit::{feed, given, registry, scenario};

/// Every YAML file of the catalog.
fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = ["tasks", "stepactions", "pipelines"]
        .iter()
        .map(|name| root.join(name))
        .filter(|path| path.is_dir())
        .collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml")
                && !path.file_name().unwrap().to_string_lossy().starts_with("artifacthub")
            {
                found.push(path);
            }
        }
    }
    found
}

/// A field that the API server doesn't know is an error, as is anything that Tekton's webhook refuses.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn every_field_is_accepted() {
    scenario("every_field_is_accepted", |place| {
        let files = files();
        assert!(files.len() >= 3);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let mut command = place.kubectl();
            // "create", not "apply": samples have names that are generated.
            command.args(["create", "--dry-run=server", "--validate=strict", "-f", "-"]);
            feed(&mut command, &text);
        }
    });
}

/// The Task of the catalog, after a Task that builds, fed by that one's results.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_task_of_its_own_in_a_pipeline() {
    scenario("a_task_of_its_own_in_a_pipeline", |place| {
        let repository = place.for_main_registry();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks/sign-images/0.1/sign-images.yaml");
        place.apply_text(&fs::read_to_string(file).unwrap());
        place.start("PipelineRun", "pipeline", &json!({
            "taskRunTemplate": {"podTemplate": {"automountServiceAccountToken": false}},
            "pipelineSpec": {
              "results": [{"name": "signed", "type": "array", "value": "$(tasks.sign.results.SIGNED_IMAGES[*])"}],
              "tasks": [
                {"name": "build", "taskSpec": task(&[build(&repository)])},
                {"name": "sign", "taskRef": {"name": "sign-images"}, "params": [
                    {"name": "IMAGES", "value": ["$(tasks.build.results.IMAGE_URL)@$(tasks.build.results.IMAGE_DIGEST)"]},
                    {"name": "STEPSEAL_IMAGE", "value": given("STEPSEAL_IMAGE")},
                    {"name": "REGISTRY_CA_CONFIGMAP", "value": "registry-ca"},
                    {"name": "ALLOW", "value": format!("{repository}/**,{repository}")},
                ]},
            ]},
        }));
        let run = place.ended("PipelineRun", "pipeline");
        assert!(run.succeeded(), "{:#}", run.object["status"]["conditions"]);
        let digest = registry::main().crane(&["digest", &format!("{repository}:1")]);
        let image = format!("{repository}@{digest}");
        place.verified(&image);
        let results = run.object["status"]["results"].as_array().unwrap();
        assert_eq!(results[0]["value"], json!([image]), "{results:?}");
    });
}
