//! A manifest, and which one of a repository is meant.
//!
//! Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md>

use bytes::Bytes;

use super::Digest;

/// The largest manifest that is read: the specification lets registries refuse larger ones.
///
/// Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests>
pub const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;

/// Which manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The manifest that a tag names now.
    Tag(String),
    /// The manifest with this digest.
    Digest(Digest),
}

/// A manifest as the registry holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The media type that the registry sent.
    pub media_type: String,
    /// The exact bytes, as the digest covers them.
    pub bytes: Bytes,
    /// Their digest, computed here.
    pub digest: Digest,
}
