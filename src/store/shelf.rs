//! What lies in a place for signatures: a list of descriptors inside a manifest.
//!
//! Whoever else writes there may put in fields that we don't know. They are kept as they are: entries are
//! compared and written as JSON values, never through types of ours.

use std::collections::HashSet;

use std::time::Instant;

use serde_json::{Map, Value};

use super::{Kept, StoreError};
use crate::registry::Digest;
use crate::registry::client::Manifest;

/// The list of signatures of one subject, as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shelf {
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// The digest of the manifest they were read from; `None`: there was none.
    pub version: Option<Digest>,
    /// Everything of that manifest but the entries.
    pub(super) base: Map<String, Value>,
    /// Whether they came from the referrers API, so that no manifest holds them.
    pub(super) listed: bool,
    /// When they were asked for; `None`: they were never read.
    pub(super) read_at: Option<Instant>,
}

/// One entry: its descriptor, and the signature, if it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The descriptor, with every field it came with.
    pub descriptor: Value,
    /// The signature behind it; `None`: not read, or not a signature that we understand.
    pub kept: Option<Kept>,
}

impl Entry {
    /// The digest that the descriptor names.
    pub fn digest(&self) -> Option<Digest> {
        self.descriptor.get("digest")?.as_str()?.parse().ok()
    }
}

impl Shelf {
    /// Reads the entries of `manifest`, which stand in the list `field`.
    ///
    /// # Errors
    ///
    /// When the manifest isn't JSON of that shape: it is somebody's, and must not be overwritten.
    pub fn of(manifest: &Manifest, field: &str, location: &str) -> Result<Self, StoreError> {
        let foreign = |what| StoreError::Foreign { location: location.to_owned(), what };
        let value = serde_json::from_slice(&manifest.bytes).map_err(|_| foreign("it is not JSON"))?;
        let Value::Object(mut base) = value else { return Err(foreign("it is not a JSON object")) };
        let descriptors = match base.get_mut(field).map(Value::take) {
            Some(Value::Array(descriptors)) => descriptors,
            Some(Value::Null) => Vec::new(),
            _ => return Err(foreign("it has no list of descriptors")),
        };
        if !descriptors.iter().all(Value::is_object) {
            return Err(foreign("its list holds something else than descriptors"));
        }
        let entries = descriptors.into_iter().map(|descriptor| Entry { descriptor, kept: None }).collect();
        Ok(Self { entries, version: Some(manifest.digest.clone()), base, ..Self::default() })
    }

    /// Adds what `other` has and this lacks; both orders stay.
    pub fn absorb(&mut self, other: &Self) {
        let ours = self.descriptors();
        let mut new = HashSet::new();
        let lacking = other
            .entries
            .iter()
            .filter(|entry| !ours.contains(&entry.descriptor) && new.insert(&entry.descriptor))
            .cloned();
        let lacking: Vec<Entry> = lacking.collect();
        self.entries.extend(lacking);
    }

    /// Whether every entry of `other` is here.
    pub fn contains(&self, other: &Self) -> bool {
        let ours = self.descriptors();
        other.entries.iter().all(|entry| ours.contains(&entry.descriptor))
    }

    /// The descriptors, as a set: a list of 4 MiB, which anyone with the right to push may have left, can hold
    /// hundreds of thousands.
    fn descriptors(&self) -> HashSet<&Value> {
        self.entries.iter().map(|entry| &entry.descriptor).collect()
    }

    /// The signatures that were read.
    pub fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.entries.iter().filter_map(|entry| entry.kept.as_ref())
    }

    /// The manifest's bytes, with the fields that `set` gives and the entries in `field`.
    pub(super) fn to_bytes(
        &self,
        field: &str,
        media_type: &str,
        config: Option<Value>,
    ) -> Result<Vec<u8>, StoreError> {
        let mut manifest = Map::new();
        manifest.insert("schemaVersion".into(), 2.into());
        manifest.insert("mediaType".into(), media_type.into());
        if let Some(config) = config {
            manifest.insert("config".into(), config);
        }
        let entries = self.entries.iter().map(|entry| entry.descriptor.clone()).collect();
        manifest.insert(field.into(), Value::Array(entries));
        for (key, value) in &self.base {
            if !manifest.contains_key(key) {
                manifest.insert(key.clone(), value.clone());
            }
        }
        serde_json::to_vec(&manifest).map_err(StoreError::Json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn manifest(text: &str) -> Manifest {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        Manifest { media_type: "application/json".into(), digest: Digest::of(&bytes), bytes }
    }

    #[test]
    fn fields_of_others_stay() {
        let text = r#"{"schemaVersion":2,"mediaType":"m","layers":[{"digest":"d","x-theirs":1}],"annotations":{"a":"b"},"x-more":[1]}"#;
        let shelf = Shelf::of(&manifest(text), "layers", "here").unwrap();
        assert_eq!(shelf.entries.len(), 1);
        assert_eq!(shelf.to_bytes("layers", "m", None).unwrap(), text.as_bytes());
    }

    #[test]
    fn what_is_no_list_is_not_overwritten() {
        for text in ["<html>", "[]", "{}", r#"{"layers":{}}"#, r#"{"layers":[1]}"#] {
            let error = Shelf::of(&manifest(text), "layers", "here").unwrap_err();
            assert!(matches!(error, StoreError::Foreign { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn merging_keeps_both_and_repeats_nothing() {
        let shelf = |digests: &[&str]| Shelf {
            entries: digests
                .iter()
                .map(|digest| Entry { descriptor: serde_json::json!({ "digest": digest }), kept: None })
                .collect(),
            ..Shelf::default()
        };
        let mut ours = shelf(&["a", "b"]);
        assert!(!ours.contains(&shelf(&["c"])));
        ours.absorb(&shelf(&["b", "c"]));
        assert_eq!(ours, shelf(&["a", "b", "c"]));
    }

    #[test]
    fn a_list_as_long_as_a_manifest_can_be_is_merged_at_once() {
        let entries: Vec<String> = (0..100_000).map(|number| format!(r#"{{"n":{number}}}"#)).collect();
        let shelf =
            Shelf::of(&manifest(&format!(r#"{{"layers":[{}]}}"#, entries.join(","))), "layers", "here");
        let shelf = shelf.unwrap();
        let mut merged = shelf.clone();
        // Comparing each with each, this would take minutes.
        merged.absorb(&shelf);
        assert_eq!(merged.entries.len(), 100_000);
        assert!(merged.contains(&shelf));
    }
}
