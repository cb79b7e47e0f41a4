//! One suite on registries that answer like real products: what Stepseal does on each is what docs/registries.md says.
//!
//! `personality.rs` says what a personality is, and `personalities/` has one file for each product.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

mod answers;
mod imitation;
mod personalities;
mod personality;
mod pinned;
#[path = "../sign/step.rs"]
#[allow(dead_code, reason = "shared with the tests of sign, which need more of it")]
mod step;

use personalities::ALL;
use personality::Rules;
use stepseal::demo::registry::EmbeddedRegistry;

#[test]
fn each_personality_starts_and_is_told_apart() {
    let mut names = std::collections::BTreeSet::new();
    for personality in ALL {
        let registry = EmbeddedRegistry::start_blocking((personality.options)()).expect("a free port");
        (personality.install)(&registry, Rules { immutable_tags: personality.has_immutable_tags });
        assert!(names.insert((personality.product, personality.version)), "{} twice", personality.product);
        assert!(!(personality.repository)("app").is_empty());
        assert!(personality.settings.iter().all(|setting| {
            !setting.variable.is_empty() && !setting.value.is_empty() && !setting.reason.is_empty()
        }));
        assert!(personality.notes.iter().all(|note| note.ends_with('.')), "{}", personality.product);
    }
}
