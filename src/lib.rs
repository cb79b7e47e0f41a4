//! Stepseal: the signing step of a Tekton pipeline.
//!
//! This library serves the `stepseal` binary and its tests. It has no stable interface: an item is `pub` because those use it. To sign from a
//! program, run the binary.
//!
//! Data flows one way, and only [`flow`] knows the order of the stages:
//!
//! ```text
//! discover ──▶ plan ──▶ payload ──▶ sign ──▶ store ──▶ check ──▶ report
//!  tekton      plan     payload     sign     store     verify    report
//! ```
//!
//! No stage imports another stage. Below the stages are the clients ([`registry`], [`cluster`]), the values that stages exchange ([`oci`],
//! [`key`], [`formats`], [`run`], …), and small modules that every layer uses: [`exit`] codes, error explanations ([`explain`]), [`input`]
//! files, untrusted text ([`foreign`]), strict [`json`], and [`secret`] bytes. ARCHITECTURE.md lists the layers, and
//! `tests/hermetic/layers.rs` checks them.

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
