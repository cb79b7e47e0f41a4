//! What the registry holds, in memory and bounded.

use std::collections::{BTreeMap, HashMap};

use bytes::{Bytes, BytesMut};

use super::manifest::{self, Listing};
use super::wire::{Address, Reference};

/// The most bytes of blobs, manifests and unfinished uploads together: many times what the tests and the
/// demo push, and little enough that a client that loops can't take a small machine's memory.
pub(super) const MAX_CONTENT_BYTES: usize = 256 << 20;

/// The most unfinished uploads; beyond it the oldest is given up, as registries do after a time.
const MAX_UPLOADS: usize = 1024;

/// There is no room for more content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// All repositories and unfinished uploads.
#[derive(Default)]
pub(super) struct Store {
    repositories: BTreeMap<String, Repository>,
    uploads: HashMap<String, Upload>,
    bytes: usize,
    uploads_begun: u64,
}

#[derive(Default)]
struct Repository {
    blobs: HashMap<Address, Bytes>,
    manifests: BTreeMap<Address, Stored>,
    tags: BTreeMap<String, Tag>,
}

/// A manifest as it is kept.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
    pub(super) listing: Listing,
    /// How many more reads by digest won't see it.
    hidden_reads: u32,
    /// How many more lists of referrers won't name it.
    hidden_lists: u32,
}

struct Tag {
    target: Address,
    /// What the tag pointed to before, for readers that are to see the past.
    before: Option<Address>,
    /// How many more reads see the past.
    stale_reads: u32,
}

/// An upload that isn't finished yet.
pub(super) struct Upload {
    pub(super) repository: String,
    pub(super) bytes: BytesMut,
    begun: u64,
}

impl Stored {
    pub(super) fn new(media_type: &str, bytes: Bytes, listing: Listing) -> Self {
        Self { media_type: media_type.to_owned(), bytes, listing, hidden_reads: 0, hidden_lists: 0 }
    }
}

impl Store {
    pub(super) fn repositories(&self) -> impl Iterator<Item = &str> {
        self.repositories.keys().map(String::as_str)
    }

    pub(super) fn has_repository(&self, name: &str) -> bool {
        self.repositories.contains_key(name)
    }

    pub(super) fn blob(&self, repository: &str, digest: &Address) -> Option<Bytes> {
        self.repositories.get(repository)?.blobs.get(digest).cloned()
    }

    pub(super) fn put_blob(&mut self, repository: &str, digest: Address, bytes: Bytes) -> Result<(), Full> {
        if self.blob(repository, &digest).is_none() {
            self.reserve(bytes.len())?;
            self.repository(repository).blobs.insert(digest, bytes);
        }
        Ok(())
    }

    pub(super) fn remove_blob(&mut self, repository: &str, digest: &Address) -> bool {
        let removed = self.repositories.get_mut(repository).and_then(|at| at.blobs.remove(digest));
        self.bytes -= removed.as_ref().map_or(0, Bytes::len);
        removed.is_some()
    }

    /// The manifest and its address, as the latest writer left it.
    pub(super) fn manifest(&self, repository: &str, reference: &Reference) -> Option<(Address, Stored)> {
        let held = self.repositories.get(repository)?;
        let address = match reference {
            Reference::Tag(tag) => &held.tags.get(tag)?.target,
            Reference::Digest(digest) => digest,
        };
        Some((address.clone(), held.manifests.get(address)?.clone()))
    }

    /// The manifest as a reader over HTTP sees it: perhaps the one before the latest write.
    pub(super) fn read_manifest(
        &mut self,
        repository: &str,
        reference: &Reference,
    ) -> Option<(Address, Stored)> {
        let held = self.repositories.get_mut(repository)?;
        match reference {
            Reference::Tag(name) => {
                let tag = held.tags.get_mut(name)?;
                let address = if take_one(&mut tag.stale_reads) { tag.before.as_ref()? } else { &tag.target };
                Some((address.clone(), held.manifests.get(address)?.clone()))
            }
            Reference::Digest(address) => {
                let stored = held.manifests.get_mut(address)?;
                (!take_one(&mut stored.hidden_reads)).then(|| (address.clone(), stored.clone()))
            }
        }
    }

    /// Keeps a manifest, and points `tag` to it. The next `stale_reads` reads won't see the change.
    pub(super) fn put_manifest(
        &mut self,
        repository: &str,
        address: &Address,
        tag: Option<&str>,
        stored: Stored,
        stale_reads: u32,
    ) -> Result<(), Full> {
        let length = stored.bytes.len();
        let known =
            self.repositories.get(repository).is_some_and(|held| held.manifests.contains_key(address));
        if !known {
            self.reserve(length)?;
        }
        let held = self.repository(repository);
        let kept = held.manifests.entry(address.clone()).or_insert_with(|| Stored {
            hidden_reads: stale_reads,
            hidden_lists: stale_reads,
            ..stored.clone()
        });
        kept.media_type = stored.media_type;
        if let Some(name) = tag {
            let before = match held.tags.remove(name) {
                Some(Tag { before, stale_reads: 1.., .. }) => before,
                Some(Tag { target, .. }) => Some(target),
                None => None,
            };
            held.tags.insert(name.to_owned(), Tag { target: address.clone(), before, stale_reads });
        }
        Ok(())
    }

    pub(super) fn remove_tag(&mut self, repository: &str, tag: &str) -> bool {
        self.repositories.get_mut(repository).is_some_and(|held| held.tags.remove(tag).is_some())
    }

    /// Removes a manifest and every tag that points to it.
    pub(super) fn remove_manifest(&mut self, repository: &str, address: &Address) -> bool {
        let Some(held) = self.repositories.get_mut(repository) else { return false };
        held.tags.retain(|_, tag| tag.target != *address);
        let removed = held.manifests.remove(address);
        self.bytes -= removed.as_ref().map_or(0, |stored| stored.bytes.len());
        removed.is_some()
    }

    /// Removes a manifest that no tag points to, with all that no other manifest names.
    pub(super) fn delete_unnamed(&mut self, repository: &str, address: &Address) {
        let mut unnamed = vec![address.clone()];
        while let Some(address) = unnamed.pop() {
            let Some(held) = self.repositories.get(repository) else { return };
            if held.tags.values().any(|tag| tag.target == address) {
                continue;
            }
            let Some(stored) = held.manifests.get(&address) else { continue };
            let (mut blobs, mut manifests) = manifest::named(&stored.bytes);
            for (_, other) in held.manifests.iter().filter(|(other, _)| **other != address) {
                let (kept, listed) = manifest::named(&other.bytes);
                blobs.retain(|blob| !kept.contains(blob));
                manifests.retain(|manifest| !listed.contains(manifest));
            }
            self.remove_manifest(repository, &address);
            for blob in blobs {
                self.remove_blob(repository, &blob);
            }
            unnamed.extend(manifests);
        }
    }

    /// The tags in ASCII order; `None` if there is no such repository.
    pub(super) fn tags(&self, repository: &str) -> Option<Vec<String>> {
        Some(self.repositories.get(repository)?.tags.keys().cloned().collect())
    }

    /// The manifests whose subject is `subject`, ordered by digest. A reader over HTTP (`counted`) may have
    /// to wait for the latest.
    pub(super) fn referrers(
        &mut self,
        repository: &str,
        subject: &Address,
        counted: bool,
    ) -> Vec<(Address, Stored)> {
        let Some(held) = self.repositories.get_mut(repository) else { return Vec::new() };
        held.manifests
            .iter_mut()
            .filter(|(_, stored)| stored.listing.subject.as_ref() == Some(subject))
            .filter_map(|(address, stored)| {
                let hidden = counted && take_one(&mut stored.hidden_lists);
                (!hidden).then(|| (address.clone(), stored.clone()))
            })
            .collect()
    }

    pub(super) fn begin_upload(&mut self, id: String, repository: &str) {
        if self.uploads.len() >= MAX_UPLOADS {
            let oldest = self.uploads.iter().min_by_key(|(_, upload)| upload.begun);
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                self.end_upload(&id);
            }
        }
        self.uploads_begun += 1;
        let upload =
            Upload { repository: repository.to_owned(), bytes: BytesMut::new(), begun: self.uploads_begun };
        self.uploads.insert(id, upload);
    }

    pub(super) fn upload(&self, id: &str) -> Option<&Upload> {
        self.uploads.get(id)
    }

    pub(super) fn append_to_upload(&mut self, id: &str, chunk: &[u8]) -> Result<(), Full> {
        self.reserve(chunk.len())?;
        match self.uploads.get_mut(id) {
            Some(upload) => upload.bytes.extend_from_slice(chunk),
            None => self.bytes -= chunk.len(),
        }
        Ok(())
    }

    /// Ends an upload and hands out what it has got.
    pub(super) fn end_upload(&mut self, id: &str) -> Option<Upload> {
        let upload = self.uploads.remove(id)?;
        self.bytes -= upload.bytes.len();
        Some(upload)
    }

    fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Full> {
        let sum = self.bytes.checked_add(bytes).filter(|sum| *sum <= MAX_CONTENT_BYTES).ok_or(Full)?;
        self.bytes = sum;
        Ok(())
    }
}

/// Takes one from `count`; whether there was one.
fn take_one(count: &mut u32) -> bool {
    let left = count.checked_sub(1);
    *count = left.unwrap_or(0);
    left.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(text: &'static str) -> (Address, Stored) {
        (
            Address::of(text.as_bytes()),
            Stored::new("t", Bytes::from_static(text.as_bytes()), Listing::default()),
        )
    }

    #[test]
    fn a_write_can_stay_unseen_for_some_reads() {
        let mut store = Store::default();
        let tag = Reference::Tag("v1".to_owned());
        let read = |store: &mut Store| store.read_manifest("r", &tag).map(|(_, stored)| stored.bytes);
        let ((one, first), (two, second), (three, third)) = (stored("1"), stored("2"), stored("3"));
        store.put_manifest("r", &one, Some("v1"), first, 0).unwrap();
        store.put_manifest("r", &two, Some("v1"), second, 2).unwrap();
        assert_eq!(read(&mut store).unwrap(), "1");
        // Readers see the past, not a write that no reader has seen yet.
        store.put_manifest("r", &three, Some("v1"), third, 1).unwrap();
        assert_eq!(read(&mut store).unwrap(), "1");
        assert_eq!(read(&mut store).unwrap(), "3");
        assert!(store.read_manifest("r", &Reference::Digest(three.clone())).is_none());
        assert!(store.read_manifest("r", &Reference::Digest(three)).is_some());
    }

    #[test]
    fn space_is_bounded_and_given_back() {
        let mut store = Store::default();
        let half = Bytes::from(vec![0; MAX_CONTENT_BYTES / 2 + 1]);
        let address = Address::of(b"any");
        store.put_blob("r", address.clone(), half.clone()).unwrap();
        assert_eq!(store.put_blob("other", address.clone(), half.clone()), Err(Full));
        store.begin_upload("u".to_owned(), "r");
        assert_eq!(store.append_to_upload("u", &half), Err(Full));
        assert!(store.remove_blob("r", &address));
        store.append_to_upload("u", &half).unwrap();
        assert_eq!(store.put_blob("r", address.clone(), half.clone()), Err(Full));
        store.end_upload("u").unwrap();
        store.put_blob("r", address, half).unwrap();
    }

    #[test]
    fn the_oldest_upload_is_given_up() {
        let mut store = Store::default();
        for n in 0..=MAX_UPLOADS {
            store.begin_upload(n.to_string(), "r");
        }
        assert!(store.upload("0").is_none() && store.upload("1").is_some());
    }
}
