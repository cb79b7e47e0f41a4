//! The endpoints of the specification, as functions from a request to an answer; nothing here waits.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints>

mod blobs;
mod lists;
mod manifests;
mod uploads;

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Method, StatusCode};

use super::content::Content;
use super::guard::{Caller, Need};
use super::options::{Action, Options, ReadOnly};
use super::reply::{ErrorCode, Reply};
use super::store::MAX_CONTENT_BYTES;
use super::wire::{NoRoute, Route};

/// The most bytes of a manifest: what the specification asks registries to take at least.
const MAX_MANIFEST_BYTES: usize = 4 << 20;

/// A request that was let in.
pub(super) struct Call<'a> {
    pub(super) content: &'a Content,
    pub(super) options: &'a Options,
    /// `SCHEME://HOST[:PORT]`, as clients see it.
    pub(super) public_url: &'a str,
    pub(super) method: &'a Method,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Bytes,
    pub(super) caller: Caller,
    /// How many reads won't see what this request writes.
    pub(super) stale_reads: u32,
}

impl Call<'_> {
    /// The value of a field of the query.
    fn field(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// A `Location`, a path or a whole URL as the options say.
    fn location(&self, path: &str) -> String {
        if self.options.absolute_locations { format!("{}{path}", self.public_url) } else { path.to_owned() }
    }
}

/// What a request to `route` needs.
pub(super) fn need<'a>(route: &'a Route, method: &Method) -> Need<'a> {
    let action = if reads(method) { Action::Pull } else { Action::Push };
    // The state of an upload is its writer's business.
    let action = if matches!(route, Route::Upload { .. }) { Action::Push } else { action };
    route.repository().map(|repository| (repository, action))
}

/// Answers a request to `route`.
pub(super) fn answer(route: &Route, call: Call<'_>) -> Reply {
    if !reads(call.method)
        && let Some(how) = call.options.read_only
    {
        return read_only(how);
    }
    match route {
        Route::Base if reads(call.method) => Reply::json(StatusCode::OK, &serde_json::json!({})),
        Route::Base => unsupported(),
        // It is another service that merely shares the port.
        Route::Token => Reply::no_such_page(),
        Route::Blob { repository, digest } => blobs::answer(&call, repository, digest),
        Route::Uploads { repository } => uploads::begin(&call, repository),
        Route::Upload { repository, id } => uploads::answer(&call, repository, id),
        Route::Manifest { repository, reference } => manifests::answer(&call, repository, reference),
        Route::Tags { repository } => lists::tags(&call, repository),
        Route::Referrers { repository, digest } => lists::referrers(&call, repository, digest),
    }
}

/// Answers a request to a path that names no endpoint.
pub(super) fn no_route(why: NoRoute, method: &Method) -> Reply {
    let (code, message) = match why {
        NoRoute::Path => return Reply::no_such_page(),
        NoRoute::Name => (ErrorCode::NameInvalid, "invalid repository name"),
        NoRoute::Digest => (ErrorCode::DigestInvalid, "invalid digest"),
        // A tag that can't be is not there; it is wrong only to write it.
        NoRoute::Tag if *method == Method::PUT => (ErrorCode::ManifestInvalid, "invalid tag"),
        NoRoute::Tag => {
            return Reply::error(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, "manifest unknown");
        }
    };
    Reply::error(StatusCode::BAD_REQUEST, code, message)
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn read_only(how: ReadOnly) -> Reply {
    match how {
        ReadOnly::Unsupported => unsupported(),
        ReadOnly::Denied => {
            Reply::error(StatusCode::FORBIDDEN, ErrorCode::Denied, "the registry takes no writes")
        }
    }
}

fn unsupported() -> Reply {
    let (status, code) = (StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported);
    Reply::error(status, code, "the operation is unsupported")
}

fn full() -> Reply {
    // Not 507: a client would try again, and nothing makes room by itself.
    let message = format!("the embedded registry holds at most {} MiB", MAX_CONTENT_BYTES >> 20);
    Reply::error(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, &message)
}
