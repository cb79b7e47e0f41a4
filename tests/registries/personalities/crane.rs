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
use http::{Method, Response, StatusCode};
use stepseal::demo::registry::{Asked, EmbeddedRegistry, Options};

use crate::personality::{Personality, Rules};
use crate::wire::{About, code, error};

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
    match (About::of(asked), answer.status()) {
        (_, StatusCode::CREATED) => {
            answer.headers_mut().remove("location");
        }
        (About::Blob, StatusCode::BAD_REQUEST) => *answer = error(400, "NAME_INVALID", "invalid digest"),
        (About::Blob, StatusCode::NOT_FOUND) => *answer = error(404, "BLOB_UNKNOWN", "Unknown blob"),
        (About::Referrers { .. }, StatusCode::OK) if *asked.method == Method::HEAD => {
            *answer = error(400, "METHOD_UNKNOWN", "We don't understand your method + url");
        }
        (About::Referrers { .. } | About::Other, StatusCode::NOT_FOUND) if code(answer).is_empty() => {
            *answer = error(404, "METHOD_UNKNOWN", "We don't understand your method + url");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imitated::Imitated;
    use crate::suite::Site as _;

    #[test]
    fn a_manifest_is_stored_without_its_blobs() {
        let site = Imitated::start(PERSONALITY, Rules::default());
        let media_type = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
        let answer = site.caller().ask("PUT", "/v2/app/manifests/v1", &media_type, b"{}");
        assert_eq!((answer.status, answer.header("location")), (201, None));
        let digest = stepseal::registry::Digest::of(b"{}");
        let answer = site.caller().ask("GET", &format!("/v2/app/referrers/{digest}"), &[], &[]);
        assert_eq!(
            (answer.status, answer.json()["errors"][0]["code"].as_str()),
            (404, Some("METHOD_UNKNOWN"))
        );
    }
}
