//! Reading one thing that lies at an image: the search of `verify` and the stores of `sign` read it here, and nowhere else.
//!
//! What a registry refuses, throttles or loses on the way is an error. What somebody left there and can't be read for what
//! it should be is [`UnreadableEntry`], with the reason.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::memory::Memory;
use super::referrer::ReferrerManifest;
use super::shelf::Shelf;
use super::{StoreError, entry, oci_tag};
use crate::formats::cosign_statement::PREDICATE_TYPE;
use crate::formats::{dsse, simple_signing};
use crate::found::{
    EntryJudge, EntryStatus, LayerAnnotations, SignatureContent, UnreadableEntry, annotation, text,
};
use crate::oci::{Digest, Manifest, Repository, Target};
use crate::registry::RegistryError;
use crate::registry::client::Client;

/// A payload of an image signature says a name and some annotations.
const MAX_PAYLOAD_BYTES: u64 = 1024 * 1024;
/// A bundle of an image signature has about 10 KiB with everything in it.
pub(super) const MAX_SIGNATURE_BUNDLE_BYTES: u64 = 1024 * 1024;

/// How every media type of a Sigstore bundle begins.
pub(super) const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle";
/// What some registries say of every referrer whose config is the empty one.
const EMPTY_CONFIG_TYPE: &str = crate::oci::media_type::OCI_EMPTY;
/// The artifact types of cosign's referrers that have a layer a signature.
pub(super) const SIGNATURE_LISTS: [&str; 1] = ["application/vnd.dev.cosign.artifact.sig.v1+json"];
/// The same for attestations. Others write the second one for other things, which have other layers.
pub(super) const ATTESTATION_LISTS: [&str; 2] =
    ["application/vnd.dev.cosign.artifact.att.v1+json", "application/vnd.in-toto+json"];
/// The annotation that names the content type of a bundle.
const PREDICATE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Signatures of the image itself.
    Signatures,
    /// Attestations about the image: the tag ends with `.att`.
    Attestations,
}

impl Wanted {
    /// The media type of a layer under cosign's tag.
    fn layer_type(self) -> &'static str {
        match self {
            Self::Signatures => simple_signing::MEDIA_TYPE,
            Self::Attestations => dsse::MEDIA_TYPE,
        }
    }

    /// The artifact types of referrers with such layers, as cosign writes them (`--registry-referrers-mode=oci-1-1`).
    fn list_types(self) -> &'static [&'static str] {
        match self {
            Self::Signatures => &SIGNATURE_LISTS,
            Self::Attestations => &ATTESTATION_LISTS,
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
    pub(super) known: Vec<(Digest, Bytes)>,
    /// What was read before; `None`: everything is read once anyway.
    pub(super) memory: Option<&'a Memory>,
    /// Larger bundles than this are not read.
    pub(super) limit_bytes: u64,
    /// What it has fetched so far.
    pub(super) fetched: Fetched,
}

/// How much was fetched.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Fetched {
    fn count(&self, bytes: Option<&Bytes>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes.map_or(0, |bytes| bytes.len() as u64), Ordering::Relaxed);
    }

    /// How many contents were asked for.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How many bytes came.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Payloads with their digests, by which they are found.
pub(super) fn by_digest(payloads: &[Bytes]) -> Vec<(Digest, Bytes)> {
    payloads.iter().map(|payload| (Digest::of(payload), payload.clone())).collect()
}

/// What a layer's descriptor says, as far as it is read.
#[derive(Debug)]
pub(super) struct Layer {
    /// The signature of a simple signing payload; `None`: it is an envelope.
    signature: Option<Vec<u8>>,
    pub(super) named: Named,
    pub(super) attached: Box<LayerAnnotations>,
}

/// What a descriptor names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Named {
    pub(super) digest: Digest,
    /// The size that it says, which is not larger than what is read.
    pub(super) size_bytes: u64,
}

/// What a referrer's manifest holds.
#[derive(Debug)]
pub(super) enum Referring {
    /// The layer is a Sigstore bundle.
    Bundle(Named),
    /// Layers as under cosign's tags: what `cosign sign --registry-referrers-mode=oci-1-1` writes.
    Layers,
}

/// Which entries of a list are read.
pub(super) struct Places {
    /// Their positions with their descriptors, in the order in which they are read.
    pub(super) at: Vec<(usize, Bytes)>,
    /// How many are read at a time.
    pub(super) at_a_time: usize,
    /// The payloads for which a signature is searched.
    pub(super) payloads: Vec<Digest>,
    /// Whether all are read, also when there is one for each payload.
    pub(super) all: bool,
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
        judge: &dyn EntryJudge,
    ) -> Result<(), StoreError> {
        let read = |(at, descriptor): (usize, Bytes)| async move {
            let content = match entries {
                Entries::Layers => Some(self.layer(&self.location(), &descriptor).await?),
                Entries::Referrers => match self.wanted_digest(&descriptor) {
                    None => None,
                    Some(digest) => self.referrer(&digest).await?,
                },
            };
            let standing = match content {
                Some(content) => judge.judge(content).await,
                None => EntryStatus::Refused("it is not listed as a bundle of this kind".to_owned()),
            };
            // Thousands of entries may need no request, and judging is all computing: the time limit must get its turn.
            tokio::task::yield_now().await;
            Ok::<_, StoreError>((at, standing))
        };
        let Places { at, at_a_time, mut payloads, all } = places;
        let mut reads = futures_util::stream::iter(at).map(read).buffer_unordered(at_a_time);
        while let Some(read) = reads.next().await {
            let (at, standing) = read?;
            if let EntryStatus::Counts(payload) = &standing {
                payloads.retain(|wanted| wanted != payload);
            }
            if let Some(entry) = shelf.entries.get_mut(at) {
                entry.standing = standing;
            }
            if payloads.is_empty() && !all {
                break;
            }
        }
        Ok(())
    }

    fn location(&self) -> String {
        format!("{}@{}", self.repository, self.image)
    }

    pub(super) async fn manifest(
        &self,
        digest: &Digest,
        location: &str,
    ) -> Result<Option<Bytes>, StoreError> {
        if let Some(bytes) = self.memory.and_then(|memory| memory.find(self.repository, digest)) {
            return Ok(Some(bytes));
        }
        let manifest = self.client.manifest(self.repository, &Target::Digest(digest.clone())).await;
        let manifest = manifest.map_err(|source| StoreError::read(location.to_owned(), source))?;
        let bytes = manifest.map(|Manifest { bytes, .. }| bytes);
        self.fetched.count(bytes.as_ref());
        if let (Some(memory), Some(bytes)) = (self.memory, &bytes) {
            memory.keep(self.repository, digest, bytes);
        }
        Ok(bytes)
    }

    /// Whether a descriptor may be of anything of the wanted kind: of a bundle, or of a manifest with layers as under cosign's tags.
    pub(super) fn may_be_wanted(&self, descriptor: &Value) -> bool {
        let kind = text(descriptor, "artifactType");
        self.may_be_bundle(descriptor) || kind.is_some_and(|kind| self.wanted.list_types().contains(&kind))
    }

    /// Whether a descriptor may be of a bundle of the wanted kind; what it doesn't say has to be read.
    pub(super) fn may_be_bundle(&self, descriptor: &Value) -> bool {
        let bundle = match descriptor.get("artifactType").and_then(Value::as_str) {
            None | Some("" | EMPTY_CONFIG_TYPE) => true,
            Some(named) => named.starts_with(BUNDLE_TYPE),
        };
        let predicate = descriptor.get("annotations").and_then(|all| all.get(PREDICATE_ANNOTATION));
        let is_signature = predicate.and_then(Value::as_str).map(|predicate| predicate == PREDICATE_TYPE);
        bundle && is_signature.is_none_or(|is| is == (self.wanted == Wanted::Signatures))
    }

    /// The digest of a referrer that may be a bundle of the wanted kind.
    fn wanted_digest(&self, descriptor: &[u8]) -> Option<Digest> {
        let descriptor = entry::read(descriptor)?;
        self.may_be_bundle(&descriptor).then(|| entry::digest_of(&descriptor))?
    }

    /// What a layer under cosign's tag holds.
    async fn layer(
        &self,
        place: &str,
        descriptor: &[u8],
    ) -> Result<Result<SignatureContent, UnreadableEntry>, StoreError> {
        let layer = match self.read_layer(descriptor) {
            Ok(layer) => layer,
            Err(unreadable) => return Ok(Err(unreadable)),
        };
        let bytes = self.blob(place, &layer.named).await?;
        Ok(layer.content(bytes))
    }

    /// What a layer's descriptor says, of which no more is kept than that.
    ///
    /// # Errors
    ///
    /// Why it can't be a signature of the wanted kind.
    pub(super) fn read_layer(&self, descriptor: &[u8]) -> Result<Layer, UnreadableEntry> {
        let read = entry::read(descriptor);
        let long = || UnreadableEntry::new("the layer's descriptor is too long, or nests too deep");
        self.layer_of(&read.ok_or_else(long)?)
    }

    /// What a layer's descriptor says.
    ///
    /// # Errors
    ///
    /// Why it can't be a signature of the wanted kind.
    pub(super) fn layer_of(&self, layer: &Value) -> Result<Layer, UnreadableEntry> {
        let kind = text(layer, "mediaType");
        let signature = match self.wanted {
            Wanted::Signatures if kind != Some(self.wanted.layer_type()) => {
                return Err(UnreadableEntry::new(
                    "the layer's media type is not that of a simple signing payload",
                ));
            }
            Wanted::Attestations if kind != Some(self.wanted.layer_type()) => {
                return Err(UnreadableEntry::new("the layer's media type is not that of a DSSE envelope"));
            }
            Wanted::Signatures => {
                let annotated = annotation(layer, oci_tag::SIGNATURE_ANNOTATION);
                let signature = annotated.and_then(|text| STANDARD.decode(text).ok());
                Some(signature.ok_or_else(|| UnreadableEntry::new("the layer has no signature in base64"))?)
            }
            Wanted::Attestations => None,
        };
        let limit = match self.wanted {
            Wanted::Signatures => MAX_PAYLOAD_BYTES,
            Wanted::Attestations => dsse::MAX_BYTES,
        };
        Ok(Layer { signature, named: named(layer, limit)?, attached: Box::new(LayerAnnotations::of(layer)) })
    }

    /// Whether a payload need not be fetched.
    pub(super) fn knows(&self, digest: &Digest) -> bool {
        self.known.iter().any(|(known, _)| known == digest)
    }

    /// The bundle in the referrer with this digest; `None`: it is the manifest of something else.
    async fn referrer(
        &self,
        digest: &Digest,
    ) -> Result<Option<Result<SignatureContent, UnreadableEntry>>, StoreError> {
        let named = match self.referring(digest).await? {
            None | Some(Ok(Referring::Layers)) => return Ok(None),
            Some(Err(unreadable)) => return Ok(Some(Err(unreadable))),
            Some(Ok(Referring::Bundle(named))) => named,
        };
        let bytes = self.blob(&self.place_of(digest), &named).await?;
        Ok(Some(bytes.and_then(|bytes| named.checked(bytes)).map(SignatureContent::Bundle)))
    }

    /// What the referrer with this digest holds; `None`: it is the manifest of something else.
    pub(super) async fn referring(
        &self,
        digest: &Digest,
    ) -> Result<Option<Result<Referring, UnreadableEntry>>, StoreError> {
        let place = self.place_of(digest);
        let unusable = |why: &str| Ok(Some(Err(UnreadableEntry::new(why))));
        let manifest = match self.manifest(digest, &place).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) => {
                return Ok(Some(Err(UnreadableEntry::absent(
                    "it is listed, and the registry doesn't hold it",
                ))));
            }
            Err(error) if error.is_bad_content() => return unusable("it is not what its digest names"),
            Err(error) => return Err(error),
        };
        let Some(manifest) = ReferrerManifest::read(&manifest) else {
            return unusable("its manifest is not JSON");
        };
        let is_bundle =
            |layer: &&Value| text(layer, "mediaType").is_some_and(|kind| kind.starts_with(BUNDLE_TYPE));
        let bundle = manifest.only_layer().filter(is_bundle);
        let layer_type = manifest.first_layer().and_then(|layer| text(layer, "mediaType"));
        if bundle.is_none() && layer_type != Some(self.wanted.layer_type()) {
            return Ok(None);
        }
        if manifest.subject.as_deref() != Some(self.image.as_str()) {
            return unusable("its manifest names another subject");
        }
        let Some(layer) = bundle else { return Ok(Some(Ok(Referring::Layers))) };
        let limit = match self.wanted {
            Wanted::Signatures => MAX_SIGNATURE_BUNDLE_BYTES,
            Wanted::Attestations => dsse::MAX_BYTES,
        };
        Ok(Some(named(layer, limit.min(self.limit_bytes)).map(Referring::Bundle)))
    }

    /// Where a referrer lies, for people.
    pub(super) fn place_of(&self, digest: &Digest) -> String {
        format!("{}@{digest}", self.repository)
    }

    /// The bytes of that digest. Not more of them are fetched than its descriptor says there are.
    pub(super) async fn blob(
        &self,
        place: &str,
        named: &Named,
    ) -> Result<Result<Bytes, UnreadableEntry>, StoreError> {
        let known = self.known.iter().find(|(known, _)| *known == named.digest);
        let bytes = match known {
            Some((_, known)) => Some(known.clone()),
            None => match self.fetched(&named.digest, named.size_bytes).await {
                Ok(bytes) => bytes,
                Err(source) => return unreadable(place, source),
            },
        };
        Ok(bytes.ok_or_else(|| UnreadableEntry::absent("the registry doesn't hold the layer")))
    }

    /// The bytes of a blob; `None`: the registry doesn't hold it.
    async fn fetched(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>, RegistryError> {
        if let Some(bytes) = self.memory.and_then(|memory| memory.find(self.repository, digest)) {
            return Ok(Some(bytes));
        }
        let bytes = self.client.blob(self.repository, digest, limit).await?;
        self.fetched.count(bytes.as_ref());
        if let (Some(memory), Some(bytes)) = (self.memory, &bytes) {
            memory.keep(self.repository, digest, bytes);
        }
        Ok(bytes)
    }
}

/// What a layer's descriptor names, if it isn't larger than `limit`.
pub(super) fn named(layer: &Value, limit: u64) -> Result<Named, UnreadableEntry> {
    let digest = entry::digest_of(layer)
        .ok_or_else(|| UnreadableEntry::new("the layer's digest is no sha256 digest"))?;
    let size = layer.get("size").and_then(Value::as_u64).filter(|size| *size <= limit);
    let too_large =
        || UnreadableEntry::new(format!("the layer has no size, or is larger than {limit} bytes"));
    Ok(Named { digest, size_bytes: size.ok_or_else(too_large)? })
}

impl Named {
    /// `bytes`, if they are as many as its descriptor says.
    pub(super) fn checked(&self, bytes: Bytes) -> Result<Bytes, UnreadableEntry> {
        if self.size_bytes == bytes.len() as u64 {
            Ok(bytes)
        } else {
            Err(UnreadableEntry::new("the layer is not as long as its descriptor says"))
        }
    }
}

impl Layer {
    /// What it is with these bytes.
    pub(super) fn content(
        self,
        bytes: Result<Bytes, UnreadableEntry>,
    ) -> Result<SignatureContent, UnreadableEntry> {
        let Self { signature, named, attached } = self;
        let bytes = named.checked(bytes?)?;
        Ok(match signature {
            Some(signature) => SignatureContent::Simple { payload: bytes, signature, attached },
            None => SignatureContent::Envelope(bytes, attached),
        })
    }
}

/// Content with a wrong digest is not a signature; every other failure is an error.
fn unreadable<T>(place: &str, source: RegistryError) -> Result<Result<T, UnreadableEntry>, StoreError> {
    let error = StoreError::read(place.to_owned(), source);
    if error.is_bad_content() {
        Ok(Err(UnreadableEntry::new("its bytes are not what its digest names")))
    } else {
        Err(error)
    }
}
