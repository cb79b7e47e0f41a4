//! SLSA provenance v0.2: the predicate of `slsa/v1`, which is `in-toto`.
//!
//! Spec: <https://slsa.dev/spec/v0.2/provenance>

use serde_json::{Value, json};

use super::descriptor::Material;
use super::invocation::invocation;
use super::time::{self, Fraction};
use super::{ProvenanceError, ProvenanceOptions, build_config, materials, object};
use crate::chains;
use crate::run::{Gap, Run, RunKind, RunObject};

/// The predicate for `run`.
pub(super) fn predicate(
    run: &Run,
    options: &ProvenanceOptions,
    gaps: &mut Vec<Gap>,
) -> Result<Value, ProvenanceError> {
    let own = run.run();
    let (config, materials) = match run.kind() {
        RunKind::TaskRun => (build_config::of_task_run(own), materials::of_task_run(own, gaps)),
        RunKind::PipelineRun => (
            build_config::of_pipeline_run(run, gaps)?,
            materials::of_pipeline_run(run, options.deep_inspection, gaps),
        ),
    };
    let mut predicate = object([
        ("builder", json!({ "id": options.builder_id })),
        ("buildType", format!("tekton.dev/v1/{}", run.kind()).into()),
        ("invocation", invocation(own)),
        ("buildConfig", config),
        ("metadata", metadata(own)?),
    ]);
    if let Some(fields) = predicate.as_object_mut().filter(|_| !materials.is_empty()) {
        fields.insert("materials".to_owned(), materials.iter().map(Material::json).collect());
    }
    Ok(predicate)
}

fn metadata(run: &RunObject) -> Result<Value, ProvenanceError> {
    let reproducible = run.labels().contains(&(chains::REPRODUCIBLE, "true"));
    let mut metadata = json!({
        "completeness": { "parameters": false, "environment": false, "materials": false },
        "reproducible": reproducible,
    });
    for (name, text) in [
        ("buildStartedOn", time::started(run, Fraction::Shortest)?),
        ("buildFinishedOn", time::finished(run, Fraction::Shortest)?),
    ] {
        if let (Some(fields), Some(text)) = (metadata.as_object_mut(), text) {
            fields.insert(name.to_owned(), Value::String(text));
        }
    }
    Ok(metadata)
}
