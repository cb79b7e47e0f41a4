//! OCI 1.1 referrers: one manifest a signature, which names the image as its subject.
//!
//! Where the registry has the referrers API, it keeps the list itself, and no two writers can lose each
//! other's entry. Where it hasn't, the list is an index under the tag `sha256-HEX`, written as the `.sig`
//! tags are: read, merge, write, read back.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::bundle::{self, Stored};
use super::shelf::{Entry, Shelf};
use super::tagged::Tag;
use super::uploads::Uploads;
use super::wanted::{self, Wanted};
use super::{Depth, Kept, Signed, Step, Store, StoreError, Subject, Written};
use crate::payload::{Payload, dsse};
use crate::registry::client::{Client, Target, may_be};
use crate::registry::{Digest, ImageRef, RegistryError, Repository};

const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// The store `oci` with the encoding `sigstore-bundle`.
pub struct OciReferrers {
    client: Client,
    /// Another repository than the image's own.
    repository: Option<Repository>,
    /// The time that manifests carry.
    created: Option<SystemTime>,
    /// Signatures that were read in this run: what a digest names doesn't change.
    read: Mutex<HashMap<(Repository, Digest), Option<Kept>>>,
    uploads: Uploads,
}

impl OciReferrers {
    /// Keeps signatures in each image's repository, or in `repository`.
    pub fn new(client: Client, repository: Option<Repository>, created: Option<SystemTime>) -> Self {
        Self { uploads: Uploads::new(client.clone()), client, repository, created, read: Mutex::default() }
    }

    fn repository<'a>(&'a self, image: &'a ImageRef) -> &'a Repository {
        self.repository.as_ref().unwrap_or(&image.repository)
    }

    fn tag<'a>(&'a self, image: &'a ImageRef) -> Tag<'a> {
        Tag {
            client: &self.client,
            repository: self.repository(image),
            name: format!("sha256-{}", image.digest.hex()),
            field: "manifests",
        }
    }

    fn read_error(&self, image: &ImageRef, source: RegistryError) -> StoreError {
        StoreError::read(self.location(image), source)
    }

    /// The list of referrers, from the API or from the fallback tag.
    async fn list(&self, image: &ImageRef) -> Result<Shelf, StoreError> {
        let repository = self.repository(image);
        let listed = self.client.referrers(repository, &image.digest, bundle::MEDIA_TYPE).await;
        match listed.map_err(|source| self.read_error(image, source))? {
            Some(descriptors) => {
                let entries = descriptors.into_iter().map(|descriptor| Entry { descriptor, kept: None });
                Ok(Shelf { entries: entries.collect(), listed: true, ..Shelf::default() })
            }
            None => self.tag(image).read().await,
        }
    }

    /// The signature in the manifest `digest`; `None`: it is something else.
    async fn kept(
        &self,
        image: &ImageRef,
        digest: Digest,
        limit_bytes: u64,
    ) -> Result<Option<Kept>, StoreError> {
        let repository = self.repository(image);
        let key = (repository.clone(), digest);
        if let Some(kept) = self.read.lock().ok().and_then(|read| read.get(&key).cloned()) {
            return Ok(kept);
        }
        let fetched = self.fetch(repository, &key.1, limit_bytes).await;
        // What isn't there may only not be there yet.
        let Some(kept) = fetched.map_err(|source| self.read_error(image, source))? else { return Ok(None) };
        if let Ok(mut read) = self.read.lock() {
            read.insert(key, kept.clone());
        }
        Ok(kept)
    }

    /// The same from the registry; the outer `None`: the manifest, or its layer, isn't there.
    async fn fetch(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit_bytes: u64,
    ) -> Result<Option<Option<Kept>>, RegistryError> {
        let target = Target::Digest(digest.clone());
        let Some(manifest) = self.client.manifest(repository, &target).await? else { return Ok(None) };
        let Some(layer) = layer(&manifest.bytes, limit_bytes) else { return Ok(Some(None)) };
        let Some(blob) = self.client.blob(repository, &layer, limit_bytes).await? else { return Ok(None) };
        let mut kept = bundle::read(&blob);
        if let Some(kept) = &mut kept {
            // Only of cosign's image signatures, which are small, the bytes matter beyond their digest.
            kept.bytes = kept.bytes.take().filter(|bytes| bytes.len() as u64 <= wanted::MAX_AROUND_BYTES);
        }
        Ok(Some(kept))
    }

    async fn put(&self, repository: &Repository, stored: &Stored) -> Result<(), RegistryError> {
        self.uploads.blob(repository, stored.bundle.clone()).await?;
        self.uploads.manifest(repository, bundle::MANIFEST_TYPE, stored.manifest.clone()).await
    }
}

impl Store for OciReferrers {
    fn location(&self, image: &ImageRef) -> String {
        format!("{}@{} (referrers)", self.repository(image), image.digest)
    }

    fn read<'a>(&'a self, image: &'a ImageRef, depth: Depth<'a>) -> Step<'a, Shelf> {
        Box::pin(async move {
            let mut shelf = self.list(image).await?;
            let (payloads, limit_bytes) = match depth {
                Depth::Of(payloads) => {
                    let wanted = Wanted::of(payloads);
                    let limit_bytes = wanted.limit_bytes();
                    (Some(wanted), limit_bytes)
                }
                // Of what is looked at without knowing what for, only image signatures are small enough to matter.
                Depth::All => (None, wanted::MAX_AROUND_BYTES),
                Depth::Only(_) => (None, dsse::MAX_BYTES),
            };
            let said = |entry: &Entry| may_be(&entry.descriptor, bundle::MEDIA_TYPE);
            let wanted = |entry: &Entry| {
                entry.digest().filter(|digest| match depth {
                    Depth::All => said(entry),
                    Depth::Of(_) => {
                        let predicate = wanted::annotation(&entry.descriptor, bundle::PREDICATE_ANNOTATION);
                        said(entry) && payloads.as_ref().is_some_and(|wanted| wanted.may_be(predicate))
                    }
                    Depth::Only(places) => places.contains(digest),
                })
            };
            let places: Vec<(usize, Digest)> = shelf
                .entries
                .iter()
                .enumerate()
                .rev()
                .filter_map(|(at, entry)| Some((at, wanted(entry)?)))
                .take(wanted::MAX_READ)
                .collect();
            let reads = futures_util::stream::iter(places)
                .map(|(at, digest)| async move { (at, self.kept(image, digest, limit_bytes).await) })
                .buffer_unordered(wanted::at_a_time(limit_bytes));
            let reads: Vec<_> = reads.collect().await;
            for (at, kept) in reads {
                let kept = match kept {
                    // What somebody else put there, and is broken, is no signature; ours must be read.
                    Err(error) if !matches!(depth, Depth::Only(_)) && error.is_bad_content() => None,
                    kept => kept?,
                };
                if let Some(entry) = shelf.entries.get_mut(at) {
                    entry.kept = kept;
                }
            }
            Ok(shelf)
        })
    }

    fn prepare<'a>(&'a self, _: &'a Shelf, image: &'a ImageRef, _: &'a [Payload]) -> Step<'a, ()> {
        Box::pin(async move {
            let repository = self.repository(image);
            let empty = self.uploads.blob(repository, Bytes::from_static(bundle::EMPTY)).await;
            empty.map_err(|source| StoreError::push(image, self.location(image), source))
        })
    }

    fn write<'a>(
        &'a self,
        shelf: &'a Shelf,
        subject: &'a Subject,
        signed: &'a [Signed],
    ) -> Step<'a, Written> {
        Box::pin(async move {
            let image = &subject.image;
            let mut added = Shelf::default();
            for signed in signed {
                let stored = Stored::new(subject, signed, self.created)?;
                let put = self.put(self.repository(image), &stored).await;
                put.map_err(|source| StoreError::push(image, self.location(image), source))?;
                added.entries.push(Entry { descriptor: stored.referrer, kept: None });
            }
            if shelf.listed {
                // The registry keeps the list itself: nothing lies between a read and a write.
                return Ok(Written::Alone { took: Duration::ZERO });
            }
            let mut merged = shelf.clone();
            merged.absorb(&added);
            let bytes = merged.to_bytes("manifests", INDEX_TYPE, None)?;
            self.tag(image).replace(image, shelf, INDEX_TYPE, bytes).await
        })
    }

    fn places(&self, subject: &Subject, signed: &[Signed]) -> Vec<Digest> {
        signed
            .iter()
            .filter_map(|signed| Some(Stored::new(subject, signed, self.created).ok()?.digest))
            .collect()
    }
}

/// The digest of the one layer of a signature's manifest; `None`: it is the manifest of something else.
fn layer(manifest: &[u8], limit_bytes: u64) -> Option<Digest> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    match manifest.get("layers")?.as_array()?.as_slice() {
        // Another artifact's layer may be anything, and of any size.
        [layer] if layer.get("mediaType")?.as_str()? == bundle::MEDIA_TYPE => {
            let small = layer.get("size")?.as_u64()? <= limit_bytes;
            small.then_some(layer.get("digest")?.as_str()?.parse().ok()?)
        }
        _ => None,
    }
}
