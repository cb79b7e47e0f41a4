//! What clients write into a request, taken apart: paths, ranges and digests. Nothing here does IO, so that
//! each function can be fuzzed alone.

pub mod address;
pub(crate) mod range;
pub mod route;

pub use address::{Address, BadAddress};
pub use range::{ByteRange, byte_range, content_range};
pub use route::{NoRoute, Reference, Route, route};
