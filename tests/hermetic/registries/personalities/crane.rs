//! `crane registry serve` 0.22, which is go-containerregistry's registry for tests.
//!
//! The record `answers/crane.txt` is of the real 0.22.1, and this answers the same, apart from what `records.rs` lists.
//!
//! - It asks for no login, and stores a manifest without a look at what it names
//!   (<https://github.com/google/go-containerregistry/blob/v0.22.1/pkg/registry/manifest.go>).
//! - It has a referrers API only where a program turns it on (`WithReferrersSupport`), which `crane` doesn't: the answer is 404 `METHOD_UNKNOWN`
//!   (<https://github.com/google/go-containerregistry/blob/v0.22.1/pkg/registry/registry.go>,
//!   <https://github.com/google/go-containerregistry/blob/v0.22.1/cmd/crane/cmd/serve.go>).
//! - What was pushed has no `Location`, and an upload's has no query
//!   (<https://github.com/google/go-containerregistry/blob/v0.22.1/pkg/registry/blobs.go>).

use bytes::Bytes;
use http::header::LOCATION;
use http::{Method, Response, StatusCode};
use stepseal::demo::registry::wire::route::Route;
use stepseal::demo::registry::{Asked, EmbeddedRegistry, Options};

use crate::kit::answers::{code, endpoint, error, is_of_blob};
use crate::kit::personality::{Personality, Rules};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "crane registry serve",
    version: "0.22",
    options: || Options { referrers: false, ..options() },
    install: |registry: &EmbeddedRegistry, _: Rules| registry.faults().change_answers(changed),
    repository: |name| name.to_owned(),
    has_immutable_tags: false,
    settings: &[],
    notes: &["It keeps everything in memory, and is meant for tests."],
};

/// What the registry does with and without its referrers API.
pub(super) fn options() -> Options {
    Options { unchecked_manifests: true, plain_uploads: true, ..Options::default() }
}

/// What it answers otherwise than the specification has it.
pub(super) fn changed(asked: &Asked<'_>, answer: &mut Response<Bytes>) {
    let headers = answer.headers_mut();
    headers.remove("docker-upload-uuid");
    headers.remove("oci-subject");
    headers.remove("oci-filters-applied");
    match (endpoint(asked), answer.status()) {
        (_, StatusCode::CREATED) => {
            answer.headers_mut().remove(LOCATION);
        }
        (_, StatusCode::BAD_REQUEST) if is_of_blob(asked) => {
            *answer = error(400, "NAME_INVALID", "invalid digest");
        }
        (_, StatusCode::NOT_FOUND) if is_of_blob(asked) => {
            *answer = error(404, "BLOB_UNKNOWN", "Unknown blob");
        }
        (Some(Route::Referrers { .. }), StatusCode::OK) if *asked.method == Method::HEAD => {
            *answer = error(400, "METHOD_UNKNOWN", "We don't understand your method + url");
        }
        (Some(Route::Referrers { .. }) | None, StatusCode::NOT_FOUND) if code(answer).is_empty() => {
            *answer = error(404, "METHOD_UNKNOWN", "We don't understand your method + url");
        }
        _ => {}
    }
}
