//! `stepseal agent` from outside: the binary on a socket, `sign --agent` and raw connections as its clients, and the embedded registry.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

#[path = "../registries/answers.rs"]
#[allow(dead_code, reason = "shared with the tests of registries, which need more of it")]
mod answers;
#[path = "../sign/echo.rs"]
#[expect(dead_code, reason = "what the tests of `sign` need besides")]
mod echo;
mod ending;
#[path = "../registries/personalities/harbor.rs"]
#[allow(dead_code, reason = "shared with the tests of registries, which need more of it")]
mod harbor;
mod hostile;
mod interface;
mod kit;
mod limits;
#[path = "../sign/peak.rs"]
mod peak;
#[path = "../registries/personality.rs"]
#[allow(dead_code, reason = "shared with the tests of registries, which need more of it")]
mod personality;
mod pinned;
mod policy;
mod restart;
mod signing;
#[path = "../sign/step.rs"]
#[expect(dead_code, reason = "what the tests of `sign` need besides")]
mod step;
