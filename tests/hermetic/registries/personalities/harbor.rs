//! Harbor with the policy "Cosign: allow only verified images to be deployed", and with tokens alone: 2.7, 2.9 to 2.14, and 2.15.
//!
//! - It is distribution behind a proxy that knows artifacts. The token service is `/service/token`, takes GET alone
//!   (<https://github.com/goharbor/harbor/blob/v2.13.0/src/core/middlewares/middlewares.go>) and calls the
//!   registry `harbor-registry`. Its answer has an `access_token` too, which is empty
//!   (<https://github.com/goharbor/harbor/blob/v2.13.0/src/common/models/token.go>;
//!   <https://github.com/goharbor/harbor/blob/v2.13.0/src/core/service/token/authutils.go>, `MakeToken`).
//!   A wrong password gets a token all the same, that of those who have no login; without a scope it is 401 without a body
//!   (<https://github.com/goharbor/harbor/blob/v2.13.0/src/core/service/token/creator.go>, `generalCreator`).
//! - Those who send a login that isn't enough are asked for `Basic realm="harbor"`
//!   (<https://github.com/goharbor/harbor/blob/v2.13.0/src/server/middleware/v2auth/auth.go>, `getChallenge`;
//!   <https://github.com/goharbor/harbor/issues/18026> shows the words of the refusal).
//! - The policy withholds manifests without signatures by 412 `PROJECTPOLICYVIOLATION`, except from tokens that may push, of clients
//!   that name cosign, or from 2.9 notation (<https://github.com/goharbor/harbor/blob/v2.13.0/src/server/middleware/contenttrust/contentrust.go>,
//!   <https://github.com/goharbor/harbor/blob/v2.13.0/src/server/middleware/util/util.go>, `SkipPolicyChecking`;
//!   <https://github.com/goharbor/harbor/blob/v2.7.0/src/server/middleware/contenttrust/cosign.go>). Signatures pass.
//!   A signature is what lies under `sha256-HEX.sig`
//!   (<https://github.com/goharbor/harbor/blob/v2.13.0/src/server/middleware/cosign/cosign.go>). A bundle is none up to 2.14
//!   (<https://github.com/goharbor/harbor/issues/22643>), and one from 2.15
//!   (<https://github.com/goharbor/harbor/blob/v2.15.0/src/server/middleware/subject/subject.go>).
//! - The referrers API is there from 2.8 (<https://github.com/goharbor/harbor/blob/v2.8.0/src/server/registry/referrers.go>), `OCI-Subject`
//!   from 2.9 (<https://github.com/goharbor/harbor/blob/v2.9.0/src/server/middleware/subject/subject.go>). It lists the `.sig` tags too,
//!   which have no subject, with the type of their config
//!   (<https://github.com/goharbor/harbor/blob/v2.13.0/src/server/registry/referrers.go>).
//! - A manifest that isn't there is 404 `NOT_FOUND` (`artifact NAME:TAG not found`,
//!   <https://github.com/goharbor/harbor/blob/v2.13.0/src/controller/artifact/controller.go>), an immutable tag 412 `PRECONDITION`
//!   (<https://github.com/goharbor/harbor/blob/v2.13.0/src/server/middleware/immutable/pushmf.go>,
//!   <https://github.com/goharbor/harbor/issues/17332> has the words).
//! - A project that isn't there is 401 `UNAUTHORIZED: project NAME not found`, with an empty challenge (`auth.go`, as above).

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, Method, Response};
use serde_json::{Value, json};
use stepseal::demo::registry::wire::route::Route;
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options};

use crate::kit::answers::{
    TokenService, answer, authorization, challenge, empty, endpoint, error, manifest_read, set_challenge,
    tag_overwrite,
};
use crate::kit::personality::{Personality, Rules};

const TOKENS: TokenService =
    TokenService { path: "/service/token", service: "harbor-registry", fields: &["token", "expires_in"] };

/// The only project that there is.
const PROJECT: &str = "team";

const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// What every version's users need.
const LOGIN: &str = "The login is best a robot account of the project that may push and pull; under the policy `verify` needs the right to push too, until the image is signed.";

/// What users of the versions with the referrers API need.
const IMMUTABLE: &str =
    "With an immutability rule that matches `sha256-*`, sign as bundles, or exempt these tags.";

/// Harbor before it had the referrers API.
pub(crate) const OLD: Personality = Personality {
    product: "Harbor",
    version: "2.7",
    options: || Options { referrers: false, ..options() },
    install: |registry, rules| {
        install(
            registry,
            rules,
            Policy { says: "The image is not signed in Cosign.", counts_bundles: false },
        );
    },
    repository,
    has_immutable_tags: true,
    settings: &[],
    notes: &[
        LOGIN,
        "Bundles are found through the fallback tag `sha256-HEX`, as there is no referrers API, and the policy does not count them: sign by tag.",
        "With an immutability rule that matches `sha256-*`, an image takes one signature by tag: exempt these tags.",
    ],
};

/// Harbor with the referrers API, before its policy counts bundles.
pub(crate) const PERSONALITY: Personality = Personality {
    product: "Harbor",
    version: "2.9 to 2.14",
    options,
    install: |registry, rules| {
        install(
            registry,
            rules,
            Policy { says: "The image is not signed by cosign.", counts_bundles: false },
        );
    },
    repository,
    has_immutable_tags: true,
    settings: &[],
    notes: &[
        LOGIN,
        "The policy does not count bundles up to Harbor 2.14: where it is on, sign by tag (the default encoding).",
        IMMUTABLE,
    ],
};

/// Harbor whose policy counts bundles.
pub(crate) const NEW: Personality = Personality {
    version: "2.15",
    install: |registry, rules| {
        install(registry, rules, Policy { says: "The image is not signed by cosign.", counts_bundles: true });
    },
    notes: &[LOGIN, IMMUTABLE],
    ..PERSONALITY
};

/// The policy of a version.
#[derive(Clone, Copy)]
struct Policy {
    /// What it says of an image without signatures.
    says: &'static str,
    /// Whether a bundle is a signature.
    counts_bundles: bool,
}

fn options() -> Options {
    Options { auth: Auth::Bearer, ..Options::default() }
}

fn repository(name: &str) -> String {
    format!("{PROJECT}/{name}")
}

/// The tokens that may push, as they come in `Authorization`.
type Pushers = Arc<Mutex<HashSet<String>>>;

/// Installs what all versions share.
fn install(registry: &EmbeddedRegistry, rules: Rules, policy: Policy) {
    let pushers = Pushers::default();
    let faults = registry.faults();
    faults.rewrite_requests(|asked| TOKENS.rewrite(asked));
    faults.answer_instead(move |asked| {
        project_is_absent(asked)
            .or_else(|| immutable(asked, rules))
            .or_else(|| (TOKENS.is_asked(asked) && *asked.method == Method::POST).then(|| empty(405)))
    });
    faults.change_answers(move |asked, answer| {
        TOKENS.change(asked, answer);
        remember(asked, answer, &pushers);
        if answer.status() == 200 && withholds(asked, &pushers, policy.counts_bundles) {
            *answer = error(412, "PROJECTPOLICYVIOLATION", policy.says);
        }
        change(asked, answer);
    });
}

/// The answer about a project that isn't there, to those who are known.
fn project_is_absent(asked: &Asked<'_>) -> Option<Response<Bytes>> {
    let route = endpoint(asked).filter(|_| authorization(asked).starts_with("Bearer "))?;
    let project = route.repository()?.split('/').next().filter(|project| *project != PROJECT)?;
    let mut answer = error(401, "UNAUTHORIZED", &format!("project {project} not found"));
    set_challenge(&mut answer, "");
    Some(answer)
}

/// Whether the policy withholds the manifest that a request reads.
fn withholds(asked: &Asked<'_>, pushers: &Pushers, counts_bundles: bool) -> bool {
    let Some((repository, reference)) = manifest_read(asked) else { return false };
    let Some((_, manifest)) = asked.content.manifest(&repository, &reference) else { return false };
    let digest = stepseal::oci::Digest::of(&manifest);
    let tags = asked.content.tags(&repository);
    let is_signed = tags.contains(&format!("sha256-{}.sig", digest.hex()));
    let lies_under =
        |tag: &&String| asked.content.manifest(&repository, tag).is_some_and(|held| held.1 == manifest);
    let is_signature = tags.iter().filter(|tag| tag.ends_with(".sig")).any(|tag| lies_under(&tag));
    let attached = asked.content.referrers(&repository, &digest);
    let has_bundle = attached.iter().any(|(_, referrer)| is_bundle(referrer));
    let is_bundled = counts_bundles && (has_bundle || is_bundle(&manifest));
    let agent = asked.headers.get("user-agent").map_or("", |value| value.to_str().unwrap());
    let may_push = pushers.lock().unwrap().contains(authorization(asked));
    let is_signer = may_push && (agent.contains("cosign") || agent.contains("notation"));
    !(is_signed || is_signature || is_bundled || is_signer)
}

/// Whether a manifest is that of a bundle.
fn is_bundle(manifest: &[u8]) -> bool {
    let manifest: Value = serde_json::from_slice(manifest).unwrap_or_default();
    manifest["subject"].is_object() && manifest["artifactType"] == BUNDLE_TYPE
}

fn immutable(asked: &Asked<'_>, rules: Rules) -> Option<Response<Bytes>> {
    let (repository, tag) = tag_overwrite(asked).filter(|_| rules.immutable_tags)?;
    let name = repository.split_once('/').map_or("", |(_, name)| name);
    let message = format!("Failed to process request due to '{name}:{tag}' configured as immutable.");
    Some(error(412, "PRECONDITION", &message))
}

/// Takes note of a token that may push.
fn remember(asked: &Asked<'_>, answer: &Response<Bytes>, pushers: &Pushers) {
    if TOKENS.is_asked(asked) && answer.status() == 200 && asked.path_and_query.contains("push") {
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        pushers.lock().unwrap().insert(format!("Bearer {}", body["token"].as_str().unwrap()));
    }
}

fn change(asked: &Asked<'_>, response: &mut Response<Bytes>) {
    if TOKENS.is_asked(asked) && response.status() == 401 {
        *response = match asked.path_and_query.contains("scope=") {
            true => answer(200, &json!({ "token": "of-nobody", "access_token": "", "expires_in": 1800 })),
            false => empty(401),
        };
    } else if TOKENS.is_asked(asked) && response.status() == 200 {
        let mut body: Value = serde_json::from_slice(response.body()).unwrap();
        body["access_token"] = json!("");
        *response.body_mut() = body.to_string().into();
    }
    if challenge(response).starts_with("Bearer ") && !authorization(asked).is_empty() {
        let route = endpoint(asked);
        let name = route.as_ref().and_then(Route::repository).unwrap_or_default();
        let action = if crate::kit::answers::reads(asked) { "pull" } else { "push" };
        let message = format!("unauthorized to access repository: {name}, action: {action}");
        *response = error(401, "UNAUTHORIZED", &format!("{message}: {message}"));
        set_challenge(response, "Basic realm=\"harbor\"");
    }
    if let Some((name, reference)) = manifest_read(asked)
        && response.status() == 404
    {
        let mark = if reference.contains(':') { '@' } else { ':' };
        *response = error(404, "NOT_FOUND", &format!("artifact {name}{mark}{reference} not found"));
    }
    list_signatures(asked, response);
}

/// Adds what lies under the image's `.sig` tag to a list of referrers.
fn list_signatures(asked: &Asked<'_>, response: &mut Response<Bytes>) {
    let Some(Route::Referrers { repository, digest }) = endpoint(asked) else { return };
    if response.status() != 200 {
        return;
    }
    let mut index: Value = serde_json::from_slice(response.body()).unwrap();
    let list = index["manifests"].as_array_mut().unwrap();
    let tag = format!("{}.sig", digest.as_str().replace(':', "-"));
    let filtered = asked.path_and_query.contains("artifactType=");
    if let Some((media_type, manifest)) = asked.content.manifest(&repository, &tag).filter(|_| !filtered) {
        let digest = stepseal::oci::Digest::of(&manifest);
        list.push(json!({
            "mediaType": media_type, "digest": digest.as_str(), "size": manifest.len(), "artifactType": IMAGE_CONFIG,
        }));
    }
    let total = list.len();
    let text = index.to_string();
    response.headers_mut().insert("x-total-count", HeaderValue::from(total));
    *response.body_mut() = text.into();
}
