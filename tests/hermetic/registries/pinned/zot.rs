//! What zot answers as the product does.

use crate::kit::personality::Rules;
use crate::registries::imitated::Imitated;
use crate::registries::personalities::zot::PERSONALITY;
use crate::registries::suite::Site as _;

#[test]
fn an_error_about_the_login_stands_alone() {
    let site = Imitated::start(PERSONALITY, Rules::default());
    let answer = crate::registries::suite::http::send(&site.host(), "GET", "/v2/", &[], &[]);
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("UNAUTHORIZED")));
    assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic ")));
}

#[test]
fn a_tag_that_exists_is_refused_under_the_policy_alone() {
    for (immutable_tags, tag, status) in [(false, "v1", 201), (true, "v1", 403), (true, "latest", 201)] {
        let site = Imitated::start(PERSONALITY, Rules { immutable_tags });
        let image = site.push_image("team/app", tag, "one");
        let manifest = site.caller().manifest("team/app", &image.digest).unwrap();
        let path = format!("/v2/team/app/manifests/{tag}");
        let media_type = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
        let answer = site.caller().ask("PUT", &path, &media_type, &manifest);
        assert_eq!(answer.status, status, "{immutable_tags} {tag}");
    }
}
