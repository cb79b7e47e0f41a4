//! Blobs: pulled whole or in part, looked for, and deleted.

use http::header::{ACCEPT_RANGES, CONTENT_RANGE, RANGE};
use http::{Method, StatusCode};

use super::{Call, Reply, unsupported};
use crate::demo::registry::reply::{DOCKER_CONTENT_DIGEST, ErrorCode};
use crate::demo::registry::wire::{Address, ByteRange, byte_range};

/// Answers a request about one blob.
pub(super) fn answer(call: &Call<'_>, repository: &str, digest: &Address) -> Reply {
    match *call.method {
        Method::GET | Method::HEAD => read(call, repository, digest),
        Method::DELETE if call.content.lock().remove_blob(repository, digest) => {
            Reply::new(StatusCode::ACCEPTED)
        }
        Method::DELETE => unknown(),
        _ => unsupported(),
    }
}

fn read(call: &Call<'_>, repository: &str, digest: &Address) -> Reply {
    let Some(blob) = call.content.lock().blob(repository, digest) else { return unknown() };
    let reply = |status| {
        Reply::new(status).header(DOCKER_CONTENT_DIGEST, digest.as_str()).header(ACCEPT_RANGES, "bytes")
    };
    // RFC 9110 gives `Range` a meaning for GET alone.
    let range = call.headers.get(RANGE).filter(|_| *call.method == Method::GET);
    let range = range
        .and_then(|value| value.to_str().ok())
        .map_or(ByteRange::Whole, |value| byte_range(value, blob.len()));
    let octets = "application/octet-stream";
    match range {
        ByteRange::Whole => reply(StatusCode::OK).content(octets, blob),
        ByteRange::Part { first, last } => {
            let held = format!("bytes {first}-{last}/{}", blob.len());
            let part = blob.slice(first..=last);
            reply(StatusCode::PARTIAL_CONTENT).header(CONTENT_RANGE, &held).content(octets, part)
        }
        ByteRange::Unsatisfiable => {
            reply(StatusCode::RANGE_NOT_SATISFIABLE).header(CONTENT_RANGE, &format!("bytes */{}", blob.len()))
        }
    }
}

fn unknown() -> Reply {
    Reply::error(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown, "blob unknown to registry")
}
