//! Azure Container Registry.
//!
//! - The challenge is Bearer, with the token service `/oauth2/token` (<https://azure.github.io/acr/Token-BasicAuth.html>). It takes a GET
//!   with a login, and answers with an `access_token` alone: no `token`, no `expires_in`
//!   (<https://learn.microsoft.com/en-us/rest/api/containerregistry/access-tokens/get-from-login>). It takes a POST with a refresh token
//!   (<https://azure.github.io/acr/AAD-OAuth.html>), which is the password of the user 00000000-0000-0000-0000-000000000000
//!   (<https://learn.microsoft.com/powershell/module/az.containerregistry/connect-azcontainerregistry>).
//! - A tag can be locked: its write is 405 `REGISTRY_DISALLOWED_OPERATION` (<https://github.com/Azure/azure-sdk-for-net/issues/22827>).
//!   There is no rule that locks every tag (<https://github.com/Azure/acr/issues/890>).
//! - An unknown tag is 404 `MANIFEST_UNKNOWN`, "manifest tagged by … is not found"
//!   (<https://github.com/Azure/azure-sdk-for-net/issues/34525>), an unknown digest "manifest unknown"
//!   (<https://github.com/Azure/azure-sdk-for-net/issues/32295>).
//! - Blobs are 307 to a storage (<https://github.com/Azure/azure-sdk-for-java/issues/33183>), which refuses a token of the registry
//!   (<https://github.com/Azure/acr/issues/217>).
//! - The referrers API is there; `artifactType` is missing in its list where a manifest itself has none, though the
//!   specification asks for the config's type then (<https://github.com/Azure/acr/issues/784>).
//! - Too many requests are 429 `TOOMANYREQUESTS` (<https://github.com/Azure/AKS/issues/1400>); a test in `pinned/acr.rs` has it.
//!
//! The rest is as distribution.

use serde_json::{Value, json};
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options};

use crate::kit::answers::{
    OWN_SERVICE, TokenService, error_about, lacks_manifest, manifest, redirect_to_storage, repository,
    storage, tag_overwrite,
};
use crate::kit::personality::{Personality, Rules, Setting};

const TOKENS: TokenService =
    TokenService { path: "/oauth2/token", service: OWN_SERVICE, fields: &["access_token"] };

pub(crate) const PERSONALITY: Personality = Personality {
    product: "Azure Container Registry",
    version: "hosted",
    options: || Options { auth: Auth::Bearer, ..Options::default() },
    install,
    repository: |name| format!("team/{name}"),
    has_immutable_tags: true,
    settings: &[Setting {
        variable: "STEPSEAL_STORAGE_OCI_ENCODING_FORMAT",
        value: "sigstore-bundle",
        reason: "only where the tags of signatures are locked: a second signature by tag is refused, and a bundle needs no tag",
    }],
    notes: &[
        "Tags are locked one by one (az acr repository update --write-enabled false); leave the tags sha256-* unlocked.",
        "The user is a service principal, a token of the registry, or 00000000-0000-0000-0000-000000000000 with a refresh token of some hours.",
    ],
};

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let faults = registry.faults();
    faults.rewrite_requests(|asked| TOKENS.rewrite(asked));
    faults.answer_instead(move |asked| {
        let locked = |_| {
            let message = "The operation is disallowed on this registry, repository or image. View troubleshooting steps at \
                           https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation";
            error_about(405, "REGISTRY_DISALLOWED_OPERATION", message, &json!({}))
        };
        storage(asked).or_else(|| tag_overwrite(asked).filter(|_| rules.immutable_tags).map(locked))
    });
    faults.change_answers(move |asked, answer| {
        TOKENS.change(asked, answer);
        let missing = manifest(asked).filter(|_| lacks_manifest(answer));
        if let Some((_, tag)) = missing.filter(|(_, reference)| !reference.contains(':')) {
            let message = format!("manifest tagged by \"{tag}\" is not found");
            *answer = error_about(404, "MANIFEST_UNKNOWN", &message, &json!({ "Tag": tag }));
        } else if answer.status() == 200 && asked.path_and_query.contains("/referrers/") {
            let mut list: Value = serde_json::from_slice(answer.body()).unwrap();
            list["manifests"].as_array_mut().unwrap().iter_mut().for_each(|entry| take_type(asked, entry));
            *answer.body_mut() = list.to_string().into();
        } else {
            redirect_to_storage(asked, answer);
        }
    });
}

/// Takes away the type of a referrer that has it from its config.
fn take_type(asked: &Asked<'_>, entry: &mut Value) {
    let (_, bytes) =
        asked.content.manifest(&repository(asked).unwrap(), entry["digest"].as_str().unwrap()).unwrap();
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    if manifest["artifactType"].is_null() {
        entry.as_object_mut().unwrap().remove("artifactType");
    }
}
