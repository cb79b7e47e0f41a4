//! Uploads of blobs: in one request, in two, in chunks, or not at all because another repository has it.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs>

use bytes::Bytes;
use http::header::{CONTENT_RANGE, HeaderName, LOCATION, RANGE};
use http::{Method, StatusCode};

use super::{Call, Reply, full, unsupported};
use crate::demo::registry::guard::random_hex;
use crate::demo::registry::options::Action;
use crate::demo::registry::reply::{DOCKER_CONTENT_DIGEST, ErrorCode};
use crate::demo::registry::wire::{Address, content_range};
use crate::oci::Digest;

const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// Answers a POST: begins an upload, unless the blob comes with it or is there already.
pub(super) fn begin(call: &Call<'_>, repository: &str) -> Reply {
    if *call.method != Method::POST {
        return unsupported();
    }
    if let Some(digest) = call.field("mount") {
        let Ok(digest) = digest.parse() else { return bad_digest() };
        if let Some(blob) = elsewhere(call, &digest) {
            return store(call, repository, digest, blob);
        }
    } else if let Some(digest) = call.field("digest").filter(|_| call.options.monolithic_post) {
        return checked(call, repository, digest, call.body.clone());
    }
    let Ok(id) = random_hex() else { return Reply::new(StatusCode::INTERNAL_SERVER_ERROR) };
    let id = uuid(&id);
    call.content.lock().begin_upload(id.clone(), repository);
    progress(call, StatusCode::ACCEPTED, repository, &id, 0)
}

/// Answers a request about an upload that was begun.
pub(super) fn answer(call: &Call<'_>, repository: &str, id: &str) -> Reply {
    let has = call
        .content
        .lock()
        .upload(id)
        .filter(|upload| upload.repository == repository)
        .map(|u| u.bytes.len());
    let Some(has) = has else { return unknown() };
    // Registries put a state into the location that must come back, so a client that builds the URL itself,
    // or drops its query, fails here as it would there.
    if !call.options.plain_uploads && call.field(state_name(call)) != Some(&state(id)) {
        return invalid(StatusCode::BAD_REQUEST, "the location's state is missing");
    }
    match *call.method {
        Method::GET => progress(call, StatusCode::NO_CONTENT, repository, id, has),
        Method::PATCH => match append(call, repository, id, has) {
            Ok(now) => progress(call, StatusCode::ACCEPTED, repository, id, now),
            Err(reply) => reply,
        },
        Method::PUT => finish(call, repository, id, has),
        Method::DELETE => {
            call.content.lock().end_upload(id);
            Reply::new(StatusCode::NO_CONTENT)
        }
        _ => unsupported(),
    }
}

/// Adds the body to the upload; what it has got then.
fn append(call: &Call<'_>, repository: &str, id: &str, has: usize) -> Result<usize, Reply> {
    if let Some(value) = call.headers.get(CONTENT_RANGE) {
        let range = value.to_str().ok().and_then(content_range);
        let (first, last) =
            range.ok_or_else(|| invalid(StatusCode::BAD_REQUEST, "Content-Range is not FIRST-LAST"))?;
        if first != has {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            let mut reply = progress(call, status, repository, id, has);
            let error = invalid(status, "the chunk is out of order");
            reply.headers.extend(*error.headers);
            return Err(Reply { body: error.body, ..reply });
        }
        // `first` is not after `last`.
        if last - first != call.body.len().wrapping_sub(1) {
            let message = "Content-Range is longer or shorter than the chunk";
            return Err(Reply::error(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid, message));
        }
    }
    call.content.lock().append_to_upload(id, &call.body).map_err(|_| full())?;
    Ok(has + call.body.len())
}

fn finish(call: &Call<'_>, repository: &str, id: &str, has: usize) -> Reply {
    let Some(digest) = call.field("digest") else { return bad_digest() };
    if !call.body.is_empty()
        && let Err(reply) = append(call, repository, id, has)
    {
        return reply;
    }
    let ended = call.content.lock().end_upload(id);
    ended.map_or_else(unknown, |upload| checked(call, repository, digest, upload.bytes.freeze()))
}

/// Stores a blob if it is what `digest` says.
fn checked(call: &Call<'_>, repository: &str, digest: &str, blob: Bytes) -> Reply {
    match digest.parse::<Address>() {
        Ok(digest) if digest.is_of(&blob) => store(call, repository, digest, blob),
        _ => bad_digest(),
    }
}

fn store(call: &Call<'_>, repository: &str, digest: Address, blob: Bytes) -> Reply {
    let location = call.location(&format!("/v2/{repository}/blobs/{digest}"));
    let reply = Reply::new(StatusCode::CREATED)
        .header(LOCATION, &location)
        .header(DOCKER_CONTENT_DIGEST, digest.as_str());
    match call.content.lock().put_blob(repository, digest, blob) {
        Ok(()) => reply,
        Err(_) => full(),
    }
}

/// The blob, if a repository that the caller may pull from has it: the named repository, or any.
fn elsewhere(call: &Call<'_>, digest: &Address) -> Option<Bytes> {
    let store = call.content.lock();
    let from = |name: &str| call.caller.may(name, Action::Pull).then(|| store.blob(name, digest)).flatten();
    match call.field("from") {
        Some(name) => from(name),
        None => store.repositories().find_map(from),
    }
}

/// The address at which the upload continues, and how much of it has arrived.
fn progress(call: &Call<'_>, status: StatusCode, repository: &str, id: &str, has: usize) -> Reply {
    let mut path = format!("/v2/{repository}/blobs/uploads/{id}");
    if !call.options.plain_uploads {
        path += &format!("?{}={}", state_name(call), state(id));
    }
    let location = call.location(&path);
    Reply::new(status)
        .header(LOCATION, &location)
        // The form has no way to say "nothing yet"; registries write 0-0.
        .header(RANGE, &format!("0-{}", has.saturating_sub(1)))
        .header(DOCKER_UPLOAD_UUID, id)
}

/// Docker's distribution, which deletes nothing, is known by its name for it.
fn state_name(call: &Call<'_>) -> &'static str {
    if call.options.deletes_overwritten { "state" } else { "_state" }
}

fn state(id: &str) -> String {
    Digest::of(id.as_bytes()).hex().chars().take(16).collect()
}

/// 32 hex digits with the dashes of a UUID.
fn uuid(hex: &str) -> String {
    let mut text = String::with_capacity(36);
    for (at, digit) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

fn bad_digest() -> Reply {
    let message = "provided digest did not match uploaded content";
    Reply::error(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, message)
}

fn invalid(status: StatusCode, message: &str) -> Reply {
    Reply::error(status, ErrorCode::BlobUploadInvalid, message)
}

fn unknown() -> Reply {
    Reply::error(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, "blob upload unknown to registry")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_look_like_uuids() {
        assert_eq!(uuid("0123456789abcdef0123456789abcdef"), "01234567-89ab-cdef-0123-456789abcdef");
    }
}
