//! Uploading the same content once a run.
//!
//! Merging with other signers uploads again what hasn't changed. Once is enough, and less than harmless: a
//! registry that keeps its links in files, and writes one anew, doesn't find it at that moment when
//! another signer names it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::registry::client::{Client, Target};
use crate::registry::{Digest, RegistryError, Repository};

/// What a run has uploaded.
pub(super) struct Uploads {
    client: Client,
    done: Mutex<HashSet<(Repository, Digest)>>,
}

impl Uploads {
    pub(super) fn new(client: Client) -> Self {
        Self { client, done: Mutex::default() }
    }

    /// Uploads a blob, unless this run has.
    pub(super) async fn blob(&self, repository: &Repository, bytes: Bytes) -> Result<(), RegistryError> {
        let digest = Digest::of(&bytes);
        if !self.is_done(repository, &digest) {
            self.client.put_blob(repository, bytes).await?;
            self.note(repository, digest);
        }
        Ok(())
    }

    /// Uploads a manifest by its digest, unless this run has.
    pub(super) async fn manifest(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<(), RegistryError> {
        let digest = Digest::of(&bytes);
        if !self.is_done(repository, &digest) {
            let target = Target::Digest(digest.clone());
            self.client.put_manifest(repository, &target, media_type, bytes).await?;
            self.note(repository, digest);
        }
        Ok(())
    }

    fn is_done(&self, repository: &Repository, digest: &Digest) -> bool {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.contains(&(repository.clone(), digest.clone()))
    }

    fn note(&self, repository: &Repository, digest: Digest) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).insert((repository.clone(), digest));
    }
}
