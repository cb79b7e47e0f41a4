//! Writing a list of descriptors under a tag that others write too.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::shelf::Shelf;
use super::{StoreError, Written};
use crate::registry::client::{Client, Target};
use crate::registry::{Digest, ImageRef, Repository};

/// Registries take manifests of 4 MiB at least, and most take no more.
///
/// Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests>
const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// How old a list may be that is written without being read again.
const FRESH: Duration = Duration::from_millis(4);

/// A tag that holds a list of signatures.
pub(super) struct Tag<'a> {
    pub(super) client: &'a Client,
    pub(super) repository: &'a Repository,
    pub(super) name: String,
    /// What the list is about.
    pub(super) subject: &'a Digest,
    /// The manifest's field with the list: `layers` or `manifests`.
    pub(super) field: &'static str,
}

impl Tag<'_> {
    pub(super) fn location(&self) -> String {
        format!("{}:{}", self.repository, self.name)
    }

    /// Reads the list; an absent tag is an empty one.
    pub(super) async fn read(&self) -> Result<Shelf, StoreError> {
        // What an answer says may be as old as the question.
        let asked = Instant::now();
        let manifest = self.client.list(self.repository, &self.name, self.subject).await;
        let manifest = manifest.map_err(|source| StoreError::read(self.location(), source))?;
        let shelf = manifest.map(|manifest| Shelf::of(&manifest, self.field, &self.location()));
        Ok(Shelf { read_at: Some(asked), ..shelf.transpose()?.unwrap_or_default() })
    }

    /// Puts `bytes`, unless what was there has changed since `merged` was read.
    ///
    /// What was read just now isn't read again. Otherwise it is, and the write waits for the answer, however often it takes: a registry can't compare
    /// and swap, so what lies there has to be known right before. A write beside a read that then failed, or was sent again after it,
    /// would replace what another signer wrote, and nobody would know.
    pub(super) async fn replace(
        &self,
        image: &ImageRef,
        merged: &Shelf,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Written, StoreError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(StoreError::Full { location: self.location(), size: bytes.len() });
        }
        let target = Target::Tag(self.name.clone());
        let begun = Instant::now();
        if merged.read_at.is_some_and(|at| self.is_fresh(at)) {
            self.put(image, &target, media_type, bytes).await?;
            return Ok(Written::Alone { took: begun.elapsed() });
        }
        let before = self.read().await?;
        if before.version != merged.version {
            return Ok(Written::Met(before));
        }
        let begun = Instant::now();
        self.put(image, &target, media_type, bytes).await?;
        Ok(Written::Alone { took: begun.elapsed() })
    }

    async fn put(
        &self,
        image: &ImageRef,
        target: &Target,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<(), StoreError> {
        let put = self.client.put_manifest(self.repository, target, media_type, bytes).await;
        put.map(|_| ()).map_err(|source| StoreError::push(image, self.location(), source))
    }

    /// Whether a list was read just now, and from nearby: nothing lies between that and a write.
    fn is_fresh(&self, read_at: Instant) -> bool {
        read_at.elapsed() < FRESH && self.client.is_near()
    }
}
