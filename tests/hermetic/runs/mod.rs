//! Runs and attestations from outside: the binary, runs in files, folders as a step has them, a registry over real HTTP.

mod attest;
mod attest_many;
mod attest_replace;
mod attest_statement;
mod encodings;
mod large;
mod misleading;
mod names;
mod pairs;
mod place;
mod plan;
mod sign;
