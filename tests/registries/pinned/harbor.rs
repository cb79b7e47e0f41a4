//! What the binary does before Harbor.

use super::{BUNDLE, Pinned};
use crate::personalities::harbor::{OLD, PERSONALITY};
use crate::personality::Rules;

#[test]
fn an_image_under_the_policy_is_signed_and_verified() {
    for personality in [OLD, PERSONALITY] {
        let harbor = Pinned::new(personality);
        let image = harbor.built("app");
        // `verify` asks for a token that may pull; under the policy for more.
        let ended = harbor.verifies(&image, 1, &[]);
        assert!(!ended.stderr.contains("412"), "{}", ended.stderr);
        harbor.signs(&[], 0, &["1 signed"]);
        assert_eq!(harbor.step.payloads(&image.0, &image.1).len(), 1);
        harbor.verifies(&image, 0, &[]);
    }
}

#[test]
fn signatures_under_tags_in_the_list_of_referrers_are_no_bundles() {
    let harbor = Pinned::new(PERSONALITY);
    let image = harbor.built("app");
    harbor.signs(&[], 0, &["1 signed"]);
    harbor.signs(&[BUNDLE], 0, &["1 signed"]);
    assert_eq!(harbor.registry().content().referrers(&image.0, &image.1).len(), 1);
    harbor.registry().content().remove_tag(&image.0, &format!("sha256-{}.sig", image.1.hex()));
    harbor.verifies(&image, 0, &[]);
}

#[test]
fn a_project_that_is_not_there_is_called_that() {
    let harbor = Pinned::new(PERSONALITY);
    harbor.step.built("other/app");
    harbor.signs(&[], 4, &["project other not found"]);
}

/// The token of a wrong password is good for nothing, and the next login is tried.
#[test]
fn a_wrong_password_is_a_refused_login() {
    let harbor = Pinned::new(PERSONALITY);
    harbor.built("app");
    harbor.step.login(&harbor.step.host(), "ci-bot", "wrong");
    harbor.signs(&[], 4, &["unauthorized to access repository: team/app", "check that this login is right"]);
}

#[test]
fn an_immutable_tag_is_called_that() {
    let harbor = Pinned::with(PERSONALITY, Rules { immutable_tags: true });
    harbor.built("app");
    harbor.signs(&["--annotation=signer=1"], 0, &[]);
    harbor.signs(&["--annotation=signer=2"], 1, &["412 PRECONDITION", "is immutable", "sigstore-bundle"]);
    harbor.signs(&[BUNDLE, "--annotation=signer=2"], 0, &["1 signed"]);
}
