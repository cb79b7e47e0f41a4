//! Everything that lies at an image and may be its signature or attestation, found in one pass.
//!
//! The tag of cosign's, and the referrers or else their fallback tag, are asked at the same time. What a registry
//! refuses, throttles or loses is an error: it never counts as "nothing there". What somebody left there and can't be
//! read for what it is, is told beside the rest.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

use super::StoreError;
use super::candidates::Candidates;
use super::find::{Find, Position};
use super::memory::Memory;
use super::pace::{MAX_FETCHED_BYTES, Pace};
use super::reader::{Fetched, Reader, Wanted, by_digest};
use super::referrers_api::{Api, ReferrersApis};
use crate::registry::client::{Client, Manifest};
use crate::registry::{Digest, ImageRef, Repository};

pub use super::candidates::Looks;

/// How much of what was fetched is remembered, in bytes: the payloads of signatures, which thousands of entries may share.
const MEMORY_BYTES: usize = 1024 * 1024;
/// Gets what a search finds.
pub trait Found: Send {
    /// Gets one thing that was found. They come in the order in which they are worth looking at, not in that of their positions.
    fn see(&mut self, find: Find);

    /// Gets one more entry for the content of the one at `of`, which it was given before.
    fn copy(&mut self, _of: Position, _place: String, _position: Position) {}

    /// Gets how many entries of a list can't be what is looked for, beside those that it was given.
    fn others(&mut self, _count: usize) {}

    /// Whether nothing more is needed. It is asked now and then, where much is left to look at.
    fn is_enough(&mut self) -> bool {
        false
    }
}

impl<F: FnMut(Find) + Send> Found for F {
    fn see(&mut self, find: Find) {
        self(find);
    }
}

/// Why a search has not looked at everything that lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// What was found is enough, and there is much more.
    Enough,
    /// A list has more entries than are looked at.
    Entries {
        /// Where the list is, for people.
        place: String,
    },
    /// More bytes would have to be fetched than are for one image.
    Bytes,
    /// The time of the run was over.
    Time,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enough => f.write_str("what was found was enough, and there is much more"),
            Self::Entries { place } => write!(f, "the list at {place} has more entries than are looked at"),
            Self::Bytes => write!(
                f,
                "what is there has more than {} MiB, the most that is fetched for one image",
                MAX_FETCHED_BYTES / 1024 / 1024
            ),
            Self::Time => f.write_str("the time limit of the run came first"),
        }
    }
}

/// Where signatures are looked for.
#[derive(Clone, Debug)]
pub struct Search {
    client: Client,
    repository: Option<Repository>,
    wanted: Wanted,
    apis: ReferrersApis,
    looks: Looks,
}

impl Search {
    /// Looks beside each image, or in `repository`.
    pub fn new(client: Client, repository: Option<Repository>, wanted: Wanted) -> Self {
        Self { client, repository, wanted, apis: ReferrersApis::default(), looks: Looks::default() }
    }

    /// The same, with what others found out of registries.
    #[must_use]
    pub fn sharing(mut self, apis: &ReferrersApis) -> Self {
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
    /// Payloads among `known` are not read again. Returns why it ended before everything was looked at; `None`: it did not.
    ///
    /// # Errors
    ///
    /// When a place can't be read.
    pub async fn run(
        &self,
        image: &ImageRef,
        known: &[Bytes],
        found: &mut dyn Found,
    ) -> Result<Option<Cut>, StoreError> {
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
        let mut pace = Pace::new(reader, found);
        let (is_tagged, tells) = oneshot::channel();
        let tagged = async {
            let (location, layers) = place.tagged(reader).await?;
            // Nobody hears it where the referrers needn't know.
            let _ = is_tagged.send(!layers.all.is_empty());
            let is_cut = layers.is_cut;
            let cut = pace.layers(&location, layers).await?;
            Ok::<_, StoreError>(cut.or_else(|| is_cut.then_some(Cut::Entries { place: location })))
        };
        let (tag_cut, referrers) = tokio::try_join!(tagged, place.referrers(reader, tells))?;
        if tag_cut.as_ref().is_some_and(|cut| !matches!(cut, Cut::Entries { .. })) {
            return Ok(tag_cut);
        }
        let is_cut = referrers.is_cut;
        let cut = pace.referrers(referrers).await?;
        let is_cut = is_cut.then(|| Cut::Entries { place: place.listed_at() });
        Ok(cut.or(tag_cut).or(is_cut))
    }

    /// Where it looks for `image`, for people.
    pub fn places(&self, image: &ImageRef) -> String {
        let repository = self.repository.as_ref().unwrap_or(&image.repository);
        format!(
            "{repository}:{} and the referrers of {repository}@{}",
            self.wanted.tag(&image.digest),
            image.digest
        )
    }
}

impl Wanted {
    fn tag(self, digest: &Digest) -> String {
        let end = match self {
            Self::Signatures => "sig",
            Self::Attestations => "att",
        };
        format!("sha256-{}.{end}", digest.hex())
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
        let tag = self.search.wanted.tag(&self.image.digest);
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

    /// The referrers that may be wanted; `is_tagged` tells whether the tag lists anything.
    async fn referrers(
        &self,
        reader: &Reader<'_>,
        is_tagged: oneshot::Receiver<bool>,
    ) -> Result<Candidates, StoreError> {
        let fallback = async || self.fallback(reader).await.map(|(candidates, _)| candidates);
        match self.search.apis.of(self.repository().registry()).await {
            Api::Absent => fallback().await,
            Api::Ask => match self.listed(reader).await? {
                Some(candidates) => Ok(candidates),
                None => fallback().await,
            },
            Api::AskFirst(asking) => match self.listed(reader).await? {
                Some(candidates) => {
                    asking.absent(false);
                    Ok(candidates)
                }
                None if is_tagged.await == Ok(true) => {
                    asking.absent(true);
                    fallback().await
                }
                None => {
                    let (candidates, entries) = self.fallback(reader).await?;
                    asking.absent(entries > 0);
                    Ok(candidates)
                }
            },
        }
    }

    /// What the referrers API lists; `None`: there is none.
    async fn listed(&self, reader: &Reader<'_>) -> Result<Option<Candidates>, StoreError> {
        let keeps = |descriptor: &Value| reader.may_be_wanted(descriptor);
        let listed = self.search.client.all_referrers(self.repository(), &self.image.digest, &keeps).await;
        let listed = listed.map_err(|source| StoreError::read(self.listed_at(), source))?;
        Ok(listed.map(|listing| Candidates::listed(listing, &self.search.looks)))
    }

    /// What the fallback tag lists, and how many entries it has.
    async fn fallback(&self, reader: &Reader<'_>) -> Result<(Candidates, usize), StoreError> {
        let tag = format!("sha256-{}", self.image.digest.hex());
        let location = format!("{}:{tag}", self.repository());
        let Some(manifest) = self.list(&tag, &location).await? else {
            return Ok((Candidates::default(), 0));
        };
        let candidates = Candidates::fallback(&manifest.bytes, reader, &self.search.looks);
        candidates.map_err(|what| StoreError::Foreign { location, what })
    }
}
