//! Resolves tags to digests. Each tag is looked up once, before anything is signed.
//!
//! The signed digest is the hash of the registry's response. The tag may move later, or may have moved since the build.
//! That can't be detected here, so the caller prints a warning.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests>

use futures_util::{StreamExt as _, stream};

use super::is_manifest;
use crate::explain::explain;
use crate::oci::{ImageRef, TagRef, Target};
use crate::registry::RegistryError;
use crate::registry::client::Client;

/// Why a tag can't be resolved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The registry can't be asked for the tag.
    #[error("cannot look up {tag}")]
    Lookup {
        /// The tag, with its repository.
        tag: TagRef,
        /// The error of the registry request.
        source: Box<RegistryError>,
    },
    /// The registry doesn't have the tag.
    #[error("{tag} is not in the registry: there is no such tag")]
    Absent {
        /// The tag, with its repository.
        tag: TagRef,
        /// The error of the registry request.
        source: Box<RegistryError>,
    },
    /// The tag doesn't name an image manifest or index.
    #[error("{tag} is not an image manifest or index")]
    NotAManifest {
        /// The tag, with its repository.
        tag: TagRef,
    },
}

explain! { ResolveError,
    Self::Lookup { source, .. } => [of source.as_ref()],
    Self::Absent { source, .. } if source.is_page() => [of source.as_ref(), exit Failed],
    Self::Absent { source, .. } => ["tag-absent", Failed,
        "check the name and the tag, and push the image before the signing step; better, give NAME@sha256:… as the push reported it",
        used source.used()],
    Self::NotAManifest { .. } => ["tag-not-a-manifest", Failed, "check which tag the build pushed"],
}

/// Resolves each of `tags`, in their order, with up to `jobs` requests at a time.
///
/// All tags are tried, even after a failure. The digest is computed from the received bytes; a different digest in the response is an error.
pub async fn resolve(
    client: &Client,
    tags: impl IntoIterator<Item = TagRef>,
    jobs: usize,
) -> Vec<Result<ImageRef, ResolveError>> {
    stream::iter(tags).map(|tag| one(client, tag)).buffered(jobs.max(1)).collect().await
}

async fn one(client: &Client, tag: TagRef) -> Result<ImageRef, ResolveError> {
    let found = client.subject(&tag.repository, &Target::Tag(tag.tag.clone())).await;
    match found {
        Ok(manifest) if is_manifest(&manifest.bytes) => {
            Ok(ImageRef { repository: tag.repository, digest: manifest.digest })
        }
        Ok(_) => Err(ResolveError::NotAManifest { tag }),
        Err(source) if source.is_absence() => Err(ResolveError::Absent { tag, source: Box::new(source) }),
        Err(source) => Err(ResolveError::Lookup { tag, source: Box::new(source) }),
    }
}
