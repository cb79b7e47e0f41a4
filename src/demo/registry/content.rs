//! The way into the registry's content that doesn't go over HTTP: for tests that prepare and inspect it, and
//! for the demo.
//!
//! What is put here is not checked as a client's push is, so that broken content can be put there on
//! purpose; only names and room are.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::manifest;
use super::store::{Full, MAX_CONTENT_BYTES, Store, Stored};
use super::wire::route::{self, NoRoute};
use super::wire::{Address, Reference};
use crate::explain::explain;
use crate::oci::Digest;

/// A handle to the registry's content; clones see the same content.
#[derive(Clone, Default)]
pub struct Content(Arc<Mutex<Store>>);

impl fmt::Debug for Content {
    /// The names alone: the content may be long, and secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("repositories", &self.repositories()).finish_non_exhaustive()
    }
}

/// Why content can't be put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The repository's name or the tag breaks the specification's grammar.
    #[error("the repository or tag has no valid name")]
    Name,
    /// There is no room.
    #[error("the embedded registry holds at most {} MiB", MAX_CONTENT_BYTES >> 20)]
    Full,
}

explain! { ContentError,
    Self::Name => ["demo-registry", Failed, "name repositories in lower case, with . _ - / as separators"],
    Self::Full => ["demo-registry", Failed, "push less, or use a registry that stores on disk"],
}

impl From<Full> for ContentError {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}

impl From<NoRoute> for ContentError {
    fn from(_: NoRoute) -> Self {
        Self::Name
    }
}

impl Content {
    /// The names of all repositories, in order.
    pub fn repositories(&self) -> Vec<String> {
        self.lock().repositories().map(str::to_owned).collect()
    }

    /// The tags of a repository, in order.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        self.lock().tags(repository).unwrap_or_default()
    }

    /// The media type and bytes of a manifest, by tag or digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<(String, Bytes)> {
        let reference = route::reference(reference).ok()?;
        let (_, stored) = self.lock().manifest(repository, &reference)?;
        Some((stored.media_type, stored.bytes))
    }

    /// The bytes of a blob.
    pub fn blob(&self, repository: &str, digest: &Digest) -> Option<Bytes> {
        self.lock().blob(repository, &digest.into())
    }

    /// The media type and bytes of each manifest whose subject is `digest`, ordered by digest.
    pub fn referrers(&self, repository: &str, digest: &Digest) -> Vec<(String, Bytes)> {
        let found = self.lock().referrers(repository, &digest.into(), false);
        found.into_iter().map(|(_, stored)| (stored.media_type, stored.bytes)).collect()
    }

    /// Keeps a manifest, and points `tag` to it. Nothing in it is checked.
    ///
    /// # Errors
    ///
    /// [`ContentError`] if a name is wrong or there is no room.
    pub fn put_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<Digest, ContentError> {
        let bytes = bytes.into();
        checked(repository)?;
        if let Some(tag) = tag {
            let Reference::Tag(_) = route::reference(tag)? else { return Err(ContentError::Name) };
        }
        let digest = Digest::of(&bytes);
        let listing = manifest::listing(&bytes);
        let stored = Stored::new(media_type, bytes, listing);
        self.lock().put_manifest(repository, &Address::from(&digest), tag, stored, 0)?;
        Ok(digest)
    }

    /// Keeps a blob.
    ///
    /// # Errors
    ///
    /// [`ContentError`] if the name is wrong or there is no room.
    pub fn put_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> Result<Digest, ContentError> {
        let bytes = bytes.into();
        checked(repository)?;
        let digest = Digest::of(&bytes);
        self.lock().put_blob(repository, Address::from(&digest), bytes)?;
        Ok(digest)
    }

    /// Removes a tag; whether it was there.
    pub fn remove_tag(&self, repository: &str, tag: &str) -> bool {
        self.lock().remove_tag(repository, tag)
    }

    /// Removes a manifest and the tags that point to it; whether it was there.
    pub fn remove_manifest(&self, repository: &str, digest: &Digest) -> bool {
        self.lock().remove_manifest(repository, &digest.into())
    }

    /// Removes a blob; whether it was there.
    pub fn remove_blob(&self, repository: &str, digest: &Digest) -> bool {
        self.lock().remove_blob(repository, &digest.into())
    }

    /// The store itself. The lock is never held across an `await`.
    pub(super) fn lock(&self) -> MutexGuard<'_, Store> {
        // A test's hook that panics must not turn every later answer into another panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn checked(repository: &str) -> Result<(), ContentError> {
    route::repository(&[repository])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_there_can_be_taken_away() {
        let content = Content::default();
        let blob = content.put_blob("team/app", "layer").unwrap();
        let manifest = content.put_manifest("team/app", Some("v1"), "any/type", "{not json").unwrap();
        assert_eq!(content.blob("team/app", &blob).unwrap(), "layer");
        assert_eq!(content.manifest("team/app", "v1"), content.manifest("team/app", manifest.as_str()));
        assert_eq!(content.repositories(), ["team/app"]);
        assert!(content.remove_blob("team/app", &blob) && !content.remove_blob("team/app", &blob));
        assert!(content.remove_manifest("team/app", &manifest));
        assert_eq!(content.tags("team/app"), [""; 0]);
    }

    #[test]
    fn names_keep_to_the_grammar() {
        let content = Content::default();
        assert_eq!(content.put_blob("Team", "x"), Err(ContentError::Name));
        assert_eq!(content.put_manifest("a", Some("a/b"), "t", "x"), Err(ContentError::Name));
        assert_eq!(content.put_manifest("a", Some("sha256:1"), "t", "x"), Err(ContentError::Name));
    }
}
