//! Entries of other signers whose content the registry has deleted, so that this process can't restore them.
//!
//! There are two kinds. An entry that another writer has just overwritten is left out of the next write, so that the registry accepts
//! the write. Its own signer still checks it and restores it. An entry that the current list names is left out only
//! after the registry has refused the list with it several times and for seconds. Each omission is logged.

use std::time::{Duration, Instant};

use crate::oci::Digest;
use crate::store::{Entry, Shelf};

/// How long the list must be unchanged before the writer stops waiting for the signers of overwritten entries. Twenty
/// writers on a loaded machine all write within seconds.
const OWNERS_FOR: Duration = Duration::from_secs(5);

/// The entries that are left out of the list.
#[derive(Default)]
pub(super) struct LostEntries {
    /// Entries that their signers may restore.
    awaited: Vec<Entry>,
    /// Entries that are left out for good.
    given_up: Vec<Entry>,
    /// The version of the list at the last read, and since when it is unchanged.
    seen: Option<(Option<Digest>, Instant)>,
}

impl LostEntries {
    /// `wanted` without the entries that are left out.
    pub(super) fn without(&self, wanted: &Shelf) -> Shelf {
        let left_out: Vec<Entry> = self.awaited.iter().chain(&self.given_up).cloned().collect();
        wanted.without(&left_out)
    }

    /// Whether any entry is left out.
    pub(super) fn is_empty(&self) -> bool {
        self.awaited.is_empty() && self.given_up.is_empty()
    }

    /// Leaves `entry` out until its signer restores it.
    pub(super) fn awaits(&mut self, entry: Entry) {
        self.awaited.push(entry);
    }

    /// Leaves `entry` out for good and logs `why`.
    pub(super) fn give_up(&mut self, entry: Entry, location: &str, why: &str) {
        if let Some(digest) = entry.digest() {
            tracing::warn!("the signature {digest} is no longer at {location}: {why}");
        }
        self.given_up.push(entry);
    }

    /// Records the list read at `now`. Returns whether to wait for the signer of an entry.
    pub(super) fn waits(&mut self, seen: &Shelf, location: &str, now: Instant) -> bool {
        self.awaited.retain(|entry| !seen.has(entry));
        let since = match &self.seen {
            Some((version, since)) if *version == seen.version => *since,
            _ => now,
        };
        self.seen = Some((seen.version.clone(), since));
        if now.duration_since(since) >= OWNERS_FOR {
            for entry in std::mem::take(&mut self.awaited) {
                let why = "the registry does not have its content: it was deleted, or another signer overwrote it at the same time in a \
                           registry that deletes what is overwritten. Its own signer did not restore it: sign with that key again";
                self.give_up(entry, location, why);
            }
        }
        !self.awaited.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Manifest;

    /// A list with these entries. Each list has its own version.
    fn shelf(entries: &[&str]) -> Shelf {
        let entries: Vec<String> =
            entries.iter().map(|name| format!(r#"{{"digest":"{}"}}"#, Digest::of(name.as_bytes()))).collect();
        let bytes = bytes::Bytes::from(format!(r#"{{"layers":[{}]}}"#, entries.join(",")));
        let manifest = Manifest { media_type: String::new(), digest: Digest::of(&bytes), bytes };
        Shelf::of(&manifest, "layers", "here").unwrap()
    }

    #[test]
    fn an_overwritten_entry_is_awaited_while_the_list_changes() {
        let begin = Instant::now();
        let other = shelf(&["other"]).entries.remove(0);
        let mut lost = LostEntries::default();
        lost.awaits(other.clone());
        assert!(lost.without(&shelf(&["own", "other"])).contains(&shelf(&["own"])));
        assert!(!lost.without(&shelf(&["own", "other"])).has(&other));
        assert!(lost.waits(&shelf(&["own"]), "here", begin));
        assert!(lost.waits(&shelf(&["own", "more"]), "here", begin + OWNERS_FOR));
        assert!(lost.waits(&shelf(&["own", "more"]), "here", begin + OWNERS_FOR * 3 / 2));
        assert!(!lost.waits(&shelf(&["own", "more"]), "here", begin + OWNERS_FOR * 2));
        assert!(!lost.without(&shelf(&["other"])).has(&other), "it is left out for good");
    }

    #[test]
    fn an_entry_that_its_signer_restores_is_wanted_again() {
        let other = shelf(&["other"]);
        let mut lost = LostEntries::default();
        lost.awaits(other.entries[0].clone());
        assert!(!lost.waits(&other, "here", Instant::now()));
        assert!(lost.is_empty() && lost.without(&other).contains(&other));
    }
}
