//! What the binary does before GitLab.

use serde_json::json;

use super::{BUNDLE, Pinned};
use crate::kit::personality::Rules;
use crate::kit::step::INDEX;
use crate::registries::personalities::gitlab::PERSONALITY;

/// The subject under the fallback tag is no list of bundles, and is not overwritten as one: an index's own members are no bundles.
#[test]
fn the_subject_under_the_fallback_tag_is_no_list() {
    let gitlab = Pinned::new(PERSONALITY);
    let (repository, member) = gitlab.built("app");
    let content = gitlab.registry().content();
    let (media_type, bytes) = content.manifest(&repository, member.as_str()).unwrap();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [
        { "mediaType": media_type, "digest": member.as_str(), "size": bytes.len() },
    ] });
    let index = content.put_manifest(&repository, Some("1"), INDEX, index.to_string()).unwrap();
    gitlab.step.result("IMAGE_DIGEST", index.as_str());
    gitlab.verifies(&(repository.clone(), index.clone()), 1, &["no signature"]);
    gitlab.signs(&[BUNDLE], 0, &["1 signed"]);
    gitlab.verifies(&(repository.clone(), index.clone()), 0, &[]);
    let (_, list) = content.manifest(&repository, &format!("sha256-{}", index.hex())).unwrap();
    assert!(!String::from_utf8_lossy(&list).contains(member.as_str()), "the index's member is listed");
}

/// 401 without a challenge, to a token that was good a moment ago.
#[test]
fn an_immutable_tag_is_not_taken_for_a_refused_login() {
    let gitlab = Pinned::with(PERSONALITY, Rules { immutable_tags: true });
    let (repository, digest) = gitlab.built("app");
    gitlab.signs(&["--annotation=signer=1"], 0, &[]);
    let words = ["401 IMMUTABLE_TAG", "is immutable", "storage.oci.repository"];
    gitlab.signs(&["--annotation=signer=2"], 4, &words);
    assert_eq!(gitlab.step.payloads(&repository, &digest).len(), 1);
}

#[test]
fn a_bundle_without_its_image_beside_it_is_refused_and_that_is_said() {
    let gitlab = Pinned::new(PERSONALITY);
    gitlab.built("app");
    let elsewhere = format!("--config=storage.oci.repository={}/group/signatures", gitlab.step.host());
    gitlab.signs(&[&elsewhere], 0, &["1 signed"]);
    gitlab.signs(&[BUNDLE, &elsewhere], 1, &["400 MANIFEST_BLOB_UNKNOWN", "group/signatures"]);
}
