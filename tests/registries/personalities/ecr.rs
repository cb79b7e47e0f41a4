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
//!   `TOOMANYREQUESTS: Rate exceeded` (<https://github.com/fluxcd/flux2/issues/3714>); a test below has it.
//!
//! What isn't imitated: PATCH, which ECR answers with 201 and which loses chunks after the first
//! (<https://github.com/aws/containers-roadmap/issues/2831>): Stepseal sends each blob with one PUT. Nor the 405 `UNSUPPORTED` to a manifest
//! that it can't parse (<https://github.com/oras-project/oras/issues/1133>, and still in 2026
//! <https://github.com/aws/containers-roadmap/issues/2783>): which manifests those are is not public.

use bytes::Bytes;
use http::Response;
use serde_json::Value;
use stepseal::demo::registry::{Asked, Auth, EmbeddedRegistry, Options};

use crate::imitation::{error, is_missing, overwrites, redirect_blobs, repository, stored_elsewhere};
use crate::personality::{Personality, Rules, Setting};

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
        "Create each repository first, the one that storage.oci.repository names too.",
        "A login made with aws ecr get-login-password lasts 12 hours.",
        "The role needs ecr:ListImageReferrers to find bundles, beside the rights to pull and push.",
    ],
};

/// The path of the storage, which is another host: `localhost`, where the registry is `127.0.0.1`.
const STORAGE: &str = "/prod-starport-layer-bucket/";

fn install(registry: &EmbeddedRegistry, rules: Rules) {
    let port = registry.host().rsplit(':').next().unwrap().to_owned();
    let faults = registry.faults();
    faults.answer_instead(move |asked| match stored_elsewhere(asked, STORAGE) {
        Some(object) => Some(object),
        None => overwrites(asked).filter(|_| rules.immutable_tags).map(|(repository, tag)| {
            let message = format!(
                "The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because the \
                 repository is immutable."
            );
            error(400, "TAG_INVALID", &message, &Value::Null)
        }),
    });
    faults.change_answers(move |asked, answer| {
        if answer.status() == 401 {
            let challenge = "Basic realm=\"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/\",service=\"ecr.amazonaws.com\"";
            answer.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
            answer.headers_mut().insert("content-type", "text/plain; charset=utf-8".parse().unwrap());
            *answer.body_mut() = Bytes::from_static(b"Not Authorized\n");
        } else if let Some(name) = repository(asked).filter(|name| lacks(asked, answer, name)) {
            let message =
                format!("The repository with name '{name}' does not exist in the registry with id '123456789012'");
            *answer = error(404, "NAME_UNKNOWN", &message, &Value::Null);
        } else if is_missing(answer, "MANIFEST_UNKNOWN") {
            *answer = error(404, "MANIFEST_UNKNOWN", "Requested image not found", &Value::Null);
        } else {
            redirect_blobs(asked, answer, (307, &format!("http://localhost:{port}{STORAGE}")));
        }
    });
}

/// Whether a request that was let in is for a repository that nobody has made.
fn lacks(asked: &Asked<'_>, answer: &Response<Bytes>, name: &str) -> bool {
    answer.status() != 403 && !asked.content.repositories().iter().any(|own| own == name)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Method;

    use super::*;
    use crate::imitation::{BUNDLE, reference, second_signature_is_refused, signs, step};

    #[test]
    fn an_immutable_tag_is_called_that_and_a_bundle_is_the_way_out() {
        let said = "400 TAG_INVALID: The image tag 'sha256-";
        let step = second_signature_is_refused(&PERSONALITY, 1, said);
        let ended = signs(&step, &["--annotation=a=b", BUNDLE], 0, &["1 signed"]);
        assert!(!ended.stderr.contains("immutable"), "{}", ended.stderr);
    }

    /// Manifests have a rate of their own.
    #[test]
    fn signs_when_manifests_were_written_too_fast() {
        let step = step(&PERSONALITY, Rules::default());
        let digest = step.built("team/app");
        let asked_before = AtomicUsize::new(0);
        step.registry.faults().answer_instead(move |asked| {
            let writes = *asked.method == Method::PUT && reference(asked).is_some();
            let is_too_fast = writes && asked_before.fetch_add(1, Ordering::Relaxed) < 2;
            is_too_fast.then(|| error(429, "TOOMANYREQUESTS", "Rate exceeded", &Value::Null))
        });
        signs(&step, &[], 0, &["1 signed"]);
        assert_eq!(step.payloads("team/app", &digest).len(), 1);
    }

    #[test]
    fn a_repository_that_is_not_there_is_to_be_created() {
        let step = step(&PERSONALITY, Rules::default());
        let digest = step.built("team/app");
        let elsewhere = format!("--config=storage.oci.repository={}/team/signatures", step.host());
        let words = ["404 NAME_UNKNOWN: The repository with name", "create the repository team/signatures"];
        signs(&step, &[&elsewhere], 1, &words);
        step.registry.content().put_blob("team/signatures", "made by hand").unwrap();
        signs(&step, &[&elsewhere], 0, &["1 signed"]);
        assert_eq!(step.payloads("team/signatures", &digest).len(), 1);
    }

    /// The payload is read from S3: what has an annotation isn't the one that is made here.
    #[test]
    fn the_storage_gets_no_login() {
        let step = step(&PERSONALITY, Rules::default());
        let digest = step.built("team/app");
        signs(&step, &["--annotation=a=b"], 0, &["1 signed"]);
        let asked = step.registry.requests();
        assert!(asked.iter().any(|request| request.path_and_query.starts_with(STORAGE)), "{asked:?}");
        assert_eq!(step.payloads("team/app", &digest).len(), 1);
    }

    #[test]
    fn a_wrong_login_is_sent_once() {
        let step = step(&PERSONALITY, Rules::default());
        step.built("team/app");
        step.login(&step.host(), "AWS", "wrong");
        signs(&step, &[], 4, &["401 Unauthorized", "Not Authorized", "user \"AWS\""]);
        let sent = step.registry.requests();
        let with_login = sent.iter().filter(|request| {
            matches!(request.authorization, stepseal::demo::registry::Authorization::Basic { .. })
        });
        assert_eq!(with_login.count(), 1, "{sent:?}");
    }
}
