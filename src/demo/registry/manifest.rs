//! What a manifest says of other content.
//!
//! Refused are manifests of other media types than the four that clients push, those whose own `mediaType`
//! is another than the one they were pushed as, and those without the fields that their type must have.
//!
//! Spec: <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md>,
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>

use serde::Deserialize;
use serde_json::{Map, Value};

use super::wire::Address;
use crate::oci::media_type::{DOCKER_IMAGE, DOCKER_LIST, OCI_IMAGE, OCI_INDEX};

/// Why a manifest is refused, for people.
pub(super) type Reason = &'static str;

/// A manifest that holds together.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Config and layers, without those that lie elsewhere.
    pub(super) blobs: Vec<Descriptor>,
    /// The manifests of an index.
    pub(super) manifests: Vec<Descriptor>,
    pub(super) listing: Listing,
}

/// What a list of referrers says of a manifest.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub(super) subject: Option<Address>,
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: Option<Map<String, Value>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default)]
    urls: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    annotations: Option<Map<String, Value>>,
}

impl Descriptor {
    pub(super) fn address(&self) -> Option<Address> {
        self.digest.parse().ok()
    }
}

/// The media type that a manifest names itself, for clients that push it without a `Content-Type`.
pub(super) fn own_media_type(bytes: &[u8]) -> Option<String> {
    serde_json::from_slice::<Document>(bytes).ok()?.media_type
}

/// What a list of referrers says of a manifest, whatever else is wrong with it.
pub(super) fn listing(bytes: &[u8]) -> Listing {
    let manifest: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str);
    let artifact_type = text("/artifactType").filter(|own| !own.is_empty());
    Listing {
        subject: text("/subject/digest").and_then(|digest| digest.parse().ok()),
        artifact_type: artifact_type.or(text("/config/mediaType")).map(str::to_owned),
        annotations: manifest.get("annotations").and_then(Value::as_object).cloned(),
    }
}

/// What a manifest of any kind names: its blobs, and its manifests. Nothing in it is checked.
pub(super) fn named(bytes: &[u8]) -> (Vec<Address>, Vec<Address>) {
    let Ok(document) = serde_json::from_slice::<Document>(bytes) else { return Default::default() };
    let addresses = |all: Vec<Descriptor>| all.iter().filter_map(Descriptor::address).collect();
    let blobs = document.config.into_iter().chain(document.layers.unwrap_or_default()).collect();
    (addresses(blobs), addresses(document.manifests.unwrap_or_default()))
}

/// Reads a manifest that was pushed as `media_type`.
pub(super) fn parse(media_type: &str, bytes: &[u8]) -> Result<Manifest, Reason> {
    let index = match media_type {
        OCI_IMAGE | DOCKER_IMAGE => false,
        OCI_INDEX | DOCKER_LIST => true,
        _ => return Err("the media type is not that of an image manifest or index"),
    };
    let document: Document =
        serde_json::from_slice(bytes).map_err(|_| "it is not JSON with the fields of a manifest")?;
    if document.schema_version != 2 {
        return Err("schemaVersion is not 2");
    }
    if document.media_type.as_deref().is_some_and(|own| own != media_type) {
        return Err("mediaType is not the Content-Type");
    }
    let (config, layers, manifests) = if index {
        (None, Vec::new(), document.manifests.ok_or("an index must have manifests")?)
    } else {
        let config = document.config.ok_or("an image manifest must have a config")?;
        (Some(config), document.layers.unwrap_or_default(), Vec::new())
    };
    let config_type = config.as_ref().map(|config| config.media_type.clone());
    let subject =
        document.subject.map(|subject| subject.address().ok_or("subject has no digest")).transpose()?;
    // Content with URLs may be distributed by others alone, so that it needn't be here.
    let blobs = config.into_iter().chain(layers).filter(|blob| blob.urls.is_empty()).collect();
    let artifact_type = document.artifact_type.filter(|own| !own.is_empty()).or(config_type);
    let listing = Listing { subject, artifact_type, annotations: document.annotations };
    Ok(Manifest { blobs, manifests, listing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(more: &str) -> String {
        let digest = Address::of(b"{}");
        format!(
            r#"{{"schemaVersion":2,{more}"config":{{"mediaType":"application/x","digest":"{digest}","size":2}},"layers":[]}}"#
        )
    }

    #[test]
    fn the_artifact_type_falls_back_to_the_config() {
        let plain = parse(OCI_IMAGE, image("").as_bytes()).unwrap();
        assert_eq!(plain.listing.artifact_type.as_deref(), Some("application/x"));
        let own = parse(OCI_IMAGE, image(r#""artifactType":"application/y","#).as_bytes()).unwrap();
        assert_eq!(own.listing.artifact_type.as_deref(), Some("application/y"));
        let index = parse(OCI_INDEX, br#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
        assert_eq!(index.listing.artifact_type, None);
    }

    #[test]
    fn layers_that_lie_elsewhere_are_not_asked_for() {
        let digest = Address::of(b"layer");
        let foreign =
            format!(r#"{{"mediaType":"l","digest":"{digest}","size":5,"urls":["https://x.example"]}}"#);
        let text = image("").replace("\"layers\":[]", &format!("\"layers\":[{foreign}]"));
        assert_eq!(parse(OCI_IMAGE, text.as_bytes()).unwrap().blobs.len(), 1);
    }

    #[test]
    fn what_does_not_hold_together_is_refused() {
        let other = image(&format!(r#""mediaType":"{OCI_INDEX}","#));
        let subject = image(r#""subject":{"mediaType":"x","digest":"sha256:1","size":1},"#);
        for (media_type, text) in [
            ("text/plain", image("")),
            (OCI_IMAGE, "[]".to_owned()),
            (OCI_IMAGE, image("").replace(":2,", ":1,")),
            (OCI_IMAGE, r#"{"schemaVersion":2}"#.to_owned()),
            (OCI_INDEX, r#"{"schemaVersion":2}"#.to_owned()),
            (OCI_IMAGE, other),
            (OCI_IMAGE, subject),
        ] {
            assert!(parse(media_type, text.as_bytes()).is_err(), "{media_type} {text}");
        }
    }
}
