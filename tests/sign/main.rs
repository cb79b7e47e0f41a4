//! `stepseal sign` from outside: the binary, a folder as a step has it, and a registry over real HTTP.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "all of this crate is test code, its helpers too"
)]

#[path = "../registries/answers.rs"]
#[allow(dead_code, reason = "shared with the tests of registries, which need more of it")]
mod answers;
mod bad_input;
mod boundary;
mod concurrency;
mod echo;
mod echoes;
mod elsewhere;
mod encodings;
mod everyday;
mod faults;
mod home;
mod identities;
mod interrupted;
mod key_forms;
mod killed;
mod load;
mod network;
mod other_hosts;

mod overwritten;
mod own_results;
mod peak;
mod product_answers;
mod products;
mod registry_flags;
mod replaced;
mod running;
mod step;
mod stopped;
mod tags;
mod token_service;
