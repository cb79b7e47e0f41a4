//! The sidecars of a run in the order in which they were signed.
//!
//! Once a TaskRun is done, Tekton stops its sidecars and writes `status.sidecars` anew in the order of the Pod's status, which
//! kubelet sorts by name. Their images stand in that order in provenance, behind those of the steps. So their order alone says nothing: the
//! sidecars of each TaskRun are put in the order in which the signed list has their images, and everything else is compared as it is.
//!
//! Spec: <https://github.com/tektoncd/pipeline/blob/v1.15.0/pkg/reconciler/taskrun/taskrun.go> (`updateStoppedSidecarStatus`)

use std::collections::HashMap;

use serde_json::Value;

use crate::run::{Run, image_of};

/// Where provenance lists what went into a build, images among it.
const LISTS: [&str; 2] = ["/predicate/buildDefinition/resolvedDependencies", "/predicate/materials"];

/// `run`, with the sidecars of each TaskRun in the order in which `document` has their images first.
pub(super) fn as_signed(run: &Run, document: &Value) -> Run {
    let lists = LISTS.iter().filter_map(|list| document.pointer(list)?.as_array());
    let mut places = HashMap::new();
    for (at, item) in lists.flatten().enumerate() {
        let uri = item.get("uri").and_then(Value::as_str).unwrap_or_default();
        for (algorithm, hex) in item.get("digest").and_then(Value::as_object).into_iter().flatten() {
            let hex = hex.as_str().unwrap_or_default();
            places.entry((uri.to_owned(), algorithm.clone(), hex.to_owned())).or_insert(at);
        }
    }
    run.with_sidecars_by(|image_id| {
        let place = image_of(image_id).and_then(|image| places.get(&image).copied());
        place.unwrap_or(usize::MAX)
    })
}
