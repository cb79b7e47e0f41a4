//! OpenShift's internal registry, 4.16 to 4.23: the files that are named here are the same in `openshift/image-registry` on all branches
//! from `release-4.16` to `release-4.23`. The links are to the commit of `release-4.18`.
//!
//! - A challenge names the token service `/openshift/token` and nothing else: no service and no scope. Its token is the password
//!   itself, which is a token of the cluster, and the registry takes the password too
//!   (<https://github.com/openshift/image-registry/blob/cfa51ab4b60fc0e836547626a5fd02b97ee82708/pkg/dockerregistry/server/auth.go>).
//!   A login that isn't enough is 401 with `Basic realm=openshift,error="access denied"`.
//! - The token service takes GET alone; its answer has `token` and `access_token`, and a wrong login is 401 without a body
//!   (<https://github.com/openshift/image-registry/blob/cfa51ab4b60fc0e836547626a5fd02b97ee82708/pkg/dockerregistry/server/token.go>,
//!   <https://github.com/openshift/image-registry/blob/cfa51ab4b60fc0e836547626a5fd02b97ee82708/pkg/dockerregistry/server/app.go>).
//! - A name has two parts, PROJECT/NAME: another is 401 with `details` at the token service, and 400 without a body at the registry
//!   (<https://github.com/openshift/image-registry/blob/cfa51ab4b60fc0e836547626a5fd02b97ee82708/pkg/dockerregistry/server/util.go>,
//!   `getNamespaceName`).
//! - It is distribution without the referrers API. A manifest that is pushed by digest can't be read until a list under a tag names it
//!   (<https://github.com/openshift/image-registry/blob/cfa51ab4b60fc0e836547626a5fd02b97ee82708/pkg/dockerregistry/server/manifestservice.go>,
//!   `Put`; <https://github.com/openshift/image-registry/blob/cfa51ab4b60fc0e836547626a5fd02b97ee82708/pkg/imagestream/imagestream.go>,
//!   `GetImageOfImageStream`), and lists may name what isn't there
//!   (<https://github.com/openshift/image-registry/blob/cfa51ab4b60fc0e836547626a5fd02b97ee82708/pkg/dockerregistry/server/manifesthandler/manifestlisthandler.go>).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, Method, Response};
use serde_json::{Value, json};
use stepseal::demo::registry::wire::route::{Reference, Route};
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options};

use crate::kit::answers::{
    TokenService, answer, authorization, challenge, empty, endpoint, error, manifest_read,
    repositories_asked, set_challenge, tag_write,
};
use crate::kit::personality::{Personality, Rules};

const TOKENS: TokenService =
    TokenService { path: "/openshift/token", service: "", fields: &["token", "access_token"] };

pub(crate) const PERSONALITY: Personality = Personality {
    product: "OpenShift's internal registry",
    version: "4.16 to 4.23",
    options: || Options {
        auth: Auth::Both,
        referrers: false,
        absolute_locations: true,
        ..Options::default()
    },
    install,
    repository: |name| format!("project/{name}"),
    has_immutable_tags: false,
    settings: &[],
    notes: &[
        "The login is any user name and a token of a service account with the role `registry-editor` (or `system:image-builder`) in the project.",
        "A name has two parts, PROJECT/NAME: set `storage.oci.repository` to such a name, without a third part.",
        "Bundles are found through the fallback tag `sha256-HEX`, as there is no referrers API.",
    ],
};

/// Whether the manifest with this repository and digest can't be read, as it was pushed by digest alone.
type Hidden = Arc<Mutex<HashMap<(String, String), bool>>>;

fn install(registry: &EmbeddedRegistry, _: Rules) {
    let hidden = Hidden::default();
    let noted = Arc::clone(&hidden);
    let faults = registry.faults();
    faults.rewrite_requests(|asked| TOKENS.rewrite(asked));
    faults.answer_instead(move |asked| instead(asked, &hidden));
    faults.change_answers(move |asked, answer| {
        TOKENS.change(asked, answer);
        note(asked, answer, &noted);
        change(asked, answer);
    });
}

fn has_two_parts(name: &str) -> bool {
    name.split('/').count() == 2
}

fn instead(asked: &Asked<'_>, hidden: &Hidden) -> Option<Response<Bytes>> {
    if TOKENS.is_asked(asked) {
        if *asked.method != Method::GET {
            return Some(empty(405));
        }
        let name = repositories_asked(asked).into_iter().find(|name| !has_two_parts(name))?;
        let details =
            format!("repository name \"{name}\" invalid: it must be of the format <project>/<name>");
        return Some(answer(401, &json!({ "details": details })));
    }
    let route = endpoint(asked).filter(|_| !authorization(asked).is_empty())?;
    if !has_two_parts(route.repository()?) {
        return Some(empty(400));
    }
    let read = manifest_read(asked)?;
    let is_hidden = hidden.lock().unwrap().get(&read).is_some_and(|is_hidden| *is_hidden);
    is_hidden.then(|| error(404, "MANIFEST_UNKNOWN", "manifest unknown"))
}

/// Takes note of what can be read from now on, and what can't.
fn note(asked: &Asked<'_>, answer: &Response<Bytes>, hidden: &Hidden) {
    if *asked.method != Method::PUT || answer.status() != 201 {
        return;
    }
    let mut hidden = hidden.lock().unwrap();
    if let Some(Route::Manifest { repository, reference: Reference::Digest(digest) }) = endpoint(asked) {
        hidden.entry((repository, digest.as_str().to_owned())).or_insert(true);
    } else if let Some((repository, _)) = tag_write(asked) {
        let manifest: Value = serde_json::from_slice(asked.body).unwrap_or_default();
        let listed = manifest["manifests"].as_array().into_iter().flatten();
        let own = stepseal::oci::Digest::of(asked.body).to_string();
        let digests = listed.filter_map(|entry| Some(entry["digest"].as_str()?.to_owned()));
        for digest in digests.chain([own]) {
            hidden.insert((repository.clone(), digest), false);
        }
    }
}

fn change(asked: &Asked<'_>, answer: &mut Response<Bytes>) {
    answer.headers_mut().insert("x-registry-supports-signatures", HeaderValue::from_static("1"));
    if TOKENS.is_asked(asked) && answer.status() == 401 && !answer.body().starts_with(b"{\"details") {
        *answer = empty(401);
    }
    if challenge(answer).starts_with("Bearer ") && !authorization(asked).is_empty() {
        set_challenge(answer, "Basic realm=openshift,error=\"access denied\"");
    }
}
