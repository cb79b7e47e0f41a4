//! Red Hat Quay 3.17 and 3.18: the source of both was read. The referrers API is on by default, immutable tags are off by default
//! (<https://github.com/quay/quay/blob/v3.17.0/config.py>, `FEATURE_REFERRERS_API` and `FEATURE_IMMUTABLE_TAGS`).
//!
//! - The token service is `/v2/auth`, takes GET alone and answers with a `token`
//!   (<https://github.com/quay/quay/blob/v3.17.0/endpoints/v2/v2auth.py>). A wrong login is 401 `UNAUTHORIZED`
//!   (<https://github.com/quay/quay/blob/v3.17.0/endpoints/v2/errors.py>, `InvalidLogin`).
//! - A login that lacks a right gets a token without it, and then a 401 with another challenge
//!   (<https://github.com/quay/quay/blob/v3.17.0/endpoints/v2/__init__.py>, `_require_repo_permission`).
//! - It has the referrers API, since 3.12, and answers a push with a subject without `OCI-Subject`
//!   (<https://github.com/quay/quay/blob/v3.17.0/endpoints/v2/manifest.py>; for quay.io
//!   <https://github.com/opencontainers/distribution-spec/pull/563>). A manifest with a subject stays, one without that is pushed by digest
//!   alone goes after an hour (<https://github.com/quay/quay/blob/v3.17.0/data/model/oci/tag.py>, `create_temporary_tag_if_necessary`).
//! - The referrers of a manifest that isn't there are 400 `MANIFEST_INVALID`. Those of a repository that isn't there are 404
//!   `NAME_UNKNOWN` to a login with rights in the whole organization, and 401 to others
//!   (<https://github.com/quay/quay/blob/v3.17.0/endpoints/v2/referrers.py>).
//! - An immutable tag is 409 `TAG_IMMUTABLE`, since 3.17, whatever is pushed (`errors.py` and `tag.py`, as above).
//! - The location of an upload is a whole address without a query, and blobs are 302 to the storage
//!   (<https://github.com/quay/quay/blob/v3.17.0/endpoints/v2/blob.py>).

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::json;
use stepseal::demo::registry::wire::route::Route;
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options};

use crate::kit::answers::{
    TokenService, empty, endpoint, error_about, redirect_to_storage, repository_exists, storage,
    tag_overwrite,
};
use crate::kit::personality::{Personality, Rules};

const TOKENS: TokenService = TokenService { path: "/v2/auth", service: "quay.io", fields: &["token"] };

pub(crate) const PERSONALITY: Personality = Personality {
    product: "Quay",
    version: "3.17 and 3.18",
    options: || Options {
        auth: Auth::Bearer,
        absolute_locations: true,
        plain_uploads: true,
        ..Options::default()
    },
    install,
    repository: |name| format!("acme/{name}"),
    has_immutable_tags: true,
    settings: &[],
    notes: &[
        "The login is best a robot account (`ORGANIZATION+NAME`) with the permission Write on the repository.",
        "A push is never answered with `OCI-Subject`, so bundles are kept under the fallback tag `sha256-HEX` too.",
        "With immutable tags, sign as bundles: the referrers API lists them where the fallback tag is refused.",
    ],
};

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let faults = registry.faults();
    faults.rewrite_requests(|asked| TOKENS.rewrite(asked));
    faults.answer_instead(move |asked| storage(asked).or_else(|| instead(asked, rules)));
    faults.change_answers(|asked, answer| {
        TOKENS.change(asked, answer);
        change(asked, answer);
        redirect_to_storage(asked, answer);
        if answer.status() == StatusCode::TEMPORARY_REDIRECT {
            *answer.status_mut() = StatusCode::FOUND;
        }
    });
}

fn instead(asked: &Asked<'_>, rules: Rules) -> Option<Response<Bytes>> {
    if TOKENS.is_asked(asked) && *asked.method == Method::POST {
        return Some(empty(405));
    }
    let (_, tag) = tag_overwrite(asked).filter(|_| rules.immutable_tags)?;
    let detail = json!({ "message": format!("tag '{tag}' is immutable") });
    Some(error_about(409, "TAG_IMMUTABLE", "tag is immutable and cannot be overwritten", &detail))
}

fn change(asked: &Asked<'_>, answer: &mut Response<Bytes>) {
    answer.headers_mut().remove("oci-subject");
    if TOKENS.is_asked(asked) && answer.status() == 401 {
        *answer = error_about(401, "UNAUTHORIZED", "Specified credentials are invalid", &json!({}));
    }
    if let Some(Route::Referrers { repository, digest }) = endpoint(asked)
        && answer.status() == 200
    {
        if !repository_exists(asked) {
            *answer = error_about(404, "NAME_UNKNOWN", "repository not found", &json!({}));
        } else if asked.content.manifest(&repository, digest.as_str()).is_none() {
            *answer = error_about(400, "MANIFEST_INVALID", "manifest invalid", &json!({}));
        }
    }
}
