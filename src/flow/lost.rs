//! Entries of others whose content a registry has deleted, and that can't be put back here.
//!
//! They are of two kinds. One that another writer has just overwritten is left out of what is written, where it isn't anyway, so
//! that ours gets there: its own signer still looks whether it stays, and puts it back. One that the list names is left out only
//! after the registry has refused the list with it several times and for seconds. Neither is left out in silence.

use std::time::{Duration, Instant};

use crate::oci::Digest;
use crate::store::{Entry, Shelf};

/// How long the list must have been unchanged until the signers of what was overwritten are no longer waited for. Twenty
/// writers on a loaded machine come to their turn within seconds.
const OWNERS_FOR: Duration = Duration::from_secs(5);

/// The entries that are left out.
#[derive(Default)]
pub(super) struct Lost {
    /// Their signers may put them back.
    awaited: Vec<Entry>,
    /// They are no longer waited for.
    given_up: Vec<Entry>,
    /// The list as it was read last, and since when it is so.
    seen: Option<(Option<Digest>, Instant)>,
}

impl Lost {
    /// What is to be written or to be there of `wanted`.
    pub(super) fn without(&self, wanted: &Shelf) -> Shelf {
        let left_out: Vec<Entry> = self.awaited.iter().chain(&self.given_up).cloned().collect();
        wanted.without(&left_out)
    }

    /// Whether any entry is left out.
    pub(super) fn is_empty(&self) -> bool {
        self.awaited.is_empty() && self.given_up.is_empty()
    }

    /// Leaves out `entry` until its signer puts it back.
    pub(super) fn awaits(&mut self, entry: Entry) {
        self.awaited.push(entry);
    }

    /// Leaves out `entry` for good; `why` is told.
    pub(super) fn give_up(&mut self, entry: Entry, location: &str, why: &str) {
        if let Some(digest) = entry.digest() {
            tracing::warn!("the signature {digest} is no longer at {location}: {why}");
        }
        self.given_up.push(entry);
    }

    /// Takes note of what was read at `now`; whether it still waits for the signer of an entry.
    pub(super) fn waits(&mut self, seen: &Shelf, location: &str, now: Instant) -> bool {
        self.awaited.retain(|entry| !seen.has(entry));
        let since = match &self.seen {
            Some((version, since)) if *version == seen.version => *since,
            _ => now,
        };
        self.seen = Some((seen.version.clone(), since));
        if now.duration_since(since) >= OWNERS_FOR {
            for entry in std::mem::take(&mut self.awaited) {
                let why = "the registry does not hold what it names: it was deleted, or another signer overwrote it at the same time in a \
                           registry that keeps nothing that was overwritten. Its own signer did not put it back: sign with that key again";
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

    /// A list with these entries; each list has its own version.
    fn shelf(entries: &[&str]) -> Shelf {
        let entries: Vec<String> =
            entries.iter().map(|one| format!(r#"{{"digest":"{}"}}"#, Digest::of(one.as_bytes()))).collect();
        let bytes = bytes::Bytes::from(format!(r#"{{"layers":[{}]}}"#, entries.join(",")));
        let manifest = Manifest { media_type: String::new(), digest: Digest::of(&bytes), bytes };
        Shelf::of(&manifest, "layers", "here").unwrap()
    }

    #[test]
    fn what_was_overwritten_is_awaited_while_the_list_changes() {
        let begin = Instant::now();
        let theirs = shelf(&["theirs"]).entries.remove(0);
        let mut lost = Lost::default();
        lost.awaits(theirs.clone());
        assert!(lost.without(&shelf(&["ours", "theirs"])).contains(&shelf(&["ours"])));
        assert!(!lost.without(&shelf(&["ours", "theirs"])).has(&theirs));
        assert!(lost.waits(&shelf(&["ours"]), "here", begin));
        assert!(lost.waits(&shelf(&["ours", "more"]), "here", begin + OWNERS_FOR));
        assert!(lost.waits(&shelf(&["ours", "more"]), "here", begin + OWNERS_FOR * 3 / 2));
        assert!(!lost.waits(&shelf(&["ours", "more"]), "here", begin + OWNERS_FOR * 2));
        assert!(!lost.without(&shelf(&["theirs"])).has(&theirs), "it is left out for good");
    }

    #[test]
    fn what_its_signer_put_back_is_wanted_again() {
        let theirs = shelf(&["theirs"]);
        let mut lost = Lost::default();
        lost.awaits(theirs.entries[0].clone());
        assert!(!lost.waits(&theirs, "here", Instant::now()));
        assert!(lost.is_empty() && lost.without(&theirs).contains(&theirs));
    }
}
