//! go-containerregistry's registry with its referrers API turned on, as programs that embed it can.
//!
//! The record `answers/crane-with-referrers.txt` is of the real 0.22.1, and this answers the same, apart from what `records.rs` lists. It answers as
//! [`crane registry serve`](super::crane), but:
//!
//! - The referrers API lists what is there, and nothing says so when a referrer is pushed: there is no `OCI-Subject`
//!   (<https://github.com/google/go-containerregistry/blob/v0.22.1/pkg/registry/manifest.go>, `handleReferrers`).
//! - Of a repository that isn't there the API says 404 `NAME_UNKNOWN`, not an empty list (the same function).

use http::Method;
use stepseal::demo::registry::wire::route::Route;
use stepseal::demo::registry::{Asked, EmbeddedRegistry};

use super::crane::{changed, options};
use crate::kit::answers::{endpoint, error, repository_exists};
use crate::kit::personality::{Personality, Rules};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "go-containerregistry with the referrers API",
    version: "0.22",
    options,
    install,
    repository: |name| name.to_owned(),
    has_immutable_tags: false,
    settings: &[],
    notes: &[
        "It doesn't confirm referrers with `OCI-Subject`, so that bundles are listed under the tag `sha256-HEX` too.",
    ],
};

fn install(registry: &EmbeddedRegistry, _: Rules) {
    let faults = registry.faults();
    faults.change_answers(changed);
    faults.answer_instead(|asked: &Asked<'_>| {
        let asks_for_referrers =
            *asked.method == Method::GET && matches!(endpoint(asked), Some(Route::Referrers { .. }));
        (asks_for_referrers && !repository_exists(asked)).then(|| error(404, "NAME_UNKNOWN", "Unknown name"))
    });
}
