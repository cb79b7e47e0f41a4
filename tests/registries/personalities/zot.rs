//! zot 2.1 with `htpasswd` and an access control policy.
//!
//! - It has the referrers API, and confirms a referrer with `OCI-Subject`. Of a repository that isn't there the API says 404 without a body
//!   (<https://github.com/project-zot/zot/blob/v2.1.2/pkg/api/routes.go>, `UpdateManifest` and `GetReferrers`).
//! - A manifest whose blobs are missing is answered with 400 `BLOB_UNKNOWN` (`UpdateManifest` in the same file).
//! - An upload's location is a path without a query, and its name isn't repeated in `Docker-Upload-UUID` (`CreateBlobUpload`).
//! - Tags are immutable for a login with the right `create` and without `update`
//!   (<https://zotregistry.dev/v2.1.2/articles/immutable-tags>). What exists is then refused with 403 `DENIED`, as any other right that is missing;
//!   the tag `latest` is always free (<https://github.com/project-zot/zot/blob/v2.1.2/pkg/api/authz.go>, `DistSpecAuthzHandler`).
//! - A refused login is answered with 401, a `Basic` challenge, and an error that stands alone, not in a list
//!   (<https://github.com/project-zot/zot/blob/v2.1.2/pkg/api/authn.go>, `authFail`).
//!
//! The rest is as distribution.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options};

use crate::personality::{Personality, Rules};
use crate::wire::{About, code, error};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "zot",
    version: "2.1",
    options: || Options { auth: Auth::Basic, plain_uploads: true, ..Options::default() },
    install,
    repository: |name| format!("team/{name}"),
    has_immutable_tags: true,
    settings: &[],
    notes: &[
        "Tags are immutable where the policy gives a login `create` and not `update`. zot answers such a push with 403 `DENIED` and no reason, so that the exit code is 4.",
        "`storage.oci.encoding-format: sigstore-bundle` needs no tag there: zot has the referrers API.",
    ],
};

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let faults = registry.faults();
    faults.change_answers(changed);
    faults.answer_instead(move |asked| instead(asked, rules));
}

fn changed(asked: &Asked<'_>, answer: &mut Response<Bytes>) {
    answer.headers_mut().remove("docker-upload-uuid");
    if answer.status() == StatusCode::UNAUTHORIZED {
        *answer.body_mut() =
            r#"{"code":"UNAUTHORIZED","message":"authentication required","description":"","detail":{}}"#
                .into();
    }
    let puts = *asked.method == Method::PUT && matches!(About::of(asked), About::Manifest { .. });
    if puts && code(answer) == "MANIFEST_BLOB_UNKNOWN" {
        *answer = error(400, "BLOB_UNKNOWN", "blob unknown to registry");
    }
}

fn instead(asked: &Asked<'_>, rules: Rules) -> Option<Response<Bytes>> {
    // Whoever has no login is asked for one first.
    asked.headers.get("authorization")?;
    let is_known = |repository: &str| asked.content.repositories().iter().any(|known| known == repository);
    match About::of(asked) {
        About::Referrers { repository, .. } if !is_known(repository) => {
            Some(Response::builder().status(StatusCode::NOT_FOUND).body(Bytes::new()).unwrap())
        }
        About::Manifest { repository, reference } if rules.immutable_tags && *asked.method == Method::PUT => {
            let exists = asked.content.tags(repository).iter().any(|tag| tag == reference);
            (exists && reference != "latest")
                .then(|| error(403, "DENIED", "requested access to the resource is denied"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imitated::Imitated;
    use crate::suite::Site as _;

    #[test]
    fn an_error_about_the_login_stands_alone() {
        let site = Imitated::start(PERSONALITY, Rules::default());
        let answer = crate::suite::http::send(&site.host(), "GET", "/v2/", &[], &[]);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("UNAUTHORIZED")));
        assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic ")));
    }

    #[test]
    fn a_tag_that_exists_is_refused_under_the_policy_alone() {
        for (immutable_tags, tag, status) in [(false, "v1", 201), (true, "v1", 403), (true, "latest", 201)] {
            let site = Imitated::start(PERSONALITY, Rules { immutable_tags });
            let image = site.push_image("team/app", tag, "one");
            let manifest = site.caller().manifest("team/app", &image.digest).unwrap();
            let path = format!("/v2/team/app/manifests/{tag}");
            let media_type = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
            let answer = site.caller().ask("PUT", &path, &media_type, &manifest);
            assert_eq!(answer.status, status, "{immutable_tags} {tag}");
        }
    }
}
