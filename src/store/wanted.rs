//! Which of the things that others may have put into a place are worth reading.
//!
//! Attestations of one image can be many and large. Whether one of them may hold a payload of ours is seen from its
//! predicate type and its size, without reading it.

use serde_json::Value;

use crate::formats::{Payload, cosign_statement, statement};

/// How many signatures of others are read to find this run's; the newest come last.
pub(super) const MAX_READ: usize = 64;
/// How many attestations of a type are read to be replaced, the newest; and how many bytes of them, as their descriptors say. More of
/// them than a signer's own runs leave are an attempt to keep it busy.
pub(super) const MAX_REPLACED: usize = 1024;
/// As `MAX_REPLACED`.
const MAX_REPLACED_BYTES: u64 = 512 * 1024 * 1024;
/// How many of them are read at a time.
const AT_A_TIME: usize = 8;
/// Larger payloads than this are read in sequence: a payload may have 64 MiB.
const LARGE_BYTES: u64 = 1024 * 1024;

/// What stands around the payload in an envelope or a bundle: the bundle of a signature with a log entry, a certificate and a
/// timestamp has about 10 KiB.
pub(super) const MAX_AROUND_BYTES: u64 = 128 * 1024;

/// What is looked for in the entries of a list.
pub(super) struct Wanted(Vec<One>);

struct One {
    predicate_type: String,
    base64_bytes: u64,
}

impl Wanted {
    /// The signatures of `payloads`.
    pub(super) fn of(payloads: &[Payload]) -> Self {
        let one = |payload: &Payload| One {
            predicate_type: predicate_type(payload),
            base64_bytes: payload.bytes.len().div_ceil(3) as u64 * 4,
        };
        Self(payloads.iter().map(one).collect())
    }

    /// Whether an entry that says it holds `said` may hold one of them; an entry that says nothing may.
    pub(super) fn may_be(&self, said: Option<&str>) -> bool {
        self.0.iter().any(|one| said.is_none_or(|said| said == one.predicate_type))
    }

    /// Whether an envelope of so many bytes may hold one of them.
    pub(super) fn may_fit(&self, bytes: u64) -> bool {
        self.0.iter().any(|one| (one.base64_bytes..=one.base64_bytes + MAX_AROUND_BYTES).contains(&bytes))
    }

    /// The size of the largest envelope or bundle that may hold one of them.
    pub(super) fn limit_bytes(&self) -> u64 {
        self.0.iter().map(|one| one.base64_bytes).max().unwrap_or(0) + MAX_AROUND_BYTES
    }
}

/// How many attestations of these sizes, in bytes, are read to be replaced: the first in the list.
pub(super) fn replaceable(sizes: &[u64]) -> usize {
    let mut room = MAX_REPLACED_BYTES;
    let fits = |size: &&u64| match room.checked_sub(**size) {
        Some(rest) => {
            room = rest;
            true
        }
        None => false,
    };
    sizes.iter().take(MAX_REPLACED).take_while(fits).count()
}

/// How many signatures of up to so many bytes are read at a time.
pub(super) fn at_a_time(limit_bytes: u64) -> usize {
    if limit_bytes > LARGE_BYTES { 1 } else { AT_A_TIME }
}

/// What a descriptor says in the annotation `name`.
pub(super) fn annotation<'a>(descriptor: &'a Value, name: &str) -> Option<&'a str> {
    descriptor.get("annotations")?.get(name)?.as_str()
}

/// The predicate type of a payload that is a statement.
pub(super) fn predicate_type(payload: &Payload) -> String {
    let head =
        (payload.media_type == cosign_statement::PAYLOAD_TYPE).then(|| statement::head(&payload.bytes));
    head.flatten().map(|head| head.predicate_type).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Envelope;

    #[test]
    fn what_is_read_to_be_replaced_is_bounded_in_number_and_bytes() {
        assert_eq!(replaceable(&[]), 0);
        assert_eq!(replaceable(&[1, 2, 3]), 3);
        assert_eq!(replaceable(&[1; MAX_REPLACED + 1]), MAX_REPLACED);
        assert_eq!(replaceable(&[MAX_REPLACED_BYTES, 1]), 1);
        assert_eq!(replaceable(&[MAX_REPLACED_BYTES / 2; 3]), 2);
        assert_eq!(replaceable(&[1, u64::MAX, 1]), 1);
    }

    #[test]
    fn type_and_size_tell_what_need_not_be_read() {
        let payload = Payload {
            bytes: br#"{"predicateType":"https://a.b/c"}"#.as_slice().into(),
            media_type: cosign_statement::PAYLOAD_TYPE,
            envelope: Envelope::Dsse,
        };
        let wanted = Wanted::of(&[payload]);
        assert!(wanted.may_be(None) && wanted.may_be(Some("https://a.b/c")) && !wanted.may_be(Some("x")));
        assert!(!wanted.may_fit(43) && wanted.may_fit(44) && wanted.may_fit(200));
        assert!(!wanted.may_fit(44 + MAX_AROUND_BYTES + 1));
        assert!(!Wanted::of(&[]).may_be(None));
    }
}
