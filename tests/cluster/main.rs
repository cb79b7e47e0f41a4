//! Stepseal on real Tekton: `tests/cluster/run`.
//!
//! Each scenario runs TaskRuns or PipelineRuns in a namespace of its own, with the Pod Security level `restricted`, and asks cosign,
//! crane, kubectl and tkn what became of them. A failing scenario shows its TaskRuns, pods and logs.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

mod agent;
mod building;
mod catalog;
mod credentials;
mod crowd;
mod failing;
mod home;
mod in_force;
mod inputs;
mod kit;
mod neighbour;
mod results;
mod runs;
mod secrecy;
mod tutorial;
