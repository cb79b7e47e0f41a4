//! What was read from a registry and may be needed again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::parts::Name;
use crate::oci::{Digest, Repository, Target};
use crate::registry::client::Client;

/// What was read before, by repository and digest: what a digest names doesn't change.
///
/// What the registry didn't hold isn't remembered.
#[derive(Debug)]
pub(super) struct Memory {
    remembered: Mutex<Remembered>,
    limit_bytes: usize,
}

#[derive(Debug, Default)]
struct Remembered {
    all: HashMap<(Repository, Digest), Bytes>,
    bytes: usize,
}

/// The most that is remembered, in bytes; larger things are read again.
const MEMORY_BYTES: usize = 16 * 1024 * 1024;
/// What remembering one thing takes beside its bytes: its names, and its place in the table.
const REMEMBERED_BYTES: usize = 512;

impl Default for Memory {
    fn default() -> Self {
        Self::of(MEMORY_BYTES)
    }
}

impl Memory {
    /// Makes a memory that remembers up to this many bytes.
    pub(super) fn of(limit_bytes: usize) -> Self {
        Self { remembered: Mutex::default(), limit_bytes }
    }

    /// Reads what `name` names, of `size` bytes, if there is room and it isn't here yet. Whether that worked shows when it is needed.
    pub(super) async fn read(
        &self,
        client: &Client,
        repository: &Repository,
        name: &Name,
        size: u64,
    ) -> Option<Bytes> {
        let (Name::Blob(digest) | Name::Manifest(digest, _)) = name;
        if let Some(known) = self.find(repository, digest) {
            return Some(known);
        }
        if !self.has_room(size) {
            return None;
        }
        let read = match name {
            Name::Blob(_) => client.blob(repository, digest, size).await,
            Name::Manifest(..) => {
                let manifest = client.manifest(repository, &Target::Digest(digest.clone())).await;
                manifest.map(|manifest| manifest.map(|manifest| manifest.bytes))
            }
        };
        let bytes = read.unwrap_or_else(|error| {
            tracing::debug!(%digest, "what a list names can't be kept: {error}");
            None
        })?;
        self.keep(repository, digest, &bytes);
        Some(bytes)
    }

    pub(super) fn find(&self, repository: &Repository, digest: &Digest) -> Option<Bytes> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.all.get(&(repository.clone(), digest.clone())).cloned()
    }

    /// Whether so many bytes would still be remembered.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.limit_bytes.saturating_sub(remembered.bytes + REMEMBERED_BYTES);
        bytes <= left as u64
    }

    pub(super) fn keep(&self, repository: &Repository, digest: &Digest, bytes: &Bytes) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let takes = bytes.len() + REMEMBERED_BYTES;
        if remembered.bytes + takes <= self.limit_bytes {
            remembered.bytes += takes;
            // What came from a connection may be a part of its buffer, which has 400 KiB: as little as this keeps all of it.
            let bytes = Bytes::copy_from_slice(bytes);
            remembered.all.insert((repository.clone(), digest.clone()), bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part of a large buffer must not keep the buffer.
    #[test]
    fn what_is_kept_is_a_copy_and_only_up_to_the_limit() {
        let repository = "registry.example/app".parse().unwrap();
        let memory = Memory::of(2 * REMEMBERED_BYTES);
        let buffer = Bytes::from(vec![1; 4096]);
        let part = buffer.slice(..8);
        memory.keep(&repository, &Digest::of(b"a"), &part);
        drop(part);
        assert!(buffer.is_unique());
        assert_eq!(memory.find(&repository, &Digest::of(b"a")).unwrap(), [1; 8].as_slice());
        memory.keep(&repository, &Digest::of(b"b"), &buffer);
        assert_eq!(memory.find(&repository, &Digest::of(b"b")), None);
    }
}
