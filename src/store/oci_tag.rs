//! cosign's `.sig` and `.att` tags: one image manifest a subject, one layer a signature or an attestation.
//!
//! A layer of `.sig` is the payload, and its signature stands in an annotation; a layer of `.att` is the DSSE envelope
//! of both, so that it can only be uploaded when it is signed, and must be read to know what it is.
//!
//! Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/specs/SIGNATURE_SPEC.md>,
//! <https://github.com/sigstore/cosign/blob/v3.1.2/specs/ATTESTATION_SPEC.md>

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::shelf::{Entry, Shelf};
use super::tagged::Tag;
use super::uploads::Uploads;
use super::wanted::{self, Wanted};
use super::{Depth, Descriptor, Kept, Signed, Step, Store, StoreError, Subject, Written};
use crate::payload::{Payload, dsse};
use crate::registry::client::Client;
use crate::registry::{Digest, ImageRef, Repository};

/// The annotation with the base64 of the signature; empty on an attestation, which holds its signature itself.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// The annotation with an attestation's predicate type.
pub const PREDICATE_ANNOTATION: &str = "predicateType";

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// The time that go-containerregistry writes for "unknown".
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// What a tag holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Signatures: `.sig`.
    Signatures,
    /// Attestations: `.att`.
    Attestations,
}

impl Contents {
    /// The end of the tag's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Signatures => "sig",
            Self::Attestations => "att",
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
    /// Attestations that were read in this run: what a digest names doesn't change.
    read: Mutex<HashMap<(Repository, Digest), Option<Kept>>>,
    uploads: Uploads,
}

impl OciTag {
    /// Keeps `contents` beside each image, or in `repository`.
    pub fn new(client: Client, contents: Contents, repository: Option<Repository>) -> Self {
        let uploads = Uploads::new(client.clone());
        Self { client, contents, repository, read: Mutex::default(), uploads }
    }

    fn tag<'a>(&'a self, image: &'a ImageRef) -> Tag<'a> {
        Tag {
            client: &self.client,
            repository: self.repository.as_ref().unwrap_or(&image.repository),
            name: format!("sha256-{}.{}", image.digest.hex(), self.contents.suffix()),
            field: "layers",
        }
    }

    async fn upload(&self, tag: &Tag<'_>, image: &ImageRef, bytes: Bytes) -> Result<(), StoreError> {
        let uploaded = self.uploads.blob(tag.repository, bytes).await;
        uploaded.map_err(|source| StoreError::push(image, tag.location(), source))
    }

    /// Reads those attestations of `shelf` that `depth` asks for.
    async fn read_attestations(
        &self,
        tag: &Tag<'_>,
        shelf: &mut Shelf,
        depth: Depth<'_>,
    ) -> Result<(), StoreError> {
        let wanted = match depth {
            Depth::Of(payloads) => Some(Wanted::of(payloads)),
            _ => None,
        };
        let places = shelf.entries.iter().enumerate().rev().filter_map(|(at, entry)| {
            let (digest, size) = envelope(&entry.descriptor)?;
            let asked = match depth {
                Depth::All => true,
                Depth::Of(_) => wanted.as_ref().is_some_and(|wanted| {
                    wanted.may_be(wanted::annotation(&entry.descriptor, PREDICATE_ANNOTATION))
                        && wanted.may_fit(size)
                }),
                Depth::Only(places) => places.contains(&digest),
            };
            asked.then_some((at, digest, size))
        });
        let places: Vec<(usize, Digest, u64)> = places.take(wanted::MAX_READ).collect();
        let reads = futures_util::stream::iter(places)
            .map(|(at, digest, size)| async move { (at, self.attestation(tag, digest, size).await) })
            .buffer_unordered(wanted.as_ref().map_or(1, |wanted| wanted::at_a_time(wanted.limit_bytes())));
        let reads: Vec<_> = reads.collect().await;
        for (at, kept) in reads {
            let kept = match kept {
                // What somebody else put there, and is broken, is no attestation; ours must be read.
                Err(error) if !matches!(depth, Depth::Only(_)) && error.is_bad_content() => None,
                kept => kept?,
            };
            if let Some(entry) = shelf.entries.get_mut(at) {
                entry.kept = kept;
            }
        }
        Ok(())
    }

    /// The attestation in the layer `digest`; `None`: it is something else, or gone.
    async fn attestation(
        &self,
        tag: &Tag<'_>,
        digest: Digest,
        size: u64,
    ) -> Result<Option<Kept>, StoreError> {
        let key = (tag.repository.clone(), digest);
        if let Some(kept) = self.read.lock().ok().and_then(|read| read.get(&key).cloned()) {
            return Ok(kept);
        }
        let blob = self.client.blob(tag.repository, &key.1, size.min(dsse::MAX_BYTES)).await;
        // What isn't there may only not be there yet.
        let Some(blob) = blob.map_err(|source| StoreError::read(tag.location(), source))? else {
            return Ok(None);
        };
        let kept = dsse::read(&blob).ok().and_then(|envelope| {
            let signature = envelope.signatures.into_iter().next()?.signature;
            Some(Kept { payload: Digest::of(&envelope.payload), bytes: None, signature })
        });
        if let Ok(mut read) = self.read.lock() {
            read.insert(key, kept.clone());
        }
        Ok(kept)
    }
}

impl Store for OciTag {
    fn location(&self, image: &ImageRef) -> String {
        self.tag(image).location()
    }

    fn read<'a>(&'a self, image: &'a ImageRef, depth: Depth<'a>) -> Step<'a, Shelf> {
        Box::pin(async move {
            let tag = self.tag(image);
            let mut shelf = tag.read().await?;
            match self.contents {
                Contents::Signatures => {
                    for entry in &mut shelf.entries {
                        entry.kept = kept(&entry.descriptor);
                    }
                }
                Contents::Attestations => self.read_attestations(&tag, &mut shelf, depth).await?,
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
            let tag = self.tag(&subject.image);
            let mut merged = shelf.clone();
            let mut ours = Shelf::default();
            for signed in signed {
                let bytes = self.contents.bytes(signed);
                let descriptor = self.contents.layer(signed, &bytes);
                ours.entries.push(Entry { descriptor, kept: None });
                self.upload(&tag, &subject.image, bytes).await?;
            }
            merged.absorb(&ours);
            let config = config(diff_ids(&merged))?;
            let descriptor = Descriptor {
                media_type: CONFIG_TYPE.into(),
                size: config.len() as u64,
                digest: Digest::of(&config).as_str().to_owned(),
            };
            self.upload(&tag, &subject.image, config).await?;
            let descriptor = serde_json::to_value(descriptor).map_err(StoreError::Json)?;
            let bytes = merged.to_bytes("layers", MANIFEST_TYPE, Some(descriptor))?;
            tag.replace(&subject.image, shelf, MANIFEST_TYPE, bytes).await
        })
    }

    fn places(&self, _: &Subject, signed: &[Signed]) -> Vec<Digest> {
        signed.iter().map(|signed| Digest::of(&self.contents.bytes(signed))).collect()
    }
}

/// The digest and the size of a layer that says that it is an envelope.
fn envelope(layer: &Value) -> Option<(Digest, u64)> {
    (layer.get("mediaType")?.as_str()? == dsse::MEDIA_TYPE).then_some(())?;
    Some((layer.get("digest")?.as_str()?.parse().ok()?, layer.get("size")?.as_u64()?))
}

/// The signature in a layer, if it is one.
fn kept(layer: &Value) -> Option<Kept> {
    let payload = layer.get("digest")?.as_str()?.parse().ok()?;
    let text = layer.get("annotations")?.get(SIGNATURE_ANNOTATION)?.as_str()?;
    let signature = STANDARD.decode(text).ok()?;
    Some(Kept { payload, bytes: None, signature })
}

fn diff_ids(shelf: &Shelf) -> impl Iterator<Item = String> {
    shelf.entries.iter().filter_map(|entry| entry.descriptor.get("digest")?.as_str().map(str::to_owned))
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

fn config(diff_ids: impl Iterator<Item = String>) -> Result<Bytes, StoreError> {
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

    #[test]
    fn a_layer_without_a_signature_is_kept_but_not_read() {
        let layer =
            json!({"digest": "sha256:9229c6f281906aa8d6c954daf0d427997b2a3bb9d9437aa5b6cd5bd02d294e89"});
        assert_eq!(kept(&layer), None);
    }
}
