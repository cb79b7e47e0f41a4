//! Gitea 1.24's container registry.
//!
//! The record `answers/gitea.txt` is of the real 1.24.0, and this answers the same, apart from what `records.rs` lists.
//!
//! - A tag that is overwritten takes with it the manifest that it pointed to, and the blobs that only that manifest named
//!   (<https://github.com/go-gitea/gitea/blob/v1.24.0/routers/api/packages/container/manifest.go>, `createPackageAndVersion`).
//! - It wants tokens, and names the scope `*` whatever is asked for; its tokens are good for everything that the user may do
//!   (<https://github.com/go-gitea/gitea/blob/v1.24.0/routers/api/packages/container/container.go>, `apiUnauthorizedError`).
//! - A wrong password is answered with 401 and the text `authGroup.Verify`
//!   (<https://github.com/go-gitea/gitea/blob/v1.24.0/routers/api/packages/api.go>, `verifyAuth`).
//! - It has no referrers API
//!   (<https://github.com/go-gitea/gitea/blob/v1.24.0/routers/api/packages/api.go>, `ContainerRoutes`).
//! - The location of a manifest ends with the tag, and that of an upload has no query (`UploadManifest` and `InitiateUploadBlob` in `container.go`).
//! - A manifest that names a missing blob is answered with 404 `BLOB_UNKNOWN`, and errors have empty messages
//!   (<https://github.com/go-gitea/gitea/blob/v1.24.0/routers/api/packages/container/errors.go>).
//! - A repository's name begins with its owner's (<https://docs.gitea.com/1.24/usage/packages/container>).

use bytes::Bytes;
use http::header::LOCATION;
use http::{Response, StatusCode};
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options};

use crate::kit::answers::{
    challenge, code, error, is_of_blob, manifest, manifest_write, set_challenge, set_header,
    without_name_unknown,
};
use crate::kit::personality::{Personality, Rules};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "Gitea",
    version: "1.24",
    options: || Options {
        auth: Auth::Bearer,
        referrers: false,
        plain_uploads: true,
        deletes_overwritten: true,
        ..Options::default()
    },
    install: |registry: &EmbeddedRegistry, _: Rules| registry.faults().change_answers(changed),
    repository: |name| format!("ci-bot/{name}"),
    has_immutable_tags: false,
    settings: &[],
    notes: &[
        "Gitea deletes what an overwritten tag pointed to. Stepseal puts lost content back; where another signer's is lost for good, a warning names it.",
        "The name of an image begins with the user or organization that owns it.",
    ],
};

fn changed(asked: &Asked<'_>, answer: &mut Response<Bytes>) {
    without_name_unknown(asked, answer);
    if asked.path_and_query.starts_with("/token") && answer.status() == StatusCode::UNAUTHORIZED {
        *answer = Response::builder().status(401).body("authGroup.Verify\n".into()).unwrap();
    }
    match answer.status() {
        StatusCode::UNAUTHORIZED => any_scope(answer),
        StatusCode::BAD_REQUEST if is_of_blob(asked) => *answer = error(404, "BLOB_UNKNOWN", ""),
        StatusCode::CREATED if manifest(asked).is_some() => {
            set_header(answer, LOCATION, asked.path_and_query)
        }
        _ if manifest_write(asked).is_some() => {
            let is_index = asked
                .headers
                .get("content-type")
                .is_some_and(|value| value.as_bytes().ends_with(b"index.v1+json"));
            if code(answer) == "MANIFEST_BLOB_UNKNOWN" && !is_index {
                *answer = error(404, "BLOB_UNKNOWN", "");
            }
        }
        _ => {}
    }
}

/// Names the scope `*` in the challenge.
fn any_scope(answer: &mut Response<Bytes>) {
    if let Some(before) = challenge(answer).split(",scope=").next().filter(|before| !before.is_empty()) {
        let named = format!("{before},scope=\"*\"");
        set_challenge(answer, &named);
    }
}
