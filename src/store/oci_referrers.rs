//! OCI 1.1 referrers: one manifest a signature, which names the image as its subject.
//!
//! Where the registry has the referrers API, it keeps the list itself, and no two writers can lose each
//! other's entry. Where it hasn't, or doesn't take note of a manifest's subject, the list is an index under the tag `sha256-HEX`,
//! written as the `.sig` tags are: read, merge, write, read back (`referrer_lists.rs`).
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::bundle::{self, Stored};
use super::memory::Memory;
use super::reader::{Entries, Fetched, MAX_SIGNATURE_BUNDLE_BYTES, Places, Reader, Wanted};
use super::referrer_lists::ReferrerLists;
use super::shelf::{Entry, Shelf};
use super::tagged::Tag;
use super::uploads::Uploads;
use super::wanted;
use super::{Depth, Judge, Own, Signed, Step, Store, StoreError, Subject, Written};
use crate::payload::{Payload, cosign_statement};
use crate::registry::client::Client;
use crate::registry::{ImageRef, RegistryError, Repository};

const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// The store `oci` with the encoding `sigstore-bundle`.
pub struct OciReferrers {
    client: Client,
    /// Another repository than the image's own.
    repository: Option<Repository>,
    /// The time that manifests carry.
    created: Option<SystemTime>,
    memory: Memory,
    uploads: Uploads,
    lists: ReferrerLists,
}

impl OciReferrers {
    /// Keeps signatures in each image's repository, or in `repository`.
    pub fn new(client: Client, repository: Option<Repository>, created: Option<SystemTime>) -> Self {
        let (uploads, memory, lists) =
            (Uploads::new(client.clone()), Memory::default(), ReferrerLists::default());
        Self { client, repository, created, memory, uploads, lists }
    }

    fn repository<'a>(&'a self, image: &'a ImageRef) -> &'a Repository {
        self.repository.as_ref().unwrap_or(&image.repository)
    }

    fn tag<'a>(&'a self, image: &'a ImageRef) -> Tag<'a> {
        Tag {
            client: &self.client,
            repository: self.repository(image),
            name: format!("sha256-{}", image.digest.hex()),
            subject: &image.digest,
            field: "manifests",
        }
    }

    /// Which entries of `shelf` are read.
    fn places(shelf: &Shelf, depth: Depth<'_>, reader: &Reader<'_>, judge: &dyn Judge) -> Places {
        let mut places = match depth {
            Depth::Of(all) => {
                let wanted = wanted::Wanted::of(all);
                let may_be = |entry: &Entry| {
                    entry.descriptor().is_some_and(|descriptor| {
                        reader.may_be_wanted(&descriptor)
                            && wanted.may_be(wanted::annotation(&descriptor, bundle::PREDICATE_ANNOTATION))
                    })
                };
                let at_a_time = wanted::at_a_time(wanted.limit_bytes());
                Places { at: shelf.places(may_be), at_a_time, payloads: judge.payloads().to_vec() }
            }
            Depth::Only(own) => Places {
                at: shelf.places_of(own),
                at_a_time: 1,
                payloads: own.iter().map(|own| own.payload.clone()).collect(),
            },
        };
        places.at.truncate(wanted::MAX_READ);
        places
    }

    /// Uploads a bundle and its manifest; whether the registry took note of the subject.
    async fn put(&self, repository: &Repository, stored: &Stored) -> Result<bool, RegistryError> {
        self.uploads.blob(repository, stored.bundle.clone()).await?;
        self.uploads.manifest(repository, bundle::MANIFEST_TYPE, stored.manifest.clone()).await
    }
}

impl Store for OciReferrers {
    fn location(&self, image: &ImageRef) -> String {
        format!("{}@{} (referrers)", self.repository(image), image.digest)
    }

    fn read<'a>(&'a self, image: &'a ImageRef, depth: Depth<'a>, judge: &'a dyn Judge) -> Step<'a, Shelf> {
        Box::pin(async move {
            let (wanted, limit_bytes) = match depth {
                Depth::Of(all) => {
                    let limit_bytes = wanted::Wanted::of(all).limit_bytes().max(MAX_SIGNATURE_BUNDLE_BYTES);
                    (all.first().map(wanted_of), limit_bytes)
                }
                Depth::Only(own) => (own.first().map(|own| own.wanted), u64::MAX),
            };
            let reader = Reader {
                client: &self.client,
                repository: self.repository(image),
                image: &image.digest,
                wanted: wanted.unwrap_or(Wanted::Signatures),
                known: Vec::new(),
                memory: Some(&self.memory),
                limit_bytes,
                fetched: Fetched::default(),
            };
            let mut shelf = self.lists.read(&self.tag(image), &self.location(image), &reader).await?;
            let places = Self::places(&shelf, depth, &reader, judge);
            reader.judge(&mut shelf, Entries::Referrers, places, judge).await?;
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
            let (mut added, mut noted) = (Shelf::default(), true);
            for signed in signed {
                let stored = Stored::new(subject, signed, self.created)?;
                let put = self.put(self.repository(image), &stored).await;
                noted &= put.map_err(|source| StoreError::push(image, self.location(image), source))?;
                added.entries.push(Entry::of(&stored.referrer));
            }
            let tag = self.tag(image);
            let Some(shelf) = self.lists.to_replace(&tag, shelf, &added, noted).await? else {
                // The registry keeps the list itself: nothing lies between a read and a write.
                return Ok(Written::Alone { took: Duration::ZERO });
            };
            let mut merged = shelf.clone();
            merged.absorb(&added);
            let merged = merged.with_room(&self.location(image))?;
            let bytes = merged.to_bytes("manifests", INDEX_TYPE, None)?;
            tag.replace(image, &shelf, INDEX_TYPE, bytes).await
        })
    }

    fn own(&self, subject: &Subject, signed: &[Signed]) -> Result<Vec<Own>, StoreError> {
        let own = |signed: &Signed| {
            Ok(Own {
                descriptor: Stored::new(subject, signed, self.created)?.referrer,
                payload: signed.payload.digest(),
                wanted: wanted_of(&signed.payload),
            })
        };
        signed.iter().map(own).collect()
    }
}

/// What a bundle with this payload is.
fn wanted_of(payload: &Payload) -> Wanted {
    if wanted::predicate_type(payload) == cosign_statement::PREDICATE_TYPE {
        Wanted::Signatures
    } else {
        Wanted::Attestations
    }
}
