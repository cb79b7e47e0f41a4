//! Everything that lies at an image and may be its signature or attestation, found in one pass.
//!
//! The tag of cosign's, and the referrers or else their fallback tag, are asked at the same time. What a registry
//! refuses, throttles or loses is an error: it never counts as "nothing there". What somebody left there and can't be
//! read for what it is, is told beside the rest.

use std::future::Future;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::oneshot;

use super::StoreError;
use super::reader::{Find, Reader, Wanted};
use super::referrers_api::{Api, ReferrersApis};
use super::shelf::{MAX_ENTRIES, Shelf, TOO_MANY};
use crate::registry::client::{Client, Manifest, Target};
use crate::registry::{Digest, ImageRef, Repository};

/// How many small things are read at a time.
const AT_A_TIME: usize = 16;
/// How many envelopes are read at a time: each may have 86 MiB.
const LARGE_AT_A_TIME: usize = 2;

/// Where signatures are looked for.
#[derive(Clone, Debug)]
pub struct Search {
    client: Client,
    repository: Option<Repository>,
    wanted: Wanted,
    apis: ReferrersApis,
}

impl Search {
    /// Looks beside each image, or in `repository`.
    pub fn new(client: Client, repository: Option<Repository>, wanted: Wanted) -> Self {
        Self { client, repository, wanted, apis: ReferrersApis::default() }
    }

    /// The same, with what others found out of registries.
    #[must_use]
    pub fn sharing(mut self, apis: &ReferrersApis) -> Self {
        self.apis = apis.clone();
        self
    }

    /// Gives everything that lies at `image` to `found`, in a stable order: the tag's layers, then the referrers.
    ///
    /// Payloads among `known` are not read again.
    ///
    /// # Errors
    ///
    /// When a place can't be read, or lists more than can be somebody's signatures.
    pub async fn run(
        &self,
        image: &ImageRef,
        known: &[Bytes],
        found: &mut (dyn FnMut(Find) + Send),
    ) -> Result<(), StoreError> {
        let place = Place { search: self, image };
        let reader = &Reader {
            client: &self.client,
            repository: place.repository(),
            image: &image.digest,
            wanted: self.wanted,
            known,
            memory: None,
            limit_bytes: u64::MAX,
        };
        let at_a_time = match self.wanted {
            Wanted::Signatures => AT_A_TIME,
            Wanted::Attestations => LARGE_AT_A_TIME,
        };
        let (is_tagged, tells) = oneshot::channel();
        let tagged = async {
            let layers = place.tagged().await?;
            // Nobody hears it where the referrers needn't know.
            let _ = is_tagged.send(!layers.is_empty());
            let reads = layers.into_iter().map(|(place, layer)| async move {
                let content = reader.layer(&place, &layer).await?;
                Ok(Some(Find { place, content }))
            });
            read_all(reads, at_a_time, found).await
        };
        let ((), referrers) = tokio::try_join!(tagged, place.referrers(reader, tells))?;
        read_all(referrers.into_iter().map(|one| reader.referrer(one)), at_a_time, found).await
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

/// Reads several at a time and tells of them in their order.
async fn read_all<F: Future<Output = Result<Option<Find>, StoreError>>>(
    reads: impl Iterator<Item = F>,
    at_a_time: usize,
    found: &mut (dyn FnMut(Find) + Send),
) -> Result<(), StoreError> {
    let mut reads = futures_util::stream::iter(reads).buffered(at_a_time);
    while let Some(read) = reads.next().await {
        if let Some(find) = read? {
            found(find);
        }
    }
    Ok(())
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

    async fn manifest(&self, target: Target, location: &str) -> Result<Option<Manifest>, StoreError> {
        let manifest = self.search.client.manifest(self.repository(), &target).await;
        manifest.map_err(|source| StoreError::read(location.to_owned(), source))
    }

    /// The layers under cosign's tag, each with its name.
    async fn tagged(&self) -> Result<Vec<(String, Value)>, StoreError> {
        let tag = self.search.wanted.tag(&self.image.digest);
        let location = format!("{}:{tag}", self.repository());
        let Some(manifest) = self.manifest(Target::Tag(tag), &location).await? else {
            return Ok(Vec::new());
        };
        let shelf = Shelf::of(&manifest, "layers", &location)?.limited(&location)?;
        Ok(descriptors(shelf)
            .enumerate()
            .map(|(at, layer)| (format!("{location} layer {}", at + 1), layer))
            .collect())
    }

    /// The descriptors of the referrers that may be wanted; `is_tagged` tells whether the tag lists anything.
    async fn referrers(
        &self,
        reader: &Reader<'_>,
        is_tagged: oneshot::Receiver<bool>,
    ) -> Result<Vec<Value>, StoreError> {
        let location = format!("{}@{} (referrers)", self.repository(), self.image.digest);
        let mut descriptors = match self.search.apis.of(self.repository().registry()).await {
            Api::Absent => self.fallback().await?,
            Api::Ask => match self.listed(&location).await? {
                Some(descriptors) => descriptors,
                None => self.fallback().await?,
            },
            Api::AskFirst(asking) => match self.listed(&location).await? {
                Some(descriptors) => {
                    asking.absent(false);
                    descriptors
                }
                None if is_tagged.await == Ok(true) => {
                    asking.absent(true);
                    self.fallback().await?
                }
                None => {
                    let descriptors = self.fallback().await?;
                    asking.absent(!descriptors.is_empty());
                    descriptors
                }
            },
        };
        descriptors.retain(|descriptor| reader.may_be_wanted(descriptor));
        if descriptors.len() > MAX_ENTRIES {
            return Err(StoreError::Foreign { location, what: TOO_MANY });
        }
        Ok(descriptors)
    }

    /// What the referrers API lists; `None`: there is none.
    async fn listed(&self, location: &str) -> Result<Option<Vec<Value>>, StoreError> {
        let listed = self.search.client.all_referrers(self.repository(), &self.image.digest).await;
        listed.map_err(|source| StoreError::read(location.to_owned(), source))
    }

    /// What the fallback tag lists.
    async fn fallback(&self) -> Result<Vec<Value>, StoreError> {
        let tag = format!("sha256-{}", self.image.digest.hex());
        let location = format!("{}:{tag}", self.repository());
        match self.manifest(Target::Tag(tag), &location).await? {
            Some(manifest) => {
                let shelf = Shelf::of(&manifest, "manifests", &location)?.limited(&location)?;
                Ok(descriptors(shelf).collect())
            }
            None => Ok(Vec::new()),
        }
    }
}

fn descriptors(shelf: Shelf) -> impl Iterator<Item = Value> {
    shelf.entries.into_iter().map(|entry| entry.descriptor)
}
