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
//! - Too many requests are 429 `TOOMANYREQUESTS` (<https://github.com/Azure/AKS/issues/1400>); a test below has it.
//!
//! The rest is as distribution.

use serde_json::{Value, json};
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options};

use crate::imitation::{
    answer, error, is_missing, name_token_service, overwrites, redirect_blobs, reference, repository,
    stored_elsewhere,
};
use crate::personality::{Personality, Rules, Setting};

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

/// The path of the storage, which is another host: `localhost`, where the registry is `127.0.0.1`.
const STORAGE: &str = "/blob-core-windows-net/";

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let port = registry.host().rsplit(':').next().unwrap().to_owned();
    let faults = registry.faults();
    faults.rewrite_requests(|asked| {
        asked.path_and_query.strip_prefix("/oauth2/token").map(|query| format!("/token{query}"))
    });
    faults.answer_instead(move |asked| {
        let locked = |_| {
            let message = "The operation is disallowed on this registry, repository or image. View troubleshooting steps at \
                           https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation";
            error(405, "REGISTRY_DISALLOWED_OPERATION", message, &json!({}))
        };
        stored_elsewhere(asked, STORAGE).or_else(|| overwrites(asked).filter(|_| rules.immutable_tags).map(locked))
    });
    faults.change_answers(move |asked, reply| {
        name_token_service(reply, "/oauth2/token");
        if reply.status() == 200 && asked.path_and_query.starts_with("/oauth2/token") {
            let body: Value = serde_json::from_slice(reply.body()).unwrap();
            *reply = answer(200, &json!({ "access_token": body["access_token"] }));
        } else if let Some(tag) = tag_asked(asked).filter(|_| is_missing(reply, "MANIFEST_UNKNOWN")) {
            let message = format!("manifest tagged by \"{tag}\" is not found");
            *reply = error(404, "MANIFEST_UNKNOWN", &message, &json!({ "Tag": tag }));
        } else if reply.status() == 200 && asked.path_and_query.contains("/referrers/") {
            let mut list: Value = serde_json::from_slice(reply.body()).unwrap();
            list["manifests"].as_array_mut().unwrap().iter_mut().for_each(|entry| take_type(asked, entry));
            *reply.body_mut() = list.to_string().into();
        } else {
            redirect_blobs(asked, reply, (307, &format!("http://localhost:{port}{STORAGE}")));
        }
    });
}

/// The tag of the manifest that a request names; a digest isn't one.
fn tag_asked<'a>(asked: &Asked<'a>) -> Option<&'a str> {
    reference(asked).filter(|reference| !reference.contains(':'))
}

/// Takes away the type of a referrer that has it from its config.
fn take_type(asked: &Asked<'_>, entry: &mut Value) {
    let (_, bytes) =
        asked.content.manifest(repository(asked).unwrap(), entry["digest"].as_str().unwrap()).unwrap();
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    if manifest["artifactType"].is_null() {
        entry.as_object_mut().unwrap().remove("artifactType");
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use stepseal::demo::registry::{Answer, Fault};

    use super::*;
    use crate::imitation::{BUNDLE, second_signature_is_refused, signs, step};

    #[test]
    fn a_locked_tag_is_called_immutable_and_a_bundle_is_the_way_out() {
        let step =
            second_signature_is_refused(&PERSONALITY, 1, "405 REGISTRY_DISALLOWED_OPERATION: The operation");
        signs(&step, &["--annotation=a=b", BUNDLE], 0, &["1 signed"]);
        signs(&step, &["--annotation=a=b", BUNDLE], 0, &["already"]);
    }

    /// A registry that has had enough is asked again, and the storage gets no login.
    #[test]
    fn signs_when_there_were_too_many_requests() {
        let step = step(&PERSONALITY, Rules::default());
        let digest = step.built("team/app");
        let refusal = Answer::new(StatusCode::TOO_MANY_REQUESTS).retry_after("1");
        step.registry.faults().add(Fault::answer(refusal).first(2));
        signs(&step, &["--annotation=a=b"], 0, &["1 signed"]);
        assert_eq!(step.payloads("team/app", &digest).len(), 1);
        let asked = step.registry.requests();
        for place in [STORAGE, "/oauth2/token"] {
            assert!(asked.iter().any(|request| request.path_and_query.starts_with(place)), "{place}");
        }
    }

    /// A signature that another tool left among the referrers has no type in the list; ours is found beside it.
    #[test]
    fn entries_without_a_type_do_not_hide_bundles() {
        let step = step(&PERSONALITY, Rules::default());
        let digest = step.built("team/app");
        let config = step.registry.content().put_blob("team/app", "{}").unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": crate::step::MANIFEST,
            "config": { "mediaType": "application/vnd.cncf.notary.signature", "size": 2, "digest": config.as_str() },
            "layers": [],
            "subject": { "mediaType": crate::step::MANIFEST, "size": 1, "digest": digest.as_str() },
        });
        step.registry
            .content()
            .put_manifest("team/app", None, crate::step::MANIFEST, manifest.to_string())
            .unwrap();
        signs(&step, &[BUNDLE], 0, &["1 signed"]);
        signs(&step, &[BUNDLE], 0, &["already"]);
        assert_eq!(step.registry.content().referrers("team/app", &digest).len(), 2);
    }
}
