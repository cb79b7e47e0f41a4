//! Docker Hub, hosted.
//!
//! - Its token service is another host (`auth.docker.io`), and challenges call the registry `registry.docker.io`
//!   (<https://github.com/docker/docs/blob/000a96d340ed5aff283d899d8f8b3eb603ab8133/content/manuals/docker-hub/usage/pulls.md>). Its errors
//!   have one field, `details`: 400 `invalid repository name` for a name that hasn't two parts
//!   (<https://github.com/google/go-containerregistry/issues/1687>), and 401 for a token that may not push
//!   (<https://github.com/attune-io/attune/issues/128>). `incorrect username or password` is what clients show of a wrong login
//!   (<https://github.com/docker/for-mac/issues/2940>); that it comes in `details` too is not public.
//! - A repository that isn't there is a 401 `UNAUTHORIZED` with another challenge, as distribution's
//!   (<https://github.com/sigstore/cosign/issues/3173>).
//! - It has the referrers API since 2025 (<https://github.com/awslabs/soci-snapshotter/issues/1828>). What is pushed is listed some seconds
//!   later (<https://github.com/MorganKryze/cairn/pull/66>): here, not to the first that asks.
//! - Before that it had no such API (<https://github.com/docker/roadmap/issues/724>), and answered a manifest with a subject with
//!   `OCI-Subject` all the same, so that clients kept no fallback tag and lost it
//!   (<https://github.com/docker/hub-feedback/issues/2372>). That is the harder case, so it is kept: [`OLD`].
//! - A subject that it doesn't hold is refused (the same issue). Nothing newer says otherwise. The refusal is a 404
//!   (<https://github.com/docker/hub-feedback/issues/2307>), with the code of an older one, which was a 400
//!   (<https://github.com/oras-project/oras/issues/666>).
//! - Pulls are counted: manifests come with `RateLimit-Limit` and `RateLimit-Remaining`, also to HEAD, which doesn't count (the first link).
//!   In the end it is 429 `TOOMANYREQUESTS`, also to cosign (<https://github.com/clemlesne/blue-agent/issues/259>).
//! - An immutable tag is a 403 (<https://github.com/docker/hub-feedback/issues/2466>,
//!   <https://docs.docker.com/docker-hub/repos/manage/hub-images/immutable-tags>), `DENIED`, and says so
//!   (<https://github.com/kimai/kimai/issues/5791>).
//! - Blobs are 307 to another host (<https://github.com/opencontainers/distribution-spec/issues/299>).
//!
//! The rest is as distribution: so are the locations of uploads, with `_state`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, Response};
use serde_json::{Value, json};
use stepseal::demo::registry::wire::route::Route;
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options, TokenService as Listener};

use crate::kit::answers::{
    TokenService, absent_subject, answer, endpoint, error, error_about, manifest_read, redirect_to_storage,
    repositories_asked, storage, subject_written, tag_overwrite,
};
use crate::kit::personality::{Personality, Rules};

const TOKENS: TokenService = TokenService {
    path: "/token",
    service: "registry.docker.io",
    fields: &["token", "access_token", "expires_in"],
};

/// Docker Hub before it had the referrers API.
pub(crate) const OLD: Personality = Personality {
    product: "Docker Hub",
    version: "hosted, until 2025",
    options: || Options { referrers: false, ..options() },
    install,
    repository: |name| format!("acme/{name}"),
    has_immutable_tags: true,
    settings: &[],
    notes: &[
        "A name has two parts, NAMESPACE/NAME: set `storage.oci.repository` to such a name, without a third part.",
        "Bundles are found through the fallback tag `sha256-HEX`, as there is no referrers API.",
        "A bundle must lie in the image's own repository: one whose image isn't there is refused. By tag, `storage.oci.repository` works.",
        "A signature takes some pulls of the account's limit: log in, and sign with an account that has room.",
        "With immutable tags an image takes one signature by tag and one bundle: exempt `sha256-.*` from the rule.",
    ],
};

/// Docker Hub with the referrers API.
pub(crate) const PERSONALITY: Personality = Personality {
    version: "hosted",
    options,
    notes: &[
        "A name has two parts, NAMESPACE/NAME: set `storage.oci.repository` to such a name, without a third part.",
        "A bundle must lie in the image's own repository: one whose image isn't there is refused. By tag, `storage.oci.repository` works.",
        "A signature takes some pulls of the account's limit: log in, and sign with an account that has room.",
        "With immutable tags, sign as bundles, or exempt `sha256-.*` from the rule.",
    ],
    ..OLD
};

fn options() -> Options {
    Options {
        auth: Auth::Bearer,
        token_service: Listener::OwnListener,
        absolute_locations: true,
        ..Options::default()
    }
}

/// Whether the manifest with a subject and this digest is still left out of lists.
type Fresh = Arc<Mutex<HashMap<String, bool>>>;

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let fresh = Fresh::default();
    let faults = registry.faults();
    faults.rewrite_requests(|asked| TOKENS.rewrite(asked));
    faults.answer_instead(move |asked| storage(asked).or_else(|| instead(asked, rules)));
    faults.change_answers(move |asked, answer| {
        TOKENS.change(asked, answer);
        change(asked, answer);
        list_late(asked, answer, &fresh);
        redirect_to_storage(asked, answer);
    });
}

fn instead(asked: &Asked<'_>, rules: Rules) -> Option<Response<Bytes>> {
    if TOKENS.is_asked(asked) {
        let is_strange = |name: &String| name.split('/').count() != 2;
        let refused = repositories_asked(asked).iter().any(is_strange);
        return refused.then(|| answer(400, &json!({ "details": "invalid repository name" })));
    }
    if rules.immutable_tags && tag_overwrite(asked).is_some() {
        let message = "requested access to the resource is denied - This tag is already assigned to an image in this repository and \
                       cannot be updated due to immutability settings. To push this image, use a different tag.";
        return Some(error(403, "DENIED", message));
    }
    let subject = absent_subject(asked)?;
    Some(error_about(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", &json!(subject)))
}

fn change(asked: &Asked<'_>, response: &mut Response<Bytes>) {
    if TOKENS.is_asked(asked) && response.status() == 401 {
        *response = answer(401, &json!({ "details": "incorrect username or password" }));
    }
    let headers = response.headers_mut();
    if manifest_read(asked).is_some() {
        headers.insert("ratelimit-limit", HeaderValue::from_static("200;w=21600"));
        headers.insert("ratelimit-remaining", HeaderValue::from_static("199;w=21600"));
    }
    if let Some((_, subject)) = subject_written(asked)
        && response.status() == 201
    {
        response.headers_mut().insert("oci-subject", HeaderValue::from_str(&subject).unwrap());
    }
}

/// Leaves what was pushed out of the first list of referrers that would have it.
fn list_late(asked: &Asked<'_>, response: &mut Response<Bytes>, fresh: &Fresh) {
    if response.status() == 201 && subject_written(asked).is_some() {
        let digest = stepseal::oci::Digest::of(asked.body);
        fresh.lock().unwrap().entry(digest.as_str().to_owned()).or_insert(true);
    }
    let Some(Route::Referrers { .. }) = endpoint(asked) else { return };
    if response.status() != 200 {
        return;
    }
    let mut index: Value = serde_json::from_slice(response.body()).unwrap();
    let list = index["manifests"].as_array_mut().unwrap();
    let mut fresh = fresh.lock().unwrap();
    let mut is_left_out = |digest: &str| fresh.get_mut(digest).is_some_and(std::mem::take);
    list.retain(|entry| !is_left_out(entry["digest"].as_str().unwrap()));
    *response.body_mut() = index.to_string().into();
}
