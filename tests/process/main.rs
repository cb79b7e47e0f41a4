//! What protects the process, as seen from outside: what it gives away, what it passes on to the programs that it starts, and
//! which files it can use. The binary runs in a folder as a step has it, with a registry over real HTTP.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

mod landlock;
mod landlock_inputs;
#[path = "../sign/peak.rs"]
mod peak;
#[path = "../sign/running.rs"]
#[allow(dead_code, reason = "shared with the tests of sign, which need more of it")]
mod running;
mod secrets;
#[path = "../sign/step.rs"]
#[allow(dead_code, reason = "shared with the tests of sign, which need more of it")]
mod step;
mod wrong_place;
