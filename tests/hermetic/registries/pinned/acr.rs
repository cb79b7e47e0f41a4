//! What the binary does before Azure Container Registry.

use http::StatusCode;
use serde_json::json;
use stepseal::demo::registry::{Answer, Fault};

use super::{BUNDLE, Pinned};
use crate::kit::answers::STORAGE;
use crate::kit::step::MANIFEST;
use crate::registries::personalities::acr::PERSONALITY;

#[test]
fn a_locked_tag_is_called_immutable_and_a_bundle_is_the_way_out() {
    let pinned = Pinned::refuses_a_second_signature(
        PERSONALITY,
        1,
        "405 REGISTRY_DISALLOWED_OPERATION: The operation",
    );
    pinned.signs(&["--annotation=a=b", BUNDLE], 0, &["1 signed"]);
    pinned.signs(&["--annotation=a=b", BUNDLE], 0, &["already"]);
}

/// A registry that has had enough is asked again, and the storage gets no login.
#[test]
fn signs_when_there_were_too_many_requests() {
    let pinned = Pinned::new(PERSONALITY);
    let digest = pinned.step.built("team/app");
    let refusal = Answer::new(StatusCode::TOO_MANY_REQUESTS).retry_after("1");
    pinned.registry().faults().add(Fault::answer(refusal).first(2));
    pinned.signs(&["--annotation=a=b"], 0, &["1 signed"]);
    assert_eq!(pinned.step.payloads("team/app", &digest).len(), 1);
    let asked = pinned.registry().requests();
    for place in [STORAGE, "/oauth2/token"] {
        assert!(asked.iter().any(|request| request.path_and_query.starts_with(place)), "{place}");
    }
}

/// A signature that another tool left among the referrers has no type in the list; ours is found beside it.
#[test]
fn entries_without_a_type_do_not_hide_bundles() {
    let pinned = Pinned::new(PERSONALITY);
    let digest = pinned.step.built("team/app");
    let config = pinned.registry().content().put_blob("team/app", "{}").unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.cncf.notary.signature", "size": 2, "digest": config.as_str() },
        "layers": [],
        "subject": { "mediaType": MANIFEST, "size": 1, "digest": digest.as_str() },
    });
    pinned.registry().content().put_manifest("team/app", None, MANIFEST, manifest.to_string()).unwrap();
    pinned.signs(&[BUNDLE], 0, &["1 signed"]);
    pinned.signs(&[BUNDLE], 0, &["already"]);
    assert_eq!(pinned.registry().content().referrers("team/app", &digest).len(), 2);
}
