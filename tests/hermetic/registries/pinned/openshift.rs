//! What the binary does before OpenShift's internal registry.

use serde_json::Value;

use super::{BUNDLE, Pinned};
use crate::registries::personalities::openshift::PERSONALITY;

/// The manifest of a bundle can't be read before the list names it.
#[test]
fn bundles_of_two_signers_are_both_there() {
    let openshift = Pinned::new(PERSONALITY);
    let image = openshift.built("app");
    for signer in ["1", "2"] {
        openshift.signs(&[BUNDLE, &format!("--annotation=signer={signer}")], 0, &["1 signed"]);
    }
    let tag = format!("sha256-{}", image.1.hex());
    let (_, list) = openshift.registry().content().manifest(&image.0, &tag).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 2);
}

#[test]
fn a_name_of_three_parts_is_refused_with_a_reason() {
    let openshift = Pinned::new(PERSONALITY);
    openshift.step.built("project/team/app");
    openshift.signs(&[], 4, &["it must be of the format <project>/<name>", "has its own rules for names"]);
}

#[test]
fn a_wrong_token_is_a_refused_login() {
    let openshift = Pinned::new(PERSONALITY);
    openshift.built("app");
    openshift.step.login(&openshift.step.host(), "builder", "sha256~expired");
    openshift.signs(&[], 4, &["check that this login is right"]);
}
