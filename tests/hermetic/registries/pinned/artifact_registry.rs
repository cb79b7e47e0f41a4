//! What the binary does before Google Artifact Registry.

use stepseal::demo::registry::Options;

use super::{BUNDLE, Pinned};
use crate::kit::personality::Personality;
use crate::registries::personalities::artifact_registry::{DOWNLOADS, PERSONALITY, UPLOADS};

#[test]
fn an_immutable_tag_is_called_that_for_either_form() {
    let pinned =
        Pinned::refuses_a_second_signature(PERSONALITY, 1, "400 MANIFEST_INVALID: cannot update tag sha256-");
    // Without the referrers API, the list of bundles is under a tag.
    pinned.signs(&[BUNDLE], 0, &["1 signed"]);
    pinned.signs(&["--annotation=a=b", BUNDLE], 1, &["is immutable", "storage.oci.repository"]);
}

/// Both forms, in a registry that sends uploads and downloads elsewhere; with the referrers API and without.
#[test]
fn uploads_and_downloads_go_where_it_says() {
    let with_api =
        Personality { options: || Options { referrers: true, ..(PERSONALITY.options)() }, ..PERSONALITY };
    for (personality, referrers) in [(PERSONALITY, false), (with_api, true)] {
        let pinned = Pinned::new(personality);
        let (repository, digest) = pinned.built("app");
        pinned.signs(&["--annotation=a=b"], 0, &["1 signed"]);
        pinned.signs(&[BUNDLE, "--annotation=a=b"], 0, &["1 signed"]);
        // The bundle is read from there to see that it is the same.
        pinned.signs(&[BUNDLE, "--annotation=a=b"], 0, &["already"]);
        assert_eq!(pinned.step.payloads(&repository, &digest).len(), 1);
        let asked = pinned.registry().requests();
        for place in [UPLOADS, DOWNLOADS, "/v2/token"] {
            assert!(asked.iter().any(|request| request.path_and_query.starts_with(place)), "{place}");
        }
        let tags = pinned.registry().content().tags(&repository);
        assert_eq!(tags.contains(&format!("sha256-{}", digest.hex())), !referrers, "{tags:?}");
    }
}

#[test]
fn a_repository_that_may_not_exist_is_to_be_created() {
    let pinned = Pinned::new(PERSONALITY);
    pinned.built("app");
    let elsewhere = format!("--config=storage.oci.repository={}/my-project/other/app", pinned.step.host());
    let words = ["(or it may not exist)", "my-project/other/app may not exist, too: create it first"];
    pinned.signs(&[&elsewhere], 4, &words);
}
