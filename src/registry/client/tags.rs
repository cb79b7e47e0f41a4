//! The tags of a repository: asked for only where the answer about one of them leaves open whether it is there.
//!
//! A virtual repository of Artifactory answers 403 for a tag that isn't there, if the login may not read every repository behind it:
//! <https://github.com/sigstore/cosign/issues/2973>, <https://github.com/google/go-containerregistry/pull/1691>. A 403 alone is never taken for
//! an absent tag: a writer who did that would put a list with one signature in the place of one that it may not read.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags>

use http::StatusCode;

use super::referrers::next_page;
use super::send::Reply;
use super::{Client, MAX_MANIFEST_BYTES, RegistryError, Repository, endpoint};
use crate::registry::json::{elements, fields};

/// More pages than this are not read: the tag counts as one that may be there.
const MAX_PAGES: usize = 100;

impl Client {
    /// Whether a tag isn't there whose manifest was refused with `error`: the registry itself says 403, and lists the repository's tags
    /// without this one.
    pub(super) async fn lacks_tag(&self, repository: &Repository, tag: &str, error: &RegistryError) -> bool {
        let is_forbidden = error.refusal().is_some_and(|refusal| refusal.status == StatusCode::FORBIDDEN);
        is_forbidden && self.lists_without(repository, tag).await == Some(true)
    }

    /// Whether the whole list of tags lacks `tag`; `None`: it can't be read, and the first error says more.
    async fn lists_without(&self, repository: &Repository, tag: &str) -> Option<bool> {
        let inner = &self.inner;
        let mut request = inner.request(repository, endpoint::tags).ok()?;
        let home = request.url.clone();
        request.limit_bytes = MAX_MANIFEST_BYTES;
        request.tells_of_login = false;
        for _ in 0..MAX_PAGES {
            let reply = inner.send(&request).await.ok()?;
            let is_page =
                reply.answer.status == StatusCode::OK && request.is_answered_by_registry(&reply.answer);
            if !is_page || names(&reply, tag)? {
                return Some(false);
            }
            match next_page(&reply.answer, &home).ok()? {
                Some(url) => request.url = url,
                None => return Some(true),
            }
        }
        None
    }
}

/// Whether a page names the tag, or has a name that can't be read; `None`: it isn't a list of tags.
fn names(reply: &Reply, tag: &str) -> Option<bool> {
    let (mut is_list, mut found) = (false, false);
    let read = fields(&reply.answer.body, |name, value| {
        if name == "tags" {
            let listed = elements(value, |raw| {
                found |= serde_json::from_str::<String>(raw.get()).map_or(true, |named| named == tag);
            });
            is_list = listed.is_ok();
        }
    });
    (read.is_ok() && is_list).then_some(found)
}
