//! What the binary does before Docker Hub.

use super::{BUNDLE, Pinned};
use crate::kit::personality::Rules;
use crate::registries::personalities::docker_hub::{OLD, PERSONALITY};

/// A client that takes `OCI-Subject` for a promise keeps no fallback tag, and nobody finds the bundle.
#[test]
fn a_bundle_is_found_although_nothing_lists_what_the_header_promised() {
    let hub = Pinned::new(OLD);
    let image = hub.built("app");
    hub.signs(&[BUNDLE], 0, &["1 signed"]);
    let fallback = format!("sha256-{}", image.1.hex());
    assert_eq!(hub.registry().content().tags(&image.0), [fallback]);
    hub.verifies(&image, 0, &[]);
}

/// The list of referrers is some seconds behind, and no bundle is taken for lost.
#[test]
fn bundles_that_are_listed_late_are_all_there() {
    let hub = Pinned::with(PERSONALITY, Rules { immutable_tags: true });
    let image = hub.built("app");
    for signer in ["1", "2"] {
        hub.signs(&[BUNDLE, &format!("--annotation=signer={signer}")], 0, &["1 signed"]);
    }
    assert_eq!(hub.registry().content().referrers(&image.0, &image.1).len(), 2);
    hub.verifies(&image, 0, &[]);
}

#[test]
fn a_name_of_three_parts_is_said_to_break_its_rules() {
    let hub = Pinned::new(PERSONALITY);
    hub.step.built("acme/team/app");
    hub.signs(&[], 4, &["400 Bad Request: invalid repository name", "has its own rules for names"]);
}

#[test]
fn a_403_for_a_tag_that_exists_is_called_immutability() {
    let hub = Pinned::with(PERSONALITY, Rules { immutable_tags: true });
    let (repository, digest) = hub.built("app");
    hub.signs(&["--annotation=signer=1"], 0, &[]);
    let words = [
        "403 DENIED",
        "due to immutability settings",
        "is immutable",
        "sigstore-bundle",
        "storage.oci.repository",
    ];
    hub.signs(&["--annotation=signer=2"], 4, &words);
    assert_eq!(hub.step.payloads(&repository, &digest).len(), 1);
}
