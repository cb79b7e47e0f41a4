//! The manifest of a referrer, as far as it says whether there is a bundle in it, or layers as under cosign's tags.
//!
//! It is read one level deep: anyone with the right to push may have left it, and 4 MiB that are read as a whole can take hundreds.

use serde_json::Value;
use serde_json::value::RawValue;

use super::{bundle, entry};
use crate::oci::json::{elements, fields};

/// The manifest of a referrer, parsed.
#[derive(Debug)]
pub(super) struct ReferrerManifest {
    /// The first layer, if it is a descriptor.
    first: Option<Value>,
    layers: usize,
    /// The digest of the manifest that it refers to.
    pub(super) subject: Option<String>,
    /// What it is: its artifact type, or else the media type of its config.
    pub(super) kind: Option<String>,
    /// The predicate type of the bundle in it, as its annotations state it.
    pub(super) predicate_type: Option<String>,
}

impl ReferrerManifest {
    /// Reads a manifest; `None`: it is not a JSON object.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (mut list, mut subject, mut kind, mut config, mut annotations) = (None, None, None, None, None);
        // Of a field that is there twice the last counts, as for other readers.
        let read = fields(bytes, |name, value| match &*name {
            "layers" => list = Some(value),
            "subject" => subject = Some(value),
            "artifactType" => kind = Some(value),
            "config" => config = Some(value),
            "annotations" => annotations = Some(value),
            _ => {}
        });
        read.ok()?;
        let (mut first, mut layers) = (None, 0_usize);
        if let Some(list) = list {
            let listed = elements(list, |layer| {
                layers += 1;
                first.get_or_insert(layer);
            });
            if listed.is_err() {
                layers = 0;
            }
        }
        let first = first.and_then(|layer| entry::read(layer.get().as_bytes()));
        let subject = subject.and_then(|subject| entry::read(subject.get().as_bytes()));
        let subject = subject.and_then(|subject| subject.get("digest")?.as_str().map(str::to_owned));
        let within = |value: Option<&RawValue>, name: &str| {
            let value = entry::read(value?.get().as_bytes())?;
            Some(value.get(name)?.as_str()?.to_owned())
        };
        let kind = kind.and_then(|kind| serde_json::from_str(kind.get()).ok());
        let kind = kind.filter(|kind: &String| !kind.is_empty()).or_else(|| within(config, "mediaType"));
        let predicate_type = within(annotations, bundle::PREDICATE_ANNOTATION);
        Some(Self { first, layers, subject, kind, predicate_type })
    }

    /// Returns the first layer, if there is any.
    pub(super) fn first_layer(&self) -> Option<&Value> {
        self.first.as_ref()
    }

    /// The layer, if there is one and no other.
    pub(super) fn only_layer(&self) -> Option<&Value> {
        self.first.as_ref().filter(|_| self.layers == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(Option<String>, Option<String>)> {
        let manifest = ReferrerManifest::read(text.as_bytes())?;
        Some((manifest.only_layer().map(Value::to_string), manifest.subject))
    }

    #[test]
    fn one_layer_and_the_subject_are_read_whatever_else_is_there() {
        let layer = r#"{"a":1}"#;
        let some = |text: &str| Some(text.to_owned());
        for (text, want) in [
            (
                format!(r#"{{"layers":[{layer}],"subject":{{"digest":"d"}},"x":[[]]}}"#),
                (some(layer), some("d")),
            ),
            (format!(r#"{{"layers":[1],"layers":[{layer}]}}"#), (some(layer), None)),
            (format!(r#"{{"layers":[{layer},{layer}],"subject":{{"digest":1}}}}"#), (None, None)),
            (r#"{"layers":[],"subject":[]}"#.to_owned(), (None, None)),
            (r#"{"layers":{},"subject":null}"#.to_owned(), (None, None)),
            ("{}".to_owned(), (None, None)),
        ] {
            assert_eq!(read(&text), Some(want), "{text}");
        }
        for text in ["[]", "", "{", "<html>"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
