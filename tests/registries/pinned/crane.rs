//! What `crane registry serve` answers as the product does.

use crate::imitated::Imitated;
use crate::personalities::crane::PERSONALITY;
use crate::personality::Rules;
use crate::suite::Site as _;

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
