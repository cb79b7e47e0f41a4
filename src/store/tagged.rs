//! Writing a list of descriptors under a tag that others write too.

use std::pin::pin;
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

/// How long a write waits for the read before it to be answered.
const HEAD_START: Duration = Duration::from_millis(4);

/// A tag that holds a list of signatures.
pub(super) struct Tag<'a> {
    pub(super) client: &'a Client,
    pub(super) repository: &'a Repository,
    pub(super) name: String,
    /// What the list is about.
    pub(super) subject: &'a Digest,
    /// The manifest's field with the list: `layers` or `manifests`.
    pub(super) field: &'static str,
    /// Whether a write always waits for the read before it: what it replaces may be deleted, and then can't be written again.
    pub(super) reads_first: bool,
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
    /// What was read just now isn't read again. Otherwise:
    ///
    /// A registry can't compare and swap, so the read goes right before the write. Over a slow network they
    /// leave together, the read a little earlier: the registry answers it, then carries out the write,
    /// whatever the latency. What such a write replaced is then known, and can be written again: where the registry is known
    /// to keep it.
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
        let ours = Digest::of(&bytes);
        let target = Target::Tag(self.name.clone());
        let begun = Instant::now();
        if merged.read_at.is_some_and(|at| self.is_fresh(at)) {
            self.put(image, &target, media_type, bytes).await?;
            return Ok(Written::Alone { took: begun.elapsed() });
        }
        let mut read = pin!(self.read());
        let early = match self.reads_first {
            true => Some((&mut read).await),
            false => tokio::time::timeout(HEAD_START, &mut read).await.ok(),
        };
        if let Some(before) = early {
            let before = before?;
            if before.version != merged.version {
                return Ok(Written::Met(before));
            }
            let begun = Instant::now();
            self.put(image, &target, media_type, bytes).await?;
            return Ok(Written::Alone { took: begun.elapsed() });
        }
        let (before, put) = tokio::join!(biased; read, self.put(image, &target, media_type, bytes));
        put?;
        let took = begun.elapsed();
        Ok(match before {
            Ok(before) if before.version != merged.version && before.version.as_ref() != Some(&ours) => {
                Written::Met(before)
            }
            _ => Written::Alone { took },
        })
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
        read_at.elapsed() < HEAD_START && self.client.is_near()
    }
}
