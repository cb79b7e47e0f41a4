//! `stepseal tree`, `triangulate`, `download` and `attach` from outside: the binary, and a registry over real HTTP.

mod download;
mod faults;
mod kit;
mod sbom;
mod tree;
