//! What the binary does before Sonatype Nexus.

use http::Method;

use super::{BUNDLE, Pinned};
use crate::kit::answers::error;
use crate::kit::personality::Rules;
use crate::registries::personalities::nexus::PERSONALITY;

#[test]
fn what_may_not_be_redeployed_is_called_immutable() {
    let said = "400 BLOB_UPLOAD_INVALID: blob upload invalid (Repository does not allow updating assets: docker-hosted)";
    let pinned = Pinned::refuses_a_second_signature(PERSONALITY, 1, said);
    // Without the referrers API, the list of bundles is under a tag.
    pinned.signs(&[BUNDLE], 0, &["1 signed"]);
    pinned.signs(&["--annotation=a=b", BUNDLE], 1, &["is immutable", "storage.oci.repository"]);
}

/// Each signature's config is the same few bytes, which another image has uploaded before. Version 0.1.0 failed here.
#[test]
fn a_blob_that_is_there_already_is_uploaded_whatever_the_refusal_says() {
    for form in [&[][..], &[BUNDLE]] {
        let pinned = Pinned::with(PERSONALITY, Rules { immutable_tags: true });
        let images = ["team/a", "team/b", "team/c"].map(|name| (name, pinned.step.image(name, name)));
        let names = images.clone().map(|(name, digest)| format!("{}/{name}@{digest}", pinned.step.host()));
        pinned.step.result("IMAGES", &names.join("\n"));
        pinned.signs(form, 0, &["3 signed"]);
    }
}

#[test]
fn a_group_takes_no_pushes() {
    let pinned = Pinned::new(PERSONALITY);
    pinned.step.built("team/app");
    let message = "Deploying to groups is a PRO-licensed feature. See https://links.sonatype.com/product-nexus-repository";
    pinned
        .registry()
        .faults()
        .answer_instead(move |asked| (*asked.method == Method::POST).then(|| error(403, "DENIED", message)));
    pinned.signs(&[], 4, &["403 DENIED: Deploying to groups is a PRO-licensed feature", "takes no pushes"]);
}

#[test]
fn a_challenge_in_capitals_is_understood() {
    let pinned = Pinned::new(PERSONALITY);
    let digest = pinned.step.built("team/app");
    pinned.signs(&[], 0, &["1 signed"]);
    assert_eq!(pinned.step.payloads("team/app", &digest).len(), 1);
    pinned.step.login(&pinned.step.host(), "ci-bot", "wrong");
    pinned.signs(&[], 4, &["401"]);
}
