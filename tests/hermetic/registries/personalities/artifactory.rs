//! JFrog Artifactory, local repositories of the OCI type, by the repository path method.
//!
//! - Names are REPOSITORY-KEY/IMAGE.
//! - The challenge is Bearer, with a token service for each repository key: `/artifactory/api/docker/KEY/v2/token`
//!   (<https://github.com/containerd/containerd/issues/6339>, <https://github.com/earthly/earthly/issues/1017>).
//! - Older ones answer a wrong login with a success whose body says 401: `{"statusCode":401,"details":"BAD_CREDENTIAL"}`
//!   (<https://github.com/concourse/registry-image-resource/issues/47>); a test in `pinned/artifactory.rs` has it.
//! - The referrers API is there since 7.90.1; the setting `artifactory.oci.referrers.api.enabled` turns it on
//!   (<https://jfrog.com/help/r/jfrog-artifactory-documentation/use-referrers-rest-api-to-discover-oci-references>;
//!   <https://github.com/oras-project/oras/issues/2047> shows it in 7.117.21).
//! - Locations of uploads are whole URLs without a query (the issue of earthly above).
//! - Tags are not immutable; a login may lack the right to delete, without which it cannot overwrite: `MANIFEST_INVALID` with
//!   "HTTP 403 Forbidden" as its detail (<https://github.com/GoogleContainerTools/kaniko/issues/1095>,
//!   <https://github.com/sigstore/cosign/issues/3758>), and the status 400 (<https://github.com/oracle/docker-images/issues/795>).
//! - A virtual repository with a member that the login may not read answers 403 where a tag is not there
//!   (<https://github.com/sigstore/cosign/issues/2973>, <https://github.com/google/go-containerregistry/pull/1691>); [`hide_what_is_missing`]. That
//!   leaves open whether there is a list that a writer would replace, so Stepseal writes nothing then.
//!
//! The rest is as distribution.

use serde_json::json;
use stepseal::demo::registry::{Auth, EmbeddedRegistry, Options};

use crate::kit::answers::{
    error_about, lacks_manifest, manifest_read, name_token_service, repository, tag_overwrite,
};
use crate::kit::personality::{Personality, Rules, Setting};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "JFrog Artifactory",
    version: "7.90.1 and newer",
    options,
    install,
    repository: |name| format!("oci-local/{name}"),
    has_immutable_tags: true,
    settings: &[Setting {
        variable: "STEPSEAL_STORAGE_OCI_ENCODING_FORMAT",
        value: "sigstore-bundle",
        reason: "only for a login without the right to delete: it cannot overwrite a tag, and a bundle needs none where the referrers API is on",
    }],
    notes: &[
        "The login needs the rights to read, deploy and delete: without the last one it cannot add a second signature by tag.",
        "Bundles need a repository of the type OCI for the referrers API; in one of the type Docker they are listed under a tag.",
        "Let include and exclude patterns pass the tags `sha256-*`.",
        "In a virtual repository, let the login read every member: with one that it may not read, a tag that is not there is 403, and nothing is signed.",
    ],
};

pub(crate) fn options() -> Options {
    Options { auth: Auth::Bearer, absolute_locations: true, plain_uploads: true, ..Options::default() }
}

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let faults = registry.faults();
    faults.rewrite_requests(|asked| {
        let rest = asked.path_and_query.strip_prefix("/artifactory/api/docker/")?;
        rest.split_once("/v2/token").map(|(_, query)| format!("/token{query}"))
    });
    faults.answer_instead(move |asked| {
        tag_overwrite(asked).filter(|_| rules.immutable_tags).map(|_| {
            error_about(
                400,
                "MANIFEST_INVALID",
                "manifest invalid",
                &json!({ "description": "HTTP 403 Forbidden" }),
            )
        })
    });
    faults.change_answers(|asked, answer| {
        let name = repository(asked).unwrap_or_else(|| "oci-local".to_owned());
        let (key, _) = name.split_once('/').unwrap_or((&name, ""));
        name_token_service(answer, &format!("/artifactory/api/docker/{key}/v2/token"));
    });
}

/// Has tags that are not there answered with 403, as in a virtual repository.
pub(crate) fn hide_what_is_missing(registry: &EmbeddedRegistry) {
    registry.faults().change_answers(|asked, answer| {
        if let Some((name, tag)) = manifest_read(asked).filter(|_| lacks_manifest(answer)) {
            let (key, image) = name.split_once('/').unwrap();
            let message = format!(
                "The client does not have permission for manifest: Download request for repo:path '{key}:{image}/{tag}/list.manifest.json' \
                 is forbidden for user: 'token:ci-bot'."
            );
            *answer = error_about(403, "UNAUTHORIZED", &message, &json!({ "manifest": image }));
        }
    });
}
