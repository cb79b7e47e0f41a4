//! The demo: everything the main job needs, in one process and a temporary folder.

pub mod registry;
mod sample;
mod tour;

pub use sample::{Sample, SampleError};
pub use tour::{Tour, verify};
