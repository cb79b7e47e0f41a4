//! What lies in a place for signatures: a list of descriptors inside a manifest.
//!
//! Other writers may add unknown fields. They are kept as they are: entries are
//! compared as JSON values and written as they came, never through Rust types.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

use bytes::Bytes;
use serde::ser::{SerializeMap as _, Serializer as _};
use serde_json::Value;
use serde_json::value::RawValue;

use super::entry::{self, Key};
use super::{Own, StoreError, oci_tag};
use crate::oci::json::{elements, fields};
use crate::oci::{Digest, Manifest};

pub use super::entry::Entry;
pub use crate::found::EntryStatus;

/// More entries than this are not a list of signatures: a manifest of 4 MiB has room for 17,000 of cosign's.
pub(super) const MAX_ENTRIES: usize = 20_000;
/// What is said of a manifest without a list.
pub(super) const NO_LIST: &str = "it has no list of descriptors";
/// What is said of a list of other things.
pub(super) const OTHER_THINGS: &str = "its list holds something else than descriptors";
/// The media type of an image for several platforms, which is never a list of signatures.
const DOCKER_LIST: &str = crate::oci::media_type::DOCKER_LIST;
/// More fields than this has no manifest: the specification knows seven.
const MAX_FIELDS: usize = 256;
/// What is said of a longer one.
pub(super) const TOO_MANY: &str = "it lists more than 20,000 signatures";

/// The list of signatures of one subject, as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shelf {
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// The digest of the manifest they were read from; `None`: there was none.
    pub version: Option<Digest>,
    /// Everything of that manifest but the entries, as it is written.
    pub(super) base: Vec<(String, Base)>,
    /// Whether they came from the referrers API, so that no manifest holds them.
    pub(super) listed: bool,
    /// When they were asked for; `None`: they were never read.
    pub(super) read_at: Option<Instant>,
}

/// A field of a manifest.
#[derive(Clone, Debug)]
pub(super) struct Base(Box<RawValue>);

impl PartialEq for Base {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Shelf {
    /// Reads the entries of `manifest` from the list `field`.
    ///
    /// # Errors
    ///
    /// If the manifest isn't JSON of that shape: it has another owner, and must not be overwritten.
    pub fn of(manifest: &Manifest, field: &str, location: &str) -> Result<Self, StoreError> {
        let foreign = |what| StoreError::Foreign { location: location.to_owned(), what };
        let mut base = Vec::<(String, Base)>::new();
        let list = list_in(&manifest.bytes, field, |name, value| {
            let value = Base(value.to_owned());
            match base.iter_mut().find(|(known, _)| *known == name) {
                // As other readers do, which write it again without the first.
                Some((_, first)) => *first = value,
                None => base.push((name.into_owned(), value)),
            }
        });
        let entries = list.and_then(|list| entries(&manifest.bytes, list)).map_err(foreign)?;
        Ok(Self { entries, version: Some(manifest.digest.clone()), base, ..Self::default() })
    }

    /// The same list, unless the new entries make it longer than that.
    pub(super) fn with_room(self, location: &str) -> Result<Self, StoreError> {
        if self.entries.len() > MAX_ENTRIES {
            return Err(StoreError::TooMany { location: location.to_owned() });
        }
        Ok(self)
    }

    /// Adds what `other` has and this lacks; both orders stay. Whole descriptors are compared: two entries may name the same
    /// content, and differ in something that decides whether they count.
    pub fn absorb(&mut self, other: &Self) {
        let mut known = self.keys();
        let lacking = other.entries.iter().filter(|entry| known.insert(entry.key()));
        let lacking: Vec<Entry> = lacking.cloned().collect();
        self.entries.extend(lacking);
    }

    /// Takes over which payloads entries count for that `other` has too, under whatever label.
    pub(super) fn counted_as(&mut self, other: &Self) {
        let counts = other.entries.iter().filter(|entry| matches!(entry.standing, EntryStatus::Counts(_)));
        let counts: HashMap<Digest, &EntryStatus> =
            counts.filter_map(|entry| Some((entry.digest()?, &entry.standing))).collect();
        for entry in &mut self.entries {
            if let Some(standing) = entry.digest().and_then(|digest| counts.get(&digest).copied()) {
                entry.standing = standing.clone();
            }
        }
    }

    /// Whether the entry at this position was not read.
    pub(super) fn is_unread_at(&self, at: usize) -> bool {
        self.entries.get(at).is_some_and(|entry| entry.standing == EntryStatus::Unread)
    }

    /// The same list without those of `entries`.
    pub(crate) fn without(&self, entries: &[Entry]) -> Self {
        let others: HashSet<Key> = entries.iter().map(Entry::key).collect();
        let mut rest = self.clone();
        rest.entries.retain(|entry| !others.contains(&entry.key()));
        rest
    }

    /// The entries with other statements of the same predicate types by our key, as far as they were read.
    pub(crate) fn other_statements(&self) -> Vec<Entry> {
        let others = self.entries.iter().filter(|entry| entry.standing == EntryStatus::OtherStatement);
        others.cloned().collect()
    }

    /// Whether `entry` is here.
    pub fn has(&self, entry: &Entry) -> bool {
        self.entries.iter().any(|own| own.key() == entry.key())
    }

    /// The config that the manifest names.
    pub(super) fn config(&self) -> Option<Digest> {
        let (_, Base(value)) = self.base.iter().find(|(name, _)| name == "config")?;
        entry::digest_of(&entry::read(value.get().as_bytes())?)
    }

    /// Whether every entry of `other` is here.
    pub fn contains(&self, other: &Self) -> bool {
        let ours = self.keys();
        other.entries.iter().all(|entry| ours.contains(&entry.key()))
    }

    /// What the entries are compared by, as a set: comparing each with each takes too long for thousands.
    fn keys(&self) -> HashSet<Key> {
        self.entries.iter().map(Entry::key).collect()
    }

    /// The positions of the entries that are `asked` for, the newest first, each with its descriptor.
    pub(super) fn places(&self, mut asked: impl FnMut(&Entry) -> bool) -> Vec<(usize, Bytes)> {
        let entries = self.entries.iter().enumerate().rev().filter(|(_, entry)| asked(entry));
        entries.map(|(at, entry)| (at, entry.text().clone())).collect()
    }

    /// The positions of `own` entries and of changed copies; own entries first, however many others there are.
    pub(super) fn places_of(&self, own: &[Own]) -> Vec<(usize, Bytes)> {
        let digests: Vec<Digest> = own.iter().filter_map(Own::digest).collect();
        let keys: Vec<Key> = own.iter().map(Own::key).collect();
        let is_own = |at: &usize| self.entries.get(*at).is_some_and(|entry| keys.contains(&entry.key()));
        let mut places = self.places(|entry| entry.digest().is_some_and(|digest| digests.contains(&digest)));
        places.sort_by_key(|(at, _)| !is_own(at));
        places
    }

    /// Whether an entry counts as a signature of the payload with this digest.
    pub fn counts(&self, payload: &Digest) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(&entry.standing, EntryStatus::Counts(counted) if counted == payload))
    }

    /// Whether an entry that may be `own` was not read.
    pub(crate) fn has_unread(&self, own: &Own) -> bool {
        let digest = own.digest();
        self.entries.iter().any(|entry| entry.standing == EntryStatus::Unread && entry.digest() == digest)
    }

    /// What became of `own`, which was written after `before` was read, if that doesn't count; `None`: it isn't here, or not
    /// yet. An entry of another signer's isn't it, nor is a copy that was there before.
    pub(crate) fn spoilt(&self, own: &Own, before: &Self) -> Option<(String, &str)> {
        let changed = self.changed_copy(own, before);
        let spoilt =
            changed.or_else(|| self.twice(before).map(|entry| (entry, "what is pushed is stored as this")));
        spoilt.map(|(entry, why)| (String::from_utf8_lossy(entry.text()).into_owned(), why))
    }

    /// An entry that is here more often than before, and more than once: what a registry makes of every entry that is pushed. No
    /// signer writes an entry that is there already.
    fn twice(&self, before: &Self) -> Option<&Entry> {
        let count = |shelf: &Self, key| shelf.entries.iter().filter(|entry| entry.key() == key).count();
        let mut seen = HashSet::new();
        let again = self.entries.iter().find(|entry| !seen.insert(entry.key()))?;
        (count(self, again.key()) > count(before, again.key())).then_some(again)
    }

    fn changed_copy(&self, own: &Own, before: &Self) -> Option<(&Entry, &str)> {
        let (known, key) = (before.keys(), own.key());
        let is_own = |entry: &&Entry| {
            let same = match self.listed {
                // The descriptor is the registry's own.
                true => entry.digest() == own.digest(),
                false => entry.key() == key,
            };
            same || (own.is_copied_in(entry) && !known.contains(&entry.key()))
        };
        self.entries.iter().filter(is_own).find_map(|entry| match &entry.standing {
            EntryStatus::Refused(why) => Some((entry, why.as_str())),
            EntryStatus::OtherStatement => Some((entry, "it is ours, and says something else")),
            EntryStatus::Unread => Some((entry, "it names other content")),
            EntryStatus::Absent | EntryStatus::Counts(_) => None,
        })
    }

    /// The manifest's bytes, with the fields that `set` gives and the entries in `field`.
    pub(super) fn to_bytes(
        &self,
        field: &str,
        media_type: &str,
        config: Option<Value>,
    ) -> Result<Vec<u8>, StoreError> {
        let written = |text: &'_ Bytes| serde_json::from_slice::<Box<RawValue>>(text);
        let entries: Result<Vec<_>, _> = self.entries.iter().map(|entry| written(entry.text())).collect();
        let ours = ["schemaVersion", "mediaType", field];
        let is_ours = |name: &str| ours.contains(&name) || (config.is_some() && name == "config");
        let write = |json: &mut serde_json::Serializer<&mut Vec<u8>>| {
            let mut manifest = json.serialize_map(None)?;
            manifest.serialize_entry("schemaVersion", &2)?;
            manifest.serialize_entry("mediaType", media_type)?;
            if let Some(config) = &config {
                manifest.serialize_entry("config", config)?;
            }
            manifest.serialize_entry(field, &entries?)?;
            for (name, Base(value)) in self.base.iter().filter(|(name, _)| !is_ours(name)) {
                manifest.serialize_entry(name, value)?;
            }
            manifest.end()
        };
        let mut bytes = Vec::new();
        write(&mut serde_json::Serializer::new(&mut bytes)).map_err(StoreError::Json)?;
        Ok(bytes)
    }
}

/// The list in the field `field` of the manifest in `bytes`, as it is written; `other` is called with the other fields.
///
/// # Errors
///
/// Why the manifest has none.
pub(super) fn list_in<'a>(
    bytes: &'a [u8],
    field: &str,
    mut other: impl FnMut(Cow<'a, str>, &'a RawValue),
) -> Result<&'a RawValue, &'static str> {
    let (mut list, mut count, mut is_docker) = (None, 0_usize, false);
    let read = fields(bytes, |name, value| {
        count += 1;
        is_docker |= name == "mediaType" && value.get().contains(DOCKER_LIST);
        if name == field {
            list = Some(value);
        } else if count <= MAX_FIELDS {
            other(name, value);
        }
    });
    read.map_err(|error| if error.is_data() { "it is not a JSON object" } else { "it is not JSON" })?;
    if count > MAX_FIELDS {
        return Err("it has more than 256 fields");
    }
    if is_docker {
        return Err("it is a Docker manifest list, which lists the manifests of an image");
    }
    list.ok_or(NO_LIST)
}

/// The entries in `list`, which is a part of `bytes`. They are counted while they are read.
fn entries(bytes: &Bytes, list: &RawValue) -> Result<Vec<Entry>, &'static str> {
    let (mut all, mut count, mut others) = (Vec::new(), 0_usize, false);
    let read = elements(list, |one| {
        count += 1;
        let text = one.get();
        if !text.starts_with('{') {
            others = true;
        } else if count <= MAX_ENTRIES {
            all.push(Entry::unread(bytes.slice_ref(text.as_bytes())));
        }
    });
    read.map_err(|_| NO_LIST)?;
    match (others, count) {
        (true, _) => Err(OTHER_THINGS),
        (false, count) if count > MAX_ENTRIES => Err(TOO_MANY),
        (false, _) => Ok(all),
    }
}

impl Own {
    /// The digest that our descriptor names.
    fn digest(&self) -> Option<Digest> {
        entry::digest_of(&self.descriptor)
    }

    fn key(&self) -> Key {
        Key::of(&self.descriptor)
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
            Some(ours) => match entry.descriptor().as_ref().and_then(signature) {
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
        let docker = format!(r#"{{"mediaType":"{DOCKER_LIST}","layers":[]}}"#);
        for text in ["<html>", "[]", "{}", r#"{"layers":{}}"#, r#"{"layers":[1]}"#, &docker] {
            let error = Shelf::of(&manifest(text), "layers", "here").unwrap_err();
            assert!(matches!(error, StoreError::Foreign { .. }), "{text}: {error}");
        }
    }

    fn shelf(digests: &[&str]) -> Shelf {
        let entries = digests.iter().map(|digest| Entry::of(&serde_json::json!({ "digest": digest })));
        Shelf { entries: entries.collect(), ..Shelf::default() }
    }

    #[test]
    fn what_is_there_more_often_than_before_is_what_a_registry_made_of_ours() {
        assert!(shelf(&["a", "x", "x"]).twice(&shelf(&["a", "x"])).is_some());
        assert!(shelf(&["x", "x"]).twice(&shelf(&[])).is_some());
        for (seen, before) in [(&["a", "x"][..], &["a"][..]), (&["x", "x"], &["x", "x"]), (&[], &["x"])] {
            assert!(shelf(seen).twice(&shelf(before)).is_none(), "{seen:?}");
        }
    }

    #[test]
    fn merging_keeps_both_and_repeats_nothing() {
        let mut ours = shelf(&["a", "b"]);
        assert!(!ours.contains(&shelf(&["c"])));
        ours.absorb(&shelf(&["b", "c"]));
        assert_eq!(ours, shelf(&["a", "b", "c"]));
    }

    #[test]
    fn a_list_as_long_as_a_manifest_can_be_is_merged_at_once() {
        let entries: Vec<String> = (0..MAX_ENTRIES).map(|number| format!(r#"{{"n":{number}}}"#)).collect();
        let shelf =
            Shelf::of(&manifest(&format!(r#"{{"layers":[{}]}}"#, entries.join(","))), "layers", "here");
        let shelf = shelf.unwrap();
        let mut merged = shelf.clone();
        // Comparing each with each, this would take minutes.
        merged.absorb(&shelf);
        assert_eq!(merged.entries.len(), MAX_ENTRIES);
        assert!(merged.contains(&shelf));
    }
}
