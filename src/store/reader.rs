//! Reading one thing that lies at an image: the search of `verify` and the stores of `sign` read it here, and nowhere else.
//!
//! What a registry refuses, throttles or loses on the way is an error. What somebody left there and can't be read for what
//! it should be is [`Unreadable`], with the reason.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::shelf::{Shelf, Standing};
use super::{Judge, StoreError, oci_tag};
use crate::payload::cosign_statement::PREDICATE_TYPE;
use crate::payload::{dsse, simple_signing};
use crate::registry::client::{Client, Manifest, Target};
use crate::registry::{Digest, RegistryError, Repository};

/// A payload of an image signature says a name and some annotations.
const MAX_PAYLOAD_BYTES: u64 = 1024 * 1024;
/// A bundle of an image signature has about 10 KiB with everything in it.
pub(super) const MAX_SIGNATURE_BUNDLE_BYTES: u64 = 1024 * 1024;

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
    pub content: Result<Content, Unreadable>,
}

/// Why something that lies there can't be read for what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unreadable {
    /// The reason, for people.
    pub why: String,
    /// The registry lists it and doesn't hold it. Shortly after it was pushed, that may pass.
    pub absent: bool,
}

impl Unreadable {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), absent: false }
    }

    fn absent(why: &str) -> Self {
        Self { why: why.to_owned(), absent: true }
    }
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

/// What was read before, by repository and digest: what a digest names doesn't change.
///
/// What the registry didn't hold isn't remembered.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    all: HashMap<(Repository, Digest), Bytes>,
    bytes: usize,
}

/// The most that is remembered, in bytes; larger things are read again.
const MEMORY_BYTES: usize = 16 * 1024 * 1024;

impl Memory {
    fn find(&self, repository: &Repository, digest: &Digest) -> Option<Bytes> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.all.get(&(repository.clone(), digest.clone())).cloned()
    }

    fn keep(&self, repository: &Repository, digest: &Digest, bytes: &Bytes) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.bytes + bytes.len() <= MEMORY_BYTES {
            remembered.bytes += bytes.len();
            remembered.all.insert((repository.clone(), digest.clone()), bytes.clone());
        }
    }
}

/// Reads what lies at one image in one repository.
pub(super) struct Reader<'a> {
    pub(super) client: &'a Client,
    pub(super) repository: &'a Repository,
    pub(super) image: &'a Digest,
    pub(super) wanted: Wanted,
    /// Payloads that need not be fetched.
    pub(super) known: &'a [Bytes],
    /// What was read before; `None`: everything is read once anyway.
    pub(super) memory: Option<&'a Memory>,
    /// Larger bundles than this are not read.
    pub(super) limit_bytes: u64,
}

/// Which entries of a list are read.
pub(super) struct Places {
    /// Where they stand, with their descriptors, in the order in which they are read.
    pub(super) at: Vec<(usize, Value)>,
    /// How many are read at a time.
    pub(super) at_a_time: usize,
    /// The payloads for which one is looked for.
    pub(super) payloads: Vec<Digest>,
}

/// What the entries of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entries {
    /// Layers under cosign's tag.
    Layers,
    /// Manifests that refer to the image.
    Referrers,
}

impl Reader<'_> {
    /// Reads those entries of `shelf` that stand at `places`, and has each judged, until there is one for each payload.
    pub(super) async fn judge(
        &self,
        shelf: &mut Shelf,
        entries: Entries,
        places: Places,
        judge: &dyn Judge,
    ) -> Result<(), StoreError> {
        let read = |(at, descriptor): (usize, Value)| async move {
            let content = match entries {
                Entries::Layers => Some(self.layer(&self.location(), &descriptor).await?),
                Entries::Referrers if !self.may_be_wanted(&descriptor) => None,
                Entries::Referrers => self.referrer(descriptor).await?.map(|find| find.content),
            };
            let standing = match content {
                Some(content) => judge.judge(content).await,
                None => Standing::Refused("it is not listed as a bundle of this kind".to_owned()),
            };
            Ok::<_, StoreError>((at, standing))
        };
        let Places { at, at_a_time, mut payloads } = places;
        let mut reads = futures_util::stream::iter(at).map(read).buffer_unordered(at_a_time);
        while let Some(read) = reads.next().await {
            let (at, standing) = read?;
            if let Standing::Counts(payload) = &standing {
                payloads.retain(|wanted| wanted != payload);
            }
            if let Some(entry) = shelf.entries.get_mut(at) {
                entry.standing = standing;
            }
            if payloads.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn location(&self) -> String {
        format!("{}@{}", self.repository, self.image)
    }

    async fn manifest(&self, digest: &Digest, location: &str) -> Result<Option<Bytes>, StoreError> {
        if let Some(bytes) = self.memory.and_then(|memory| memory.find(self.repository, digest)) {
            return Ok(Some(bytes));
        }
        let manifest = self.client.manifest(self.repository, &Target::Digest(digest.clone())).await;
        let manifest = manifest.map_err(|source| StoreError::read(location.to_owned(), source))?;
        let bytes = manifest.map(|Manifest { bytes, .. }| bytes);
        if let (Some(memory), Some(bytes)) = (self.memory, &bytes) {
            memory.keep(self.repository, digest, bytes);
        }
        Ok(bytes)
    }

    /// Whether a descriptor may be of a bundle of the wanted kind; what it doesn't say has to be read.
    pub(super) fn may_be_wanted(&self, descriptor: &Value) -> bool {
        let bundle = match descriptor.get("artifactType").and_then(Value::as_str) {
            None | Some("" | EMPTY_CONFIG_TYPE) => true,
            Some(named) => named.starts_with(BUNDLE_TYPE),
        };
        let predicate = descriptor.get("annotations").and_then(|all| all.get(PREDICATE_ANNOTATION));
        let is_signature = predicate.and_then(Value::as_str).map(|predicate| predicate == PREDICATE_TYPE);
        bundle && is_signature.is_none_or(|is| is == (self.wanted == Wanted::Signatures))
    }

    /// What a layer under cosign's tag holds.
    pub(super) async fn layer(
        &self,
        place: &str,
        layer: &Value,
    ) -> Result<Result<Content, Unreadable>, StoreError> {
        match self.wanted {
            Wanted::Signatures => self.simple(place, layer).await,
            Wanted::Attestations => self.envelope(place, layer).await,
        }
    }

    async fn simple(&self, place: &str, layer: &Value) -> Result<Result<Content, Unreadable>, StoreError> {
        if text(layer, "mediaType") != Some(simple_signing::MEDIA_TYPE) {
            return Ok(Err(Unreadable::new(
                "the layer's media type is not that of a simple signing payload",
            )));
        }
        let annotated = annotation(layer, oci_tag::SIGNATURE_ANNOTATION);
        let Some(signature) = annotated.and_then(|text| STANDARD.decode(text).ok()) else {
            return Ok(Err(Unreadable::new("the layer has no signature in base64")));
        };
        let payload = self.blob(place, layer, MAX_PAYLOAD_BYTES).await?;
        Ok(payload.map(|payload| Content::Simple {
            payload,
            signature,
            attached: Box::new(Attached::of(layer)),
        }))
    }

    async fn envelope(&self, place: &str, layer: &Value) -> Result<Result<Content, Unreadable>, StoreError> {
        if text(layer, "mediaType") != Some(dsse::MEDIA_TYPE) {
            return Ok(Err(Unreadable::new("the layer's media type is not that of a DSSE envelope")));
        }
        let envelope = self.blob(place, layer, dsse::MAX_BYTES).await?;
        Ok(envelope.map(|envelope| Content::Envelope(envelope, Box::new(Attached::of(layer)))))
    }

    /// The bundle in a referrer; `None`: it is the manifest of something else.
    pub(super) async fn referrer(&self, descriptor: Value) -> Result<Option<Find>, StoreError> {
        let Some(digest) = text(&descriptor, "digest").and_then(|text| text.parse::<Digest>().ok()) else {
            return Ok(None);
        };
        let place = format!("{}@{digest}", self.repository);
        let unusable = |why: &str| Find { place: place.clone(), content: Err(Unreadable::new(why)) };
        let manifest = match self.manifest(&digest, &place).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) => {
                let content = Err(Unreadable::absent("it is listed, and the registry doesn't hold it"));
                return Ok(Some(Find { place, content }));
            }
            Err(error) if error.is_bad_content() => {
                return Ok(Some(unusable("it is not what its digest names")));
            }
            Err(error) => return Err(error),
        };
        let Ok(manifest) = serde_json::from_slice::<Value>(&manifest) else {
            return Ok(Some(unusable("its manifest is not JSON")));
        };
        let layers = manifest.get("layers").and_then(Value::as_array).map(Vec::as_slice);
        let Some([layer]) = layers else { return Ok(None) };
        if !text(layer, "mediaType").is_some_and(|kind| kind.starts_with(BUNDLE_TYPE)) {
            return Ok(None);
        }
        let subject = manifest.get("subject").and_then(|subject| text(subject, "digest"));
        if subject != Some(self.image.as_str()) {
            return Ok(Some(unusable("its manifest names another subject")));
        }
        let limit = match self.wanted {
            Wanted::Signatures => MAX_SIGNATURE_BUNDLE_BYTES,
            Wanted::Attestations => dsse::MAX_BYTES,
        };
        let content = self.blob(&place, layer, limit.min(self.limit_bytes)).await?.map(Content::Bundle);
        Ok(Some(Find { place, content }))
    }

    /// The bytes that a descriptor names: of that digest, and of that size.
    async fn blob(
        &self,
        place: &str,
        layer: &Value,
        limit: u64,
    ) -> Result<Result<Bytes, Unreadable>, StoreError> {
        let Some(digest) = text(layer, "digest").and_then(|text| text.parse::<Digest>().ok()) else {
            return Ok(Err(Unreadable::new("the layer's digest is no sha256 digest")));
        };
        let size = layer.get("size").and_then(Value::as_u64);
        if size.is_none_or(|size| size > limit) {
            return Ok(Err(Unreadable::new(format!(
                "the layer has no size, or is larger than {limit} bytes"
            ))));
        }
        let known = self.known.iter().find(|known| Digest::of(known) == digest);
        let bytes = match known {
            Some(known) => Some(known.clone()),
            None => match self.fetched(&digest, limit).await {
                Ok(bytes) => bytes,
                Err(source) => return unreadable(place, source),
            },
        };
        let Some(bytes) = bytes else {
            return Ok(Err(Unreadable::absent("the registry doesn't hold the layer")));
        };
        if size != Some(bytes.len() as u64) {
            return Ok(Err(Unreadable::new("the layer is not as long as its descriptor says")));
        }
        Ok(Ok(bytes))
    }

    /// The bytes of a blob; `None`: the registry doesn't hold it.
    async fn fetched(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>, RegistryError> {
        if let Some(bytes) = self.memory.and_then(|memory| memory.find(self.repository, digest)) {
            return Ok(Some(bytes));
        }
        let bytes = self.client.blob(self.repository, digest, limit).await?;
        if let (Some(memory), Some(bytes)) = (self.memory, &bytes) {
            memory.keep(self.repository, digest, bytes);
        }
        Ok(bytes)
    }
}

/// Content that isn't what its name says is nobody's signature; every other failure is one.
fn unreadable<T>(place: &str, source: RegistryError) -> Result<Result<T, Unreadable>, StoreError> {
    let error = StoreError::read(place.to_owned(), source);
    if error.is_bad_content() {
        Ok(Err(Unreadable::new("its bytes are not what its digest names")))
    } else {
        Err(error)
    }
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
