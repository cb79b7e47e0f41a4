//! Everything that lies at an image and may be its signature or attestation, found in one pass.
//!
//! The tag of cosign's, and the referrers or else their fallback tag, are asked at the same time. What a registry
//! refuses, throttles or loses is an error: it never counts as "nothing there". What somebody left there and can't be
//! read for what it is, is told beside the rest.

use std::future::Future;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::oneshot;

use super::referrers_api::{Api, ReferrersApis};
use super::shelf::Shelf;
use super::{StoreError, oci_tag};
use crate::payload::cosign_statement::PREDICATE_TYPE;
use crate::payload::{dsse, simple_signing};
use crate::registry::client::{Client, Manifest, Target};
use crate::registry::{Digest, ImageRef, RegistryError, Repository};

/// A payload of an image signature says a name and some annotations.
const MAX_PAYLOAD_BYTES: u64 = 1024 * 1024;
/// A bundle of an image signature has about 10 KiB with everything in it.
const MAX_SIGNATURE_BUNDLE_BYTES: u64 = 1024 * 1024;
/// More entries than this are no list of signatures.
const MAX_ENTRIES: usize = 20_000;
/// How many small things are read at a time.
const AT_A_TIME: usize = 16;
/// How many envelopes are read at a time: each may have 86 MiB.
const LARGE_AT_A_TIME: usize = 2;

/// How every media type of a Sigstore bundle begins.
const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle";
/// What some registries say of every referrer whose config is the empty one.
const EMPTY_CONFIG_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// The annotation that tells what a bundle is about.
const PREDICATE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Signatures of the image itself.
    Signatures,
    /// Attestations about it.
    Attestations,
}

/// Something that was found. Nothing of it is verified.
#[derive(Clone, Debug)]
pub struct Find {
    /// Where it lies, for people.
    pub place: String,
    /// What it is, or why it can't be read.
    pub content: Result<Content, String>,
}

/// What lies in one place.
#[derive(Clone, Debug)]
pub enum Content {
    /// A layer of a `.sig` manifest.
    Simple {
        /// The bytes that are signed.
        payload: Bytes,
        /// The signature.
        signature: Vec<u8>,
        /// The other annotations of cosign's.
        attached: Box<Attached>,
    },
    /// A DSSE envelope: a layer of a `.att` manifest.
    Envelope(Bytes, Box<Attached>),
    /// A Sigstore bundle.
    Bundle(Bytes),
}

/// What cosign hangs onto a layer beside the signature; `None`: it isn't there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// The signer's certificate, PEM.
    pub certificate: Option<String>,
    /// The certificates above it, PEM.
    pub chain: Option<String>,
    /// The entry of the transparency log, JSON.
    pub log: Option<String>,
    /// An RFC 3161 timestamp, JSON.
    pub timestamp: Option<String>,
}

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
        let place = Place { search: self, image, known };
        let at_a_time = match self.wanted {
            Wanted::Signatures => AT_A_TIME,
            Wanted::Attestations => LARGE_AT_A_TIME,
        };
        let (is_tagged, tells) = oneshot::channel();
        let tagged = async {
            let layers = place.tagged().await?;
            // Nobody hears it where the referrers needn't know.
            let _ = is_tagged.send(!layers.is_empty());
            let reads = layers.into_iter().map(|(name, layer)| place.layer(name, layer));
            read_all(reads, at_a_time, found).await
        };
        let ((), referrers) = tokio::try_join!(tagged, place.referrers(tells))?;
        read_all(referrers.into_iter().map(|one| place.referrer(one)), at_a_time, found).await
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
    known: &'a [Bytes],
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
        let shelf = Shelf::of(&manifest, "layers", &location)?;
        let layers = limited(shelf, &location)?;
        Ok(layers
            .into_iter()
            .enumerate()
            .map(|(at, layer)| (format!("{location} layer {}", at + 1), layer))
            .collect())
    }

    /// The descriptors of the referrers that may be wanted; `is_tagged` tells whether the tag lists anything.
    async fn referrers(&self, is_tagged: oneshot::Receiver<bool>) -> Result<Vec<Value>, StoreError> {
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
        descriptors.retain(|descriptor| self.may_be_wanted(descriptor));
        if descriptors.len() > MAX_ENTRIES {
            return Err(StoreError::Foreign { location, what: "it lists more than 20,000 signatures" });
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
            Some(manifest) => limited(Shelf::of(&manifest, "manifests", &location)?, &location),
            None => Ok(Vec::new()),
        }
    }

    /// Whether a descriptor may be of a bundle of the wanted kind; what it doesn't say has to be read.
    fn may_be_wanted(&self, descriptor: &Value) -> bool {
        let bundle = match descriptor.get("artifactType").and_then(Value::as_str) {
            None | Some("" | EMPTY_CONFIG_TYPE) => true,
            Some(named) => named.starts_with(BUNDLE_TYPE),
        };
        let predicate = descriptor.get("annotations").and_then(|all| all.get(PREDICATE_ANNOTATION));
        let is_signature = predicate.and_then(Value::as_str).map(|predicate| predicate == PREDICATE_TYPE);
        bundle && is_signature.is_none_or(|is| is == (self.search.wanted == Wanted::Signatures))
    }

    async fn layer(&self, place: String, layer: Value) -> Result<Option<Find>, StoreError> {
        let content = match self.search.wanted {
            Wanted::Signatures => self.simple(&place, &layer).await?,
            Wanted::Attestations => self.envelope(&place, &layer).await?,
        };
        Ok(Some(Find { place, content }))
    }

    async fn simple(&self, place: &str, layer: &Value) -> Result<Result<Content, String>, StoreError> {
        if text(layer, "mediaType") != Some(simple_signing::MEDIA_TYPE) {
            return Ok(Err("the layer's media type is not that of a simple signing payload".to_owned()));
        }
        let annotated = annotation(layer, oci_tag::SIGNATURE_ANNOTATION);
        let Some(signature) = annotated.and_then(|text| STANDARD.decode(text).ok()) else {
            return Ok(Err("the layer has no signature in base64".to_owned()));
        };
        let payload = self.blob(place, layer, MAX_PAYLOAD_BYTES).await?;
        Ok(payload.map(|payload| Content::Simple {
            payload,
            signature,
            attached: Box::new(Attached::of(layer)),
        }))
    }

    async fn envelope(&self, place: &str, layer: &Value) -> Result<Result<Content, String>, StoreError> {
        if text(layer, "mediaType") != Some(dsse::MEDIA_TYPE) {
            return Ok(Err("the layer's media type is not that of a DSSE envelope".to_owned()));
        }
        let envelope = self.blob(place, layer, dsse::MAX_BYTES).await?;
        Ok(envelope.map(|envelope| Content::Envelope(envelope, Box::new(Attached::of(layer)))))
    }

    /// The bundle in a referrer; `None`: it is the manifest of something else.
    async fn referrer(&self, descriptor: Value) -> Result<Option<Find>, StoreError> {
        let Some(digest) = text(&descriptor, "digest").and_then(|text| text.parse::<Digest>().ok()) else {
            return Ok(None);
        };
        let place = format!("{}@{digest}", self.repository());
        let unusable = |why: &str| Find { place: place.clone(), content: Err(why.to_owned()) };
        let manifest = match self.manifest(Target::Digest(digest), &place).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Ok(Some(unusable("it is listed, and the registry doesn't hold it"))),
            Err(error) if error.is_bad_content() => {
                return Ok(Some(unusable("it is not what its digest names")));
            }
            Err(error) => return Err(error),
        };
        let Ok(manifest) = serde_json::from_slice::<Value>(&manifest.bytes) else {
            return Ok(Some(unusable("its manifest is not JSON")));
        };
        let layers = manifest.get("layers").and_then(Value::as_array).map(Vec::as_slice);
        let Some([layer]) = layers else { return Ok(None) };
        if !text(layer, "mediaType").is_some_and(|kind| kind.starts_with(BUNDLE_TYPE)) {
            return Ok(None);
        }
        let subject = manifest.get("subject").and_then(|subject| text(subject, "digest"));
        if subject != Some(self.image.digest.as_str()) {
            return Ok(Some(unusable("its manifest names another subject")));
        }
        let limit = match self.search.wanted {
            Wanted::Signatures => MAX_SIGNATURE_BUNDLE_BYTES,
            Wanted::Attestations => dsse::MAX_BYTES,
        };
        let content = self.blob(&place, layer, limit).await?.map(Content::Bundle);
        Ok(Some(Find { place, content }))
    }

    /// The bytes that a descriptor names: of that digest, and of that size.
    async fn blob(
        &self,
        place: &str,
        layer: &Value,
        limit: u64,
    ) -> Result<Result<Bytes, String>, StoreError> {
        let Some(digest) = text(layer, "digest").and_then(|text| text.parse::<Digest>().ok()) else {
            return Ok(Err("the layer's digest is no sha256 digest".to_owned()));
        };
        let size = layer.get("size").and_then(Value::as_u64);
        if size.is_none_or(|size| size > limit) {
            return Ok(Err(format!("the layer has no size, or is larger than {limit} bytes")));
        }
        let known = self.known.iter().find(|known| Digest::of(known) == digest);
        let bytes = match known {
            Some(known) => Some(known.clone()),
            None => match self.search.client.blob(self.repository(), &digest, limit).await {
                Ok(bytes) => bytes,
                Err(source) => return unreadable(place, source),
            },
        };
        let Some(bytes) = bytes else {
            return Ok(Err("the registry doesn't hold the layer".to_owned()));
        };
        if size != Some(bytes.len() as u64) {
            return Ok(Err("the layer is not as long as its descriptor says".to_owned()));
        }
        Ok(Ok(bytes))
    }
}

/// Content that isn't what its name says is nobody's signature; every other failure is one.
fn unreadable<T>(place: &str, source: RegistryError) -> Result<Result<T, String>, StoreError> {
    let error = StoreError::read(place.to_owned(), source);
    if error.is_bad_content() {
        Ok(Err("its bytes are not what its digest names".to_owned()))
    } else {
        Err(error)
    }
}

fn limited(shelf: Shelf, location: &str) -> Result<Vec<Value>, StoreError> {
    if shelf.entries.len() > MAX_ENTRIES {
        let what = "it lists more than 20,000 signatures";
        return Err(StoreError::Foreign { location: location.to_owned(), what });
    }
    Ok(shelf.entries.into_iter().map(|entry| entry.descriptor).collect())
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

fn annotation<'a>(layer: &'a Value, name: &str) -> Option<&'a str> {
    text(layer.get("annotations")?, name)
}

impl Attached {
    fn of(layer: &Value) -> Self {
        let owned = |name| annotation(layer, name).filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            certificate: owned("dev.sigstore.cosign/certificate"),
            chain: owned("dev.sigstore.cosign/chain"),
            log: owned("dev.sigstore.cosign/bundle"),
            timestamp: owned("dev.sigstore.cosign/rfc3161timestamp"),
        }
    }
}
