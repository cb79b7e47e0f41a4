//! Answers, before they go onto the wire.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

/// The digest of what was pushed or is served.
pub(super) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// The subject that the registry took note of.
pub(super) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// The filters that were applied to a list of referrers.
pub(super) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// The specification's error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A blob is not there.
    BlobUnknown,
    /// An upload can't continue with this request.
    BlobUploadInvalid,
    /// There is no such upload.
    BlobUploadUnknown,
    /// A digest is malformed, or not that of the content.
    DigestInvalid,
    /// A manifest names content that is not there.
    ManifestBlobUnknown,
    /// A manifest can't be read.
    ManifestInvalid,
    /// A manifest is not there.
    ManifestUnknown,
    /// A repository's name breaks the grammar.
    NameInvalid,
    /// A repository is not there.
    NameUnknown,
    /// The content is longer or shorter than announced, or too long.
    SizeInvalid,
    /// No credentials, or wrong credentials.
    Unauthorized,
    /// The credentials are good and give no right to this.
    Denied,
    /// The registry doesn't do this.
    Unsupported,
    /// The client is to slow down.
    TooManyRequests,
}

impl ErrorCode {
    /// The code as it is written in an error's body.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
        }
    }
}

/// An answer with its whole body.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// Boxed, as an answer is also the error of what turns a request away.
    pub(super) headers: Box<HeaderMap>,
    pub(super) body: Bytes,
}

impl Reply {
    /// An answer without a body.
    pub(super) fn new(status: StatusCode) -> Self {
        Self { status, headers: Box::default(), body: Bytes::new() }
    }

    /// An answer with a JSON body.
    pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Self {
        Self::new(status).content("application/json", value.to_string().into())
    }

    /// One error, in the specification's form.
    pub(super) fn error(status: StatusCode, code: ErrorCode, message: &str) -> Self {
        Self::error_about(status, code, message, &serde_json::Value::Null)
    }

    /// One error, with the thing that it is about.
    pub(super) fn error_about(
        status: StatusCode,
        code: ErrorCode,
        message: &str,
        detail: &serde_json::Value,
    ) -> Self {
        let error = json!({ "code": code.as_str(), "message": message, "detail": detail });
        Self::json(status, &json!({ "errors": [error] }))
    }

    /// What a web server says of a path that it doesn't serve.
    pub(super) fn no_such_page() -> Self {
        Self::new(StatusCode::NOT_FOUND).content("text/plain; charset=utf-8", "404 page not found\n".into())
    }

    /// The same answer with this body.
    pub(super) fn content(self, media_type: &str, body: Bytes) -> Self {
        Self { body, ..self.header(CONTENT_TYPE, media_type) }
    }

    /// The same answer with another header; a value that no header can hold is left out.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The answer as hyper's type, with `body` in the place of the bytes.
    pub(super) fn into_response<B>(self, body: B) -> Response<B> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = *self.headers;
        response
    }
}

impl From<Response<Bytes>> for Reply {
    fn from(response: Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        Self { status: head.status, headers: Box::new(head.headers), body }
    }
}
