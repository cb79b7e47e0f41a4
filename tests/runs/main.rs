//! Runs and attestations from outside: the binary, runs in files, folders as a step has them, a registry over real HTTP.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

mod attest;
mod attest_many;
mod attest_replace;
mod attest_statement;
mod encodings;
mod large;
mod misleading;
mod names;
mod pairs;
#[path = "../sign/peak.rs"]
mod peak;
mod place;
mod plan;
mod sign;
#[allow(dead_code, reason = "the surroundings of `sign`, of which this crate needs a part")]
#[path = "../sign/step.rs"]
mod step;
