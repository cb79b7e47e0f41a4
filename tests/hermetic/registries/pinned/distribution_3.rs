//! What distribution 3 answers as the product does.

use crate::kit::personality::Rules;
use crate::registries::imitated::Imitated;
use crate::registries::personalities::distribution_3::PERSONALITY;
use crate::registries::suite::Site as _;

#[test]
fn a_missing_blob_is_a_bad_request() {
    let site = Imitated::start(PERSONALITY, Rules::default());
    let image = site.push_image("team/app", "latest", "one");
    let manifest = site.caller().manifest("team/app", &image.digest).unwrap();
    let media_type = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
    let answer = site.caller().ask("PUT", "/v2/team/other/manifests/latest", &media_type, &manifest);
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["errors"][0]["code"], "MANIFEST_BLOB_UNKNOWN");
}
