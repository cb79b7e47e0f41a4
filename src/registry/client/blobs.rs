//! Blobs: read with their bytes checked, written in two requests.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#post-then-put>

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Method, StatusCode};
use url::Url;

use super::manifests::{same_digest, unexpected};
use super::redirect::follow;
use super::retry::given_up;
use super::{BadAnswer, Client, Digest, Failure, RegistryError, Repository, endpoint};
use crate::net::retry;

/// How registries say that an upload has to begin anew.
const UPLOAD_GONE: [&str; 2] = ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"];

/// How often an upload is begun whose address nothing listens at, if that is not the registry's own.
const ATTEMPTS_ELSEWHERE: u32 = 3;

static OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// An upload that was begun, to be ended with [`Client::end_blob`].
#[derive(Debug)]
pub struct Upload {
    /// The address at which the upload continues. It is as good as a password for that upload, so it isn't public.
    location: Url,
}

impl Client {
    /// Reads a blob; `None` if the registry doesn't hold it: its own 404, whatever its body says. A 404 of the storage that it redirects to
    /// is an error.
    ///
    /// # Errors
    ///
    /// Also [`Failure::WrongBytes`], if the bytes don't fit the digest, and [`Failure::TooLarge`] past
    /// `limit_bytes`.
    pub async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit_bytes: u64,
    ) -> Result<Option<Bytes>, RegistryError> {
        let inner = &self.inner;
        let mut request = self.request(repository, |base| endpoint::blob(base, digest))?;
        request.limit_bytes = limit_bytes;
        let reply = inner.sender.send(&request).await?;
        match reply.answer.status {
            StatusCode::OK => {
                let actual = Digest::of(&reply.answer.body);
                if actual != *digest {
                    if let Some(failure) = reply.answer.encoded() {
                        return Err(inner.errors.failed(&request, &reply, failure));
                    }
                    let failure = Failure::WrongBytes { expected: digest.to_string(), actual };
                    return Err(inner.errors.failed(&request, &reply, failure));
                }
                Ok(Some(reply.answer.body))
            }
            StatusCode::NOT_FOUND if request.is_answered_by_registry(&reply.answer) => Ok(None),
            status => Err(inner.errors.failed(&request, &reply, unexpected(status, &reply))),
        }
    }

    /// Writes a blob: two requests, if all goes well.
    ///
    /// # Errors
    ///
    /// Whatever keeps the registry from confirming that it holds the blob.
    pub async fn put_blob(&self, repository: &Repository, bytes: Bytes) -> Result<Digest, RegistryError> {
        let upload = self.begin_blob(repository).await?;
        self.end_blob(repository, upload, bytes).await
    }

    /// Begins to write a blob whose bytes need not be known yet.
    ///
    /// # Errors
    ///
    /// Whatever keeps the registry from beginning.
    pub(crate) async fn begin_blob(&self, repository: &Repository) -> Result<Upload, RegistryError> {
        let mut request = self.request(repository, endpoint::uploads)?;
        request.method = Method::POST;
        request.writes = true;
        request.body = Some(Bytes::new());
        let reply = self.inner.sender.send(&request).await?;
        let answer = &reply.answer;
        let bad = |bad| self.inner.errors.failed(&request, &reply, Failure::BadAnswer(bad));
        if !answer.status.is_success() {
            return Err(self.inner.errors.failed(&request, &reply, unexpected(answer.status, &reply)));
        }
        answer.not_html().map_err(|failure| self.inner.errors.failed(&request, &reply, failure))?;
        let location = answer.headers.get(LOCATION).ok_or_else(|| bad(BadAnswer::NoLocation))?;
        let location = follow(location, &answer.url).map_err(bad)?;
        self.note_upload(repository, &location);
        Ok(Upload { location })
    }

    /// Ends what [`begin_blob`](Self::begin_blob) began. If the answer is lost, the registry is asked
    /// whether the blob arrived; if it didn't, or the upload is gone, it is begun anew. Where the registry refuses the blob, it may be
    /// that it holds it: Nexus may refuse to overwrite even the same bytes
    /// (<https://github.com/sonatype/nexus-public/issues/967>).
    ///
    /// # Errors
    ///
    /// Whatever keeps the registry from confirming that it holds the blob.
    pub(crate) async fn end_blob(
        &self,
        repository: &Repository,
        upload: Upload,
        bytes: Bytes,
    ) -> Result<Digest, RegistryError> {
        let digest = Digest::of(&bytes);
        let mut upload = upload;
        let mut attempt = 0;
        loop {
            let error = match self.end(repository, &upload, &digest, bytes.clone()).await {
                Ok(()) => return Ok(digest),
                Err(error) => error,
            };
            let gone = is_gone(&error);
            if gone {
                if attempt + 1 >= retry::MAX_ATTEMPTS {
                    return Err(given_up(error, attempt + 1));
                }
                tracing::debug!(%error, "the upload is gone, beginning anew");
            } else if is_unreachable_elsewhere(&error) && attempt + 1 >= ATTEMPTS_ELSEWHERE
                || !self.pause(attempt, &error).await
            {
                // A second opinion that can't be had leaves the first.
                let is_there =
                    refuses(&error) && matches!(self.holds_blob(repository, &digest).await, Ok(true));
                return if is_there { Ok(digest) } else { Err(given_up(error, attempt + 1)) };
            } else if self.holds_blob(repository, &digest).await? {
                return Ok(digest);
            }
            attempt += 1;
            upload = self.begin_blob(repository).await?;
        }
    }

    async fn end(
        &self,
        repository: &Repository,
        upload: &Upload,
        digest: &Digest,
        bytes: Bytes,
    ) -> Result<(), RegistryError> {
        let mut request = self.request(repository, |_| upload.location.clone())?;
        // Whatever is in the query is the registry's own and stays as it is.
        request.url.query_pairs_mut().append_pair("digest", digest.as_str());
        request.method = Method::PUT;
        request.writes = true;
        request.content_type = Some(OCTETS.clone());
        request.body = Some(bytes);
        let reply = self.inner.sender.send_once(&request).await?;
        if !reply.answer.status.is_success() {
            return Err(self.inner.errors.failed(&request, &reply, unexpected(reply.answer.status, &reply)));
        }
        reply
            .answer
            .not_html()
            .and_then(|()| same_digest(&reply, digest))
            .map_err(|failure| self.inner.errors.failed(&request, &reply, failure))
    }
}

/// Whether nothing listens at another place, to which the registry has sent the upload: most often it gives a wrong address.
fn is_unreachable_elsewhere(error: &RegistryError) -> bool {
    error.request().is_some_and(|request| {
        request.without_login.is_some() && matches!(request.failure, Failure::ConnectionRefused { .. })
    })
}

/// Whether the registry refuses what it was sent, and not who sent it.
fn refuses(error: &RegistryError) -> bool {
    error.refusal().is_some_and(|refusal| {
        refusal.status.is_client_error()
            && refusal.status != StatusCode::UNAUTHORIZED
            && !error.is_transient()
    })
}

/// Whether the upload, and not the blob, is what the registry complains about.
fn is_gone(error: &RegistryError) -> bool {
    error.refusal().is_some_and(|refusal| {
        matches!(refusal.status, StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE)
            && (refusal.codes().next().is_none() || UPLOAD_GONE.iter().any(|code| refusal.has_code(code)))
    })
}
