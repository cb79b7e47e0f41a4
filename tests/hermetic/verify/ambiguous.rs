//! `verify-run`: a run that readers can take in different ways doesn't pass, whatever of it is signed.

use serde_json::{Value, json};

use crate::verify::covered::samples::{pipeline_runs, task_runs};
use crate::verify::covered::{FORMATS, Signed, made};

#[test]
fn a_run_that_does_not_say_clearly_whether_it_failed_does_not_pass() {
    let one = |status: Value| json!({ "type": "Succeeded", "status": status });
    let rows = [
        (json!([one(json!("True")), one(json!("False"))]), "more than one condition"),
        (json!([one(json!("False")), one(json!("True"))]), "more than one condition"),
        (json!([one(json!(false))]), "has the status false"),
        (json!([one(json!("false"))]), "has the status \"false\""),
        (json!([one(json!("FALSE"))]), "has the status \"FALSE\""),
        (json!([{ "type": "succeeded", "status": "False" }]), "\"succeeded\" where \"Succeeded\" is meant"),
        (json!([]), "has a completion time"),
        (Value::Null, "has a completion time"),
        (json!([one(json!("Unknown"))]), "has a completion time"),
    ];
    for (format, build_type) in FORMATS {
        for (sample, part) in
            [(task_runs().remove(0), 0), (pipeline_runs().remove(0), 0), (pipeline_runs().remove(0), 1)]
        {
            let signed = Signed::new(&made(&sample.run(), (format, build_type, false)));
            assert_eq!(signed.refusals(&sample), [""; 0], "{format} {build_type:?} {part}");
            for (conditions, want) in &rows {
                let mut changed = sample.clone();
                changed.part_mut(part)["status"]["conditions"] = conditions.clone();
                let refused = signed.refusals(&changed);
                assert!(
                    refused.iter().any(|why| why.contains(want)),
                    "{format} {build_type:?} {part} {conditions}: {refused:#?}"
                );
            }
        }
    }
}

/// A list of a run in which a name may stand once: the part of the run that has it, where it is, and what of an entry is its value.
type OneNameList = (usize, &'static str, &'static str);

const OF_TASK_RUN: &[OneNameList] = &[
    (0, "/status/results", "value"),
    (0, "/status/steps/0/results", "value"),
    (0, "/spec/params", "value"),
    (0, "/status/taskSpec/params", "default"),
];
const OF_PIPELINE_RUN: &[OneNameList] = &[
    (0, "/status/results", "value"),
    (0, "/spec/params", "value"),
    (0, "/status/pipelineSpec/params", "default"),
    (1, "/status/results", "value"),
    (1, "/status/steps/0/results", "value"),
    (2, "/spec/params", "value"),
    (2, "/status/taskSpec/params", "default"),
];

/// The path as a refusal shows it.
fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace("/0/", "[0].").replace('/', ".")
}

#[test]
fn a_run_with_a_name_twice_in_a_list_does_not_pass() {
    for (sample, lists) in
        [(task_runs().remove(0), OF_TASK_RUN), (pipeline_runs().remove(0), OF_PIPELINE_RUN)]
    {
        for (format, build_type) in FORMATS {
            let signed = Signed::new(&made(&sample.run(), (format, build_type, true)));
            assert_eq!(signed.refusals(&sample), [""; 0], "{format} {build_type:?}");
            for (part, pointer, value) in lists {
                for place in [0, 1] {
                    let mut changed = sample.clone();
                    let list = changed.part_mut(*part).pointer_mut(pointer).unwrap().as_array_mut().unwrap();
                    let mut evil = list[0].clone();
                    evil[value] = json!("evil");
                    let name = evil["name"].as_str().unwrap().to_owned();
                    list.insert(place, evil);
                    let want = format!("has the name \"{name}\" more than once in {}", dotted(pointer));
                    let run = changed.part(*part)["metadata"]["name"].as_str().unwrap();
                    let refused = signed.refusals(&changed);
                    assert!(
                        refused.iter().any(|why| why.contains(&want) && why.contains(run)),
                        "{format} {build_type:?} {part} {pointer} {place}: {refused:#?}"
                    );
                }
            }
        }
    }
}

/// A reader of v1beta1 takes the results under the names that they have there.
#[test]
fn a_result_under_the_old_name_of_the_list_too_does_not_pass() {
    for (sample, old) in
        [(task_runs().remove(0), "taskResults"), (pipeline_runs().remove(0), "pipelineResults")]
    {
        for version in ["tekton.dev/v1", "tekton.dev/v1beta1"] {
            let mut sample = sample.clone();
            sample.object["apiVersion"] = json!(version);
            for (format, build_type) in FORMATS {
                let signed = Signed::new(&made(&sample.run(), (format, build_type, true)));
                assert_eq!(signed.refusals(&sample), [""; 0], "{version} {format} {build_type:?}");
                let mut changed = sample.clone();
                changed.object["status"][old] = json!([{ "name": "IMAGE_DIGEST", "value": "evil" }]);
                let refused = signed.refusals(&changed);
                let want = match version {
                    "tekton.dev/v1" => {
                        "has the name \"IMAGE_DIGEST\" more than once in status.results".to_owned()
                    }
                    _ => format!("has results under two names, status.{old} and status.results"),
                };
                assert!(
                    refused.iter().any(|why| why.contains(&want)),
                    "{version} {format} {build_type:?}: {refused:#?}"
                );
            }
        }
    }
}
