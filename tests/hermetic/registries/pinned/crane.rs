//! What `crane registry serve` answers as the product does.

use crate::kit::personality::Rules;
use crate::registries::imitated::Imitated;
use crate::registries::personalities::crane::PERSONALITY;
use crate::registries::suite::Site as _;

#[test]
fn a_manifest_is_stored_without_its_blobs() {
    let site = Imitated::start(PERSONALITY, Rules::default());
    let media_type = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
    let answer = site.caller().ask("PUT", "/v2/app/manifests/v1", &media_type, b"{}");
    assert_eq!((answer.status, answer.header("location")), (201, None));
    let digest = stepseal::oci::Digest::of(b"{}");
    let answer = site.caller().ask("GET", &format!("/v2/app/referrers/{digest}"), &[], &[]);
    assert_eq!((answer.status, answer.json()["errors"][0]["code"].as_str()), (404, Some("METHOD_UNKNOWN")));
}
