//! Sonatype Nexus Repository, a hosted repository of the Docker format.
//!
//! - Logins are `BASIC`, in capitals, unless `forceBasicAuth` is turned off through the REST API
//!   (<https://github.com/sonatype/nexus-public/issues/921>).
//! - It knows the OCI specification 1.0, since 3.71, so that there is no referrers API
//!   (<https://help.sonatype.com/repomanager3/private-registry-for-docker>). Since 3.94 there are repositories of a format of their own for
//!   OCI (<https://github.com/sonatype-nexus-community/terraform-provider-sonatyperepo/issues/456>): what those answer is not public.
//! - Uploads go on at a path without a query; blobs are kept once for the whole hosted repository, under `v2/-/blobs`
//!   (both in the logs of <https://github.com/sonatype/nexus-public/issues/967>).
//! - With the deployment policy "Disable redeploy", what exists is refused with 400 `BLOB_UPLOAD_INVALID`: a tag, also a new tag for a manifest
//!   that is there (<https://github.com/GoogleContainerTools/jib/issues/3057>, <https://github.com/GoogleContainerTools/jib/issues/2395>),
//!   and a blob that somebody else has uploaded in the meantime (issue 967 above).
//! - A group repository takes no pushes: `DENIED`, "Deploying to groups is a PRO-licensed feature"
//!   (<https://github.com/sigstore/cosign/issues/2189>); a test in `pinned/nexus.rs` has it.
//!
//! The rest is as distribution.

use http::Method;
use serde_json::json;

use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options};
use stepseal::oci::Digest;

use crate::kit::answers::{authorization, error_about, manifest_write, repository, tag_overwrite};
use crate::kit::personality::{Personality, Rules, Setting};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "Sonatype Nexus",
    version: "3.71 and newer",
    options: || Options {
        auth: Auth::Basic,
        referrers: false,
        absolute_locations: true,
        plain_uploads: true,
        ..Options::default()
    },
    install,
    repository: |name| format!("team/{name}"),
    has_immutable_tags: true,
    settings: &[Setting {
        variable: "STEPSEAL_STORAGE_OCI_REPOSITORY",
        value: "HOST/signatures",
        reason: "only with \"Disable redeploy\": a second signature needs a hosted repository that allows redeployment",
    }],
    notes: &[
        "Sign in a hosted repository; a group or proxy takes no pushes.",
        "The task \"Docker - Delete unused manifests and images\" [may delete manifests of OCI images](https://help.sonatype.com/en/docker-registry.html): try it on a copy before it runs where bundles are.",
    ],
};

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let faults = registry.faults();
    faults.change_answers(|_, answer| {
        if answer.status() == 401 {
            let challenge = "BASIC realm=\"Sonatype Nexus Repository Manager\"";
            answer.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
        }
    });
    if !rules.immutable_tags {
        return;
    }
    faults.answer_instead(|asked| {
        let detail = match uploaded_before(asked) {
            Some(blob) => format!("docker-hosted/v2/-/blobs/{blob} cannot be updated"),
            None if tag_overwrite(asked).is_some() || is_there(asked) => {
                "Repository does not allow updating assets: docker-hosted".to_owned()
            }
            None => return None,
        };
        Some(error_about(400, "BLOB_UPLOAD_INVALID", "blob upload invalid", &json!(detail)))
    });
}

/// Whether a manifest is pushed that the repository holds.
fn is_there(asked: &Asked<'_>) -> bool {
    let digest = Digest::of(asked.body).to_string();
    let held = |(repository, _): (String, String)| asked.content.manifest(&repository, &digest).is_some();
    !authorization(asked).is_empty() && manifest_write(asked).is_some_and(held)
}

/// The digest of the blob whose upload ends, if some repository has the blob.
fn uploaded_before(asked: &Asked<'_>) -> Option<String> {
    let (path, query) = asked.path_and_query.split_once('?')?;
    let ends =
        *asked.method == Method::PUT && path.contains("/blobs/uploads/") && !authorization(asked).is_empty();
    let (_, digest) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "digest")?;
    let blob = digest.parse().ok()?;
    let names = asked.content.repositories();
    let held = names.iter().find_map(|name| asked.content.blob(name, &blob)).filter(|_| ends)?;
    // What one repository has, all have.
    asked.content.put_blob(&repository(asked)?, held).unwrap();
    Some(digest.into_owned())
}
