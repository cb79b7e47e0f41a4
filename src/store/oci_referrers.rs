//! OCI 1.1 referrers: one manifest a signature, which names the image as its subject.
//!
//! Where the registry has the referrers API, it keeps the list itself, and no two writers can lose each
//! other's entry. Where it hasn't, the list is an index under the tag `sha256-HEX`, written as the `.sig`
//! tags are: read, merge, write, read back.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::bundle::{self, Stored};
use super::shelf::{Entry, Shelf};
use super::tagged::Tag;
use super::{Depth, Kept, Signed, Step, Store, StoreError, Subject, Written};
use crate::payload::Payload;
use crate::registry::client::{Client, Target, may_be};
use crate::registry::{Digest, ImageRef, RegistryError, Repository};

const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// A bundle with a log entry, a certificate and a timestamp has about 10 KiB, one with an attestation more.
const MAX_BUNDLE_BYTES: u64 = 4 * 1024 * 1024;
/// How many signatures of others are read to see whether ours is among them; the newest come last.
const MAX_READ: usize = 64;
/// How many of them are read at a time.
const AT_A_TIME: usize = 8;

/// The store `oci` with the encoding `sigstore-bundle`.
pub struct OciReferrers {
    client: Client,
    /// Another repository than the image's own.
    repository: Option<Repository>,
    /// The time that manifests carry.
    created: Option<SystemTime>,
    /// Signatures that were read in this run: what a digest names doesn't change.
    read: Mutex<HashMap<(Repository, Digest), Option<Kept>>>,
    /// Repositories that hold the empty config.
    prepared: Mutex<Vec<Repository>>,
    /// Bundles that this run has pushed. Once is enough, and a file-backed registry that writes a manifest's link
    /// anew can't find it at that moment, when another signer lists it.
    pushed: Mutex<HashSet<(Repository, Digest)>>,
}

impl OciReferrers {
    /// Keeps signatures in each image's repository, or in `repository`.
    pub fn new(client: Client, repository: Option<Repository>, created: Option<SystemTime>) -> Self {
        Self {
            client,
            repository,
            created,
            read: Mutex::default(),
            prepared: Mutex::default(),
            pushed: Mutex::default(),
        }
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
        StoreError::Read { location: self.location(image), source: Box::new(source) }
    }

    fn push_error(&self, image: &ImageRef, source: RegistryError) -> StoreError {
        let location = self.location(image);
        StoreError::Push { image: image.to_string(), location, source: Box::new(source) }
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
    async fn kept(&self, image: &ImageRef, digest: Digest) -> Result<Option<Kept>, StoreError> {
        let repository = self.repository(image);
        let key = (repository.clone(), digest);
        if let Some(kept) = self.read.lock().ok().and_then(|read| read.get(&key).cloned()) {
            return Ok(kept);
        }
        let kept = self.fetch(repository, &key.1).await.map_err(|source| self.read_error(image, source))?;
        if let Ok(mut read) = self.read.lock() {
            read.insert(key, kept.clone());
        }
        Ok(kept)
    }

    async fn fetch(&self, repository: &Repository, digest: &Digest) -> Result<Option<Kept>, RegistryError> {
        let target = Target::Digest(digest.clone());
        let Some(manifest) = self.client.manifest(repository, &target).await? else { return Ok(None) };
        let Some(layer) = layer(&manifest.bytes) else { return Ok(None) };
        let blob = self.client.blob(repository, &layer, MAX_BUNDLE_BYTES).await?;
        Ok(blob.and_then(|bytes| bundle::read(&bytes)))
    }

    async fn put(&self, subject: &Subject, stored: &Stored) -> Result<(), StoreError> {
        let image = &subject.image;
        let repository = self.repository(image);
        let key = (repository.clone(), stored.digest.clone());
        if self.pushed.lock().is_ok_and(|pushed| pushed.contains(&key)) {
            return Ok(());
        }
        let bundle = self.client.put_blob(repository, stored.bundle.clone()).await;
        bundle.map_err(|source| self.push_error(image, source))?;
        let target = Target::Digest(stored.digest.clone());
        let bytes = stored.manifest.clone();
        let manifest = self.client.put_manifest(repository, &target, bundle::MANIFEST_TYPE, bytes).await;
        manifest.map_err(|source| self.push_error(image, source))?;
        if let Ok(mut pushed) = self.pushed.lock() {
            pushed.insert(key);
        }
        Ok(())
    }
}

impl Store for OciReferrers {
    fn name(&self) -> &'static str {
        "oci"
    }

    fn location(&self, image: &ImageRef) -> String {
        format!("{}@{} (referrers)", self.repository(image), image.digest)
    }

    fn read<'a>(&'a self, image: &'a ImageRef, depth: Depth<'a>) -> Step<'a, Shelf> {
        Box::pin(async move {
            let mut shelf = self.list(image).await?;
            let wanted = |entry: &Entry| {
                entry.digest().filter(|digest| match depth {
                    Depth::All => may_be(&entry.descriptor, bundle::MEDIA_TYPE),
                    Depth::Only(places) => places.contains(digest),
                })
            };
            let places: Vec<(usize, Digest)> = shelf
                .entries
                .iter()
                .enumerate()
                .rev()
                .filter_map(|(at, entry)| Some((at, wanted(entry)?)))
                .take(MAX_READ)
                .collect();
            let reads = futures_util::stream::iter(places)
                .map(|(at, digest)| async move { (at, self.kept(image, digest).await) })
                .buffer_unordered(AT_A_TIME);
            let reads: Vec<_> = reads.collect().await;
            for (at, kept) in reads {
                if let Some(entry) = shelf.entries.get_mut(at) {
                    entry.kept = kept?;
                }
            }
            Ok(shelf)
        })
    }

    fn prepare<'a>(&'a self, _: &'a Shelf, image: &'a ImageRef, _: &'a [Payload]) -> Step<'a, ()> {
        Box::pin(async move {
            let repository = self.repository(image);
            if self.prepared.lock().is_ok_and(|prepared| prepared.contains(repository)) {
                return Ok(());
            }
            let empty = self.client.put_blob(repository, Bytes::from_static(bundle::EMPTY)).await;
            empty.map_err(|source| self.push_error(image, source))?;
            if let Ok(mut prepared) = self.prepared.lock() {
                prepared.push(repository.clone());
            }
            Ok(())
        })
    }

    fn write<'a>(
        &'a self,
        shelf: &'a Shelf,
        subject: &'a Subject,
        signed: &'a [Signed],
    ) -> Step<'a, Written> {
        Box::pin(async move {
            let begun = Instant::now();
            let mut added = Shelf::default();
            for signed in signed {
                let stored = Stored::new(subject, signed, self.created)?;
                self.put(subject, &stored).await?;
                added.entries.push(Entry { descriptor: stored.referrer, kept: None });
            }
            if shelf.listed {
                return Ok(Written::Alone { took: begun.elapsed() });
            }
            let mut merged = shelf.clone();
            merged.absorb(&added);
            let bytes = merged.to_bytes("manifests", INDEX_TYPE, None)?;
            self.tag(&subject.image).replace(&subject.image, shelf, INDEX_TYPE, bytes).await
        })
    }

    fn places(&self, subject: &Subject, signed: &[Signed]) -> Vec<Digest> {
        signed
            .iter()
            .filter_map(|signed| Some(Stored::new(subject, signed, self.created).ok()?.digest))
            .collect()
    }
}

/// The digest of the one layer of a bundle's manifest; `None`: it is the manifest of something else.
fn layer(manifest: &[u8]) -> Option<Digest> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    match manifest.get("layers")?.as_array()?.as_slice() {
        // Another artifact's layer may be anything, and of any size.
        [layer] if layer.get("mediaType")?.as_str()? == bundle::MEDIA_TYPE => {
            layer.get("digest")?.as_str()?.parse().ok()
        }
        _ => None,
    }
}
