//! GitHub's container registry, ghcr.io, hosted.
//!
//! - It takes tokens alone: a password that comes to the registry itself is refused with 403 `DENIED: invalid token`, and with no challenge
//!   (<https://github.com/argoproj-labs/argocd-image-updater/issues/276>, <https://github.com/renovatebot/renovate/issues/11446>).
//! - Its token service answers `DENIED: denied` to a login that is wrong or may not do what it asks for
//!   (<https://github.com/acorn-io/runtime/issues/1396>), as 403 (<https://github.com/apple/container/issues/183>). Its answer has a
//!   `token`, and challenges call the registry `ghcr.io` (<https://github.com/Mic92/niks3/issues/229>).
//! - It has no referrers API: 404 `MANIFEST_UNKNOWN` (<https://github.com/NVIDIA/aicr/issues/1957>). In 2026 it also answered 303 to
//!   `github.com`, which answered 429 (<https://github.com/artifacthub/hub/issues/4785>); a test in `pinned/ghcr.rs` has that.
//!   No `OCI-Subject` (<https://github.com/dataaxiom/ghcr-cleanup-action/issues/13>).
//! - Locations of uploads are paths (<https://github.com/apple/swift-container-plugin/pull/44>), `/v2/NAME/blobs/upload/ID` without a
//!   query (<https://github.com/dotnet/sdk-container-builds/issues/292>). A request with more than 4 MiB is 416
//!   (<https://github.com/ocx-sh/ocx/pull/237>), which no signature has; that isn't imitated.
//! - A token without the scope to push is 403 `DENIED: permission_denied: write_package`
//!   (<https://github.com/tuna-os/tunaOS/issues/642>, <https://github.com/Luzilla/dnsbl_exporter/issues/313>); `product_answers.rs` of the
//!   tests of `sign` has the advice.
//! - Blobs are 307 to the storage (<https://github.com/containerd/stargz-snapshotter/pull/167>).
//!
//! The rest is as distribution.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Response};
use stepseal::demo::registry::wire::route::Route;
use stepseal::demo::registry::{Asked, Auth, Denied, EmbeddedRegistry, Options};

use crate::kit::answers::{TokenService, authorization, endpoint, error, redirect_to_storage, storage};
use crate::kit::personality::{Personality, Rules};

const TOKENS: TokenService = TokenService { path: "/token", service: "ghcr.io", fields: &["token"] };

pub(crate) const PERSONALITY: Personality = Personality {
    product: "GHCR",
    version: "hosted",
    options: || Options {
        auth: Auth::Bearer,
        denied: Denied::Forbidden,
        referrers: false,
        plain_uploads: true,
        ..Options::default()
    },
    install,
    repository: |name| format!("acme/{name}"),
    has_immutable_tags: false,
    settings: &[],
    notes: &[
        "The login is any user name and a token with `write:packages`, or a workflow's token with `packages: write`.",
        "The package must give the workflow's repository the role Write (Manage Actions access).",
        "Bundles are found through the fallback tag `sha256-HEX`, as there is no referrers API.",
    ],
};

fn install(registry: &EmbeddedRegistry, _: Rules) {
    let faults = registry.faults();
    faults.rewrite_requests(|asked| {
        TOKENS.rewrite(asked).or_else(|| {
            let path = asked.path_and_query;
            path.contains("/blobs/upload/").then(|| path.replace("/blobs/upload/", "/blobs/uploads/"))
        })
    });
    faults.answer_instead(|asked| storage(asked).or_else(|| instead(asked)));
    faults.change_answers(|asked, answer| {
        TOKENS.change(asked, answer);
        change(asked, answer);
        redirect_to_storage(asked, answer);
    });
}

/// The answer in the place of the right one.
pub(crate) fn instead(asked: &Asked<'_>) -> Option<Response<Bytes>> {
    let is_password = authorization(asked).starts_with("Basic ") && !TOKENS.is_asked(asked);
    is_password.then(|| error(403, "DENIED", "invalid token"))
}

fn change(asked: &Asked<'_>, answer: &mut Response<Bytes>) {
    if TOKENS.is_asked(asked) && answer.status() == 401 {
        *answer = error(403, "DENIED", "denied");
    }
    if let Some(Route::Referrers { .. }) = endpoint(asked)
        && answer.status() == 404
    {
        *answer = error(404, "MANIFEST_UNKNOWN", "manifest unknown");
    }
    if let Some(location) = answer.headers().get(LOCATION) {
        let location = location.to_str().unwrap().replace("/blobs/uploads/", "/blobs/upload/");
        answer.headers_mut().insert(LOCATION, HeaderValue::from_str(&location).unwrap());
    }
}
