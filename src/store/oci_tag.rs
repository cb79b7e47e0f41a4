//! cosign's `.sig` tags: one image manifest a subject, one layer a signature.
//!
//! Spec: <https://github.com/sigstore/cosign/blob/v3.1.2/specs/SIGNATURE_SPEC.md>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::shelf::{Entry, Shelf};
use super::tagged::Tag;
use super::uploads::Uploads;
use super::{Depth, Descriptor, Kept, Signed, Step, Store, StoreError, Subject, Written};
use crate::payload::Payload;
use crate::registry::client::Client;
use crate::registry::{Digest, ImageRef, Repository};

/// The annotation with the base64 of the signature.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// The time that go-containerregistry writes for "unknown".
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// The store `oci` with the encoding `dsse`.
pub struct OciTag {
    client: Client,
    /// Another repository than the image's own.
    repository: Option<Repository>,
    uploads: Uploads,
}

impl OciTag {
    /// Keeps signatures beside each image, or in `repository`.
    pub fn new(client: Client, repository: Option<Repository>) -> Self {
        Self { uploads: Uploads::new(client.clone()), client, repository }
    }

    fn tag<'a>(&'a self, image: &'a ImageRef) -> Tag<'a> {
        Tag {
            client: &self.client,
            repository: self.repository.as_ref().unwrap_or(&image.repository),
            name: format!("sha256-{}.sig", image.digest.hex()),
            field: "layers",
        }
    }

    async fn upload(&self, tag: &Tag<'_>, image: &ImageRef, bytes: Bytes) -> Result<(), StoreError> {
        let uploaded = self.uploads.blob(tag.repository, bytes).await;
        uploaded.map_err(|source| StoreError::push(image, tag.location(), source))
    }
}

impl Store for OciTag {
    fn location(&self, image: &ImageRef) -> String {
        self.tag(image).location()
    }

    fn read<'a>(&'a self, image: &'a ImageRef, _: Depth<'a>) -> Step<'a, Shelf> {
        Box::pin(async move {
            let mut shelf = self.tag(image).read().await?;
            for entry in &mut shelf.entries {
                entry.kept = kept(&entry.descriptor);
            }
            Ok(shelf)
        })
    }

    fn prepare<'a>(&'a self, shelf: &'a Shelf, image: &'a ImageRef, payloads: &'a [Payload]) -> Step<'a, ()> {
        Box::pin(async move {
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
            let entries = signed.iter().map(|signed| Entry { descriptor: layer(signed), kept: None });
            merged.absorb(&Shelf { entries: entries.collect(), ..Shelf::default() });
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
        signed.iter().map(|signed| signed.payload.digest()).collect()
    }
}

/// The layer of a signature.
fn layer(signed: &Signed) -> Value {
    json!({
        "mediaType": signed.payload.media_type,
        "size": signed.payload.bytes.len(),
        "digest": signed.payload.digest().as_str(),
        "annotations": { SIGNATURE_ANNOTATION: signed.signature.base64() },
    })
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
