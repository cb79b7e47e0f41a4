//! One suite for every registry: what Stepseal does there, feature by feature, each outcome taken from a run.
//!
//! The suite knows a registry as a [`Site`]: those that the embedded registry imitates, and those that `tests/peers` starts. It
//! runs the binary as a step does, with keys that need no derivation, and asks the registry itself what it holds.
//! An outcome that docs/registries.md doesn't state fails the test; `BLESS=1` writes it there (`page.rs`).
//!
//! `features.rs` lists the columns; a new feature is a column there, or a part of one.

pub(crate) mod bench;
pub(crate) mod crowd;
pub(crate) mod features;
pub(crate) mod http;
pub(crate) mod immutable;
pub(crate) mod login;
pub(crate) mod outcome;
pub(crate) mod page;
pub(crate) mod places;
pub(crate) mod probe;
pub(crate) mod site;

pub(crate) use site::Site;
