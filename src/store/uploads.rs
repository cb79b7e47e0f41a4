//! Uploading the same content once a run.
//!
//! Merging with other signers uploads again what hasn't changed. Once is enough, and less than harmless: a
//! registry that keeps its links in files, and writes one anew, doesn't find it at that moment when
//! another signer names it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::registry::client::{Client, Target};
use crate::registry::{Digest, RegistryError, Repository};

/// What a run has uploaded.
pub(super) struct Uploads {
    client: Client,
    /// Of manifests, whether the registry took note of the subject.
    done: Mutex<HashMap<(Repository, Digest), bool>>,
}

impl Uploads {
    pub(super) fn new(client: Client) -> Self {
        Self { client, done: Mutex::default() }
    }

    /// Uploads a blob, unless this run has.
    pub(super) async fn blob(&self, repository: &Repository, bytes: Bytes) -> Result<(), RegistryError> {
        let digest = Digest::of(&bytes);
        if self.done(repository, &digest).is_none() {
            self.client.put_blob(repository, bytes).await?;
            self.note(repository, digest, false);
        }
        Ok(())
    }

    /// Uploads a manifest by its digest, unless this run has; whether the registry took note of its subject.
    pub(super) async fn manifest(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<bool, RegistryError> {
        let digest = Digest::of(&bytes);
        if let Some(accepted) = self.done(repository, &digest) {
            return Ok(accepted);
        }
        let target = Target::Digest(digest.clone());
        let written = self.client.put_manifest(repository, &target, media_type, bytes).await?;
        self.note(repository, digest, written.subject_accepted);
        Ok(written.subject_accepted)
    }

    fn done(&self, repository: &Repository, digest: &Digest) -> Option<bool> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.get(&(repository.clone(), digest.clone())).copied()
    }

    fn note(&self, repository: &Repository, digest: Digest, accepted: bool) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert((repository.clone(), digest), accepted);
    }
}
