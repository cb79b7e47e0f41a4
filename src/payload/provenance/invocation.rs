//! The `invocation` of SLSA 0.2: what a run was given.
//!
//! Spec: <https://slsa.dev/spec/v0.2/provenance>

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::descriptor::Material;
use super::object;
use crate::chains;
use crate::run::RunObject;

const LAST_APPLIED_ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// How the run was started: source, parameters, labels and annotations.
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
    annotations.retain(|(name, _)| *name != LAST_APPLIED_ANNOTATION && !name.starts_with(chains::PREFIX));
    let mut environment = Map::new();
    for (name, texts) in [("annotations", annotations), ("labels", run.labels())] {
        if !texts.is_empty() {
            let texts = texts.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text)));
            environment.insert(name.to_owned(), Value::Object(texts.collect()));
        }
    }
    environment
}
