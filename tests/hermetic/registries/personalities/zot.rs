//! zot 2.1 with `htpasswd` and an access control policy.
//!
//! - It has the referrers API, and confirms a referrer with `OCI-Subject`. Of a repository that isn't there the API says 404 without a body
//!   (<https://github.com/project-zot/zot/blob/v2.1.2/pkg/api/routes.go>, `UpdateManifest` and `GetReferrers`).
//! - A manifest whose blobs are missing is answered with 400 `BLOB_UNKNOWN` (`UpdateManifest` in the same file).
//! - An upload's location is a path without a query, and its name isn't repeated in `Docker-Upload-UUID` (`CreateBlobUpload`).
//! - Tags are immutable for a login with the right `create` and without `update`
//!   (<https://zotregistry.dev/v2.1.2/articles/immutable-tags>). What exists is then refused with 403 `DENIED`, as any other right that is missing;
//!   the tag `latest` is always free (<https://github.com/project-zot/zot/blob/v2.1.2/pkg/api/authz.go>, `DistSpecAuthzHandler`).
//! - A refused login is answered with 401, a `Basic` challenge, and an error that stands alone, not in a list
//!   (<https://github.com/project-zot/zot/blob/v2.1.2/pkg/api/authn.go>, `authFail`).
//!
//! The rest is as distribution.

use bytes::Bytes;
use http::{Response, StatusCode};
use stepseal::demo::registry::wire::route::Route;
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options};

use crate::kit::answers::{
    authorization, code, empty, endpoint, error, manifest_write, repository_exists, tag_overwrite,
};
use crate::kit::personality::{Personality, Rules};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "zot",
    version: "2.1",
    options: || Options { auth: Auth::Basic, plain_uploads: true, ..Options::default() },
    install,
    repository: |name| format!("team/{name}"),
    has_immutable_tags: true,
    settings: &[],
    notes: &[
        "Tags are immutable where the policy gives a login `create` and not `update`. zot answers such a push with 403 `DENIED` and no reason, so that the exit code is 4.",
        "`storage.oci.encoding-format: sigstore-bundle` needs no tag there: zot has the referrers API.",
    ],
};

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let faults = registry.faults();
    faults.change_answers(changed);
    faults.answer_instead(move |asked| instead(asked, rules));
}

fn changed(asked: &Asked<'_>, answer: &mut Response<Bytes>) {
    answer.headers_mut().remove("docker-upload-uuid");
    if answer.status() == StatusCode::UNAUTHORIZED {
        *answer.body_mut() =
            r#"{"code":"UNAUTHORIZED","message":"authentication required","description":"","detail":{}}"#
                .into();
    }
    if manifest_write(asked).is_some() && code(answer) == "MANIFEST_BLOB_UNKNOWN" {
        *answer = error(400, "BLOB_UNKNOWN", "blob unknown to registry");
    }
}

fn instead(asked: &Asked<'_>, rules: Rules) -> Option<Response<Bytes>> {
    // Whoever has no login is asked for one first.
    if authorization(asked).is_empty() {
        return None;
    }
    if let Some(Route::Referrers { .. }) = endpoint(asked)
        && !repository_exists(asked)
    {
        return Some(empty(404));
    }
    let (_, tag) = tag_overwrite(asked).filter(|_| rules.immutable_tags)?;
    (tag != "latest").then(|| error(403, "DENIED", "requested access to the resource is denied"))
}
