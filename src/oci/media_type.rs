//! The media types of manifests and of what they point to.
//!
//! Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/media-types.md>

/// The media type of an OCI image manifest.
pub(crate) const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index of manifests.
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of an OCI image config.
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The config of a manifest that has none.
pub(crate) const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Docker's form of an image's manifest.
pub(crate) const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's form of an index.
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
