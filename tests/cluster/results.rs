//! Results as public Tasks and a matrix leave them: half pairs in children, and arrays.

use std::slice;
use std::sync::PoisonError;

use serde_json::{Value, json};

use crate::kit::place::Run;
use crate::kit::steps::{build, shell, sign, task, task_run};
use crate::kit::{FEATURE_FLAGS, Place, scenario};
use crate::runs::{
    SMALLEST_OF_PIPELINE_RUN, allow, annotated, attested, of_envelope, outside, run_verified, said,
    signs_at_the_end,
};

/// The Tasks of the Tekton catalog (github.com/tektoncd/catalog) that write a digest and no name, the last versions that do, with
/// that result. buildah, buildpacks and jib-gradle write both since.
const HALVES: [(&str, &str); 8] = [
    ("buildah-0-3", "IMAGE_DIGEST"),
    ("buildpacks-0-4", "APP_IMAGE_DIGEST"),
    ("buildpacks-phases-0-3", "APP_IMAGE_DIGEST"),
    ("docker-build-0-1", "IMAGE_DIGEST"),
    ("dockerslim-build-0-1", "IMAGE_DIGEST"),
    ("jib-gradle-0-3", "IMAGE_DIGEST"),
    ("jib-maven-0-5", "IMAGE_DIGEST"),
    ("s2i-0-3", "IMAGE_DIGEST"),
];

/// A step that replaces the Task's own steps and writes what they write.
fn stand_in(result: &str) -> Value {
    let script = format!("printf sha256:{} >$(results.{result}.path)", "4d".repeat(32));
    let mut task = task(&[shell("stand-in", &script)]);
    task["results"] = json!([{"name": result}]);
    task
}

/// Signs a PipelineRun from outside and checks it against its Pods.
fn signs(place: &Place, name: &str, more: &[&str]) -> String {
    let named = format!("{}/{name}", place.namespace);
    let arguments = ["sign", "--pipelinerun", &named, "--require-pod"];
    let store = ["--config", "artifacts.pipelinerun.storage=tekton,oci"];
    let format = ["--config", "artifacts.pipelinerun.format=slsa/v2alpha4"];
    let signed = outside(place, &[&arguments[..], &store, &format, more].concat());
    assert!(signed.status.success(), "{name}: {}", said(&signed));
    said(&signed)
}

fn subjects(statement: &Value) -> Vec<String> {
    let subjects = statement["subject"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    subjects.map(|one| format!("{}@sha256:{}", text(&one["name"]), text(&one["digest"]["sha256"]))).collect()
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn half_pairs_of_public_tasks_are_notes() {
    let _flags = FEATURE_FLAGS.read().unwrap_or_else(PoisonError::into_inner);
    scenario("half_pairs_of_public_tasks_are_notes", |place| {
        let repository = place.for_main_registry();
        allow(place, SMALLEST_OF_PIPELINE_RUN);
        let mut tasks: Vec<Value> =
            HALVES.iter().map(|(name, result)| json!({"name": name, "taskSpec": stand_in(result)})).collect();
        tasks.push(json!({"name": "build", "taskSpec": task(&[build(&repository)])}));
        place.start(
            "PipelineRun",
            "public",
            &json!({
                "taskRunTemplate": {"podTemplate": {"automountServiceAccountToken": true}},
                "pipelineSpec": {"tasks": tasks, "finally": signs_at_the_end(&["PIPELINERUN"])},
            }),
        );
        let run = place.ended("PipelineRun", "public");
        let finally = Run { name: "public-sign".into(), object: Value::Null };
        let log = place.logs(&finally);
        assert!(run.succeeded(), "{log}");
        let image = place.ended("TaskRun", "public-build").image();
        let noted = |log: &str| {
            for (name, result) in HALVES {
                let half = format!("TaskRun public-{name} result {result}: half a pair");
                assert_eq!(log.matches(&half).count(), 1, "{half}: {log}");
            }
        };
        noted(&log);
        let statement = annotated(place, "pipelinerun", "public", &of_envelope("slsaprovenance1"));
        assert_eq!(subjects(&statement), [image.as_str()]);
        // Of the finished run the image is signed too.
        noted(&signs(place, "public", &["--config", "artifacts.pipelinerun.enable-deep-inspection=true"]));
        place.verified(&image);
        let beside = attested(place, &image, "slsaprovenance1");
        assert!(beside.iter().all(|statement| subjects(statement) == [image.as_str()]), "{beside:#?}");
        run_verified(place, "pipelinerun", "public");
    });
}

/// A step that pushes an image to each of these repositories and writes two arrays.
fn build_all(repositories: &[String]) -> Value {
    let script = format!(
        "urls= digests=\n\
         for repository in {}; do\n\
           head -c 1000 /dev/urandom >/tmp/blob; tar -C /tmp -cf /tmp/layer.tar blob\n\
           ref=$(crane append --oci-empty-base -f /tmp/layer.tar -t $repository:1)\n\
           urls=\"$urls,\\\"$repository\\\"\" digests=\"$digests,\\\"${{ref##*@}}\\\"\"\n\
         done\n\
         printf '[%s]' \"${{urls#,}}\" >$(results.IMAGE_URL.path)\n\
         printf '[%s]' \"${{digests#,}}\" >$(results.IMAGE_DIGEST.path)",
        repositories.join(" ")
    );
    shell("build", &script)
}

/// The images in a run's two arrays.
fn images(run: &Run) -> Vec<String> {
    let texts = |name: &str| -> Vec<String> {
        let value = run.result(name);
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let pairs = texts("IMAGE_URL").into_iter().zip(texts("IMAGE_DIGEST"));
    pairs.map(|(url, digest)| format!("{url}@{digest}")).collect()
}

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn each_image_of_a_matrix_is_signed() {
    let _flags = FEATURE_FLAGS.read().unwrap_or_else(PoisonError::into_inner);
    scenario("each_image_of_a_matrix_is_signed", |place| {
        let repository = place.for_main_registry();
        let mut building = task(&[build(&format!("{repository}/$(params.platform)"))]);
        building["params"] = json!([{"name": "platform"}]);
        let gathered = ["IMAGE_URL", "IMAGE_DIGEST"].map(
            |name| json!({"name": name, "type": "array", "value": format!("$(tasks.build.results.{name}[*])")}),
        );
        let platforms = ["amd64", "arm64", "s390x"];
        // Tekton gathers what a matrix wrote only where a Task uses it.
        let mut index = task(&[shell("index", "[ $# = 6 ]")]);
        index["steps"][0]["args"] = json!(["$(params.IMAGE_URL[*])", "$(params.IMAGE_DIGEST[*])"]);
        index["params"] =
            json!([{"name": "IMAGE_URL", "type": "array"}, {"name": "IMAGE_DIGEST", "type": "array"}]);
        index["results"] = json!([]);
        let used = ["IMAGE_URL", "IMAGE_DIGEST"]
            .map(|name| json!({"name": name, "value": [format!("$(tasks.build.results.{name}[*])")]}));
        place.start(
            "PipelineRun",
            "matrix",
            &json!({
                "taskRunTemplate": {"podTemplate": {"automountServiceAccountToken": false}},
                "pipelineSpec": {"results": gathered, "tasks": [
                    {"name": "build", "taskSpec": building,
                     "matrix": {"params": [{"name": "platform", "value": platforms}]}},
                    {"name": "index", "taskSpec": index, "params": used},
                ]},
            }),
        );
        // A Task that builds several images itself, and signs them in its last step.
        let mut spec =
            task_run(&[build_all(&["one", "two"].map(|name| format!("{repository}/{name}"))), sign(&[])]);
        spec["taskSpec"]["results"] =
            json!([{"name": "IMAGE_URL", "type": "array"}, {"name": "IMAGE_DIGEST", "type": "array"}]);
        let own = place.succeeds("arrays", &spec);
        let built = images(&own);
        assert_eq!(built.len(), 2, "{built:?}");
        built.iter().for_each(|image| place.verified(image));

        let run = place.ended("PipelineRun", "matrix");
        assert!(run.succeeded(), "{:#}", run.object["status"]);
        let built = images(&run);
        assert_eq!(built.len(), platforms.len(), "{built:?}");
        signs(place, "matrix", &[]);
        let statement = annotated(place, "pipelinerun", "matrix", &of_envelope("slsaprovenance1"));
        assert_eq!(subjects(&statement), built);
        for image in &built {
            place.verified(image);
            assert_eq!(attested(place, image, "slsaprovenance1"), slice::from_ref(&statement));
        }
        run_verified(place, "pipelinerun", "matrix");
    });
}
