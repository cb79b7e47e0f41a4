//! OCI values: digests, names, patterns of names, manifests, and what an index lists.
//!
//! Bytes and text in, checked values out. Nothing here reads a file or asks a registry.
//!
//! Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/spec.md>,
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>

pub(crate) mod authority;
pub(crate) mod canonical;
pub mod digest;
pub(crate) mod index;
pub(crate) mod json;
mod manifest;
pub(crate) mod media_type;
mod pattern;
pub(crate) mod platform;
pub mod reference;
#[cfg(test)]
pub(crate) mod spelling;

pub use canonical::{CanonicalRepository, PlainHttp};
pub use digest::{Digest, DigestError};
pub use manifest::{MAX_MANIFEST_BYTES, Manifest, Target};
pub use pattern::{Pattern, PatternError, allows};
pub use reference::{ImageRef, Named, ReferenceError, Repository, TagRef};
