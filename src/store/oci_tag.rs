//! cosign's `.sig` and `.att` tags: one image manifest a subject, one layer a signature or an attestation.
//!
//! A layer of `.sig` is the payload, and its signature stands in an annotation; a layer of `.att` is the DSSE envelope
//! of both, so that it can only be uploaded when it is signed, and must be read to know what it is.
//!
//! Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/specs/SIGNATURE_SPEC.md>,
//! <https://github.com/sigstore/cosign/blob/v3.1.2/specs/ATTESTATION_SPEC.md>

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::{Value, json};

use super::memory::Memory;
use super::parts::{self, AT_A_TIME, Mended, Name, Part, Parts};
use super::reader::{Entries, Fetched, Places, Reader, Wanted, by_digest};
use super::shelf::{Entry, Shelf};
use super::tag_prefix::TagPrefix;
use super::tagged::Tag;
use super::uploads::Uploads;
use super::wanted;
use super::{
    Depth, Descriptor, Own, SignatureList, Signed, Step, Store, StoreError, Subject, Turn, Written, oci,
};
use crate::formats::{Payload, dsse, simple_signing};
use crate::found::EntryJudge;
use crate::oci::{Digest, ImageRef, Repository};
use crate::place::{Encoding, StoreKind};
use crate::registry::client::Client;

/// The annotation with the base64 of the signature; empty on an attestation, which holds its signature itself.
pub(crate) const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// The annotation with an attestation's predicate type.
pub(crate) const PREDICATE_ANNOTATION: &str = "predicateType";

pub(super) const MANIFEST_TYPE: &str = crate::oci::media_type::OCI_IMAGE;
pub(super) const CONFIG_TYPE: &str = crate::oci::media_type::OCI_CONFIG;
/// The time that go-containerregistry writes for "unknown".
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// What a tag holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Signatures of the image: the tag ends with `.sig`.
    Signatures,
    /// Attestations about the image: the tag ends with `.att`.
    Attestations,
}

impl Contents {
    /// The end of the tag's name.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Signatures => "sig",
            Self::Attestations => "att",
        }
    }

    fn wanted(self) -> Wanted {
        match self {
            Self::Signatures => Wanted::Signatures,
            Self::Attestations => Wanted::Attestations,
        }
    }

    /// The layer of `signed`.
    fn bytes(self, signed: &Signed) -> Bytes {
        match self {
            Self::Signatures => signed.payload.bytes.clone(),
            Self::Attestations => signed.envelope(),
        }
    }

    /// The descriptor of that layer.
    fn layer(self, signed: &Signed, bytes: &Bytes) -> Value {
        let (media_type, annotations) = match self {
            Self::Signatures => {
                (signed.payload.media_type, json!({ SIGNATURE_ANNOTATION: signed.signature.base64() }))
            }
            Self::Attestations => (
                dsse::MEDIA_TYPE,
                json!({
                    SIGNATURE_ANNOTATION: "",
                    PREDICATE_ANNOTATION: wanted::predicate_type(&signed.payload),
                }),
            ),
        };
        json!({
            "mediaType": media_type,
            "size": bytes.len(),
            "digest": Digest::of(bytes).as_str(),
            "annotations": annotations,
        })
    }
}

/// The store `oci` with the encoding `dsse`.
pub struct OciTag {
    client: Client,
    contents: Contents,
    /// Another repository than the image's own.
    repository: Option<Repository>,
    prefix: TagPrefix,
    memory: Memory,
    uploads: Uploads,
    parts: Parts,
}

/// A list that is about to be written.
struct Draft {
    list: Shelf,
    /// The layers of this run.
    own: Vec<Bytes>,
    config: Bytes,
    manifest: Bytes,
}

impl OciTag {
    /// Keeps `contents` beside each image, or in `repository`.
    pub fn new(client: Client, contents: Contents, repository: Option<Repository>) -> Self {
        let (uploads, parts) = (Uploads::new(client.clone()), Parts::new(client.clone()));
        let (prefix, memory) = (TagPrefix::default(), Memory::default());
        Self { client, contents, repository, prefix, memory, uploads, parts }
    }

    /// The same, under tags that begin with `prefix`.
    #[must_use]
    pub(crate) fn with_prefix(self, prefix: TagPrefix) -> Self {
        Self { prefix, ..self }
    }

    fn tag<'a>(&'a self, image: &'a ImageRef) -> Tag<'a> {
        Tag {
            client: &self.client,
            repository: self.repository(image),
            name: self.prefix.tag(&image.digest, self.contents.suffix()),
            subject: &image.digest,
            field: "layers",
        }
    }

    /// `shelf` with `signed` added, as it is written.
    fn draft(&self, tag: &Tag<'_>, shelf: &Shelf, signed: &[Signed]) -> Result<Draft, StoreError> {
        let (mut list, mut ours, mut own) = (shelf.clone(), Shelf::default(), Vec::new());
        for signed in signed {
            let bytes = self.contents.bytes(signed);
            ours.entries.push(Entry::of(&self.contents.layer(signed, &bytes)));
            own.push(bytes);
        }
        list.absorb(&ours);
        let list = list.with_room(&tag.location())?;
        let config = config(diff_ids(&list))?;
        let descriptor = Descriptor {
            media_type: CONFIG_TYPE.into(),
            size: config.len() as u64,
            digest: Digest::of(&config).as_str().to_owned(),
        };
        let descriptor = serde_json::to_value(descriptor).map_err(StoreError::Json)?;
        let manifest = list.to_bytes("layers", MANIFEST_TYPE, Some(descriptor))?.into();
        Ok(Draft { list, own, config, manifest })
    }

    /// What `list` names, with its bytes where they are known: those of `own`, a payload that is always the same, and what was read.
    fn parts_of(&self, repository: &Repository, image: &ImageRef, list: &Shelf, own: &[Bytes]) -> Vec<Part> {
        let mut known: HashMap<Digest, Bytes> = by_digest(own).into_iter().collect();
        if self.contents == Contents::Signatures {
            known.extend(by_digest(&simple_signing::usual(image)));
        }
        let part = |entry: &Entry| {
            let digest = entry.digest()?;
            let bytes = known.get(&digest).cloned().or_else(|| self.memory.find(repository, &digest));
            Some(Part::blob(Some(entry.clone()), digest, bytes))
        };
        list.entries.iter().filter_map(part).collect()
    }

    /// Reads what others' entries name, as far as there is room to keep it: it may have to be put back.
    async fn keep(&self, tag: &Tag<'_>, shelf: &Shelf) {
        let names: HashMap<Digest, u64> = shelf.entries.iter().filter_map(parts::named).collect();
        let read = |(digest, size)| async move {
            self.memory.read(&self.client, tag.repository, &Name::Blob(digest), size).await;
        };
        stream::iter(names).for_each_concurrent(AT_A_TIME, read).await;
    }

    async fn upload(&self, tag: &Tag<'_>, image: &ImageRef, bytes: Bytes) -> Result<(), StoreError> {
        let uploaded = self.uploads.blob(tag.repository, bytes).await;
        uploaded.map_err(|source| StoreError::push(image, tag.location(), source))
    }

    /// The entries that may be attestations of the predicate types of `all`, the newest first, as far as they are few and small enough.
    fn places_of_types(shelf: &Shelf, all: &[Payload], payloads: Vec<Digest>) -> Places {
        let wanted = wanted::Wanted::of(all);
        let mut sizes = Vec::new();
        let mut at = shelf.places(|entry| {
            let size = entry.descriptor().and_then(|descriptor| {
                let may_be = wanted.may_be(wanted::annotation(&descriptor, PREDICATE_ANNOTATION));
                envelope_size(&descriptor).filter(|_| may_be)
            });
            sizes.extend(size);
            size.is_some()
        });
        at.truncate(wanted::replaceable(&sizes));
        let older = sizes.len() - at.len();
        if older > 0 {
            tracing::warn!(
                "{older} attestations of these types, the oldest, are not read, and stay: there are too many, or they are too large"
            );
        }
        sizes.truncate(at.len());
        let at_a_time = wanted::at_a_time(sizes.into_iter().max().unwrap_or_default());
        Places { at, at_a_time, payloads, all: true }
    }

    /// Which entries of `shelf` are read.
    fn places(&self, shelf: &Shelf, depth: Depth<'_>, judge: &dyn EntryJudge) -> Places {
        let payloads = judge.payloads().to_vec();
        match (depth, self.contents) {
            // What a layer of .sig holds is known by its digest: all of them are judged, and the usual payload is not fetched.
            (Depth::Of(_) | Depth::Types(_), Contents::Signatures) => {
                let is_ours = |entry: &Entry| entry.digest().is_some_and(|digest| payloads.contains(&digest));
                Places { at: shelf.places(is_ours), at_a_time: 1, payloads, all: false }
            }
            (Depth::Types(all), Contents::Attestations) => Self::places_of_types(shelf, all, payloads),
            (Depth::Of(all), Contents::Attestations) => {
                let wanted = wanted::Wanted::of(all);
                let may_be = |entry: &Entry| {
                    entry.descriptor().is_some_and(|descriptor| {
                        wanted.may_be(wanted::annotation(&descriptor, PREDICATE_ANNOTATION))
                            && envelope_size(&descriptor).is_some_and(|size| wanted.may_fit(size))
                    })
                };
                let mut at = shelf.places(may_be);
                at.truncate(wanted::MAX_READ);
                Places { at, at_a_time: wanted::at_a_time(wanted.limit_bytes()), payloads, all: false }
            }
            (Depth::Only(own), contents) => {
                let mut at = shelf.places_of(own);
                if contents == Contents::Attestations {
                    at.truncate(wanted::MAX_READ);
                }
                let payloads = own.iter().map(|own| own.payload.clone()).collect();
                Places { at, at_a_time: 1, payloads, all: false }
            }
        }
    }
}

impl Store for OciTag {
    fn kind(&self) -> StoreKind {
        oci::MEMBER.kind
    }

    fn encoding(&self) -> Option<Encoding> {
        Some(Encoding::Dsse)
    }

    fn turn(&self) -> Turn<'_> {
        Turn::Image(self)
    }
}

impl SignatureList for OciTag {
    fn location(&self, image: &ImageRef) -> String {
        self.tag(image).location()
    }

    fn repository<'a>(&'a self, image: &'a ImageRef) -> &'a Repository {
        self.repository.as_ref().unwrap_or(&image.repository)
    }

    fn read<'a>(
        &'a self,
        image: &'a ImageRef,
        depth: Depth<'a>,
        judge: &'a dyn EntryJudge,
    ) -> Step<'a, Shelf> {
        Box::pin(async move {
            let tag = self.tag(image);
            let mut shelf = tag.read().await?;
            // No more than `verify` knows without reading it: a payload with annotations has to be there.
            let known = match self.contents {
                Contents::Signatures => simple_signing::usual(image),
                Contents::Attestations => Vec::new(),
            };
            let reader = Reader {
                client: &self.client,
                repository: tag.repository,
                image: &image.digest,
                wanted: self.contents.wanted(),
                known: by_digest(&known),
                memory: Some(&self.memory),
                limit_bytes: u64::MAX,
                fetched: Fetched::default(),
            };
            let places = self.places(&shelf, depth, judge);
            reader.judge(&mut shelf, Entries::Layers, places, judge).await?;
            if self.parts.are_at_risk(tag.repository) {
                self.keep(&tag, &shelf).await;
            }
            Ok(shelf)
        })
    }

    fn prepare<'a>(&'a self, shelf: &'a Shelf, image: &'a ImageRef, payloads: &'a [Payload]) -> Step<'a, ()> {
        Box::pin(async move {
            if self.contents == Contents::Attestations {
                return Ok(());
            }
            let tag = self.tag(image);
            let layers = payloads.iter().map(|payload| payload.digest().as_str().to_owned());
            let config = config(diff_ids(shelf).chain(layers))?;
            let blobs = payloads.iter().map(|payload| payload.bytes.clone()).chain([config]);
            let uploads = blobs.map(|bytes| self.upload(&tag, image, bytes));
            futures_util::future::try_join_all(uploads).await.map(|_| ())
        })
    }

    fn write<'a>(
        &'a self,
        shelf: &'a Shelf,
        subject: &'a Subject,
        signed: &'a [Signed],
    ) -> Step<'a, Written> {
        Box::pin(async move {
            let (tag, image) = (self.tag(&subject.image), &subject.image);
            let draft = self.draft(&tag, shelf, signed)?;
            let blobs = draft.own.iter().chain([&draft.config]);
            let uploads = blobs.map(|bytes| self.upload(&tag, image, bytes.clone()));
            futures_util::future::try_join_all(uploads).await?;
            let failed = |source| StoreError::push(image, tag.location(), source);
            let parts = || {
                let mut parts = self.parts_of(tag.repository, image, &draft.list, &draft.own);
                parts.push(Part::blob(None, Digest::of(&draft.config), Some(draft.config.clone())));
                parts
            };
            let write = || tag.replace(image, shelf, MANIFEST_TYPE, draft.manifest.clone());
            self.parts.write(tag.repository, failed, parts, write).await
        })
    }

    fn mend<'a>(&'a self, shelf: &'a Shelf, subject: &'a Subject, signed: &'a [Signed]) -> Step<'a, Mended> {
        Box::pin(async move {
            let (tag, image) = (self.tag(&subject.image), &subject.image);
            if !self.parts.are_lost(tag.repository) {
                return Ok(Mended::default());
            }
            let own: Vec<Bytes> = signed.iter().map(|signed| self.contents.bytes(signed)).collect();
            let mut parts = self.parts_of(tag.repository, image, shelf, &own);
            parts.extend(shelf.config().map(|config| Part::blob(None, config, None)));
            let mended = self.parts.mend(tag.repository, parts).await;
            mended.map_err(|source| StoreError::push(image, tag.location(), source))
        })
    }

    fn may_lose(&self, _: &Shelf, image: &ImageRef) -> bool {
        self.parts.may_be_lost(self.tag(image).repository)
    }

    fn own(&self, _: &Subject, signed: &[Signed]) -> Result<Vec<Own>, StoreError> {
        let own = |signed: &Signed| {
            let bytes = self.contents.bytes(signed);
            Own {
                descriptor: self.contents.layer(signed, &bytes),
                payload: signed.payload.digest(),
                wanted: self.contents.wanted(),
            }
        };
        Ok(signed.iter().map(own).collect())
    }
}

/// The size of a layer that says that it is an envelope.
fn envelope_size(layer: &Value) -> Option<u64> {
    (layer.get("mediaType")?.as_str()? == dsse::MEDIA_TYPE).then_some(())?;
    layer.get("size")?.as_u64()
}

/// The signature in the text of an annotation, if it is one.
pub(super) fn signature(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok().filter(|signature| !signature.is_empty())
}

fn diff_ids(shelf: &Shelf) -> impl Iterator<Item = String> {
    shelf.entries.iter().filter_map(|entry| {
        let descriptor = entry.descriptor()?;
        descriptor.get("digest")?.as_str().map(str::to_owned)
    })
}

/// The image configuration that go-containerregistry writes for layers without a history.
#[derive(Serialize)]
struct Config {
    architecture: &'static str,
    created: &'static str,
    history: Vec<Created>,
    os: &'static str,
    rootfs: RootFs,
    config: Empty,
}

#[derive(Serialize)]
struct Created {
    created: &'static str,
}

#[derive(Serialize)]
struct RootFs {
    r#type: &'static str,
    diff_ids: Vec<String>,
}

#[derive(Serialize)]
struct Empty {}

pub(super) fn config(diff_ids: impl Iterator<Item = String>) -> Result<Bytes, StoreError> {
    let diff_ids: Vec<String> = diff_ids.collect();
    let config = Config {
        architecture: "",
        created: NO_TIME,
        history: diff_ids.iter().map(|_| Created { created: NO_TIME }).collect(),
        os: "",
        rootfs: RootFs { r#type: "layers", diff_ids },
        config: Empty {},
    };
    serde_json::to_vec(&config).map(Bytes::from).map_err(StoreError::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What cosign 3.1.2 wrote for one signature.
    #[test]
    fn config_is_cosigns() {
        let id = "sha256:9229c6f281906aa8d6c954daf0d427997b2a3bb9d9437aa5b6cd5bd02d294e89";
        let bytes = config([id.to_owned()].into_iter()).unwrap();
        assert_eq!(
            Digest::of(&bytes).as_str(),
            "sha256:7e533fd40d193f38bf8968b1888f6d0aa7134d5966d56457344dc14a66cea0f8"
        );
    }
}
