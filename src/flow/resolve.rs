//! What tags name now: each is looked up once, before anything is signed.
//!
//! What is signed is the digest that the registry's answer hashes to. The tag can be moved a moment later, or was moved since the build:
//! nothing here can know that, and the caller says so.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests>

use futures_util::{StreamExt as _, stream};

use super::is_manifest;
use crate::explain::explain;
use crate::oci::{ImageRef, TagRef, Target};
use crate::registry::RegistryError;
use crate::registry::client::Client;

/// Why a tag names no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The tag can't be looked up.
    #[error("cannot look up {tag}")]
    Lookup {
        /// The tag, with its repository.
        tag: TagRef,
        /// What the registry said.
        source: Box<RegistryError>,
    },
    /// The registry has no such tag.
    #[error("{tag} is not in the registry: the tag names nothing")]
    Absent {
        /// The tag, with its repository.
        tag: TagRef,
        /// What the registry said.
        source: Box<RegistryError>,
    },
    /// What the registry has under it can't be signed as an image.
    #[error("what the registry holds as {tag} is not an image manifest or index")]
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

/// The image that each of `tags` names now, in their order; `jobs` are looked up at a time.
///
/// One tag's failure doesn't hide the others'. The digest is that of the bytes that came: a registry that announces another is an error.
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
