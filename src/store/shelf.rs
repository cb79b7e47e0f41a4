//! What lies in a place for signatures: a list of descriptors inside a manifest.
//!
//! Whoever else writes there may put in fields that we don't know. They are kept as they are: entries are
//! compared and written as JSON values, never through types of ours.

use std::collections::HashSet;

use std::time::Instant;

use serde_json::{Map, Value};

use super::{Own, StoreError, oci_tag};
use crate::registry::Digest;
use crate::registry::client::Manifest;

/// More entries than this are no list of signatures.
pub(super) const MAX_ENTRIES: usize = 20_000;
/// What is said of a longer one.
pub(super) const TOO_MANY: &str = "it lists more than 20,000 signatures";

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

/// One entry: its descriptor, and what it counts for, if it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The descriptor, with every field it came with.
    pub descriptor: Value,
    /// What it counts for.
    pub standing: Standing,
}

/// What an entry counts for: the verdict of a [`Judge`](super::Judge), which is that of `verify`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It was not read: it is somebody else's, as far as its descriptor says.
    #[default]
    Unread,
    /// It is listed, and the registry doesn't hold it, or not yet.
    Absent,
    /// It is a good signature by our key, and says what the payload with this digest says.
    Counts(Digest),
    /// It isn't, for this reason.
    Refused(String),
}

impl Entry {
    /// An entry that was not read.
    pub(super) fn unread(descriptor: Value) -> Self {
        Self { descriptor, standing: Standing::Unread }
    }

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
        let entries = descriptors.into_iter().map(Entry::unread).collect();
        Ok(Self { entries, version: Some(manifest.digest.clone()), base, ..Self::default() })
    }

    /// The same list, unless it is longer than a list of signatures can be.
    pub(super) fn limited(self, location: &str) -> Result<Self, StoreError> {
        if self.entries.len() > MAX_ENTRIES {
            return Err(StoreError::Foreign { location: location.to_owned(), what: TOO_MANY });
        }
        Ok(self)
    }

    /// The same list, unless ours make it longer than that.
    pub(super) fn with_room(self, location: &str) -> Result<Self, StoreError> {
        if self.entries.len() > MAX_ENTRIES {
            return Err(StoreError::TooMany { location: location.to_owned() });
        }
        Ok(self)
    }

    /// Adds what `other` has and this lacks; both orders stay. Whole descriptors are compared: two entries may name the same
    /// content, and differ in something that decides whether they count.
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

    /// Where the entries that are `asked` for stand, the newest first, each with its descriptor.
    pub(super) fn places(&self, asked: impl Fn(&Entry) -> bool) -> Vec<(usize, Value)> {
        let entries = self.entries.iter().enumerate().rev().filter(|(_, entry)| asked(entry));
        entries.map(|(at, entry)| (at, entry.descriptor.clone())).collect()
    }

    /// Where `own` and changed ones of them stand; our own first, however many of the others there are.
    pub(super) fn places_of(&self, own: &[Own]) -> Vec<(usize, Value)> {
        let digests: Vec<Digest> = own.iter().filter_map(Own::digest).collect();
        let mut places = self.places(|entry| entry.digest().is_some_and(|digest| digests.contains(&digest)));
        places.sort_by_key(|(_, descriptor)| !own.iter().any(|own| own.descriptor == *descriptor));
        places
    }

    /// Whether an entry counts as a signature of the payload with this digest.
    pub fn counts(&self, payload: &Digest) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(&entry.standing, Standing::Counts(counted) if counted == payload))
    }

    /// Whether an entry that may be `own` was not read.
    pub fn has_unread(&self, own: &Own) -> bool {
        let digest = own.digest();
        self.entries.iter().any(|entry| entry.standing == Standing::Unread && entry.digest() == digest)
    }

    /// What became of `own`, which was written after `before` was read, if that doesn't count; `None`: it isn't here, or not
    /// yet. An entry of another signer's isn't it, nor is a copy that was there before.
    pub fn spoilt(&self, own: &Own, before: &Self) -> Option<(&Value, &str)> {
        let changed = self.changed_copy(own, before);
        changed.or_else(|| self.twice(before).map(|entry| (entry, "what is pushed is stored as this")))
    }

    /// An entry that is here more often than before, and more than once: what a registry makes of every entry that is pushed. No
    /// signer writes an entry that is there already.
    fn twice(&self, before: &Self) -> Option<&Value> {
        let count = |shelf: &Self, descriptor: &Value| {
            shelf.entries.iter().filter(|entry| entry.descriptor == *descriptor).count()
        };
        let mut seen = HashSet::new();
        let again = self.entries.iter().find(|entry| !seen.insert(&entry.descriptor))?;
        let copies = count(self, &again.descriptor);
        (copies > count(before, &again.descriptor)).then_some(&again.descriptor)
    }

    fn changed_copy(&self, own: &Own, before: &Self) -> Option<(&Value, &str)> {
        let known = before.descriptors();
        let is_own = |entry: &&Entry| {
            let same = match self.listed {
                // The descriptor is the registry's own.
                true => entry.digest() == own.digest(),
                false => entry.descriptor == own.descriptor,
            };
            same || (own.is_copied_in(entry) && !known.contains(&entry.descriptor))
        };
        self.entries.iter().filter(is_own).find_map(|entry| match &entry.standing {
            Standing::Refused(why) => Some((&entry.descriptor, why.as_str())),
            Standing::Unread => Some((&entry.descriptor, "it names other content")),
            Standing::Absent | Standing::Counts(_) => None,
        })
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

impl Own {
    /// The digest that our descriptor names.
    fn digest(&self) -> Option<Digest> {
        self.descriptor.get("digest")?.as_str()?.parse().ok()
    }

    /// Whether `entry` is ours with something changed: it carries our signature, or what it names does; or it names our
    /// payload and carries nothing that could be another's signature.
    fn is_copied_in(&self, entry: &Entry) -> bool {
        let signature = |descriptor: &Value| -> Option<String> {
            let text = descriptor.get("annotations")?.get(oci_tag::SIGNATURE_ANNOTATION)?.as_str()?;
            Some(text.to_owned())
        };
        let same_digest = entry.digest().is_some() && entry.digest() == self.digest();
        match signature(&self.descriptor).filter(|ours| !ours.is_empty()) {
            None => same_digest,
            Some(ours) => match signature(&entry.descriptor) {
                Some(theirs) if theirs == ours => true,
                theirs => same_digest && theirs.is_none_or(|theirs| oci_tag::signature(&theirs).is_none()),
            },
        }
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
    fn what_is_there_more_often_than_before_is_what_a_registry_made_of_ours() {
        let shelf = |digests: &[&str]| Shelf {
            entries: digests
                .iter()
                .map(|digest| Entry::unread(serde_json::json!({ "digest": digest })))
                .collect(),
            ..Shelf::default()
        };
        assert!(shelf(&["a", "x", "x"]).twice(&shelf(&["a", "x"])).is_some());
        assert!(shelf(&["x", "x"]).twice(&shelf(&[])).is_some());
        for (seen, before) in [(&["a", "x"][..], &["a"][..]), (&["x", "x"], &["x", "x"]), (&[], &["x"])] {
            assert!(shelf(seen).twice(&shelf(before)).is_none(), "{seen:?}");
        }
    }

    #[test]
    fn merging_keeps_both_and_repeats_nothing() {
        let shelf = |digests: &[&str]| Shelf {
            entries: digests
                .iter()
                .map(|digest| Entry::unread(serde_json::json!({ "digest": digest })))
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
