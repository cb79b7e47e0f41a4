//! One entry of a list of signatures.
//!
//! It is kept as it is written, since others may have put in fields that we don't know; and since a descriptor that is read as
//! JSON can take seventy times its length in memory, which is then taken for one at a time.

use std::hash::{Hash as _, Hasher};

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::found::EntryStatus;
use crate::oci::Digest;
use crate::registry::client::MAX_DESCRIPTOR_BYTES;

/// One entry: its descriptor, and what it counts for, if it was read.
#[derive(Clone, Debug)]
pub struct Entry {
    text: Bytes,
    key: Key,
    digest: Option<Digest>,
    /// What it counts for.
    pub standing: EntryStatus,
}

/// By what entries are compared: a hash of the descriptor's value. Blanks and the order of fields make no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.standing == other.standing
    }
}

impl Entry {
    /// An entry that was not read, with the descriptor in `text`, which is JSON.
    pub(super) fn unread(text: Bytes) -> Self {
        let (key, digest) = match read(&text) {
            Some(descriptor) => (Key::of(&descriptor), digest_of(&descriptor)),
            // It is compared as it is written, and doesn't count as a signature.
            None => (Key(Sha256::digest(&text).into()), None),
        };
        Self { text, key, digest, standing: EntryStatus::Unread }
    }

    /// An entry with this descriptor, which was not read.
    pub(super) fn of(descriptor: &Value) -> Self {
        Self::unread(descriptor.to_string().into())
    }

    /// The descriptor as it is written.
    pub(super) fn text(&self) -> &Bytes {
        &self.text
    }

    /// The descriptor; `None`: it is longer than any of a signature, or nests too deep.
    pub(super) fn descriptor(&self) -> Option<Value> {
        read(&self.text)
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// The digest that the descriptor names.
    pub fn digest(&self) -> Option<Digest> {
        self.digest.clone()
    }
}

impl Key {
    pub(super) fn of(descriptor: &Value) -> Self {
        let mut hasher = Canonical(Sha256::new());
        descriptor.hash(&mut hasher);
        Self(hasher.0.finalize().into())
    }
}

/// Feeds a value's canonical form (the fields of an object in order of their names) to a hash that can't be made to collide.
struct Canonical(Sha256);

impl Hasher for Canonical {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // Nobody asks for it: the hash that is used is the whole one.
        0
    }
}

/// A descriptor; `None`: it is longer than any of a signature, or not JSON.
pub(super) fn read(text: &[u8]) -> Option<Value> {
    (text.len() <= MAX_DESCRIPTOR_BYTES).then(|| serde_json::from_slice(text).ok())?
}

/// The digest that a descriptor names.
pub(super) fn digest_of(descriptor: &Value) -> Option<Digest> {
    descriptor.get("digest")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_compared_by_value() {
        let key = |text: &str| Entry::unread(Bytes::copy_from_slice(text.as_bytes())).key;
        let one = r#"{"a":1,"b":{"c":[1,2],"d":"x"}}"#;
        assert_eq!(key(one), key(r#"{ "b": {"d":"\u0078", "c":[1, 2]}, "a":1 }"#));
        for other in [
            r#"{"a":2,"b":{"c":[1,2],"d":"x"}}"#,
            r#"{"a":1,"b":{"c":[2,1],"d":"x"}}"#,
            r#"{"a":1,"b":{"c":[1,2],"d":"x"},"e":null}"#,
            r#"{"a":1,"b":{"c":[1,2]},"d":"x"}"#,
            r#"{"a":"1","b":{"c":[1,2],"d":"x"}}"#,
        ] {
            assert_ne!(key(one), key(other), "{other}");
        }
    }

    #[test]
    fn one_that_is_too_long_to_be_read_is_kept_and_names_nothing() {
        let digest = Digest::of(b"");
        let long = |filler: &str| format!(r#"{{"digest":"{digest}","x":"{filler}"}}"#);
        let short = Entry::unread(long("x").into());
        assert_eq!(short.digest(), Some(digest.clone()));
        let long = Entry::unread(long(&"x".repeat(MAX_DESCRIPTOR_BYTES)).into());
        assert!(long.digest().is_none() && long.descriptor().is_none());
        assert_ne!(long.key, short.key);
    }
}
