//! GitLab's container registry with the metadata database: registry.gitlab.com, and the registry 4.39.
//!
//! Its source is on gitlab.com; the links to files are to public copies of it, that of the registry to the tag `v4.39.0-gitlab+es`.
//!
//! - The token service is another host than the registry (`https://gitlab.com/jwt/auth`), and calls the registry `container_registry`
//!   (<https://github.com/oras-project/oras-go/issues/1396>). Its answer has a `token`
//!   (<https://github.com/gitlabhq/gitlabhq/blob/de09f0397694a23565d60f999bbfd074c79dc31e/app/services/auth/container_registry_authentication_service.rb>).
//! - A wrong login is 401 `UNAUTHORIZED`
//!   (<https://github.com/gitlabhq/gitlabhq/blob/5bc58bac2678aed9c8b2318f9f4d4825baa2b110/app/controllers/jwt_controller.rb>,
//!   `render_unauthorized`); its words have become more since (<https://github.com/basecamp/kamal/issues/1498>).
//! - It has no referrers API: 404. The fallback tag `sha256-HEX` was answered with the manifest `sha256:HEX` itself (oras-go, as above, and
//!   <https://github.com/oras-project/oras/issues/2148>). The source takes it for a tag
//!   (<https://github.com/AllWorldIT/conarx-gitlab-registry/blob/94248efebfa45c341ece671ffc2f6a2f0996d49d/registry/handlers/manifests.go>,
//!   `manifestDispatcher`), so here it names the manifest as long as there is no such tag.
//! - A subject that isn't in the repository is 400 `MANIFEST_BLOB_UNKNOWN` (the same file, `dbPutManifestV2`;
//!   <https://github.com/moby/buildkit/issues/7007> has it of gitlab.com in August 2026).
//! - An immutable tag is 401 `IMMUTABLE_TAG`, whatever is pushed, a protected one 401 `PROTECTED_TAG`, with no challenge
//!   (<https://github.com/AllWorldIT/conarx-gitlab-registry/blob/94248efebfa45c341ece671ffc2f6a2f0996d49d/registry/api/v2/errors.go>;
//!   the same file as above, `validateTagImmutability`; <https://docs.gitlab.com/user/packages/container_registry/immutable_container_tags>).
//! - A tag or repository that isn't there is 404 `MANIFEST_UNKNOWN` with the tag as its detail, a digest with the repository and the digest
//!   (the same file, `dbManifestGetter`).
//! - Blobs are 307 to the storage
//!   (<https://github.com/AllWorldIT/conarx-gitlab-registry/blob/94248efebfa45c341ece671ffc2f6a2f0996d49d/registry/storage/blobserver.go>).
//!
//! The rest is as distribution.

use bytes::Bytes;
use http::Response;
use serde_json::json;
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options, TokenService as Listener};

use crate::kit::answers::{
    TokenService, absent_subject, error, error_about, manifest_read, redirect_to_storage, storage,
    tag_overwrite,
};
use crate::kit::personality::{Personality, Rules};

const TOKENS: TokenService =
    TokenService { path: "/jwt/auth", service: "container_registry", fields: &["token"] };

pub(crate) const PERSONALITY: Personality = Personality {
    product: "GitLab",
    version: "gitlab.com, and the registry 4.39",
    options: || Options {
        auth: Auth::Bearer,
        token_service: Listener::OwnListener,
        referrers: false,
        absolute_locations: true,
        ..Options::default()
    },
    install,
    repository: |name| format!("group/project/{name}"),
    has_immutable_tags: true,
    settings: &[],
    notes: &[
        "The login is a deploy token or an access token with `read_registry` and `write_registry`, or `CI_REGISTRY_USER` with its password.",
        "Bundles are found through the fallback tag `sha256-HEX`, as there is no referrers API.",
        "A bundle must lie in the image's own repository: GitLab refuses one whose image isn't there. By tag, `storage.oci.repository` works.",
        "With an immutable rule that matches `sha256-`, an image takes one signature by tag and one bundle: exclude these tags from the rule.",
    ],
};

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let faults = registry.faults();
    faults.rewrite_requests(|asked| TOKENS.rewrite(asked).or_else(|| digest_of_dashes(asked)));
    faults.answer_instead(move |asked| storage(asked).or_else(|| instead(asked, rules)));
    faults.change_answers(|asked, answer| {
        TOKENS.change(asked, answer);
        change(asked, answer);
        redirect_to_storage(asked, answer);
    });
}

/// The request for the manifest `sha256:HEX` that one for a tag `sha256-HEX` that isn't there is taken for.
fn digest_of_dashes(asked: &Asked<'_>) -> Option<String> {
    let (repository, reference) = manifest_read(asked)?;
    let hex = reference.strip_prefix("sha256-").filter(|hex| hex.len() == 64)?;
    let is_tag = asked.content.tags(&repository).contains(&reference);
    (!is_tag).then(|| format!("/v2/{repository}/manifests/sha256:{hex}"))
}

fn instead(asked: &Asked<'_>, rules: Rules) -> Option<Response<Bytes>> {
    if let Some((_, tag)) = tag_overwrite(asked).filter(|_| rules.immutable_tags) {
        let detail = format!("tag \"{tag}\" is immutable");
        return Some(error_about(401, "IMMUTABLE_TAG", "tag is immutable", &json!(detail)));
    }
    let subject = absent_subject(asked)?;
    Some(error_about(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", &json!(subject)))
}

fn change(asked: &Asked<'_>, response: &mut Response<Bytes>) {
    if TOKENS.is_asked(asked) && response.status() == 401 {
        *response = error(
            401,
            "UNAUTHORIZED",
            "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect or you're required to use a token instead of a password.",
        );
    }
    if let Some((repository, reference)) = manifest_read(asked)
        && response.status() == 404
    {
        let detail = match reference.contains(':') {
            true => json!({ "Name": repository, "Revision": reference }),
            false => json!({ "Tag": reference }),
        };
        *response = error_about(404, "MANIFEST_UNKNOWN", "manifest unknown", &detail);
    }
}
