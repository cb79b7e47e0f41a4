//! What distribution 2 answers as the product does.

use crate::kit::personality::Rules;
use crate::registries::imitated::Imitated;
use crate::registries::personalities::distribution_2::PERSONALITY;
use crate::registries::suite::Site as _;

#[test]
fn a_tag_cannot_be_deleted() {
    let site = Imitated::start(PERSONALITY, Rules::default());
    site.push_image("team/app", "v1", "one");
    let answer = site.caller().ask("DELETE", "/v2/team/app/manifests/v1", &[], &[]);
    assert_eq!((answer.status, answer.json()["errors"][0]["code"].as_str()), (400, Some("DIGEST_INVALID")));
    assert_eq!(site.registry.content().tags("team/app"), ["v1"]);
}
