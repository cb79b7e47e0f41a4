//! What `stepseal demo` shows the whole job with.
//!
//! The embedded registry is also the one that the hermetic tests run against, over real HTTP.

pub mod registry;
