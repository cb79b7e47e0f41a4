//! Manifests: read with their bytes checked, written by digest or by tag.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests>

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};

use super::answer::Answer;
use super::request::{Reply, Request};
use super::{Client, Digest, Failure, RegistryError, Repository, Written, endpoint};
use crate::oci::json::fields;
use crate::oci::media_type::OCI_IMAGE;
use crate::oci::{MAX_MANIFEST_BYTES, Manifest, Target};

/// All kinds of manifests that images are made of.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json";

/// How the media types of schema 1 begin.
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+";

/// The registry's own idea of a digest, in answers.
const CONTENT_DIGEST: &str = "docker-content-digest";

impl Client {
    /// Reads a manifest that need not be there; `None`: the registry itself answers 404, whatever it says beside that.
    ///
    /// Registries say that a tag isn't there in many ways: with codes of their own (`TAG_EXPIRED`), in plain text, or with a page. For
    /// what has to be there, ask with [`subject`](Self::subject).
    ///
    /// The bytes are hashed: [`Manifest::digest`] is what came, not what the registry says.
    ///
    /// # Errors
    ///
    /// Also [`Failure::WrongBytes`], if the bytes don't fit the digest asked for or announced, and
    /// [`Failure::TooLarge`] past [`MAX_MANIFEST_BYTES`].
    pub async fn manifest(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Option<Manifest>, RegistryError> {
        match self.subject(repository, target).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the list of signatures of `subject` under a tag, if there is one.
    ///
    /// GitLab answers the fallback tag `sha256-HEX` with the manifest `sha256:HEX`. The subject itself is not a list of its signatures.
    ///
    /// # Errors
    ///
    /// As for [`manifest`](Self::manifest).
    pub async fn list(
        &self,
        repository: &Repository,
        tag: &str,
        subject: &Digest,
    ) -> Result<Option<Manifest>, RegistryError> {
        let found = self.manifest(repository, &Target::Tag(tag.to_owned())).await?;
        Ok(found.filter(|manifest| manifest.digest != *subject))
    }

    /// Reads a manifest that has to be there.
    ///
    /// # Errors
    ///
    /// As for [`manifest`](Self::manifest); also when the registry doesn't hold it ([`RegistryError::is_absence`]), with what it says.
    pub(crate) async fn subject(
        &self,
        repository: &Repository,
        target: &Target,
    ) -> Result<Manifest, RegistryError> {
        let inner = &self.inner;
        let mut request = self.request(repository, |base| endpoint::manifest(base, target))?;
        request.accept = Some(ACCEPT);
        request.limit_bytes = MAX_MANIFEST_BYTES;
        let reply = inner.sender.send(&request).await?;
        let manifest = match reply.answer.status {
            StatusCode::OK => read(&reply, target),
            status => Err(unexpected(status, &reply)),
        };
        let manifest = manifest.map_err(|failure| inner.errors.failed(&request, &reply, failure))?;
        inner.auth.account(repository).reads_manifests.store(true, Ordering::Relaxed);
        Ok(manifest)
    }

    /// Writes a manifest.
    ///
    /// By digest it is retried, as it can't do harm. By tag it is sent **once**: whoever writes a tag
    /// must look at what another wrote in between before writing again, so the caller decides, with
    /// [`RegistryError::is_transient`] and [`Client::pause`].
    ///
    /// # Errors
    ///
    /// Whatever keeps the registry from confirming that it is written. After a lost answer it may be.
    pub async fn put_manifest(
        &self,
        repository: &Repository,
        target: &Target,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Written, RegistryError> {
        let request = self.put(repository, target, media_type, bytes)?;
        let reply = match target {
            Target::Tag(_) => self.inner.sender.send_once(&request).await?,
            Target::Digest(_) => self.inner.sender.send(&request).await?,
        };
        self.written(&request, &reply)
    }

    /// Writes a list under a tag, unless it is later than `send_by` when its bytes go out: however long it waits for a place, a login or
    /// a connection, and however often it is sent with another login.
    ///
    /// # Errors
    ///
    /// As for [`put_manifest`](Self::put_manifest); [`RegistryError::is_outdated`] says that it was too late, and nothing was written.
    pub async fn put_list(
        &self,
        repository: &Repository,
        tag: &str,
        media_type: &str,
        bytes: Bytes,
        send_by: Instant,
    ) -> Result<Written, RegistryError> {
        let mut request = self.put(repository, &Target::Tag(tag.to_owned()), media_type, bytes)?;
        request.send_by = Some(send_by.into());
        let reply = self.inner.sender.send_once(&request).await?;
        self.written(&request, &reply)
    }

    fn put<'a>(
        &self,
        repository: &'a Repository,
        target: &Target,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Request<'a>, RegistryError> {
        let mut request = self.request(repository, |base| endpoint::manifest(base, target))?;
        request.method = Method::PUT;
        request.writes = true;
        request.content_type = Some(content_type(media_type));
        request.body = Some(bytes);
        request.urgent = matches!(target, Target::Tag(_));
        Ok(request)
    }

    fn written(&self, request: &Request<'_>, reply: &Reply) -> Result<Written, RegistryError> {
        let digest = Digest::of(request.body.as_deref().unwrap_or_default());
        written(reply, &digest).map_err(|failure| self.inner.errors.failed(request, reply, failure))
    }
}

/// A media type is the caller's own text; what can't be a header is none that a registry takes.
fn content_type(media_type: &str) -> HeaderValue {
    HeaderValue::from_str(media_type).unwrap_or(HeaderValue::from_static(OCI_IMAGE))
}

fn read(reply: &Reply, target: &Target) -> Result<Manifest, Failure> {
    let answer = &reply.answer;
    answer.not_html()?;
    let digest = Digest::of(&answer.body);
    right_bytes(reply, target, &digest).map_err(|failure| match (failure, answer.encoded()) {
        (Failure::WrongBytes { .. }, Some(encoded)) => encoded,
        (Failure::WrongBytes { expected, .. }, None) if is_schema_1(answer) => Failure::Schema1 { expected },
        (other, _) => other,
    })?;
    // A tag's digest isn't always announced.
    if let Some(encoded) = answer.encoded().filter(|_| !answer.body.trim_ascii_start().starts_with(b"{")) {
        return Err(encoded);
    }
    let bytes = answer.body.clone();
    let header = answer.header(CONTENT_TYPE).map(essence).filter(|kind| is_specific(kind));
    let media_type = match header {
        Some(kind) => kind.to_ascii_lowercase(),
        // Files served as they lie come with a general type; the manifest then says it itself.
        None => stated_media_type(&bytes).unwrap_or_else(|| OCI_IMAGE.to_owned()),
    };
    Ok(Manifest { media_type, bytes, digest })
}

/// The requested digest and the announced digest must match the bytes.
fn right_bytes(reply: &Reply, target: &Target, digest: &Digest) -> Result<(), Failure> {
    match target {
        Target::Digest(expected) if expected != digest => {
            Err(Failure::WrongBytes { expected: expected.to_string(), actual: digest.clone() })
        }
        _ => same_digest(reply, digest),
    }
}

/// Whether it is a manifest of schema 1, by its media type, or by its version and signatures.
fn is_schema_1(answer: &Answer) -> bool {
    let kind = answer.header(CONTENT_TYPE).map(essence).unwrap_or_default().to_ascii_lowercase();
    let (mut version, mut signatures) = (false, false);
    let read = fields(&answer.body, |name, value| match &*name {
        "schemaVersion" => version = value.get() == "1",
        "signatures" => signatures = true,
        _ => {}
    });
    kind.starts_with(SCHEMA_1) || (read.is_ok() && version && signatures)
}

fn is_specific(kind: &str) -> bool {
    !["", "application/json", "application/octet-stream", "text/plain"]
        .iter()
        .any(|general| kind.eq_ignore_ascii_case(general))
}

/// A media type without its parameters.
pub(super) fn essence(header: &str) -> &str {
    header.split(';').next().unwrap_or_default().trim()
}

fn stated_media_type(bytes: &[u8]) -> Option<String> {
    let mut stated = None;
    // The last value counts, as for other readers of JSON.
    let read = fields(bytes, |name, value| {
        if name == "mediaType" {
            stated = serde_json::from_str::<String>(value.get()).ok();
        }
    });
    read.ok().and(stated)
}

fn written(reply: &Reply, digest: &Digest) -> Result<Written, Failure> {
    let answer = &reply.answer;
    // Where it lies now (Location) is left out by some registries, and is known anyway.
    if !answer.status.is_success() {
        return Err(unexpected(answer.status, reply));
    }
    answer.not_html()?;
    same_digest(reply, digest)?;
    Ok(Written { subject_accepted: answer.headers.contains_key("oci-subject") })
}

/// The announced digest must match the known digest, if the algorithm is the same.
pub(super) fn same_digest(reply: &Reply, digest: &Digest) -> Result<(), Failure> {
    match reply.answer.header(CONTENT_DIGEST).map(str::parse::<Digest>) {
        Some(Ok(announced)) if announced != *digest => {
            Err(Failure::WrongBytes { expected: announced.to_string(), actual: digest.clone() })
        }
        _ => Ok(()),
    }
}

/// What an answer with this status is when it isn't what was hoped for.
pub(super) fn unexpected(status: StatusCode, reply: &Reply) -> Failure {
    if status.is_client_error() || status.is_server_error() {
        return Failure::Refused(reply.answer.refusal());
    }
    Failure::BadAnswer(reply.answer.strange_status())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_client::manifest as types;

    #[test]
    fn all_kinds_of_manifests_are_accepted() {
        for kind in [
            types::OCI_IMAGE_MEDIA_TYPE,
            types::OCI_IMAGE_INDEX_MEDIA_TYPE,
            types::IMAGE_MANIFEST_MEDIA_TYPE,
            types::IMAGE_MANIFEST_LIST_MEDIA_TYPE,
        ] {
            assert!(ACCEPT.split(", ").any(|have| have == kind), "{kind}");
        }
    }
}
