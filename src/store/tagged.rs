//! Writing a list of descriptors under a tag that others write too.

use std::time::Instant;

use bytes::Bytes;

use super::shelf::Shelf;
use super::{StoreError, Written};
use crate::registry::client::{Client, Target};
use crate::registry::{Digest, ImageRef, Repository};

/// Registries take manifests of 4 MiB at least, and most take no more.
///
/// Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests>
const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// A tag that holds a list of signatures.
pub(super) struct Tag<'a> {
    pub(super) client: &'a Client,
    pub(super) repository: &'a Repository,
    pub(super) name: String,
    /// The manifest's field with the list: `layers` or `manifests`.
    pub(super) field: &'static str,
}

impl Tag<'_> {
    pub(super) fn location(&self) -> String {
        format!("{}:{}", self.repository, self.name)
    }

    /// Reads the list; an absent tag is an empty one.
    pub(super) async fn read(&self) -> Result<Shelf, StoreError> {
        let target = Target::Tag(self.name.clone());
        let manifest = self.client.manifest(self.repository, &target).await;
        let manifest = manifest
            .map_err(|source| StoreError::Read { location: self.location(), source: Box::new(source) })?;
        manifest.map_or_else(
            || Ok(Shelf::default()),
            |manifest| Shelf::of(&manifest, self.field, &self.location()),
        )
    }

    /// Puts `bytes`, and reads what was there at that moment.
    ///
    /// Both requests leave together, the read first. So the registry answers the read right before it
    /// carries out the write, whatever the network's latency, and what the write replaced is known: a
    /// signature that another signer wrote since `merged` was read is found here, and written again.
    pub(super) async fn replace(
        &self,
        image: &ImageRef,
        merged: &Shelf,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<Written, StoreError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(StoreError::Full { location: self.location(), size: bytes.len() });
        }
        let ours = Digest::of(&bytes);
        let target = Target::Tag(self.name.clone());
        let begun = Instant::now();
        let write = self.client.put_manifest(self.repository, &target, media_type, Bytes::from(bytes));
        let (before, written) = tokio::join!(biased; self.read(), write);
        let took = begun.elapsed();
        written.map_err(|source| StoreError::Push {
            image: image.to_string(),
            location: self.location(),
            source: Box::new(source),
        })?;
        let (overwrote, contended) = match before {
            Ok(before) if before.version == merged.version => (None, false),
            // The read came too late, or failed: what was replaced is not known.
            Ok(before) if before.version.as_ref() == Some(&ours) => (None, true),
            Err(_) => (None, true),
            Ok(before) => (Some(before), true),
        };
        Ok(Written { overwrote, contended, took })
    }
}
