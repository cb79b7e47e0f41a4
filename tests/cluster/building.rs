//! A build and its signature, in the shapes that a Task can have.

use std::process::Command;

use serde_json::json;

use crate::kit::steps::{build, shell, sign, task, task_run};
use crate::kit::{registry, scenario, succeed};

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn build_and_sign() {
    scenario("build_and_sign", |place| {
        let repository = place.for_main_registry();
        let run = place.succeeds("one", &task_run(&[build(&repository), sign(&[])]));
        let image = run.image();
        place.verified(&image);
        // The judge judges: another image of the same repository has no signature.
        let other = registry::main().crane(&[
            "append",
            "--oci-empty-base",
            "-f",
            "/dev/null",
            "-t",
            &format!("{repository}:2"),
        ]);
        place.unsigned(&other);
        let pod = succeed(place.kubectl().args([
            "get",
            "pod",
            "one-pod",
            "-o",
            "jsonpath={.spec.containers[*].name}",
        ]));
        assert_eq!(pod, "step-build step-sign");
    });
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn an_index_with_its_manifests() {
    scenario("an_index_with_its_manifests", |place| {
        let repository = place.for_main_registry();
        let script = format!(
            "for part in a b; do head -c 100 /dev/urandom >/tmp/$part; tar -C /tmp -cf /tmp/$part.tar $part\n\
             crane append --oci-empty-base -f /tmp/$part.tar -t {repository}:$part; done\n\
             crane index append -m {repository}:a -m {repository}:b -t {repository}:all\n\
             printf %s {repository} >$(results.IMAGE_URL.path)\n\
             printf %s $(crane digest {repository}:all) >$(results.IMAGE_DIGEST.path)"
        );
        let run = place.succeeds("index", &task_run(&[shell("build", &script), sign(&["--recursive"])]));
        place.verified(&run.image());
        for part in ["a", "b"] {
            let digest = registry::main().crane(&["digest", &format!("{repository}:{part}")]);
            place.verified(&format!("{repository}@{digest}"));
        }
    });
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn as_referrers() {
    scenario("as_referrers", |place| {
        let repository = place.for_main_registry();
        let mut step = sign(&[]);
        let bundle = json!({"name": "STEPSEAL_STORAGE_OCI_ENCODING_FORMAT", "value": "sigstore-bundle"});
        step["env"].as_array_mut().unwrap().push(bundle);
        let run = place.succeeds("bundle", &task_run(&[build(&repository), step]));
        let image = run.image();
        place.verified(&image);
        // Not by tag: the fallback of the referrers API holds it.
        let tags = registry::main().crane(&["ls", &repository]);
        assert!(!tags.contains(".sig") && tags.contains("sha256-"), "{tags}");
    });
}

/// A step behind the signing step changes the results: `sign` has warned, and what it reports itself stays true.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_step_behind_the_signing_step() {
    scenario("a_step_behind_the_signing_step", |place| {
        let repository = place.for_main_registry();
        let mut step = sign(&[]);
        step["results"] =
            json!([{"name": "SIGNED_IMAGES", "type": "array"}, {"name": "SIGNATURES", "type": "array"}]);
        let change = "printf %s sha256:0000000000000000000000000000000000000000000000000000000000000000 \
                      >$(results.IMAGE_DIGEST.path)\n\
                      ! echo '[]' >/tekton/steps/step-sign/results/SIGNED_IMAGES\n\
                      ! rm /tekton/steps/step-sign/results/SIGNED_IMAGES";
        let mut spec = task_run(&[build(&repository), step, shell("change", change)]);
        for name in ["SIGNED_IMAGES", "SIGNATURES"] {
            let result =
                json!({"name": name, "type": "array", "value": format!("$(steps.sign.results.{name})")});
            spec["taskSpec"]["results"].as_array_mut().unwrap().push(result);
        }
        let run = place.succeeds("changed", &spec);
        let logs = place.logs(&run);
        assert!(logs.contains("warning: the step change runs after this step"), "{logs}");
        let digest = registry::main().crane(&["digest", &format!("{repository}:1")]);
        assert_ne!(run.result("IMAGE_DIGEST"), json!(digest));
        assert_eq!(run.result("SIGNED_IMAGES"), json!([format!("{repository}@{digest}")]));
        let tag = format!("{repository}:{}.sig", digest.replace(':', "-"));
        assert_eq!(run.result("SIGNATURES"), json!([tag]));
        place.verified(&format!("{repository}@{digest}"));
        let last = place.succeeds("last", &task_run(&[build(&repository), sign(&[])]));
        assert!(!place.logs(&last).contains("warning"), "{}", place.logs(&last));
    });
}

/// OpenShift gives each namespace a user id of its own, and no home folder.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn an_arbitrary_user() {
    scenario("an_arbitrary_user", |place| {
        let repository = place.for_main_registry();
        let mut step = sign(&[]);
        step["securityContext"]["runAsUser"] = json!(1_000_650_000);
        step["env"].as_array_mut().unwrap().push(json!({"name": "HOME", "value": "/"}));
        let run = place.succeeds("uid", &task_run(&[build(&repository), step]));
        place.verified(&run.image());
    });
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn the_image_is_one_static_file() {
    scenario("the_image_is_one_static_file", |_| {
        let image = crate::kit::given("STEPSEAL_IMAGE");
        let manifest = succeed(Command::new("crane").args(["manifest", "--insecure", &image]));
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1, "{manifest:#}");
        assert!(layers[0]["size"].as_u64().unwrap() < 10 << 20, "{manifest:#}");
        let config = succeed(Command::new("crane").args(["config", "--insecure", &image]));
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Entrypoint"], json!(["/stepseal"]));
    });
}

/// A Task for each image, as many as a matrix names, in one PipelineRun.
#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn a_matrix() {
    scenario("a_matrix", |place| {
        let repository = place.for_main_registry();
        let mut spec = task(&[build(&format!("{repository}/$(params.part)")), sign(&[])]);
        spec["params"] = json!([{"name": "part", "type": "string"}]);
        let parts = ["one", "two", "three"];
        place.start(
            "PipelineRun",
            "matrix",
            &json!({
                "taskRunTemplate": {"podTemplate": {"automountServiceAccountToken": false}},
                "pipelineSpec": {"tasks": [{
                    "name": "build", "taskSpec": spec,
                    "matrix": {"params": [{"name": "part", "value": parts}]},
                }]},
            }),
        );
        assert!(place.ended("PipelineRun", "matrix").succeeded());
        for part in parts {
            let digest = registry::main().crane(&["digest", &format!("{repository}/{part}:1")]);
            place.verified(&format!("{repository}/{part}@{digest}"));
        }
    });
}
