//! What the binary does before JFrog Artifactory.

use serde_json::json;

use super::{BUNDLE, Pinned};
use crate::kit::answers::{answer, error, manifest_read};
use crate::registries::personalities::artifactory::{PERSONALITY, hide_what_is_missing};

#[test]
fn a_login_that_cannot_overwrite_is_told_so_and_a_bundle_is_the_way_out() {
    let said = "400 MANIFEST_INVALID: manifest invalid (description: HTTP 403 Forbidden)";
    let pinned = Pinned::refuses_a_second_signature(PERSONALITY, 1, said);
    pinned.signs(&["--annotation=a=b", BUNDLE], 0, &["1 signed"]);
    let asked = pinned.registry().requests();
    let service = "/artifactory/api/docker/oci-local/v2/token";
    assert!(asked.iter().any(|request| request.path_and_query.starts_with(service)), "{asked:?}");
}

/// Whatever the status says: a body that says 401 refuses the login.
#[test]
fn a_refusal_of_the_login_inside_a_success_is_one() {
    let pinned = Pinned::new(PERSONALITY);
    pinned.step.built("oci-local/app");
    pinned.registry().faults().answer_instead(|asked| {
        let is_token = asked.path_and_query.contains("/v2/token");
        is_token.then(|| answer(200, &json!({ "statusCode": 401, "details": "BAD_CREDENTIAL" })))
    });
    pinned.signs(&[], 4, &["BAD_CREDENTIAL", "user \"ci-bot\"", "check that this login is right"]);
}

/// What is there but hidden would be overwritten, so an answer that leaves it open is an error.
#[test]
fn a_tag_that_is_called_forbidden_is_not_written() {
    for is_there in [false, true] {
        let pinned = Pinned::new(PERSONALITY);
        let image = pinned.built("app");
        if is_there {
            pinned.signs(&[], 0, &["1 signed"]);
        }
        hide_what_is_missing(pinned.registry());
        if is_there {
            let faults = pinned.registry().faults();
            faults.answer_instead(|asked| {
                let hidden = manifest_read(asked).is_some_and(|(_, tag)| tag.ends_with(".sig"));
                hidden.then(|| error(403, "UNAUTHORIZED", "Download request for repo:path 'x' is forbidden"))
            });
        }
        let words = ["Download request for repo:path", "let it read them, or sign under the name"];
        pinned.signs(&["--annotation=a=b"], 4, &words);
        pinned.verifies(&image, 4, &words);
        assert_eq!(pinned.step.payloads(&image.0, &image.1).len(), usize::from(is_there));
    }
}
