//! The `stepseal` binary: parse, run, exit code.

fn main() {}
