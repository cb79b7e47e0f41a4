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
//!   not public; a test in `pinned/artifact_registry.rs` has it with the API and without.
//! - With immutable tags, "cannot update tag …" (<https://github.com/grafana/tempo/pull/7428>), for the list under the fallback tag too (issue
//!   80 above). The code and the status are not public: they are distribution's for a manifest that is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use stepseal::demo::registry::{Auth, EmbeddedRegistry, Options};

use crate::kit::answers::{
    OWN_SERVICE, TokenService, error, lacks_manifest, manifest, redirect_blob, repositories_asked, stored,
    tag_overwrite,
};
use crate::kit::personality::{Personality, Rules, Setting};

const TOKENS: TokenService = TokenService {
    path: "/v2/token",
    service: OWN_SERVICE,
    fields: &["token", "access_token", "expires_in"],
};

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
        "The user is `oauth2accesstoken` with an access token of one hour, or `_json_key` with the service account's key file.",
    ],
};

pub(crate) const UPLOADS: &str = "/artifacts-uploads/namespaces/";
pub(crate) const DOWNLOADS: &str =
    "/artifacts-downloads/namespaces/my-project/repositories/containers/downloads/";

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let faults = registry.faults();
    faults.rewrite_requests(|asked| {
        if TOKENS.is_asked(asked) {
            return TOKENS.rewrite(asked);
        }
        let (_, upload) = asked.path_and_query.strip_prefix(UPLOADS)?.split_once("/uploads/")?;
        let (upload, query) = upload.split_once('?').unwrap_or((upload, ""));
        let path = URL_SAFE_NO_PAD.decode(upload).unwrap();
        Some(format!("{}?{query}", String::from_utf8(path).unwrap()))
    });
    faults.answer_instead(move |asked| {
        let refused = |(_, tag): (String, String)| {
            let message = format!("cannot update tag {tag}. The repository has enabled tag immutability");
            error(400, "MANIFEST_INVALID", &message)
        };
        stored(asked, DOWNLOADS)
            .or_else(|| tag_overwrite(asked).filter(|_| rules.immutable_tags).map(refused))
    });
    faults.change_answers(|asked, answer| {
        TOKENS.change(asked, answer);
        if let Some(location) =
            answer.headers().get("location").filter(|_| answer.status() == StatusCode::ACCEPTED)
        {
            let path = location.to_str().unwrap();
            let mut parts = path.trim_start_matches("/v2/").split('/');
            let (project, repository) = (parts.next().unwrap(), parts.next().unwrap());
            let upload = URL_SAFE_NO_PAD.encode(path);
            let location = format!("{UPLOADS}{project}/repositories/{repository}/uploads/{upload}");
            answer.headers_mut().insert("location", location.parse().unwrap());
        } else if answer.status() == 200 && TOKENS.is_asked(asked) {
            let names = repositories_asked(asked);
            let Some((project, rest)) = names.first().and_then(|name| name.split_once('/')) else { return };
            let repository = rest.split('/').next().unwrap();
            let below = format!("{project}/{repository}/");
            if !asked.content.repositories().iter().any(|name| name.starts_with(&below)) {
                let message = format!(
                    "Permission \"artifactregistry.repositories.uploadArtifacts\" denied on resource \
                     \"projects/{project}/locations/europe/repositories/{repository}\" (or it may not exist)"
                );
                *answer = error(403, "DENIED", &message);
            }
        } else if lacks_manifest(answer) {
            let path = asked.path_and_query;
            let (_, reference) = manifest(asked).unwrap();
            let message = format!("Failed to fetch \"{reference}\" from request \"{path}\".");
            *answer = error(404, "MANIFEST_UNKNOWN", &message);
        } else {
            redirect_blob(asked, answer, (302, DOWNLOADS));
        }
    });
}
