//! JFrog Artifactory, local repositories of the OCI type, by the repository path method.
//!
//! - Names are REPOSITORY-KEY/IMAGE.
//! - The challenge is Bearer, with a token service for each repository key: `/artifactory/api/docker/KEY/v2/token`
//!   (<https://github.com/containerd/containerd/issues/6339>, <https://github.com/earthly/earthly/issues/1017>).
//! - Older ones answer a wrong login with a success whose body says 401: `{"statusCode":401,"details":"BAD_CREDENTIAL"}`
//!   (<https://github.com/concourse/registry-image-resource/issues/47>); a test below has it.
//! - The referrers API is there since 7.90.1; the setting `artifactory.oci.referrers.api.enabled` turns it on
//!   (<https://jfrog.com/help/r/jfrog-artifactory-documentation/use-referrers-rest-api-to-discover-oci-references>;
//!   <https://github.com/oras-project/oras/issues/2047> shows it in 7.117.21).
//! - Locations of uploads are whole URLs without a query (the issue of earthly above).
//! - Tags are not immutable; a login may lack the right to delete, without which it cannot overwrite: `MANIFEST_INVALID` with
//!   "HTTP 403 Forbidden" as its detail (<https://github.com/GoogleContainerTools/kaniko/issues/1095>,
//!   <https://github.com/sigstore/cosign/issues/3758>), and the status 400 (<https://github.com/oracle/docker-images/issues/795>).
//! - A virtual repository with a member that the login may not read answers 403 where a tag is not there
//!   (<https://github.com/sigstore/cosign/issues/2973>, <https://github.com/google/go-containerregistry/pull/1691>); [`VIRTUAL`].
//!
//! The rest is as distribution.

use http::Method;
use serde_json::json;
use stepseal::demo::registry::{Auth, EmbeddedRegistry, Options};

use crate::imitation::{error, is_missing, name_token_service, overwrites, reference, repository};
use crate::personality::{Personality, Rules, Setting};

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
        "Let include and exclude patterns pass the tags sha256-*.",
    ],
};

pub(crate) const VIRTUAL: Personality = Personality {
    version: "7.90.1 and newer, a virtual repository with a member that the login may not read",
    install: |registry, rules| {
        install(registry, rules);
        hide_what_is_missing(registry);
    },
    repository: |name| format!("oci-virtual/{name}"),
    has_immutable_tags: false,
    settings: &[],
    notes: &[
        "Let the login read every member of the virtual repository, so that a tag that is not there is called that.",
    ],
    ..PERSONALITY
};

fn options() -> Options {
    Options { auth: Auth::Bearer, absolute_locations: true, plain_uploads: true, ..Options::default() }
}

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let faults = registry.faults();
    faults.rewrite_requests(|asked| {
        let rest = asked.path_and_query.strip_prefix("/artifactory/api/docker/")?;
        rest.split_once("/v2/token").map(|(_, query)| format!("/token{query}"))
    });
    faults.answer_instead(move |asked| {
        overwrites(asked).filter(|_| rules.immutable_tags).map(|_| {
            error(
                400,
                "MANIFEST_INVALID",
                "manifest invalid",
                &json!({ "description": "HTTP 403 Forbidden" }),
            )
        })
    });
    faults.change_answers(|asked, answer| {
        let key = repository(asked).and_then(|name| name.split('/').next()).unwrap_or("oci-local");
        name_token_service(answer, &format!("/artifactory/api/docker/{key}/v2/token"));
    });
}

/// Has tags that are not there answered with 403.
fn hide_what_is_missing(registry: &EmbeddedRegistry) {
    registry.faults().change_answers(|asked, answer| {
        let key = repository(asked).and_then(|name| name.split('/').next()).unwrap_or("oci-virtual");
        name_token_service(answer, &format!("/artifactory/api/docker/{key}/v2/token"));
        let reads = matches!(*asked.method, Method::GET | Method::HEAD);
        if let Some(tag) = reference(asked).filter(|_| reads && is_missing(answer, "MANIFEST_UNKNOWN")) {
            let (key, image) = repository(asked).unwrap().split_once('/').unwrap();
            let message = format!(
                "The client does not have permission for manifest: Download request for repo:path '{key}:{image}/{tag}/list.manifest.json' \
                 is forbidden for user: 'token:ci-bot'."
            );
            *answer = error(403, "UNAUTHORIZED", &message, &json!({ "manifest": image }));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::imitation::{BUNDLE, answer, second_signature_is_refused, signs, step};
    use crate::step::{Step, pair};

    #[test]
    fn a_login_that_cannot_overwrite_is_told_so_and_a_bundle_is_the_way_out() {
        let said = "400 MANIFEST_INVALID: manifest invalid (description: HTTP 403 Forbidden)";
        let step = second_signature_is_refused(&PERSONALITY, 1, said);
        signs(&step, &["--annotation=a=b", BUNDLE], 0, &["1 signed"]);
        let asked = step.registry.requests();
        let service = "/artifactory/api/docker/oci-local/v2/token";
        assert!(asked.iter().any(|request| request.path_and_query.starts_with(service)), "{asked:?}");
    }

    /// Whatever the status says: a body that says 401 refuses the login.
    #[test]
    fn a_refusal_of_the_login_inside_a_success_is_one() {
        let step = step(&PERSONALITY, Rules::default());
        step.built("oci-local/app");
        step.registry.faults().answer_instead(|asked| {
            let is_token = asked.path_and_query.contains("/v2/token");
            is_token.then(|| answer(200, &json!({ "statusCode": 401, "details": "BAD_CREDENTIAL" })))
        });
        signs(&step, &[], 4, &["BAD_CREDENTIAL", "user \"ci-bot\"", "check that this login is right"]);
    }

    #[test]
    fn a_tag_that_is_called_forbidden_and_is_not_there_can_be_written() {
        let step = step(&VIRTUAL, Rules::default());
        let digest = step.built("oci-virtual/app");
        std::fs::write(step.path("cosign.pub"), &pair().public_pem).unwrap();
        let (key, image) = (step.path("cosign.pub"), format!("{}/oci-virtual/app@{digest}", step.host()));
        let verify = ["verify", "--insecure-ignore-tlog", "--key", key.to_str().unwrap(), &image];
        let ended = step.run(&verify);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(!ended.stderr.contains("403"), "{}", ended.stderr);
        signs(&step, &[], 0, &["1 signed"]);
        assert_eq!(step.run(&verify).code, 0);
        signs(&step, &["--annotation=a=b"], 0, &["1 signed"]);
        assert_eq!(step.payloads("oci-virtual/app", &digest).len(), 2);
        signs(&step, &[BUNDLE], 0, &["1 signed"]);
    }

    /// A 403 alone is no proof: where the tag is listed, or the list can't be read to its end, what is there would be overwritten.
    #[test]
    fn a_tag_that_may_be_there_is_not_overwritten() {
        let pages = |status: u16, next: &'static str| {
            move |digest: &str| {
                let body = json!({ "name": "oci-virtual/app", "tags": ["1", digest] });
                let mut page = answer(status, &body);
                page.headers_mut().insert("link", next.parse().unwrap());
                page
            }
        };
        for (name, page, listed) in [
            ("listed", pages(200, "<>"), true),
            ("the list is refused", pages(403, "<>"), false),
            ("there is no list", pages(404, "<>"), false),
            ("the list goes on elsewhere", pages(200, "<http://localhost:1/v2/>; rel=\"next\""), false),
            (
                "the list has no end",
                pages(200, "</v2/oci-virtual/app/tags/list?last=1>; rel=\"next\""),
                false,
            ),
        ] {
            let step = step(&VIRTUAL, Rules::default());
            let digest = step.built("oci-virtual/app");
            signs(&step, &[], 0, &["1 signed"]);
            let tag = format!("sha256-{}.sig", digest.hex());
            step.registry.faults().answer_instead(move |asked| {
                if asked.path_and_query.contains("/tags/list") {
                    return Some(page(if listed { &tag } else { "2" }));
                }
                let hidden = *asked.method == Method::GET && asked.path_and_query.ends_with(".sig");
                hidden.then(|| error(403, "UNAUTHORIZED", "no permission", &json!(null)))
            });
            let ended = signs(&step, &["--annotation=a=b"], 4, &["403 UNAUTHORIZED: no permission"]);
            assert_eq!(step.payloads("oci-virtual/app", &digest).len(), 1, "{name}: {}", ended.stderr);
        }
    }

    /// The page with the tag may be any.
    #[test]
    fn a_list_of_tags_is_read_to_its_end() {
        let step = Step::with(Options { page_size: NonZeroUsize::new(1), ..options() });
        (VIRTUAL.install)(&step.registry, Rules::default());
        let digest = step.built("oci-virtual/app");
        let content = step.registry.content();
        let (media_type, bytes) = content.manifest("oci-virtual/app", digest.as_str()).unwrap();
        for tag in ["1", "2", "zz"] {
            content.put_manifest("oci-virtual/app", Some(tag), &media_type, bytes.clone()).unwrap();
        }
        signs(&step, &[], 0, &["1 signed"]);
        let asked = step.registry.requests();
        assert!(
            asked.iter().any(|request| request.path_and_query.ends_with("/tags/list?last=2")),
            "{asked:?}"
        );
    }
}
