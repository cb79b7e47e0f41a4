//! SLSA provenance v1: the predicate of `slsa/v2alpha3` and `slsa/v2alpha4`.
//!
//! Spec: <https://slsa.dev/spec/v1.0/provenance>

use serde_json::{Map, Value, json};

use super::descriptor::Descriptor;
use super::go::{self, GoType};
use super::subjects::is_build_artifact;
use super::time::{self, Fraction};
use super::{BuildType, ProvenanceError, ProvenanceOptions, RunFormat, dependencies, object};
use crate::go_json;
use crate::run::{Gap, Run, RunKind, RunObject, RunResult};

/// The predicate for `run`.
pub(super) fn predicate(
    run: &Run,
    format: RunFormat,
    options: &ProvenanceOptions,
    gaps: &mut Vec<Gap>,
) -> Result<Value, ProvenanceError> {
    let own = run.run();
    let dependencies = match run.kind() {
        RunKind::TaskRun => dependencies::of_task_run(own, format, gaps),
        RunKind::PipelineRun => dependencies::of_pipeline_run(run, format, options, gaps)?,
    };
    let mut definition = object([
        ("buildType", options.build_type.uri().into()),
        ("externalParameters", external_parameters(own)?),
        ("internalParameters", internal_parameters(own, options.build_type)?),
    ]);
    unless_empty(&mut definition, "resolvedDependencies", dependencies);
    let mut builder = Map::new();
    if !options.builder_id.is_empty() {
        builder.insert("id".to_owned(), options.builder_id.as_str().into());
    }
    let mut details = json!({ "builder": builder, "metadata": metadata(own)? });
    let byproducts = byproducts(run, format, options)?;
    unless_empty(&mut details, "byproducts", byproducts.into_iter().map(Descriptor::into_json).collect());
    Ok(object([("buildDefinition", definition), ("runDetails", details)]))
}

fn unless_empty(object: &mut Value, name: &str, items: Vec<Value>) {
    if let Some(fields) = object.as_object_mut().filter(|_| !items.is_empty()) {
        fields.insert(name.to_owned(), Value::Array(items));
    }
}

/// What the run was asked to do, and where its Task or Pipeline came from.
fn external_parameters(run: &RunObject) -> Result<Value, ProvenanceError> {
    let of = match run.kind() {
        RunKind::TaskRun => GoType::TaskRunSpec,
        RunKind::PipelineRun => GoType::PipelineRunSpec,
    };
    let mut parameters = object([("runSpec", go::written(of, run.spec(), run, "spec")?)]);
    if let (Some(source), Some(fields)) =
        (run.ref_source().filter(|_| run.is_remote()), parameters.as_object_mut())
    {
        // Of several, Chains takes any; here it is always the same.
        let digest = source.digest.first().map(|(algorithm, hex)| format!("{algorithm}:{hex}"));
        let source = json!({
            "ref": digest.unwrap_or_default(), "repository": source.uri, "path": source.entry_point
        });
        fields.insert("buildConfigSource".to_owned(), source);
    }
    Ok(parameters)
}

/// How Tekton was set up, as far as the run says.
fn internal_parameters(run: &RunObject, build_type: BuildType) -> Result<Value, ProvenanceError> {
    let mut parameters = Map::new();
    if let Some(flags) = run.feature_flags() {
        let flags = go::written(GoType::FeatureFlags, flags, run, "featureFlags")?;
        parameters.insert("tekton-pipelines-feature-flags".to_owned(), flags);
    }
    if build_type == BuildType::SlsaTekton {
        for name in ["labels", "annotations"] {
            parameters.insert(name.to_owned(), run.text_map(name));
        }
    }
    Ok(Value::Object(parameters))
}

fn metadata(run: &RunObject) -> Result<Value, ProvenanceError> {
    let mut metadata = Map::new();
    let uid = run.uid().map(ToString::to_string);
    for (name, text) in [
        ("invocationId", uid),
        ("startedOn", time::started(run, Fraction::ByThree)?),
        ("finishedOn", time::finished(run, Fraction::ByThree)?),
    ] {
        metadata.extend(text.map(|text| (name.to_owned(), Value::String(text))));
    }
    Ok(Value::Object(metadata))
}

/// The results that are not, or need not be, subjects.
fn byproducts(
    run: &Run,
    format: RunFormat,
    options: &ProvenanceOptions,
) -> Result<Vec<Descriptor>, ProvenanceError> {
    let own = run.run();
    let mut found = Vec::new();
    match (format.reads_step_results(), run.kind()) {
        (false, kind) => {
            let group = match kind {
                RunKind::TaskRun => "taskRunResults",
                RunKind::PipelineRun => "pipelineRunResults",
            };
            for result in own.results() {
                found.push(byproduct(format!("{group}/{}", result.name), &result, own)?);
            }
        }
        (true, RunKind::TaskRun) => of_task_run(own, &mut found)?,
        (true, RunKind::PipelineRun) => {
            unlike_subjects("pipelineRunResults", own, &own.results(), &mut found)?;
            for child in run.executed().into_iter().filter(|_| options.deep_inspection) {
                of_task_run(child, &mut found)?;
            }
        }
    }
    Ok(found)
}

fn of_task_run(run: &RunObject, found: &mut Vec<Descriptor>) -> Result<(), ProvenanceError> {
    unlike_subjects("taskRunResults", run, &run.results(), found)?;
    run.steps().into_iter().try_for_each(|step| unlike_subjects("stepResults", run, &step.results(), found))
}

/// The results that name no image and no build artifact.
fn unlike_subjects(
    group: &str,
    run: &RunObject,
    results: &[RunResult<'_>],
    found: &mut Vec<Descriptor>,
) -> Result<(), ProvenanceError> {
    for result in results {
        let name = result.name;
        let image = name.ends_with("IMAGE_URL") || name.ends_with("IMAGE_DIGEST") || name == "IMAGES";
        if is_build_artifact(result) == Ok(false) && !image {
            found.push(byproduct(format!("{group}/{}/{name}", run.name()), result, run)?);
        }
    }
    Ok(())
}

fn byproduct(name: String, result: &RunResult<'_>, run: &RunObject) -> Result<Descriptor, ProvenanceError> {
    let content = go_json::to_vec(&result.value.to_json())
        .map_err(|source| ProvenanceError::Json { name: run.name().to_owned(), source })?;
    Ok(Descriptor { name, content, media_type: "application/json", ..Descriptor::default() })
}
