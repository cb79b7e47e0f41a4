//! go-containerregistry's registry with its referrers API turned on, as programs that embed it can.
//!
//! The record `answers/crane-with-referrers.txt` is of the real 0.22.1, and this answers the same, apart from what `records.rs` lists. It answers as
//! [`crane registry serve`](super::crane), but:
//!
//! - The referrers API lists what is there, and nothing says so when a referrer is pushed: there is no `OCI-Subject`
//!   (<https://github.com/google/go-containerregistry/blob/v0.22.1/pkg/registry/manifest.go>, `handleReferrers`).
//! - Of a repository that isn't there the API says 404 `NAME_UNKNOWN`, not an empty list (the same function).

use http::Method;
use stepseal::demo::registry::{Asked, EmbeddedRegistry};

use super::crane::{changed, options};
use crate::personality::{Personality, Rules};
use crate::wire::{About, error};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "go-containerregistry with the referrers API",
    version: "0.22",
    options,
    install,
    repository: |name| name.to_owned(),
    has_immutable_tags: false,
    settings: &[],
    notes: &[
        "It doesn't confirm referrers with `OCI-Subject`, so that bundles are listed under the tag `sha256-HEX` too.",
    ],
};

fn install(registry: &EmbeddedRegistry, _: Rules) {
    let faults = registry.faults();
    faults.change_answers(changed);
    faults.answer_instead(|asked: &Asked<'_>| {
        let About::Referrers { repository, .. } = About::of(asked) else { return None };
        let is_unknown = !asked.content.repositories().iter().any(|known| known == repository);
        (*asked.method == Method::GET && is_unknown).then(|| error(404, "NAME_UNKNOWN", "Unknown name"))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imitated::Imitated;
    use crate::suite::Site as _;

    #[test]
    fn a_referrer_is_listed_and_not_confirmed() {
        let site = Imitated::start(PERSONALITY, Rules::default());
        let image = site.push_image("app", "latest", "one");
        let manifest_type = "application/vnd.oci.image.manifest.v1+json";
        let referrer = serde_json::json!({ "subject": { "digest": image.digest, "mediaType": manifest_type, "size": 1 } });
        let (caller, body) = (site.caller(), referrer.to_string());
        let path = format!("/v2/app/manifests/{}", stepseal::registry::Digest::of(body.as_bytes()));
        let answer = caller.ask("PUT", &path, &[("content-type", manifest_type)], body.as_bytes());
        assert_eq!((answer.status, answer.header("oci-subject")), (201, None));
        assert_eq!(caller.referrers("app", &image.digest).unwrap().len(), 1);
    }
}
