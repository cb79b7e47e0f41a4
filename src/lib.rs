//! Stepseal: the signing step of a Tekton pipeline.
//!
//! This library is for the `stepseal` binary and its tests: it has no stable interface, and what is `pub` is what those use. To sign from a
//! program, run the binary.
//!
//! Data flows one way, and only [`flow`] knows the order:
//!
//! ```text
//! discover ──▶ plan ──▶ payload ──▶ sign ──▶ store ──▶ check ──▶ report
//!  tekton      plan     payload     sign     store     verify    report
//! ```
//!
//! No stage imports another. Below the stages are the clients ([`registry`], [`cluster`]), the values that stages exchange ([`oci`],
//! [`key`], [`formats`], [`run`], …), and the small things that every layer uses: [`exit`] codes, [`explain`]ing errors, [`input`]
//! files and text that are [`foreign`], strict [`json`], and [`secret`] bytes. ARCHITECTURE.md has the table of layers, and
//! `tests/hermetic/layers.rs` checks it.

pub mod agent;
mod blank;
pub mod chains;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod demo;
pub mod exit;
pub mod explain;
pub mod flow;
pub mod foreign;
pub mod formats;
pub mod found;
pub mod go_json;
pub mod hint;
pub mod input;
pub mod json;
pub mod json_lines;
pub mod key;
pub mod known_format;
pub mod mask;
pub mod net;
pub mod object_name;
pub mod oci;
mod pattern;
pub mod payload;
pub mod place;
pub mod plan;
pub mod process;
mod recent;
pub mod redact;
pub mod registry;
pub mod report;
pub mod run;
pub mod secret;
pub mod sign;
pub mod store;
pub mod tekton;
mod turns;
pub mod verify;
