//! What Gitea answers as the product does.

use crate::kit::personality::Rules;
use crate::registries::imitated::Imitated;
use crate::registries::personalities::gitea::PERSONALITY;
use crate::registries::suite::Site as _;

#[test]
fn what_a_tag_pointed_to_goes_with_it() {
    let site = Imitated::start(PERSONALITY, Rules::default());
    let one = site.push_image("ci-bot/app", "v1", "one");
    let two = site.push_image("ci-bot/app", "v2", "two");
    let caller = site.caller();
    let manifest = caller.manifest("ci-bot/app", &two.digest).unwrap();
    let media_type = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
    let answer = caller.ask("PUT", "/v2/ci-bot/app/manifests/v1", &media_type, &manifest);
    assert_eq!((answer.status, answer.header("location")), (201, Some("/v2/ci-bot/app/manifests/v1")));
    assert!(caller.manifest("ci-bot/app", &one.digest).is_none());
}
