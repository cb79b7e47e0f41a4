//! Lists: the tags of a repository, and the referrers of a manifest.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#content-discovery>

use http::StatusCode;
use http::header::LINK;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::{Call, Reply, reads, unsupported};
use crate::demo::registry::reply::{ErrorCode, OCI_FILTERS_APPLIED};
use crate::demo::registry::store::Stored;
use crate::demo::registry::wire::Address;
use crate::oci::media_type::OCI_INDEX;

/// Answers with the tags of a repository.
pub(super) fn tags(call: &Call<'_>, repository: &str) -> Reply {
    if !reads(call.method) {
        return unsupported();
    }
    let asked = match call.field("n").map(str::parse::<usize>) {
        Some(Err(_)) => {
            return Reply::error(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, "n is not a number");
        }
        Some(Ok(n)) => Some(n),
        None => None,
    };
    let Some(tags) = call.content.lock().tags(repository) else {
        let message = "repository name not known to registry";
        return Reply::error(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, message);
    };
    let page = Page::of(call, asked, tags, |tag| tag.as_str());
    let reply = Reply::json(StatusCode::OK, &json!({ "name": repository, "tags": page.entries }));
    match page.next {
        // A page of nothing has no next one.
        Some(last) if asked != Some(0) => {
            let mut query = Serializer::new(String::new());
            if let Some(n) = asked {
                query.append_pair("n", &n.to_string());
            }
            let query = query.append_pair("last", &last).finish();
            reply.header(LINK, &format!("</v2/{repository}/tags/list?{query}>; rel=\"next\""))
        }
        _ => reply,
    }
}

/// Answers with the manifests whose subject is `digest`.
pub(super) fn referrers(call: &Call<'_>, repository: &str, digest: &Address) -> Reply {
    if !call.options.referrers {
        return Reply::no_such_page();
    }
    if !reads(call.method) {
        return unsupported();
    }
    let wanted = call.field("artifactType");
    let mut found = call.content.lock().referrers(repository, digest, true);
    found.retain(|(_, stored)| {
        wanted.is_none_or(|wanted| stored.listing.artifact_type.as_deref() == Some(wanted))
    });
    let page = Page::of(call, None, found, |(address, _)| address.as_str());
    let manifests: Vec<Value> = page.entries.iter().map(|(address, stored)| entry(address, stored)).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
    let mut reply = Reply::new(StatusCode::OK).content(OCI_INDEX, index.to_string().into());
    if wanted.is_some() {
        reply = reply.header(OCI_FILTERS_APPLIED, "artifactType");
    }
    match page.next {
        Some(last) => {
            let mut query = Serializer::new(String::new());
            if let Some(wanted) = wanted {
                query.append_pair("artifactType", wanted);
            }
            let query = query.append_pair("last", &last).finish();
            reply.header(LINK, &format!("</v2/{repository}/referrers/{digest}?{query}>; rel=\"next\""))
        }
        None => reply,
    }
}

/// The descriptor of a manifest, with what a list of referrers adds to it.
fn entry(address: &Address, stored: &Stored) -> Value {
    let mut entry = json!({
        "mediaType": stored.media_type,
        "digest": address.as_str(),
        "size": stored.bytes.len(),
    });
    if let Some(artifact_type) = &stored.listing.artifact_type {
        set(&mut entry, "artifactType", artifact_type.clone().into());
    }
    if let Some(annotations) = &stored.listing.annotations {
        set(&mut entry, "annotations", annotations.clone().into());
    }
    entry
}

fn set(entry: &mut Value, name: &str, value: Value) {
    if let Some(fields) = entry.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// A part of a sorted list.
struct Page<T> {
    entries: Vec<T>,
    /// The name of the last entry, if there are more.
    next: Option<String>,
}

impl<T> Page<T> {
    /// The entries after the one that the query names as the last one seen: as many as are asked for and
    /// the options allow.
    fn of(call: &Call<'_>, asked: Option<usize>, mut entries: Vec<T>, name: impl Fn(&T) -> &str) -> Self {
        if let Some(last) = call.field("last") {
            entries.retain(|entry| name(entry) > last);
        }
        let most = call.options.page_size.map(usize::from);
        let limit = asked.into_iter().chain(most).min().unwrap_or(usize::MAX);
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| more).map(|entry| name(entry).to_owned());
        Self { entries, next }
    }
}
