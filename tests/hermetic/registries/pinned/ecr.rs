//! What the binary does before Amazon ECR.

use std::sync::atomic::{AtomicUsize, Ordering};

use stepseal::demo::registry::Authorization;

use super::{BUNDLE, Pinned};
use crate::kit::answers::{STORAGE, error, manifest_write};
use crate::registries::personalities::ecr::PERSONALITY;

#[test]
fn an_immutable_tag_is_called_that_and_a_bundle_is_the_way_out() {
    let said = "400 TAG_INVALID: The image tag 'sha256-";
    let pinned = Pinned::refuses_a_second_signature(PERSONALITY, 1, said);
    let ended = pinned.signs(&["--annotation=a=b", BUNDLE], 0, &["1 signed"]);
    assert!(!ended.stderr.contains("immutable"), "{}", ended.stderr);
}

/// Manifests have a rate of their own.
#[test]
fn signs_when_manifests_were_written_too_fast() {
    let pinned = Pinned::new(PERSONALITY);
    let digest = pinned.step.built("team/app");
    let asked_before = AtomicUsize::new(0);
    pinned.registry().faults().answer_instead(move |asked| {
        let is_too_fast = manifest_write(asked).is_some() && asked_before.fetch_add(1, Ordering::Relaxed) < 2;
        is_too_fast.then(|| error(429, "TOOMANYREQUESTS", "Rate exceeded"))
    });
    pinned.signs(&[], 0, &["1 signed"]);
    assert_eq!(pinned.step.payloads("team/app", &digest).len(), 1);
}

#[test]
fn a_repository_that_is_not_there_is_to_be_created() {
    let pinned = Pinned::new(PERSONALITY);
    let digest = pinned.step.built("team/app");
    let elsewhere = format!("--config=storage.oci.repository={}/team/signatures", pinned.step.host());
    let words = ["404 NAME_UNKNOWN: The repository with name", "create the repository team/signatures"];
    pinned.signs(&[&elsewhere], 1, &words);
    pinned.registry().content().put_blob("team/signatures", "made by hand").unwrap();
    pinned.signs(&[&elsewhere], 0, &["1 signed"]);
    assert_eq!(pinned.step.payloads("team/signatures", &digest).len(), 1);
}

/// The payload is read from S3: what has an annotation isn't the one that is made here.
#[test]
fn the_storage_gets_no_login() {
    let pinned = Pinned::new(PERSONALITY);
    let digest = pinned.step.built("team/app");
    pinned.signs(&["--annotation=a=b"], 0, &["1 signed"]);
    let asked = pinned.registry().requests();
    assert!(asked.iter().any(|request| request.path_and_query.starts_with(STORAGE)), "{asked:?}");
    assert_eq!(pinned.step.payloads("team/app", &digest).len(), 1);
}

#[test]
fn a_wrong_login_is_sent_once() {
    let pinned = Pinned::new(PERSONALITY);
    pinned.step.built("team/app");
    pinned.step.login(&pinned.step.host(), "AWS", "wrong");
    pinned.signs(&[], 4, &["401 Unauthorized", "Not Authorized", "user \"AWS\""]);
    let sent = pinned.registry().requests();
    let with_login =
        sent.iter().filter(|request| matches!(request.authorization, Authorization::Basic { .. }));
    assert_eq!(with_login.count(), 1, "{sent:?}");
}
