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
use crate::kit::answers::{authorization, error, manifest};
use crate::kit::personality::{Personality, Rules};

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
        let is_of_tag = manifest(asked).is_some_and(|(_, reference)| !reference.contains(':'));
        (*asked.method == Method::DELETE && is_of_tag && !authorization(asked).is_empty())
            .then(|| error(400, "DIGEST_INVALID", "provided digest did not match uploaded content"))
    });
}
