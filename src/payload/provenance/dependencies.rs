//! `resolvedDependencies` of provenance v1.

use std::collections::HashSet;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::descriptor::{Descriptor, Material};
use super::go::{self, GoType};
use super::materials::{pipeline_inputs, sidecar_images, step_images, step_inputs, task_inputs};
use super::{BuildType, MAX_CONTENT_BYTES, ProvenanceError, ProvenanceOptions, RunFormat};
use crate::go_json;
use crate::run::{Gap, Run, RunObject};

const TASK: &str = "task";
const PIPELINE: &str = "pipeline";
const PIPELINE_TASK: &str = "pipelineTask";
const STEP_ACTION: &str = "stepAction/";
const INPUTS: &str = "inputs/result";

/// What went into a TaskRun.
pub(super) fn of_task_run(run: &RunObject, format: RunFormat, gaps: &mut Vec<Gap>) -> Vec<Value> {
    let mut found = named("", step_images(run, gaps));
    found.extend(named("", sidecar_images(run, gaps)));
    if format.reads_step_results() {
        found.extend(named(INPUTS, step_inputs(run, gaps)));
        found.extend(step_actions(run));
    }
    found.extend(named(INPUTS, task_inputs(run, gaps)));
    let task = run.ref_source().map(|source| Descriptor::named(TASK, Material::of_source(&source)));
    // Only the entries after the Task itself are unique.
    task.into_iter().map(Descriptor::into_json).chain(distinct(found)).collect()
}

/// What went into a PipelineRun.
pub(super) fn of_pipeline_run(
    run: &Run,
    format: RunFormat,
    options: &ProvenanceOptions,
    gaps: &mut Vec<Gap>,
) -> Result<Vec<Value>, ProvenanceError> {
    let mut found = Vec::new();
    let source = run.run().ref_source();
    found.extend(source.map(|source| Descriptor::named(PIPELINE, Material::of_source(&source))));
    let executed = run.executed();
    let mut content = 0;
    for child in &executed {
        let task = pipeline_task(child, options.build_type)?;
        content += task.as_ref().map_or(0, |task| task.content.len());
        if content > MAX_CONTENT_BYTES {
            return Err(ProvenanceError::TooBig { name: run.name().to_owned(), most: MAX_CONTENT_BYTES });
        }
        found.extend(task);
        if format.reads_step_results() {
            found.extend(step_actions(child));
        }
        found.extend(named("", step_images(child, gaps)));
        found.extend(named("", sidecar_images(child, gaps)));
    }
    if options.deep_inspection && format.reads_step_results() {
        executed.iter().for_each(|child| found.extend(named(INPUTS, step_inputs(child, gaps))));
    }
    found.extend(named(INPUTS, pipeline_inputs(run, options.deep_inspection, gaps)));
    Ok(distinct(found))
}

fn named(name: &str, materials: Vec<Material>) -> Vec<Descriptor> {
    materials.into_iter().map(|material| Descriptor::named(name, material)).collect()
}

/// The Task that a child ran; for `slsa-tekton` with the whole TaskRun.
fn pipeline_task(child: &RunObject, build_type: BuildType) -> Result<Option<Descriptor>, ProvenanceError> {
    let material = child.ref_source().map(|source| Material::of_source(&source));
    if build_type == BuildType::Slsa {
        return Ok(material.map(|material| Descriptor::named(PIPELINE_TASK, material)));
    }
    let mut object = child.value().clone();
    // Chains reads its objects from a cache that doesn't keep what kind they are of.
    for name in ["kind", "apiVersion"] {
        object.as_object_mut().and_then(|fields| fields.remove(name));
    }
    let object = go::written(GoType::TaskRun, &object, child, "object")?;
    let content = go_json::to_vec(&object)
        .map_err(|source| ProvenanceError::Json { name: child.name().to_owned(), source })?;
    let descriptor = Descriptor::named(PIPELINE_TASK, material.unwrap_or_default());
    Ok(Some(Descriptor { content, ..descriptor }))
}

fn step_actions(run: &RunObject) -> Vec<Descriptor> {
    let steps = run.steps().into_iter();
    steps
        .filter_map(|step| {
            let source = step.ref_source()?;
            Some(Descriptor::named(format!("{STEP_ACTION}{}", step.name()), Material::of_source(&source)))
        })
        .collect()
}

/// The first of each; the Pipeline, the Task and StepActions stay whatever stands before them.
fn distinct(descriptors: Vec<Descriptor>) -> Vec<Value> {
    // By their hash: a whole TaskRun may be in one.
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for mut descriptor in descriptors {
        let name = std::mem::take(&mut descriptor.name);
        let stays = [TASK, PIPELINE].contains(&name.as_str()) || name.starts_with(STEP_ACTION);
        let is_new = seen.insert(hash(&descriptor));
        if is_new || stays {
            kept.push(Descriptor { name, ..descriptor }.into_json());
        }
    }
    kept
}

/// What distinguishes `descriptor` from every other, except its name.
fn hash(descriptor: &Descriptor) -> [u8; 32] {
    let Descriptor { name: _, material, content, media_type } = descriptor;
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update(bytes.len().to_be_bytes());
        hash.update(bytes);
    };
    part(material.uri.as_bytes());
    part(content);
    part(media_type.as_bytes());
    for (algorithm, hex) in &material.digest {
        part(algorithm.as_bytes());
        part(hex.as_bytes());
    }
    hash.finalize().into()
}
