//! Manifests: pulled, looked for, pushed and deleted, by tag or digest.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests>

use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use serde_json::json;

use super::{Call, MAX_MANIFEST_BYTES, Reply, full, unsupported};
use crate::demo::registry::manifest::{self, Manifest};
use crate::demo::registry::reply::{DOCKER_CONTENT_DIGEST, ErrorCode, OCI_SUBJECT};
use crate::demo::registry::store::{Store, Stored};
use crate::demo::registry::wire::{Address, Reference};

/// Answers a request about one manifest.
pub(super) fn answer(call: &Call<'_>, repository: &str, reference: &Reference) -> Reply {
    match *call.method {
        Method::GET | Method::HEAD => read(call, repository, reference),
        Method::PUT => write(call, repository, reference).unwrap_or_else(|reply| reply),
        Method::DELETE => {
            let mut store = call.content.lock();
            let removed = match reference {
                Reference::Tag(tag) => store.remove_tag(repository, tag),
                Reference::Digest(digest) => store.remove_manifest(repository, digest),
            };
            if removed { Reply::new(StatusCode::ACCEPTED) } else { unknown(&store, repository) }
        }
        _ => unsupported(),
    }
}

fn read(call: &Call<'_>, repository: &str, reference: &Reference) -> Reply {
    let mut store = call.content.lock();
    match store.read_manifest(repository, reference) {
        Some((address, stored)) => Reply::new(StatusCode::OK)
            .header(DOCKER_CONTENT_DIGEST, address.as_str())
            .content(&stored.media_type, stored.bytes),
        None => unknown(&store, repository),
    }
}

fn write(call: &Call<'_>, repository: &str, reference: &Reference) -> Result<Reply, Reply> {
    if call.body.len() > MAX_MANIFEST_BYTES {
        return Err(too_long());
    }
    let address = match reference {
        Reference::Tag(_) => Address::of(&call.body),
        Reference::Digest(digest) if digest.is_of(&call.body) => digest.clone(),
        Reference::Digest(_) => {
            let message = "provided digest did not match uploaded content";
            return Err(Reply::error(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, message));
        }
    };
    let media_type = media_type(call).ok_or_else(|| invalid("there is no media type"))?;
    let mut store = call.content.lock();
    let listing = if call.options.unchecked_manifests {
        manifest::listing(&call.body)
    } else {
        let parsed = manifest::parse(&media_type, &call.body).map_err(invalid)?;
        complete(&store, repository, &parsed)?;
        parsed.listing
    };
    let subject = listing.subject.clone();
    let tag = match reference {
        Reference::Tag(tag) => Some(tag.as_str()),
        Reference::Digest(_) => None,
    };
    let stored = Stored::new(&media_type, call.body.clone(), listing);
    let before = tag.and_then(|_| store.manifest(repository, reference));
    store.put_manifest(repository, &address, tag, stored, call.stale_reads).map_err(|_| full())?;
    if let (true, Some((before, _))) = (call.options.deletes_overwritten, before) {
        store.delete_unnamed(repository, &before);
    }
    let reply = Reply::new(StatusCode::CREATED)
        .header(LOCATION, &call.location(&format!("/v2/{repository}/manifests/{address}")))
        .header(DOCKER_CONTENT_DIGEST, address.as_str());
    Ok(match subject {
        Some(subject) if call.options.referrers => reply.header(OCI_SUBJECT, subject.as_str()),
        _ => reply,
    })
}

/// The `Content-Type` without its parameters, or what the manifest says of itself.
fn media_type(call: &Call<'_>) -> Option<String> {
    match call.headers.get(CONTENT_TYPE) {
        Some(value) => value.to_str().ok()?.split(';').next().map(|text| text.trim().to_owned()),
        None => manifest::own_media_type(&call.body),
    }
}

/// Whether everything that a manifest names is there, with the size that it says.
fn complete(store: &Store, repository: &str, parsed: &Manifest) -> Result<(), Reply> {
    let blobs = parsed.blobs.iter().map(|named| {
        let held = named.address().and_then(|digest| store.blob(repository, &digest));
        (named, held.map(|blob| blob.len()))
    });
    let manifests = parsed.manifests.iter().map(|named| {
        let held = named.address().and_then(|digest| store.manifest(repository, &Reference::Digest(digest)));
        (named, held.map(|(_, stored)| stored.bytes.len()))
    });
    for (named, held) in blobs.chain(manifests) {
        match held {
            None => {
                let message = "manifest references a manifest or blob unknown to registry";
                let detail = json!({ "digest": named.digest });
                let (status, code) = (StatusCode::NOT_FOUND, ErrorCode::ManifestBlobUnknown);
                return Err(Reply::error_about(status, code, message, &detail));
            }
            Some(length) if u64::try_from(length) != Ok(named.size) => {
                return Err(invalid("a descriptor has another size than its content"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn invalid(message: &str) -> Reply {
    Reply::error(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, message)
}

fn too_long() -> Reply {
    let message = format!("a manifest has at most {} MiB", MAX_MANIFEST_BYTES >> 20);
    Reply::error(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, &message)
}

fn unknown(store: &Store, repository: &str) -> Reply {
    let (code, message) = if store.has_repository(repository) {
        (ErrorCode::ManifestUnknown, "manifest unknown to registry")
    } else {
        (ErrorCode::NameUnknown, "repository name not known to registry")
    };
    Reply::error(StatusCode::NOT_FOUND, code, message)
}
