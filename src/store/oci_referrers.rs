//! OCI 1.1 referrers: one manifest a signature, which names the image as its subject.
//!
//! Where the registry has the referrers API, it keeps the list itself, and no two writers can lose each
//! other's entry. Where it hasn't, or doesn't take note of a manifest's subject, the list is an index under the tag `sha256-HEX`,
//! written as the `.sig` tags are: read, merge, write, read back (`referrer_lists.rs`).
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use super::bundle::{self, Stored};
use super::memory::Memory;
use super::parts::{self, AT_A_TIME, Content, Mended, Name, Part, Parts};
use super::reader::{Entries, Fetched, MAX_SIGNATURE_BUNDLE_BYTES, Places, Reader, Wanted};
use super::referrer_lists::ReferrerLists;
use super::shelf::{Entry, Shelf};
use super::tagged::Tag;
use super::uploads::Uploads;
use super::{
    Depth, Own, SignatureList, Signed, Step, Store, StoreError, Subject, Turn, Written, oci, wanted,
};
use crate::formats::{Payload, cosign_statement};
use crate::found::EntryJudge;
use crate::oci::{Digest, ImageRef, Repository, Target};
use crate::place::{Encoding, StoreKind};
use crate::registry::client::Client;

/// The pauses before a bundle is pushed again that was refused as one whose subject is absent.
const SUBJECT_PAUSES_MS: [u64; 4] = [100, 400, 1000, 2000];

pub(super) const INDEX_TYPE: &str = crate::oci::media_type::OCI_INDEX;

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
    parts: Parts,
}

impl OciReferrers {
    /// Keeps signatures in each image's repository, or in `repository`.
    pub fn new(client: Client, repository: Option<Repository>, created: Option<SystemTime>) -> Self {
        let (uploads, parts) = (Uploads::new(client.clone()), Parts::new(client.clone()));
        let (memory, lists) = (Memory::default(), ReferrerLists::default());
        Self { client, repository, created, memory, uploads, lists, parts }
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
    fn places(shelf: &Shelf, depth: Depth<'_>, reader: &Reader<'_>, judge: &dyn EntryJudge) -> Places {
        let mut places = match depth {
            // `--replace` is for tags alone.
            Depth::Of(all) | Depth::Types(all) => {
                let wanted = wanted::Wanted::of(all);
                let may_be = |entry: &Entry| {
                    entry.descriptor().is_some_and(|descriptor| {
                        reader.may_be_wanted(&descriptor)
                            && wanted.may_be(wanted::annotation(&descriptor, bundle::PREDICATE_ANNOTATION))
                    })
                };
                let at_a_time = wanted::at_a_time(wanted.limit_bytes());
                Places {
                    at: shelf.places(may_be),
                    at_a_time,
                    payloads: judge.payloads().to_vec(),
                    all: false,
                }
            }
            Depth::Only(own) => Places {
                at: shelf.places_of(own),
                at_a_time: 1,
                payloads: own.iter().map(|own| own.payload.clone()).collect(),
                all: false,
            },
        };
        places.at.truncate(wanted::MAX_READ);
        places
    }

    fn stored(&self, subject: &Subject, signed: &[Signed]) -> Result<Vec<Stored>, StoreError> {
        signed.iter().map(|signed| Stored::new(subject, signed, self.created)).collect()
    }

    /// Uploads a bundle and its manifest; again, if the registry has lost a blob since. Whether the registry took note of the subject.
    async fn put(&self, image: &ImageRef, stored: &Stored) -> Result<bool, StoreError> {
        let repository = self.repository(image);
        let failed = |source| StoreError::push(image, self.location(image), source);
        self.uploads.blob(repository, stored.bundle.clone()).await.map_err(failed)?;
        let put = || async {
            let manifest = stored.manifest.clone();
            self.uploads.manifest(repository, bundle::MANIFEST_TYPE, manifest).await.map_err(failed)
        };
        let mut refusal = match put().await {
            Err(error) if error.may_lack_parts() => error,
            done => return done,
        };
        let blob = |blob: Content| Part { entry: None, content: blob, blobs: Vec::new() };
        let blobs = own_blobs(stored).map(blob).into();
        let mended = self.parts.mend(repository, blobs).await.map_err(failed)?;
        if mended.put_back {
            return put().await;
        }
        if !refusal.lacks_something() || !self.is_without_subject(image).await {
            return Err(refusal);
        }
        // Another signer's upload of the same blobs gives the same answer for a moment.
        for pause in SUBJECT_PAUSES_MS.map(Duration::from_millis) {
            tokio::time::sleep(pause).await;
            refusal = match put().await {
                Err(error) if error.lacks_something() => error,
                done => return done,
            };
        }
        Err(refusal.for_absent_subject())
    }

    /// Whether the signatures are kept in another repository, which doesn't hold the image.
    async fn is_without_subject(&self, image: &ImageRef) -> bool {
        let repository = self.repository(image);
        let subject = Target::Digest(image.digest.clone());
        *repository != image.repository
            && self.client.manifest(repository, &subject).await.is_ok_and(|held| held.is_none())
    }

    /// What `list` names, with its bytes where they are known: those of `own`, and what was read.
    fn parts_of(&self, repository: &Repository, list: &Shelf, own: &[Stored]) -> Vec<Part> {
        let own: HashMap<Digest, &Stored> =
            own.iter().map(|stored| (Digest::of(&stored.manifest), stored)).collect();
        let known = |digest: &Digest| match *digest == Digest::of(bundle::EMPTY) {
            true => Some(Bytes::from_static(bundle::EMPTY)),
            false => self.memory.find(repository, digest),
        };
        let part = |entry: &Entry| {
            let (name, digest) = manifest_name(entry)?;
            let (bytes, blobs) = match own.get(&digest) {
                Some(stored) => (Some(stored.manifest.clone()), own_blobs(stored).into()),
                None => {
                    let bytes = known(&digest);
                    let blobs = parts::blobs_of(bytes.as_deref().unwrap_or_default());
                    let blob = |(digest, _): (Digest, u64)| {
                        let bytes = known(&digest);
                        Content::blob(digest, bytes)
                    };
                    (bytes, blobs.into_iter().map(blob).collect())
                }
            };
            Some(Part { entry: Some(entry.clone()), content: Content { name, bytes }, blobs })
        };
        list.entries.iter().filter_map(part).collect()
    }

    /// Reads what others' entries name, as far as there is room to keep it: it may have to be put back.
    async fn keep(&self, repository: &Repository, shelf: &Shelf) {
        let read = |entry: &Entry| {
            let manifest = manifest_name(entry).zip(parts::named(entry));
            async move {
                let Some(((name, _), (_, size))) = manifest else { return };
                let manifest = self.memory.read(&self.client, repository, &name, size).await;
                for (digest, size) in parts::blobs_of(&manifest.unwrap_or_default()) {
                    self.memory.read(&self.client, repository, &Name::Blob(digest), size).await;
                }
            }
        };
        stream::iter(shelf.entries.iter().map(read)).for_each_concurrent(AT_A_TIME, |read| read).await;
    }
}

impl Store for OciReferrers {
    fn kind(&self) -> StoreKind {
        oci::MEMBER.kind
    }

    fn encoding(&self) -> Option<Encoding> {
        Some(Encoding::SigstoreBundle)
    }

    fn turn(&self) -> Turn<'_> {
        Turn::Image(self)
    }
}

impl SignatureList for OciReferrers {
    fn location(&self, image: &ImageRef) -> String {
        format!("{}@{} (referrers)", self.repository(image), image.digest)
    }

    fn repository<'a>(&'a self, image: &'a ImageRef) -> &'a Repository {
        self.repository.as_ref().unwrap_or(&image.repository)
    }

    fn read<'a>(
        &'a self,
        image: &'a ImageRef,
        depth: Depth<'a>,
        judge: &'a dyn EntryJudge,
    ) -> Step<'a, Shelf> {
        Box::pin(async move {
            let (wanted, limit_bytes) = match depth {
                Depth::Of(all) | Depth::Types(all) => {
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
            // The API's list may be late, or leave out what the fallback tag has listed since before there was the API.
            let is_enough = judge.payloads().iter().all(|payload| shelf.counts(payload));
            if matches!(depth, Depth::Of(_) | Depth::Types(_)) && shelf.read_at.is_none() && !is_enough {
                let by_api = shelf;
                shelf = self.lists.with_tag(&self.tag(image), &by_api).await?;
                let mut places = Self::places(&shelf, depth, &reader, judge);
                places.at.retain(|(at, _)| shelf.is_unread_at(*at));
                places.payloads.retain(|payload| !shelf.counts(payload));
                reader.judge(&mut shelf, Entries::Referrers, places, judge).await?;
            }
            if shelf.read_at.is_some() && self.parts.are_at_risk(reader.repository) {
                self.keep(reader.repository, &shelf).await;
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
            let own = self.stored(subject, signed)?;
            let (mut added, mut noted) = (Shelf::default(), true);
            for stored in &own {
                noted &= self.put(image, stored).await?;
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
            let bytes = Bytes::from(merged.to_bytes("manifests", INDEX_TYPE, None)?);
            let failed = |source| StoreError::push(image, self.location(image), source);
            let parts = || self.parts_of(tag.repository, &merged, &own);
            let write = || tag.replace(image, &shelf, INDEX_TYPE, bytes.clone());
            let written = self.parts.write(tag.repository, failed, parts, write).await;
            match written {
                Err(refusal) if refusal.refuses_tag() && self.lists.shows(&tag, &added).await => {
                    let said = refusal.registry().map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(
                        "the referrers API lists the signature; the tag {}, which is for registries without it, was refused: {said}",
                        tag.location()
                    );
                    Ok(Written::Alone { took: Duration::ZERO })
                }
                written => written,
            }
        })
    }

    fn mend<'a>(&'a self, shelf: &'a Shelf, subject: &'a Subject, signed: &'a [Signed]) -> Step<'a, Mended> {
        Box::pin(async move {
            let image = &subject.image;
            let repository = self.repository(image);
            if shelf.read_at.is_none() || !self.parts.are_lost(repository) {
                return Ok(Mended::default());
            }
            let parts = self.parts_of(repository, shelf, &self.stored(subject, signed)?);
            let mended = self.parts.mend(repository, parts).await;
            mended.map_err(|source| StoreError::push(image, self.location(image), source))
        })
    }

    fn may_lose(&self, shelf: &Shelf, image: &ImageRef) -> bool {
        !shelf.listed && self.parts.may_be_lost(self.repository(image))
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

/// The content that the manifest of a new bundle names.
fn own_blobs(stored: &Stored) -> [Content; 2] {
    let blob = |bytes: &Bytes| Content::blob(Digest::of(bytes), Some(bytes.clone()));
    [blob(&stored.bundle), blob(&Bytes::from_static(bundle::EMPTY))]
}

/// The manifest that an entry names, by which it is looked up and put back.
fn manifest_name(entry: &Entry) -> Option<(Name, Digest)> {
    let descriptor = entry.descriptor()?;
    let media_type = descriptor.get("mediaType").and_then(Value::as_str).unwrap_or(bundle::MANIFEST_TYPE);
    let digest = entry.digest()?;
    Some((Name::Manifest(digest.clone(), media_type.to_owned()), digest))
}

/// What a bundle with this payload is.
fn wanted_of(payload: &Payload) -> Wanted {
    if wanted::predicate_type(payload) == cosign_statement::PREDICATE_TYPE {
        Wanted::Signatures
    } else {
        Wanted::Attestations
    }
}
