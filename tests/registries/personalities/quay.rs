//! Quay, quay.io and Red Hat Quay 3.10 and newer (with `FEATURE_REFERRERS_API`).
//!
//! - The token service is `/v2/auth`, takes GET alone and answers with a `token`
//!   (<https://github.com/quay/quay/blob/master/endpoints/v2/v2auth.py>). A wrong login is 401 `UNAUTHORIZED`.
//! - A login that lacks a right is a 401 with another challenge
//!   (<https://github.com/quay/quay/blob/master/endpoints/v2/__init__.py>, `_require_repo_permission`).
//! - It has the referrers API, and answers a push with a subject without `OCI-Subject`
//!   (<https://github.com/quay/quay/blob/master/endpoints/v2/manifest.py>,
//!   <https://github.com/opencontainers/distribution-spec/pull/563>). The referrers of a manifest that isn't there are 400
//!   `MANIFEST_INVALID`, of a repository 404 `NAME_UNKNOWN` (<https://github.com/quay/quay/blob/master/endpoints/v2/referrers.py>).
//! - An immutable tag is 409 `TAG_IMMUTABLE` (<https://github.com/quay/quay/blob/master/endpoints/v2/errors.py>).
//! - The location of an upload is a whole address without a query, and blobs lie elsewhere
//!   (<https://github.com/quay/quay/blob/master/endpoints/v2/blob.py>).

use bytes::Bytes;
use http::{Method, Response};
use serde_json::json;
use stepseal::demo::registry::wire::route::Route;
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options};

use crate::answers::{
    TokenService, empty, endpoint, error_about, redirect_to_storage, storage, tag_overwrite,
};
use crate::personality::{Personality, Rules};

const TOKENS: TokenService = TokenService { path: "/v2/auth", service: "quay.io", fields: &["token"] };

pub(crate) const PERSONALITY: Personality = Personality {
    product: "Quay",
    version: "3.10 and newer",
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
        if !asked.content.repositories().contains(&repository) {
            *answer = error_about(404, "NAME_UNKNOWN", "repository not found", &json!({}));
        } else if asked.content.manifest(&repository, digest.as_str()).is_none() {
            *answer = error_about(400, "MANIFEST_INVALID", "manifest invalid", &json!({}));
        }
    }
}
