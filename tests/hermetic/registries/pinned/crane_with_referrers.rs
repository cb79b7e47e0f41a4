//! What go-containerregistry's registry with the referrers API answers as the product does.

use crate::kit::personality::Rules;
use crate::registries::imitated::Imitated;
use crate::registries::personalities::crane_with_referrers::PERSONALITY;
use crate::registries::suite::Site as _;

#[test]
fn a_referrer_is_listed_and_not_confirmed() {
    let site = Imitated::start(PERSONALITY, Rules::default());
    let image = site.push_image("app", "latest", "one");
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let referrer =
        serde_json::json!({ "subject": { "digest": image.digest, "mediaType": manifest_type, "size": 1 } });
    let (caller, body) = (site.caller(), referrer.to_string());
    let path = format!("/v2/app/manifests/{}", stepseal::oci::Digest::of(body.as_bytes()));
    let answer = caller.ask("PUT", &path, &[("content-type", manifest_type)], body.as_bytes());
    assert_eq!((answer.status, answer.header("oci-subject")), (201, None));
    assert_eq!(caller.referrers("app", &image.digest).unwrap().len(), 1);
}
