//! Google Artifact Registry, repositories of the Docker format.
//!
//! - Names are PROJECT/REPOSITORY/IMAGE, and the host is `REGION-docker.pkg.dev`.
//! - The challenge is Bearer, with the token service below `/v2/` (<https://github.com/oras-project/oras/issues/157>); users are
//!   `oauth2accesstoken` with an access token and `_json_key` with a key file
//!   (<https://cloud.google.com/artifact-registry/docs/docker/authentication>).
//! - Where the repository is not there, or the login lacks the right, it is the token service that says so: `DENIED` and
//!   `Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/…" (or it may not exist)`
//!   (<https://github.com/GoogleCloudPlatform/cymbal-superstore/pull/4>), as 403 (<https://github.com/kyma-project/cli/issues/1342>).
//! - An unknown manifest is `MANIFEST_UNKNOWN`, "Failed to fetch … from request …"
//!   (<https://github.com/sigstore/cosign/issues/1013>, which has it of `gcr.io`).
//! - Uploads go on at a path outside `/v2/`, which is one long text
//!   (<https://github.com/e2b-dev/infra/blob/04ba98fb0084c63832d838e2788cfdcf2a1bfdb0/packages/docker-reverse-proxy/internal/handlers/proxy.go>),
//!   and there are no chunks (<https://github.com/podman-container-tools/skopeo/issues/1101>,
//!   <https://docs.cloud.google.com/artifact-registry/docs/reference/docker-api>).
//! - Blobs are 302 to a path of the same host that needs no login; the location is relative
//!   (<https://github.com/ahmetb/serverless-registry-proxy/issues/8>, <https://github.com/sonatype/nexus-public/issues/1061>).
//! - Without the referrers API, as of June 2024 (<https://github.com/actions/attest-build-provenance/issues/80>). In November 2024 it showed
//!   what has a subject below that (<https://github.com/sigstore/cosign/issues/3935>), and in March 2025 notation did not find the signature
//!   that it had just attached (<https://github.com/notaryproject/notation/issues/1222>). The documentation now says that it implements
//!   version 1.1 of the specification (<https://docs.cloud.google.com/artifact-registry/docs/reference/docker-api>). What its list has is
//!   not public; a test below has it with the API and without.
//! - With immutable tags, "cannot update tag …" (<https://github.com/grafana/tempo/pull/7428>), for the list under the fallback tag too (issue
//!   80 above). The code and the status are not public: they are distribution's for a manifest that is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::Value;
use stepseal::demo::registry::{Auth, EmbeddedRegistry, Options};

use crate::imitation::{
    error, is_missing, name_token_service, overwrites, redirect_blobs, reference, stored,
};
use crate::personality::{Personality, Rules, Setting};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "Google Artifact Registry",
    version: "hosted",
    options: || Options { auth: Auth::Bearer, referrers: false, plain_uploads: true, ..Options::default() },
    install,
    repository: |name| format!("my-project/containers/{name}"),
    has_immutable_tags: true,
    settings: &[Setting {
        variable: "STEPSEAL_STORAGE_OCI_REPOSITORY",
        value: "REGION-docker.pkg.dev/PROJECT/signatures/IMAGE",
        reason: "only where tags are immutable: a second signature needs a repository whose tags may be moved",
    }],
    notes: &[
        "Create the repository first; the images in it need no creation.",
        "The user is oauth2accesstoken with an access token of one hour, or _json_key with the service account's key file.",
    ],
};

const UPLOADS: &str = "/artifacts-uploads/namespaces/";
const DOWNLOADS: &str = "/artifacts-downloads/namespaces/my-project/repositories/containers/downloads/";

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let faults = registry.faults();
    faults.rewrite_requests(|asked| {
        if let Some(query) = asked.path_and_query.strip_prefix("/v2/token") {
            return Some(format!("/token{query}"));
        }
        let (_, upload) = asked.path_and_query.strip_prefix(UPLOADS)?.split_once("/uploads/")?;
        let (upload, query) = upload.split_once('?').unwrap_or((upload, ""));
        let path = URL_SAFE_NO_PAD.decode(upload).unwrap();
        Some(format!("{}?{query}", String::from_utf8(path).unwrap()))
    });
    faults.answer_instead(move |asked| {
        let refused = |(_, tag): (&str, &str)| {
            let message = format!("cannot update tag {tag}. The repository has enabled tag immutability");
            error(400, "MANIFEST_INVALID", &message, &Value::Null)
        };
        stored(asked, DOWNLOADS).or_else(|| overwrites(asked).filter(|_| rules.immutable_tags).map(refused))
    });
    faults.change_answers(|asked, answer| {
        name_token_service(answer, "/v2/token");
        if let Some(location) =
            answer.headers().get("location").filter(|_| answer.status() == StatusCode::ACCEPTED)
        {
            let path = location.to_str().unwrap();
            let mut parts = path.trim_start_matches("/v2/").split('/');
            let (project, repository) = (parts.next().unwrap(), parts.next().unwrap());
            let upload = URL_SAFE_NO_PAD.encode(path);
            let location = format!("{UPLOADS}{project}/repositories/{repository}/uploads/{upload}");
            answer.headers_mut().insert("location", location.parse().unwrap());
        } else if answer.status() == 200 && asked.path_and_query.starts_with("/v2/token") {
            let query = asked.path_and_query.split_once('?').map_or("", |(_, query)| query);
            let scope = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "scope");
            let scope = scope.map(|(_, scope)| scope.into_owned()).unwrap_or_default();
            let Some((project, rest)) = scope.trim_start_matches("repository:").split_once('/') else {
                return;
            };
            let repository = rest.split('/').next().unwrap();
            let below = format!("{project}/{repository}/");
            if !asked.content.repositories().iter().any(|name| name.starts_with(&below)) {
                let message = format!(
                    "Permission \"artifactregistry.repositories.uploadArtifacts\" denied on resource \
                     \"projects/{project}/locations/europe/repositories/{repository}\" (or it may not exist)"
                );
                *answer = error(403, "DENIED", &message, &Value::Null);
            }
        } else if is_missing(answer, "MANIFEST_UNKNOWN") {
            let path = asked.path_and_query;
            let message =
                format!("Failed to fetch \"{}\" from request \"{path}\".", reference(asked).unwrap());
            *answer = error(404, "MANIFEST_UNKNOWN", &message, &Value::Null);
        } else {
            redirect_blobs(asked, answer, (302, DOWNLOADS));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imitation::{BUNDLE, second_signature_is_refused, signs, step};
    use crate::step::Step;

    #[test]
    fn an_immutable_tag_is_called_that_for_either_form() {
        let step =
            second_signature_is_refused(&PERSONALITY, 1, "400 MANIFEST_INVALID: cannot update tag sha256-");
        // Without the referrers API, the list of bundles is under a tag.
        signs(&step, &[BUNDLE], 0, &["1 signed"]);
        signs(&step, &["--annotation=a=b", BUNDLE], 1, &["is immutable", "storage.oci.repository"]);
    }

    /// Both forms, in a registry that sends uploads and downloads elsewhere; with the referrers API and without.
    #[test]
    fn uploads_and_downloads_go_where_it_says() {
        for referrers in [false, true] {
            let step = Step::with(Options { referrers, ..(PERSONALITY.options)() });
            install(&step.registry, Rules::default());
            let repository = (PERSONALITY.repository)("app");
            let digest = step.built(&repository);
            signs(&step, &["--annotation=a=b"], 0, &["1 signed"]);
            signs(&step, &[BUNDLE, "--annotation=a=b"], 0, &["1 signed"]);
            // The bundle is read from there to see that it is the same.
            signs(&step, &[BUNDLE, "--annotation=a=b"], 0, &["already"]);
            assert_eq!(step.payloads(&repository, &digest).len(), 1);
            let asked = step.registry.requests();
            for place in [UPLOADS, DOWNLOADS, "/v2/token"] {
                assert!(asked.iter().any(|request| request.path_and_query.starts_with(place)), "{place}");
            }
            let tags = step.registry.content().tags(&repository);
            assert_eq!(tags.contains(&format!("sha256-{}", digest.hex())), !referrers, "{tags:?}");
        }
    }

    #[test]
    fn a_repository_that_may_not_exist_is_to_be_created() {
        let step = step(&PERSONALITY, Rules::default());
        step.built(&(PERSONALITY.repository)("app"));
        let elsewhere = format!("--config=storage.oci.repository={}/my-project/other/app", step.host());
        let words = ["(or it may not exist)", "my-project/other/app may not exist, too: create it first"];
        signs(&step, &[&elsewhere], 4, &words);
    }
}
