//! Where the order of a list says nothing, and what else of a payload may change without a change of the run.
//!
//! Everything else counts: arguments, steps, volumes, values of an array. The list below is short because each entry
//! is something that whoever wants to change a run may reorder unseen. Three things that look like candidates are none:
//!
//! - `resolvedDependencies`, `materials` and `byproducts` come from lists of the run, by Chains and here in the same order.
//! - Tekton reorders `status.sidecars` once a TaskRun is done. That is undone before their images are compared (`sidecars.rs`), as a set of
//!   all dependencies would hide another order of the steps.
//! - Tekton reorders `childReferences` while a PipelineRun is running, and not once it is done.

use super::place::Place;

/// Lists of a payload that are compared as sets, each with the reason.
///
/// `[]` is an item of a list.
pub const SETS: &[(&str, &str)] = &[
    (
        "subject",
        "Chains gathers pairs of results (IMAGE_URL and IMAGE_DIGEST) in a map, and writes them in its order",
    ),
    (
        "predicate.buildConfig.tasks.[].after",
        "Chains reads the results that an object parameter uses in the order of a map",
    ),
];

/// Annotations to which Chains adds its own after it made the payload: those of the run, and of a TaskRun that a PipelineRun's
/// provenance repeats in full. Under a name of Chains' nothing is compared there.
pub(super) const ANNOTATIONS: &[&str] = &[
    "predicate.buildDefinition.internalParameters.annotations",
    "predicate.buildDefinition.resolvedDependencies.[].content.metadata.annotations",
];

/// Texts that are the base64 of JSON, and are compared as what they hold.
pub(super) const CONTENTS: &[&str] = &[
    "predicate.buildDefinition.resolvedDependencies.[].content",
    "predicate.runDetails.byproducts.[].content",
];

/// Whether the list at `place` is compared as a set.
pub(super) fn is_set(place: &Place<'_>) -> bool {
    SETS.iter().any(|(path, _)| place.is(path))
}

/// Whether `place` has annotations that Chains may have added to.
pub(super) fn has_later_annotations(place: &Place<'_>) -> bool {
    ANNOTATIONS.iter().any(|path| place.is(path))
}

/// Whether `place` holds JSON in base64.
pub(super) fn is_content(place: &Place<'_>) -> bool {
    CONTENTS.iter().any(|path| place.is(path))
}
