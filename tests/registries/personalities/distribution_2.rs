//! distribution 2, as Debian's docker-registry 2.8 and the image `registry:2` are, with `htpasswd`.
//!
//! The record `answers/distribution-2.txt` is of the real 2.8, and this answers the same. It answers as [distribution 3](super::distribution_3), but:
//!
//! - A tag can't be deleted: 400 `DIGEST_INVALID`, as what is deleted has to be a digest. The change came with version 3
//!   (<https://github.com/distribution/distribution/blob/v2.8.3/registry/handlers/manifests.go>).
//! - It has no referrers API: <https://github.com/distribution/distribution/blob/v2.8.3/registry/api/v2/descriptors.go>.

use http::Method;
use stepseal::demo::registry::{Asked, EmbeddedRegistry};

use super::distribution_3::{changed, options};
use crate::personality::{Personality, Rules};
use crate::wire::{About, error};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "distribution",
    version: "2.8",
    options,
    install,
    repository: |name| name.to_owned(),
    has_immutable_tags: false,
    settings: &[],
    notes: &["Bundles are listed under the tag `sha256-HEX`, as in distribution 3."],
};

fn install(registry: &EmbeddedRegistry, _: Rules) {
    let faults = registry.faults();
    faults.change_answers(changed);
    faults.answer_instead(|asked: &Asked<'_>| {
        let deletes_tag = *asked.method == Method::DELETE && About::of(asked).tag().is_some();
        let is_known = asked.headers.contains_key("authorization");
        (deletes_tag && is_known)
            .then(|| error(400, "DIGEST_INVALID", "provided digest did not match uploaded content"))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imitated::Imitated;
    use crate::suite::Site as _;

    #[test]
    fn a_tag_cannot_be_deleted() {
        let site = Imitated::start(PERSONALITY, Rules::default());
        site.push_image("team/app", "v1", "one");
        let answer = site.caller().ask("DELETE", "/v2/team/app/manifests/v1", &[], &[]);
        assert_eq!(
            (answer.status, answer.json()["errors"][0]["code"].as_str()),
            (400, Some("DIGEST_INVALID"))
        );
        assert_eq!(site.registry.content().tags("team/app"), ["v1"]);
    }
}
