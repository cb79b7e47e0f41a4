//! What the binary does before JFrog Artifactory.

use std::num::NonZeroUsize;

use http::Method;
use serde_json::json;
use stepseal::demo::registry::Options;

use super::{BUNDLE, Pinned};
use crate::answers::{answer, error};
use crate::personalities::artifactory::{PERSONALITY, VIRTUAL};
use crate::personality::Personality;

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

#[test]
fn a_tag_that_is_called_forbidden_and_is_not_there_can_be_written() {
    let pinned = Pinned::new(VIRTUAL);
    let image = pinned.built("app");
    let ended = pinned.verifies(&image, 1, &[]);
    assert!(!ended.stderr.contains("403"), "{}", ended.stderr);
    pinned.signs(&[], 0, &["1 signed"]);
    pinned.verifies(&image, 0, &[]);
    pinned.signs(&["--annotation=a=b"], 0, &["1 signed"]);
    assert_eq!(pinned.step.payloads(&image.0, &image.1).len(), 2);
    pinned.signs(&[BUNDLE], 0, &["1 signed"]);
}

/// A 403 alone is no proof: where the tag is listed, or the list can't be read to its end, what is there would be overwritten.
#[test]
fn a_tag_that_may_be_there_is_not_overwritten() {
    let pages = |status: u16, next: &'static str| {
        move |digest: &str| {
            let body = json!({ "name": "oci-virtual/app", "tags": ["1", digest] });
            let mut page = answer(status, &body);
            page.headers_mut().insert("link", next.parse().unwrap());
            page
        }
    };
    for (name, page, listed) in [
        ("listed", pages(200, "<>"), true),
        ("the list is refused", pages(403, "<>"), false),
        ("there is no list", pages(404, "<>"), false),
        ("the list goes on elsewhere", pages(200, "<http://localhost:1/v2/>; rel=\"next\""), false),
        ("the list has no end", pages(200, "</v2/oci-virtual/app/tags/list?last=1>; rel=\"next\""), false),
    ] {
        let pinned = Pinned::new(VIRTUAL);
        let digest = pinned.step.built("oci-virtual/app");
        pinned.signs(&[], 0, &["1 signed"]);
        let tag = format!("sha256-{}.sig", digest.hex());
        pinned.registry().faults().answer_instead(move |asked| {
            if asked.path_and_query.contains("/tags/list") {
                return Some(page(if listed { &tag } else { "2" }));
            }
            let hidden = *asked.method == Method::GET && asked.path_and_query.ends_with(".sig");
            hidden.then(|| error(403, "UNAUTHORIZED", "no permission"))
        });
        let ended = pinned.signs(&["--annotation=a=b"], 4, &["403 UNAUTHORIZED: no permission"]);
        assert_eq!(pinned.step.payloads("oci-virtual/app", &digest).len(), 1, "{name}: {}", ended.stderr);
    }
}

/// The page with the tag may be any.
#[test]
fn a_list_of_tags_is_read_to_its_end() {
    let options = || Options { page_size: NonZeroUsize::new(1), ..(VIRTUAL.options)() };
    let pinned = Pinned::new(Personality { options, ..VIRTUAL });
    let (_, digest) = pinned.built("app");
    let content = pinned.registry().content();
    let (media_type, bytes) = content.manifest("oci-virtual/app", digest.as_str()).unwrap();
    for tag in ["1", "2", "zz"] {
        content.put_manifest("oci-virtual/app", Some(tag), &media_type, bytes.clone()).unwrap();
    }
    pinned.signs(&[], 0, &["1 signed"]);
    let asked = pinned.registry().requests();
    assert!(asked.iter().any(|request| request.path_and_query.ends_with("/tags/list?last=2")), "{asked:?}");
}
