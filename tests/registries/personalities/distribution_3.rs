//! distribution 3 (CNCF Distribution), the reference implementation, with `htpasswd`.
//!
//! - It has no referrers API: the path is not routed, so that the answer is Go's page `404 page not found`
//!   (<https://github.com/distribution/distribution/blob/v3.0.0/registry/api/v2/descriptors.go> has no such route).

use stepseal::demo::registry::{Auth, EmbeddedRegistry, Options};

use crate::personality::{Personality, Rules};

pub(crate) const PERSONALITY: Personality = Personality {
    product: "distribution",
    version: "3",
    options: || Options {
        auth: Auth::Basic,
        referrers: false,
        absolute_locations: true,
        ..Options::default()
    },
    install: |_: &EmbeddedRegistry, _: Rules| {},
    repository: |name| name.to_owned(),
    has_immutable_tags: false,
    settings: &[],
    notes: &[],
};
