//! What the binary does before Quay.

use super::{BUNDLE, Pinned};
use crate::kit::personality::Rules;
use crate::registries::personalities::quay::PERSONALITY;

/// Without `OCI-Subject` the specification wants the fallback tag; a tag that may not be replaced takes no second bundle.
#[test]
fn a_second_bundle_needs_no_tag_where_the_api_lists_it() {
    let quay = Pinned::with(PERSONALITY, Rules { immutable_tags: true });
    let image = quay.built("app");
    for signer in ["1", "2"] {
        quay.signs(&[BUNDLE, &format!("--annotation=signer={signer}")], 0, &["1 signed"]);
    }
    assert_eq!(quay.registry().content().referrers(&image.0, &image.1).len(), 2);
    quay.verifies(&image, 0, &[]);
}

#[test]
fn an_immutable_tag_is_called_that() {
    let quay = Pinned::with(PERSONALITY, Rules { immutable_tags: true });
    quay.built("app");
    quay.signs(&["--annotation=signer=1"], 0, &[]);
    let words = ["409 TAG_IMMUTABLE", "is immutable", "sigstore-bundle"];
    quay.signs(&["--annotation=signer=2"], 1, &words);
}

/// The image isn't in the repository of the signatures: its referrers are a 400 there.
#[test]
fn bundles_lie_in_another_repository() {
    let quay = Pinned::new(PERSONALITY);
    quay.built("app");
    let elsewhere = format!("--config=storage.oci.repository={}/acme/signatures", quay.step.host());
    quay.signs(&[BUNDLE, &elsewhere], 0, &["1 signed"]);
}
