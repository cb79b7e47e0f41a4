//! distribution 3 (CNCF Distribution), the reference implementation, with `htpasswd`.
//!
//! The record `answers/distribution-3.txt` is of the real 3.1.2, and this answers the same.
//!
//! - It has no referrers API: the path is not routed, so that the answer is Go's page `404 page not found`
//!   (<https://github.com/distribution/distribution/blob/v3.1.2/registry/api/v2/descriptors.go> has no such route).
//! - It doesn't tell whether a repository is there: a manifest in an unknown one is `MANIFEST_UNKNOWN`, a blob `BLOB_UNKNOWN`
//!   (<https://github.com/distribution/distribution/blob/v3.1.2/registry/handlers/manifests.go>).
//! - A manifest whose content is missing is answered with 400 `MANIFEST_BLOB_UNKNOWN`, where the embedded registry has 404
//!   (<https://github.com/distribution/distribution/blob/v3.1.2/registry/api/errcode/register.go>).
//! - One POST doesn't hold a blob: it begins an upload, whose location has the query `_state`
//!   (<https://github.com/distribution/distribution/blob/v3.1.2/registry/handlers/blobupload.go>).
//! - No setting makes tags immutable (<https://distribution.github.io/distribution/about/configuration/>).

use bytes::Bytes;
use http::{Response, StatusCode};
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options};

use crate::kit::answers::{code, manifest_write, without_name_unknown};
use crate::kit::personality::{Personality, Rules};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "distribution",
    version: "3",
    options,
    install: |registry: &EmbeddedRegistry, _: Rules| registry.faults().change_answers(changed),
    repository: |name| name.to_owned(),
    has_immutable_tags: false,
    settings: &[],
    notes: &[
        "Bundles are listed under the tag `sha256-HEX`, which signers replace one after another: Stepseal reads it back and writes it again where two have met.",
    ],
};

/// What distribution 2 and 3 have in common.
pub(super) fn options() -> Options {
    Options {
        auth: Auth::Basic,
        referrers: false,
        absolute_locations: true,
        monolithic_post: false,
        ..Options::default()
    }
}

/// What both answer otherwise than the specification has it.
pub(super) fn changed(asked: &Asked<'_>, answer: &mut Response<Bytes>) {
    without_name_unknown(asked, answer);
    if manifest_write(asked).is_some() && code(answer) == "MANIFEST_BLOB_UNKNOWN" {
        *answer.status_mut() = StatusCode::BAD_REQUEST;
    }
}
