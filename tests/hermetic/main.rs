//! Every test that needs nothing but Rust, as one program: it is linked once. The binary is tested from outside.
//!
//! `cargo test --test hermetic sign::tags` runs one module.

#![allow(
    clippy::duplicate_mod,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too; the hostile corpus of the measurements brings kit/peak.rs with it"
)]

mod agent;
mod attached;
mod blanks;
mod bundles;
mod catalog;
mod cosign_flags;
mod documentation;
mod embedded_registry;
mod exits;
mod generate_key_pair;
mod guides;
mod hostile_inputs;
mod kit;
mod layers;
mod plain_english;
mod process;
mod registries;
mod runs;
mod sign;
mod threat_model;
mod verify;
