//! The personalities, one file each. A new one is a file and a line in [`ALL`].

mod distribution_3;

use super::personality::Personality;

/// Every personality, in the order of docs/registries.md.
pub(crate) const ALL: &[Personality] = &[distribution_3::PERSONALITY];
