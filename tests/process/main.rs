//! What protects the process, as seen from outside: the binary, a folder as a step has it, and a registry over real HTTP.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

mod landlock;
#[path = "../sign/running.rs"]
#[allow(dead_code, reason = "shared with the tests of sign, which need more of it")]
mod running;
#[path = "../sign/step.rs"]
#[allow(dead_code, reason = "shared with the tests of sign, which need more of it")]
mod step;
