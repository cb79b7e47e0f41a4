//! `stepseal verify` and its siblings from outside: the binary, a folder as a step has it, and a registry over real HTTP.

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
mod policy;
mod products;
mod refused;
mod run;
mod spoilt;
