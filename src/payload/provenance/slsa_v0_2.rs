//! SLSA provenance v0.2: the predicate of `slsa/v1`, which is `in-toto`.
//!
//! Spec: <https://slsa.dev/spec/v0.2/provenance>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::descriptor::Material;
use super::time::{self, Fraction};
use super::{ProvenanceError, ProvenanceOptions, build_config, materials, object};
use crate::run::{Gap, Run, RunKind, RunObject};

const REPRODUCIBLE_LABEL: &str = "chains.tekton.dev/reproducible";
const CHAINS_ANNOTATIONS: &str = "chains.tekton.dev/";
const LAST_APPLIED_ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

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
    let reproducible = run.labels().contains(&(REPRODUCIBLE_LABEL, "true"));
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

/// Who started the run with what: source, parameters, labels and annotations.
pub(super) fn invocation(run: &RunObject) -> Value {
    let mut source = Map::new();
    if let Some(found) = run.ref_source() {
        if let Value::Object(fields) = Material::of_source(&found).json() {
            source = fields;
        }
        if !found.entry_point.is_empty() {
            source.insert("entryPoint".to_owned(), found.entry_point.into());
        }
    }
    let parameters: BTreeMap<_, _> = run.default_parameters().into_iter().chain(run.parameters()).collect();
    let parameters: Map<String, Value> =
        parameters.into_iter().map(|(name, value)| (name.to_owned(), value.into_json())).collect();
    let mut invocation =
        object([("configSource", Value::Object(source)), ("parameters", Value::Object(parameters))]);
    let environment = environment(run);
    if let Some(fields) = invocation.as_object_mut().filter(|_| !environment.is_empty()) {
        fields.insert("environment".to_owned(), Value::Object(environment));
    }
    invocation
}

fn environment(run: &RunObject) -> Map<String, Value> {
    let mut annotations = run.annotations();
    annotations.retain(|(name, _)| *name != LAST_APPLIED_ANNOTATION && !name.starts_with(CHAINS_ANNOTATIONS));
    let mut environment = Map::new();
    for (name, texts) in [("annotations", annotations), ("labels", run.labels())] {
        if !texts.is_empty() {
            let texts = texts.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text)));
            environment.insert(name.to_owned(), Value::Object(texts.collect()));
        }
    }
    environment
}
