//! Amazon ECR, private registries.
//!
//! - Logins are Basic, with the user `AWS`; they last 12 hours
//!   (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>). What is refused is 401 with the text `Not Authorized`
//!   (<https://github.com/fluxcd/image-reflector-controller/issues/399>), a login that has expired `DENIED` with words of its own
//!   (<https://github.com/fluxcd/image-reflector-controller/issues/71>; the status isn't there, so that isn't imitated).
//! - A repository has to be there before something is pushed: 404 `NAME_UNKNOWN`, with the name in words
//!   (<https://github.com/actions/starter-workflows/issues/2647>).
//! - An unknown manifest is 404 `MANIFEST_UNKNOWN`, "Requested image not found"
//!   (<https://github.com/aws-ia/taskcat/issues/872>, which has it of the public registries).
//! - With immutable tags, a tag that exists is refused with `TAG_INVALID`, also where the same manifest is pushed again
//!   (<https://github.com/moby/buildkit/issues/3776>, <https://github.com/aws/containers-roadmap/issues/2179>). They don't name the status; 400 is
//!   distribution's for that code (<https://github.com/distribution/distribution/blob/v2.8.3/registry/api/v2/errors.go>).
//! - The referrers API is there since June 2024
//!   (<https://aws.amazon.com/about-aws/whats-new/2024/06/amazon-ecr-oci-image-distribution-version-1-1>).
//! - Locations of uploads are whole URLs without a query (<https://github.com/regclient/regclient/issues/81>).
//! - Blobs are 307 to S3 (<https://github.com/open-policy-agent/opa/issues/6580>), which refuses a request that has a login beside the
//!   signature in its URL (<https://github.com/open-policy-agent/opa/pull/6728>).
//! - Manifests are written ten a second at most; then it is 429 (<https://github.com/containerd/containerd/issues/10447>),
//!   `TOOMANYREQUESTS: Rate exceeded` (<https://github.com/fluxcd/flux2/issues/3714>); a test in `pinned/ecr.rs` has it.
//!
//! What isn't imitated: PATCH, which ECR answers with 201 and which loses chunks after the first
//! (<https://github.com/aws/containers-roadmap/issues/2831>): Stepseal sends each blob with one PUT. Nor the 405 `UNSUPPORTED` to a manifest
//! that it can't parse (<https://github.com/oras-project/oras/issues/1133>, and still in 2026
//! <https://github.com/aws/containers-roadmap/issues/2783>): which manifests those are is not public.

use bytes::Bytes;
use stepseal::demo::registry::{Auth, EmbeddedRegistry, Options};

use crate::kit::answers::{
    error, lacks_manifest, redirect_to_storage, repository, repository_exists, storage, tag_overwrite,
};
use crate::kit::personality::{Personality, Rules, Setting};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "Amazon ECR",
    version: "hosted",
    options: || Options {
        auth: Auth::Basic,
        absolute_locations: true,
        plain_uploads: true,
        ..Options::default()
    },
    install,
    repository: |name| format!("team/{name}"),
    has_immutable_tags: true,
    settings: &[Setting {
        variable: "STEPSEAL_STORAGE_OCI_ENCODING_FORMAT",
        value: "sigstore-bundle",
        reason: "only where tags are immutable: a second signature by tag is refused, and a bundle needs no tag",
    }],
    notes: &[
        "Create each repository first, the one that `storage.oci.repository` names too.",
        "A login made with `aws ecr get-login-password` lasts 12 hours.",
        "The role needs `ecr:ListImageReferrers` to find bundles, beside the rights to pull and push.",
    ],
};

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let faults = registry.faults();
    faults.answer_instead(move |asked| match storage(asked) {
        Some(object) => Some(object),
        None => tag_overwrite(asked).filter(|_| rules.immutable_tags).map(|(repository, tag)| {
            let message = format!(
                "The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because the \
                 repository is immutable."
            );
            error(400, "TAG_INVALID", &message)
        }),
    });
    faults.change_answers(move |asked, answer| {
        if answer.status() == 401 {
            let challenge = "Basic realm=\"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/\",service=\"ecr.amazonaws.com\"";
            answer.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
            answer.headers_mut().insert("content-type", "text/plain; charset=utf-8".parse().unwrap());
            *answer.body_mut() = Bytes::from_static(b"Not Authorized\n");
        } else if let Some(name) = repository(asked).filter(|_| answer.status() != 403 && !repository_exists(asked)) {
            let message =
                format!("The repository with name '{name}' does not exist in the registry with id '123456789012'");
            *answer = error(404, "NAME_UNKNOWN", &message);
        } else if lacks_manifest(answer) {
            *answer = error(404, "MANIFEST_UNKNOWN", "Requested image not found");
        } else {
            redirect_to_storage(asked, answer);
        }
    });
}
