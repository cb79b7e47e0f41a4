//! `verify-run`: a run that readers can take in different ways doesn't pass, whatever of it is signed.

use serde_json::{Value, json};

use crate::covered::samples::{pipeline_runs, task_runs};
use crate::covered::{FORMATS, Signed, made};

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
