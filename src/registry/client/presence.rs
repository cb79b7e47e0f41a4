//! Whether a registry holds content, without reading it, and whether it keeps it.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#checking-if-content-exists-in-the-registry>

use std::sync::PoisonError;

use http::{Method, StatusCode};
use url::Url;

use super::manifests::{ACCEPT, unexpected};
use super::request::Request;
use super::{Client, Digest, RegistryError, Repository, endpoint};
use crate::oci::Target;

/// What Docker's distribution (docker-registry, Harbor, GitLab) puts into the address of an upload.
const DISTRIBUTIONS_STATE: &str = "_state";

impl Client {
    /// Whether the registry is known to keep what a tag pointed to when the tag is overwritten. Docker's distribution does,
    /// which shows when an upload begins; others may delete it.
    pub(crate) fn keeps_overwritten(&self, repository: &Repository) -> bool {
        let keeping = self.inner.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        keeping.contains(repository.registry())
    }

    /// Whether the registry holds a blob.
    ///
    /// # Errors
    ///
    /// Every answer but 200 and the registry's own 404.
    pub(crate) async fn holds_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        self.is_there(self.request(repository, |base| endpoint::blob(base, digest))?).await
    }

    /// Whether the registry holds a manifest.
    ///
    /// # Errors
    ///
    /// Every answer but 200 and the registry's own 404.
    pub(crate) async fn holds_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        let target = Target::Digest(digest.clone());
        let mut request = self.request(repository, |base| endpoint::manifest(base, &target))?;
        request.accept = Some(ACCEPT);
        self.is_there(request).await
    }

    /// Takes note of what the address of an upload shows.
    pub(super) fn note_upload(&self, repository: &Repository, location: &Url) {
        if location.query_pairs().any(|(name, _)| name == DISTRIBUTIONS_STATE) {
            let mut keeping = self.inner.keeping.lock().unwrap_or_else(PoisonError::into_inner);
            keeping.insert(repository.registry().to_owned());
        }
    }

    async fn is_there(&self, mut request: Request<'_>) -> Result<bool, RegistryError> {
        request.method = Method::HEAD;
        let reply = self.inner.sender.send(&request).await?;
        match reply.answer.status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND if request.is_answered_by_registry(&reply.answer) => Ok(false),
            status => Err(self.inner.errors.failed(&request, &reply, unexpected(status, &reply))),
        }
    }
}
