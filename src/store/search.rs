//! Everything that lies at an image and may be its signature or attestation, found in one pass.
//!
//! The tag of cosign's, and the referrers or else their fallback tag, are asked at the same time. What a registry
//! refuses, throttles or loses is a [failure](Failures): it never counts as "nothing there", and it takes nothing from what is found
//! elsewhere. What somebody left there and can't be read for what it is, is told beside the rest.

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

use super::StoreError;
use super::beside::Kind;
use super::candidates::{Before, Candidates};
use super::failures::Failures;
use super::memory::Memory;
use super::pace::Pace;
use super::reader::{Fetched, Reader, Wanted, by_digest};
use super::referrers_api::{Api, ReferrersApis};
use super::tag_prefix::TagPrefix;
use crate::found::{SearchLimit, SearchSink};
use crate::oci::{Digest, ImageRef, Manifest, Repository};
use crate::registry::client::{Client, NoApi, Peer, Referrers};

pub use super::candidates::Looks;

/// How much of what was fetched is remembered, in bytes: the payloads of signatures, which thousands of entries may share.
const MEMORY_BYTES: usize = 1024 * 1024;

/// How a search ended.
#[derive(Debug, Default)]
pub struct Looked {
    /// Why it ended before everything was looked at; `None`: it did not.
    pub cut: Option<SearchLimit>,
    /// What could not be looked up.
    pub failures: Failures,
    /// How the registry refuses its referrers API to a login that may read manifests; `None`: it does not.
    pub refused_api: Option<String>,
}

/// What asking the referrers API showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// It lists what it holds.
    Listed,
    /// There is none, for this image or everywhere in the registry.
    NoApi { is_everywhere: bool },
}

/// Where signatures are looked for.
#[derive(Clone, Debug)]
pub struct Search {
    client: Client,
    repository: Option<Repository>,
    wanted: Wanted,
    prefix: TagPrefix,
    apis: ReferrersApis,
    looks: Looks,
}

impl Search {
    /// Looks beside each image, or in `repository`.
    pub fn new(client: Client, repository: Option<Repository>, wanted: Wanted) -> Self {
        let (prefix, apis, looks) = (TagPrefix::default(), ReferrersApis::default(), Looks::default());
        Self { client, repository, wanted, prefix, apis, looks }
    }

    /// The same, under the tag that begins with `prefix`. Referrers and their fallback tag have none.
    #[must_use]
    pub(crate) fn with_prefix(mut self, prefix: &TagPrefix) -> Self {
        self.prefix = prefix.clone();
        self
    }

    /// The same, with what others found out of registries.
    #[must_use]
    pub(crate) fn sharing(mut self, apis: &ReferrersApis) -> Self {
        self.apis = apis.clone();
        self
    }

    /// The same, where what looks like this comes first.
    #[must_use]
    pub fn first(mut self, looks: Looks) -> Self {
        self.looks = looks;
        self
    }

    /// Gives everything that lies at `image` to `found`, the tag's layers, then the referrers, the likely ones of each first.
    ///
    /// Payloads among `known` are not read again. A place that can't be read is no reason not to look at the others.
    pub async fn run(&self, image: &ImageRef, known: &[Bytes], found: &mut dyn SearchSink) -> Looked {
        let place = Place { search: self, image };
        let memory = Memory::of(MEMORY_BYTES);
        let reader = &Reader {
            client: &self.client,
            repository: place.repository(),
            image: &image.digest,
            wanted: self.wanted,
            known: by_digest(known),
            memory: Some(&memory),
            limit_bytes: u64::MAX,
            fetched: Fetched::default(),
        };
        let mut pace = Pace::new(reader, &self.looks, found);
        let (is_tagged, tells) = oneshot::channel();
        let tagged = async {
            let (location, layers) = place.tagged(reader).await?;
            // No receiver is left if the referrers need not know.
            let _ = is_tagged.send(!layers.all.is_empty());
            let is_cut = layers.is_cut;
            let cut = pace.layers(&location, None, layers).await;
            Ok::<_, StoreError>(cut.or_else(|| is_cut.then_some(SearchLimit::Entries { place: location })))
        };
        let (tag_cut, mut listed) = tokio::join!(tagged, place.referrers(reader, tells));
        let mut looked = Looked::default();
        let tag_cut = tag_cut.unwrap_or_else(|error| {
            looked.failures.add(error);
            None
        });
        looked.cut = match tag_cut {
            Some(cut) if !matches!(cut, SearchLimit::Entries { .. }) => Some(cut),
            tag_cut => {
                let cut = place.look(&mut pace, reader, &mut listed).await;
                let is_cut = listed.is_cut;
                cut.or(tag_cut).or_else(|| is_cut.then(|| SearchLimit::Entries { place: place.listed_at() }))
            }
        };
        looked.refused_api = listed.refused_api;
        looked.failures.append(pace.failures);
        looked.failures.append(listed.failures);
        looked
    }

    /// Where it looks for `image`, for people.
    pub fn places(&self, image: &ImageRef) -> String {
        let repository = self.repository.as_ref().unwrap_or(&image.repository);
        format!("{repository}:{} and the referrers of {repository}@{}", self.tag(&image.digest), image.digest)
    }

    fn tag(&self, digest: &Digest) -> String {
        let kind = match self.wanted {
            Wanted::Signatures => Kind::Signatures,
            Wanted::Attestations => Kind::Attestations,
        };
        self.prefix.tag(digest, kind.end())
    }
}

/// One image's places.
struct Place<'a> {
    search: &'a Search,
    image: &'a ImageRef,
}

impl Place<'_> {
    fn repository(&self) -> &Repository {
        self.search.repository.as_ref().unwrap_or(&self.image.repository)
    }

    async fn list(&self, tag: &str, location: &str) -> Result<Option<Manifest>, StoreError> {
        let list = self.search.client.list(self.repository(), tag, &self.image.digest).await;
        list.map_err(|source| StoreError::read(location.to_owned(), source))
    }

    /// The layers under cosign's tag, and where that is.
    async fn tagged(&self, reader: &Reader<'_>) -> Result<(String, Candidates), StoreError> {
        let tag = self.search.tag(&self.image.digest);
        let location = format!("{}:{tag}", self.repository());
        let Some(manifest) = self.list(&tag, &location).await? else {
            return Ok((location, Candidates::default()));
        };
        match Candidates::layers(&manifest.bytes, reader, &self.search.looks) {
            Ok(layers) => Ok((location, layers)),
            Err(what) => Err(StoreError::Foreign { location, what }),
        }
    }

    /// Where the referrers are listed, for people.
    fn listed_at(&self) -> String {
        format!("{}@{} (referrers)", self.repository(), self.image.digest)
    }

    /// The referrers that may be wanted, from the list that is asked for first; `is_tagged` tells whether the tag lists anything.
    ///
    /// Where the API lists nothing that may be wanted, the fallback tag is asked for at once: old tags stay when a registry gets the API, and
    /// some registries answer with an empty list whatever they hold.
    async fn referrers(&self, reader: &Reader<'_>, is_tagged: oneshot::Receiver<bool>) -> Listed {
        let mut listed = Listed::default();
        let asking = match self.search.apis.of(self.repository().registry()).await {
            Api::Absent => {
                self.fallback(reader, &mut listed).await;
                listed.left = Some(Left::Api);
                return listed;
            }
            Api::Ask => None,
            Api::AskFirst(asking) => Some(asking),
        };
        let asked = match self.ask(reader, &mut listed).await {
            Ok(asked) => asked,
            Err(error) => {
                // Nothing is known of the registry: the next one asks first. A registry that fails or throttles is asked nothing more.
                drop(asking);
                listed.failures.add(error);
                return listed;
            }
        };
        match (asking, asked == Asked::NoApi { is_everywhere: true }) {
            (Some(asking), true) if is_tagged.await == Ok(true) => {
                asking.absent(true);
                self.fallback(reader, &mut listed).await;
            }
            (Some(asking), true) => {
                if let Some(entries) = self.fallback(reader, &mut listed).await {
                    asking.absent(entries > 0);
                }
            }
            (asking, _) => {
                asking.into_iter().for_each(|asking| asking.absent(false));
                if listed.candidates.all.is_empty() {
                    self.fallback(reader, &mut listed).await;
                } else {
                    listed.left = Some(Left::Tag);
                }
            }
        }
        listed
    }

    /// Looks at what is listed, and at the list that is left where that isn't enough.
    ///
    /// That another image has no API says nothing of this one, and a list of the API need not be whole: it may be late, or leave out what a
    /// fallback tag has listed since before there was the API.
    async fn look(
        &self,
        pace: &mut Pace<'_>,
        reader: &Reader<'_>,
        listed: &mut Listed,
    ) -> Option<SearchLimit> {
        let cut = pace.referrers(listed.take()).await;
        let Some(left) = listed.left.take().filter(|_| cut.is_none() && !pace.is_enough()) else {
            return cut;
        };
        match left {
            Left::Tag => {
                self.fallback(reader, listed).await;
            }
            Left::Api => match self.ask(reader, listed).await {
                Ok(Asked::Listed) => self.search.apis.is_there(self.repository().registry()).await,
                Ok(Asked::NoApi { .. }) => {}
                Err(error) => listed.failures.add(error),
            },
        }
        pace.referrers(listed.take()).await
    }

    /// Adds what the referrers API lists.
    async fn ask(&self, reader: &Reader<'_>, listed: &mut Listed) -> Result<Asked, StoreError> {
        let keeps = |descriptor: &Value| reader.may_be_wanted(descriptor);
        let failed = |source| StoreError::read(self.listed_at(), source);
        let client = &self.search.client;
        match client.referrers(self.repository(), &self.image.digest, &keeps).await.map_err(failed)? {
            Referrers::Listed(mut listing) => {
                listed.failures.extend(listing.failed.take().map(|source| failed(*source)));
                listed.add(Candidates::listed(listing, &self.search.looks));
                Ok(Asked::Listed)
            }
            Referrers::NoApi(why) => {
                let is_everywhere = why.is_everywhere();
                match why {
                    // A token service that refuses may be at fault itself, and so may the host that the registry redirects to: the list may have
                    // what is wanted.
                    NoApi::Refused(error) if error.peer() != Some(Peer::Registry) => {
                        listed.failures.add(failed(*error));
                    }
                    NoApi::Refused(error) => listed.refused_api = Some(error.to_string()),
                    NoApi::Unknown | NoApi::NotAList => {}
                }
                Ok(Asked::NoApi { is_everywhere })
            }
        }
    }

    /// Adds what the fallback tag lists; returns how many entries it has, where that is known.
    async fn fallback(&self, reader: &Reader<'_>, listed: &mut Listed) -> Option<usize> {
        let tag = format!("sha256-{}", self.image.digest.hex());
        let location = format!("{}:{tag}", self.repository());
        let manifest = match self.list(&tag, &location).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Some(0),
            Err(error) => {
                listed.failures.add(error);
                return None;
            }
        };
        match Candidates::fallback(&manifest.bytes, reader, &self.search.looks) {
            Ok((candidates, entries)) => {
                listed.add(candidates);
                Some(entries)
            }
            Err(what) => {
                listed.failures.add(StoreError::Foreign { location, what });
                None
            }
        }
    }
}

/// A list of an image's referrers that was not asked for yet.
enum Left {
    /// The registry's own, of a registry that lacks it for another image.
    Api,
    /// The fallback tag, beside the registry's own.
    Tag,
}

/// The referrers of one image.
#[derive(Default)]
struct Listed {
    /// Those that were not looked at yet.
    candidates: Candidates,
    /// What is asked for where they aren't enough.
    left: Option<Left>,
    /// Those of the list before.
    before: Before,
    /// Whether there are more than are looked at.
    is_cut: bool,
    failures: Failures,
    /// How the API is refused to a login that may read manifests.
    refused_api: Option<String>,
}

impl Listed {
    /// Adds another list, without what was looked at already.
    fn add(&mut self, list: Candidates) {
        self.is_cut |= list.is_cut;
        self.candidates = list.beside(&self.before);
    }

    /// What is to be looked at now.
    fn take(&mut self) -> Candidates {
        self.before = self.candidates.as_before();
        std::mem::take(&mut self.candidates)
    }
}
