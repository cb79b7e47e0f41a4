//! Many at once: when the runs have ended, every image is signed.

use serde_json::json;

use crate::kit::steps::{build, sign, task, task_run};
use crate::kit::{registry, scenario};

const MANY: usize = 20;

#[test]
#[ignore = "needs the cluster: tests/cluster/run"]
fn twenty_task_runs_and_a_pipeline_of_twenty() {
    scenario("twenty_task_runs_and_a_pipeline_of_twenty", |place| {
        let repository = place.for_main_registry();
        for number in 0..MANY {
            let steps = [build(&format!("{repository}/{number}")), sign(&[])];
            place.start("TaskRun", &format!("run-{number}"), &task_run(&steps));
        }
        for number in 0..MANY {
            let run = place.ended("TaskRun", &format!("run-{number}"));
            assert!(run.succeeded(), "{}", place.logs(&run));
            place.verified(&run.image());
        }
        // All push to one repository, side by side.
        let mut spec = task(&[build(&format!("{repository}/fan/$(params.part)")), sign(&[])]);
        spec["params"] = json!([{"name": "part", "type": "string"}]);
        let parts: Vec<String> = (0..MANY).map(|number| format!("p{number}")).collect();
        place.start(
            "PipelineRun",
            "fan",
            &json!({
                "taskRunTemplate": {"podTemplate": {"automountServiceAccountToken": false}},
                "pipelineSpec": {"tasks": [{
                    "name": "build", "taskSpec": spec,
                    "matrix": {"params": [{"name": "part", "value": parts}]},
                }]},
            }),
        );
        assert!(place.ended("PipelineRun", "fan").succeeded());
        for part in parts {
            let digest = registry::main().crane(&["digest", &format!("{repository}/fan/{part}:1")]);
            place.verified(&format!("{repository}/fan/{part}@{digest}"));
        }
    });
}
