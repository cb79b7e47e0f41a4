//! The two lists of an image's referrers, for a writer: the registry's own, and the index under the fallback tag.
//!
//! A registry that takes note of a manifest's subject says so with the header `OCI-Subject`, and lists the manifest itself. Where the header
//! is missing, the writer keeps the fallback tag too, whatever the API answers: some registries answer with an empty list for ever. So it
//! does where the API never lists what the registry took note of.
//!
//! A registry without the API is not asked for every image again. It counts as one, for a repository, when it doesn't know the address
//! of the referrers of an image to which this run has pushed one, and took no note of that: what some registries answer for an
//! empty repository, or for an image without referrers, doesn't count. From then on the fallback tag alone is the list, for reading and for
//! confirming; `verify` reads that tag wherever the API doesn't have enough. Should a later manifest be noted after all, the API is asked again.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject>

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::StoreError;
use super::reader::Reader;
use super::shelf::{Entry, Shelf, TOO_MANY};
use super::tagged::Tag;
use crate::oci::{Digest, Repository};
use crate::registry::client::Referrers;

/// How often, at least, and for how long a manifest is looked for in the registry's list before the fallback tag is written:
/// a list that is kept in a database of its own may be a moment late.
const LISTED_TIMES: u32 = 3;
const LISTED_WITHIN: Duration = Duration::from_secs(2);

/// What a run knows of the lists of its images.
#[derive(Default)]
pub(super) struct ReferrerLists(Mutex<All>);

#[derive(Default)]
struct All {
    images: HashMap<(Repository, Digest), Known>,
    /// The repositories without the referrers API.
    without_api: HashSet<Repository>,
}

/// What is known of one image's lists.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The fallback tag lists something: it is read beside the API from then on.
    is_tagged: bool,
    /// This run keeps the fallback tag.
    is_kept: bool,
    /// The registry took no note of the subject of a manifest that this run pushed.
    is_unnoted: bool,
    /// Since when the registry's list is waited for, and how often it was written for it.
    waits: Option<(Instant, u32)>,
}

impl ReferrerLists {
    /// The referrers that may be bundles of the wanted kind. `tag` is the fallback tag, and `location` what people call the registry's list.
    pub(super) async fn read(
        &self,
        tag: &Tag<'_>,
        location: &str,
        reader: &Reader<'_>,
    ) -> Result<Shelf, StoreError> {
        if self.lock().without_api.contains(tag.repository) {
            return tag.read().await;
        }
        let keeps = |descriptor: &Value| reader.may_be_bundle(descriptor);
        let failed = |source| StoreError::read(location.to_owned(), source);
        let listed = tag.client.referrers(tag.repository, tag.subject, &keeps).await.map_err(failed)?;
        let listing = match listed {
            Referrers::NoApi(why) => {
                if why.is_everywhere() && self.known(tag).is_unnoted {
                    self.lock().without_api.insert(tag.repository.clone());
                }
                return tag.read().await;
            }
            Referrers::Listed(listing) => listing,
        };
        if let Some(error) = listing.failed {
            return Err(failed(*error));
        }
        // The part after the cut may hold this run's entry.
        if listing.is_cut {
            return Err(StoreError::Foreign { location: location.to_owned(), what: TOO_MANY });
        }
        let entries = listing.descriptors.into_iter().map(Entry::unread).collect();
        let by_api = Shelf { entries, listed: true, ..Shelf::default() };
        if !by_api.entries.is_empty() && !self.known(tag).is_tagged {
            return Ok(by_api);
        }
        self.with_tag(tag, &by_api).await
    }

    /// What the fallback tag lists, with what the API lists and what is known of that.
    pub(super) async fn with_tag(&self, tag: &Tag<'_>, by_api: &Shelf) -> Result<Shelf, StoreError> {
        let mut both = tag.read().await?;
        if !both.entries.is_empty() {
            self.change(tag, |known| known.is_tagged = true);
        }
        both.absorb(by_api);
        both.counted_as(by_api);
        both.listed = true;
        Ok(both)
    }

    /// The list under the fallback tag to which a writer adds `own`, after it has read `shelf` and pushed their manifests; `None`: the
    /// registry lists them. `noted` says whether the registry took note of their subject.
    pub(super) async fn to_replace(
        &self,
        tag: &Tag<'_>,
        shelf: &Shelf,
        own: &Shelf,
        noted: bool,
    ) -> Result<Option<Shelf>, StoreError> {
        if noted {
            self.lock().without_api.remove(tag.repository);
        }
        self.change(tag, |known| known.is_unnoted = !noted);
        if noted && !self.known(tag).is_kept && self.may_be_listed(tag, shelf, own).await? {
            return Ok(None);
        }
        self.change(tag, |known| (known.is_tagged, known.is_kept) = (true, true));
        // Where the API lists something, the tag was not looked at.
        let was_read = shelf.read_at.is_some();
        Ok(Some(if was_read { shelf.clone() } else { self.with_tag(tag, shelf).await? }))
    }

    /// Whether the registry lists what it took note of, or may do so in a moment.
    async fn may_be_listed(&self, tag: &Tag<'_>, shelf: &Shelf, own: &Shelf) -> Result<bool, StoreError> {
        let holds = |one: &Entry| shelf.entries.iter().any(|entry| entry.digest() == one.digest());
        if shelf.listed && own.entries.iter().all(holds) {
            return Ok(true);
        }
        if !shelf.listed {
            // It had no API before. Some say so of a repository without anything in it, others now and then.
            let listed = tag.client.referrers(tag.repository, tag.subject, &|_| true).await;
            let listed = listed.map_err(|source| StoreError::read(tag.location(), source))?;
            if !matches!(listed, Referrers::Listed(listing) if !listing.descriptors.is_empty()) {
                return Ok(false);
            }
        }
        let now = Instant::now();
        let (since, times) = self.change(tag, |known| {
            let (since, times) = known.waits.unwrap_or((now, 0));
            *known.waits.insert((since, times.saturating_add(1)))
        });
        Ok(times <= LISTED_TIMES || now.duration_since(since) < LISTED_WITHIN)
    }

    /// Whether the API lists all of `own`, now or in a moment. A look that fails shows nothing.
    pub(super) async fn shows(&self, tag: &Tag<'_>, own: &Shelf) -> bool {
        let digests: Vec<Digest> = own.entries.iter().filter_map(Entry::digest).collect();
        let is_own = |descriptor: &Value| {
            super::entry::digest_of(descriptor).is_some_and(|digest| digests.contains(&digest))
        };
        for number in 0..=LISTED_TIMES {
            if number > 0 {
                tokio::time::sleep(LISTED_WITHIN / LISTED_TIMES).await;
            }
            let listing = match tag.client.referrers(tag.repository, tag.subject, &is_own).await {
                Ok(Referrers::Listed(listing)) => listing,
                Ok(Referrers::NoApi(_)) => return false,
                Err(_) => continue,
            };
            let listed: Vec<_> = listing.descriptors.into_iter().map(Entry::unread).collect();
            if digests.iter().all(|digest| listed.iter().any(|entry| entry.digest().as_ref() == Some(digest)))
            {
                return true;
            }
        }
        false
    }

    fn known(&self, tag: &Tag<'_>) -> Known {
        self.change(tag, |known| *known)
    }

    fn change<T>(&self, tag: &Tag<'_>, change: impl FnOnce(&mut Known) -> T) -> T {
        let mut all = self.lock();
        change(all.images.entry((tag.repository.clone(), tag.subject.clone())).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
