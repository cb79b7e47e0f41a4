//! Answers as products give them: errors in the specification's form, and what is asked about.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use stepseal::demo::registry::Asked;

/// An error with one code.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Response<Bytes> {
    let body = json!({ "errors": [{ "code": code, "message": message }] });
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(body.to_string().into()).unwrap()
}

/// The code of an error; empty if it has none.
pub(crate) fn code(answer: &Response<Bytes>) -> String {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    body["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
}

/// Sets a header of an answer.
pub(crate) fn set(answer: &mut Response<Bytes>, name: &'static str, value: &str) {
    answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
}

/// What a request is about: a manifest, a blob, an upload, a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About<'a> {
    /// A manifest, by tag or digest.
    Manifest {
        repository: &'a str,
        reference: &'a str,
    },
    Blob,
    Upload,
    Referrers {
        repository: &'a str,
        digest: &'a str,
    },
    Other,
}

impl<'a> About<'a> {
    pub(crate) fn of(asked: &Asked<'a>) -> Self {
        let path = asked.path_and_query.split('?').next().unwrap_or_default();
        let Some(below) = path.strip_prefix("/v2/") else { return Self::Other };
        if below.contains("/blobs/uploads/") {
            return Self::Upload;
        }
        let parts = |end: &str| below.rsplit_once(end);
        if let Some((repository, reference)) = parts("/manifests/") {
            return Self::Manifest { repository, reference };
        }
        if let Some((repository, digest)) = parts("/referrers/") {
            return Self::Referrers { repository, digest };
        }
        if parts("/blobs/").is_some() { Self::Blob } else { Self::Other }
    }

    /// The tag that a request is about.
    pub(crate) fn tag(self) -> Option<&'a str> {
        match self {
            Self::Manifest { reference, .. } if !reference.contains(':') => Some(reference),
            _ => None,
        }
    }
}

/// Gives what is missing the code of a manifest or a blob, for products that don't tell whether the repository is there.
pub(crate) fn without_name_unknown(asked: &Asked<'_>, answer: &mut Response<Bytes>) {
    if answer.status() != StatusCode::NOT_FOUND || code(answer) != "NAME_UNKNOWN" {
        return;
    }
    match About::of(asked) {
        About::Manifest { .. } => *answer = error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        About::Blob => *answer = error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
        _ => {}
    }
}
