//! `stepseal verify` and its siblings from outside: the binary, a folder as a step has it, and a registry over real HTTP.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

mod ambiguous;
mod attestation;
mod bad;
mod certified;
mod contents;
mod covered;
mod crowded;
mod embedded;
mod flips;
mod good;
mod inputs;
mod kit;
mod layers;
mod lists;
#[path = "../sign/peak.rs"]
mod peak;
mod policy;
mod products;
mod refused;
mod run;
#[path = "../sign/running.rs"]
#[allow(dead_code, reason = "shared with the tests of sign, which need more of it")]
mod running;
mod spoilt;
#[path = "../sign/step.rs"]
#[allow(dead_code, reason = "shared with the tests of sign, which need more of it")]
mod step;
