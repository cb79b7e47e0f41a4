//! Docker Hub, hosted.
//!
//! - Its token service is another host (`auth.docker.io`), and challenges call the registry `registry.docker.io`
//!   (<https://docs.docker.com/docker-hub/usage/pulls/>). Its errors have one field, `details`: 400 `invalid repository name` for a name
//!   that hasn't two parts (<https://github.com/google/go-containerregistry/issues/1741>).
//! - A repository that isn't there is a 401 `UNAUTHORIZED` with another challenge, as distribution's
//!   (<https://github.com/sigstore/cosign/issues/3173>).
//! - It has no referrers API (<https://github.com/docker/roadmap/issues/724>), and answered a manifest with a subject with `OCI-Subject`
//!   all the same, so that clients kept no fallback tag and lost it; a subject that it doesn't hold is refused
//!   (<https://github.com/docker/hub-feedback/issues/2372>). That issue is closed; it is the harder case, so it is kept. The refusal is a
//!   404 (<https://github.com/docker/hub-feedback/issues/2307>), with distribution's code.
//! - Pulls are counted: `RateLimit-Limit` and `RateLimit-Remaining`, and 429 `TOOMANYREQUESTS` in the end, also to cosign
//!   (<https://github.com/clemlesne/blue-agent/issues/259>).
//! - An immutable tag is a 403 (<https://github.com/docker/hub-feedback/issues/2466>,
//!   <https://docs.docker.com/docker-hub/repos/manage/hub-images/immutable-tags/>). Nothing public says with which words, so they are
//!   distribution's for `DENIED`.
//! - It is distribution otherwise: locations of uploads are whole addresses with `_state`
//!   (<https://github.com/google/go-containerregistry/issues/165> has requests and answers).

use bytes::Bytes;
use http::{HeaderValue, Method, Response};
use serde_json::json;
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options, TokenService as Listener};

use crate::answers::{
    TokenService, absent_subject, answer, error, error_about, manifest_read, redirect_to_storage,
    repositories_asked, storage, subject_written, tag_overwrite,
};
use crate::personality::{Personality, Rules};

const TOKENS: TokenService = TokenService {
    path: "/token",
    service: "registry.docker.io",
    fields: &["token", "access_token", "expires_in"],
};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "Docker Hub",
    version: "hosted",
    options: || Options {
        auth: Auth::Bearer,
        token_service: Listener::OwnListener,
        referrers: false,
        absolute_locations: true,
        ..Options::default()
    },
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
    if TOKENS.is_asked(asked) {
        let is_strange = |name: &String| name.split('/').count() != 2;
        let refused = repositories_asked(asked).iter().any(is_strange);
        return refused.then(|| answer(400, &json!({ "details": "invalid repository name" })));
    }
    if rules.immutable_tags && tag_overwrite(asked).is_some() {
        return Some(error(403, "DENIED", "requested access to the resource is denied"));
    }
    let subject = absent_subject(asked)?;
    Some(error_about(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", &json!(subject)))
}

fn change(asked: &Asked<'_>, response: &mut Response<Bytes>) {
    if TOKENS.is_asked(asked) && response.status() == 401 {
        *response = answer(401, &json!({ "details": "incorrect username or password" }));
    }
    let headers = response.headers_mut();
    if *asked.method == Method::GET && manifest_read(asked).is_some() {
        headers.insert("ratelimit-limit", HeaderValue::from_static("200;w=21600"));
        headers.insert("ratelimit-remaining", HeaderValue::from_static("199;w=21600"));
    }
    if let Some((_, subject)) = subject_written(asked)
        && response.status() == 201
    {
        response.headers_mut().insert("oci-subject", HeaderValue::from_str(&subject).unwrap());
    }
}
