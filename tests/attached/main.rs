//! `stepseal tree`, `triangulate`, `download` and `attach` from outside: the binary, and a registry over real HTTP.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

mod download;
mod faults;
mod kit;
mod sbom;
#[path = "../sign/step.rs"]
#[allow(dead_code, reason = "shared with the tests of sign, which need more of it")]
mod step;
mod tree;
