//! What the catalog ships, as the API server and Tekton take it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::kit::steps::{build, shell, task, task_run};
use crate::kit::{feed, given, registry, scenario, succeed};

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

/// The file of the catalog with this path.
pub(crate) fn shipped(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The StepAction of the catalog as the last step of a Task that builds.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_step_action() {
    scenario("a_step_action", |place| {
        let repository = place.for_main_registry();
        place.apply_text(&shipped("stepactions/sign-images/0.1/sign-images.yaml"));
        let step = json!({
            "name": "sign", "ref": {"name": "sign-images"},
            "params": [
                {"name": "STEPSEAL_IMAGE", "value": given("STEPSEAL_IMAGE")},
                {"name": "ANNOTATIONS", "value": "team=blue"},
            ],
            "computeResources": {"limits": {"memory": "128Mi"}},
        });
        let run = place.succeeds("action", &task_run(&[build(&repository), step]));
        let image = run.image();
        let (accepted, said) = place.cosign_verify(&image, &["-a", "team=blue"]);
        assert!(accepted, "{said}");
        let (accepted, said) = place.cosign_verify(&image, &["-a", "team=green"]);
        assert!(!accepted, "{said}");
    });
}

/// The Task of the catalog as a bundle, pushed by tkn and fetched by the bundles resolver.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_bundle() {
    scenario("a_bundle", |place| {
        let repository = place.for_main_registry();
        // The resolver knows no private CA: the bundle is in the cluster's own registry.
        let cluster = given("STEPSEAL_IMAGE");
        let (registry_host, _) = cluster.split_once('/').unwrap();
        let bundle = format!("{registry_host}/bundles/sign-images:0.1");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks/sign-images/0.1/sign-images.yaml");
        let mut tkn = Command::new("tkn");
        succeed(tkn.args(["bundle", "push", &bundle, "-f"]).arg(file));
        let built = place.succeeds("build", &json!({"taskSpec": task(&[build(&repository)])}));
        let image = built.image();
        place.succeeds(
            "bundle",
            &json!({
                "taskRef": {"resolver": "bundles", "params": [
                    {"name": "bundle", "value": bundle}, {"name": "name", "value": "sign-images"},
                    {"name": "kind", "value": "task"},
                ]},
                "params": [
                    {"name": "IMAGES", "value": [image]},
                    {"name": "STEPSEAL_IMAGE", "value": cluster},
                ],
            }),
        );
        place.verified(&image);
    });
}

/// The Task of the catalog, after a Task that builds, with the results of that Task.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_task_of_its_own_in_a_pipeline() {
    scenario("a_task_of_its_own_in_a_pipeline", |place| {
        let repository = place.for_main_registry();
        place.apply_text(&shipped("tasks/sign-images/0.1/sign-images.yaml"));
        let mut later = task(&[shell("later", "[ $# = 1 ] && printf %s \"$1\" >$(results.IMAGE_URL.path)")]);
        later["params"] = json!([{"name": "SIGNED", "type": "array"}]);
        later["steps"][0]["args"] = json!(["$(params.SIGNED[*])"]);
        place.start("PipelineRun", "pipeline", &json!({
            "taskRunTemplate": {"podTemplate": {"automountServiceAccountToken": false}},
            "pipelineSpec": {
              "results": [{"name": "signed", "type": "array", "value": "$(tasks.sign.results.SIGNED_IMAGES[*])"},
                          {"name": "later", "value": "$(tasks.later.results.IMAGE_URL)"}],
              "tasks": [
                {"name": "build", "taskSpec": task(&[build(&repository)])},
                {"name": "sign", "taskRef": {"name": "sign-images"}, "params": [
                    {"name": "IMAGES", "value": ["$(tasks.build.results.IMAGE_URL)@$(tasks.build.results.IMAGE_DIGEST)"]},
                    {"name": "STEPSEAL_IMAGE", "value": given("STEPSEAL_IMAGE")},
                    {"name": "REGISTRY_CA_CONFIGMAP", "value": "registry-ca"},
                    {"name": "ALLOW", "value": format!("{repository}/**,{repository}")},
                ]},
                // A later Task is given what was signed.
                {"name": "later", "taskSpec": later,
                 "params": [{"name": "SIGNED", "value": ["$(tasks.sign.results.SIGNED_IMAGES[*])"]}]},
            ]},
        }));
        let run = place.ended("PipelineRun", "pipeline");
        assert!(run.succeeded(), "{:#}", run.object["status"]["conditions"]);
        let digest = registry::main().crane(&["digest", &format!("{repository}:1")]);
        let image = format!("{repository}@{digest}");
        place.verified(&image);
        let results = run.object["status"]["results"].as_array().unwrap();
        assert_eq!(results[0]["value"], json!([image]), "{results:?}");
        assert_eq!(results[1]["value"], json!(image), "{results:?}");
    });
}

/// The Task with the agent, as it is shipped.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn the_task_with_an_agent() {
    scenario("the_task_with_an_agent", |place| {
        let repository = place.for_main_registry();
        place.apply_text(&shipped("tasks/sign-images-agent/0.1/sign-images-agent.yaml"));
        let image = place.succeeds("build", &json!({"taskSpec": task(&[build(&repository)])})).image();
        let run_with = |name: &str, more: &[(&str, &str)]| {
            let mut params = vec![
                json!({"name": "IMAGES", "value": [image]}),
                json!({"name": "STEPSEAL_IMAGE", "value": given("STEPSEAL_IMAGE")}),
                json!({"name": "AGENT_REGISTRY_SECRET", "value": "agent-credentials"}),
            ];
            params.extend(more.iter().map(|(name, value)| json!({"name": name, "value": value})));
            let spec = json!({
                "taskRef": {"name": "sign-images-agent"},
                "podTemplate": {"automountServiceAccountToken": false},
                "params": params,
            });
            place.task_run(name, &spec)
        };
        let run = |name: &str, allow: &str| run_with(name, &[("ALLOW", allow)]);
        // Without cosign.pub in the Secret, nothing identifies the agent.
        let private = place.folder.path().join("x509.pem");
        succeed(Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&private));
        let from = format!("--from-file={}", private.display());
        succeed(place.kubectl().args(["create", "secret", "generic", "no-public-key", &from]));
        let unpinned = run_with("unpinned", &[("SIGNING_SECRET", "no-public-key")]);
        assert!(!unpinned.succeeded());
        let logs = place.logs(&unpinned);
        assert!(logs.contains("there is no public key /etc/signing-secrets/cosign.pub"), "{logs}");
        place.unsigned(&image);
        let warned = run_with(
            "warned",
            &[("SIGNING_SECRET", "no-public-key"), ("AGENT_KEY", ""), ("ALLOW", "registry.example/**")],
        );
        let logs = place.logs(&warned);
        assert!(logs.contains("warning: the agent's key is not pinned"), "{logs}");
        place.unsigned(&image);
        let refused = run("refused", "registry.example/**");
        assert!(!refused.succeeded());
        let logs = place.logs(&refused);
        assert!(logs.contains("refuses to sign (repository_not_allowed)"), "{logs}");
        place.unsigned(&image);
        let signed = run("signed", &repository);
        assert!(signed.succeeded(), "{}", place.logs(&signed));
        assert!(!place.logs(&signed).contains("not pinned"), "{}", place.logs(&signed));
        assert_eq!(signed.result("SIGNED_IMAGES"), json!([image]));
        place.verified(&image);
    });
}

/// The Pipeline of the catalog, with a Task in the place of the catalog's `buildah`.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn the_pipeline() {
    scenario("the_pipeline", |place| {
        let repository = place.for_main_registry();
        place.apply_text(&shipped("tasks/sign-images/0.1/sign-images.yaml"));
        place.apply_text(&shipped("tasks/verify-images/0.1/verify-images.yaml"));
        place.apply_text(&shipped("pipelines/build-sign-verify/0.1/build-sign-verify.yaml"));
        let mut buildah = task(&[build("$(params.IMAGE)")]);
        buildah["params"] = json!([{"name": "IMAGE"}, {"name": "DOCKERFILE"}, {"name": "CONTEXT"}]);
        buildah["workspaces"] = json!([{"name": "source"}]);
        place.apply(&json!({"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": {"name": "buildah"}, "spec": buildah}));
        place.start(
            "PipelineRun",
            "shipped",
            &json!({
                "pipelineRef": {"name": "build-sign-verify"},
                "taskRunTemplate": {"podTemplate": {"automountServiceAccountToken": false}},
                "workspaces": [{"name": "source", "emptyDir": {}}],
                "params": [
                    {"name": "IMAGE", "value": repository},
                    {"name": "STEPSEAL_IMAGE", "value": given("STEPSEAL_IMAGE")},
                    {"name": "ALLOW", "value": repository},
                ],
            }),
        );
        let run = place.ended("PipelineRun", "shipped");
        assert!(run.succeeded(), "{:#}", run.object["status"]["conditions"]);
        place.verified(&run.image());
        let signed = run.result("SIGNED_IMAGES");
        assert_eq!(signed, json!([run.image()]));
    });
}
