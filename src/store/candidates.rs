//! What a list holds that may be a signature, in the order in which it is worth looking at.
//!
//! Anyone with the right to push can put thousands of entries beside a good one. What is cheap to see is seen while the list is
//! read: entries that can't be signatures are only counted, and those that look like what is asked for come first. What stands
//! in a descriptor isn't signed, so nothing is left out for what it says there.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use super::reader::{ATTESTATION_LISTS, BUNDLE_TYPE, Reader, SIGNATURE_LISTS, Wanted};
use super::shelf::{NO_LIST, OTHER_THINGS, list_in};
use super::{bundle, entry, oci_tag, wanted};
use crate::oci::Digest;
use crate::oci::json::elements;
use crate::registry::client::{Listing, MAX_REFERRERS};

/// How many layers of one tag are looked at: more that may be signatures don't fit into a manifest of 4 MiB.
const MAX_LAYERS: usize = 32_000;
/// Larger payloads, and larger bundles, come after the others that look like them, by their size: those of signatures have up to
/// 10 KiB, and what is large costs more to look at.
pub(super) const SMALL_BYTES: u64 = 64 * 1024;
/// Shorter descriptors name no content: a sha256 digest has 71 bytes.
const LEAST_BYTES: usize = 80;
/// How many entries that can't be signatures are listed with their reasons; the others are counted.
const TOLD: usize = 20;

/// What entries of a list look like if they are what is asked for.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    /// Whether signatures with keys are asked for.
    pub keys: bool,
    /// Whether signatures with certificates are.
    pub certificates: bool,
    /// The predicate types of attestations that are.
    pub predicate_types: Vec<String>,
}

/// How soon an entry is looked at, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It looks like what is asked for, and nothing has to be fetched.
    Known,
    /// It looks like what is asked for.
    Likely,
    /// It looks like something else, or says nothing.
    Other,
    /// It can't be read.
    Unreadable,
}

/// One entry that is looked at.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Its number in the list, counted from 1.
    pub(super) number: usize,
    /// Its descriptor, as it is written.
    pub(super) text: Bytes,
    /// The digest of what it names.
    pub(super) digest: Option<Digest>,
    pub(super) rank: Rank,
    /// The size that it says, of a layer; 0 of what is small.
    size_bytes: u64,
    /// Whether another entry that comes before it names the same content.
    pub(super) is_again: bool,
}

/// The entries of a list.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// Those that are looked at.
    pub(super) all: Vec<Candidate>,
    /// How many others can't be signatures.
    pub(super) others: usize,
    /// Whether there are more than are looked at.
    pub(super) is_cut: bool,
}

/// The entries of a list that were looked at.
#[derive(Debug, Default)]
pub(super) struct Before {
    digests: HashSet<Digest>,
    /// The highest of their numbers.
    last: usize,
}

impl Candidates {
    /// The layers in a tag's manifest.
    ///
    /// # Errors
    ///
    /// Why it isn't a list.
    pub(super) fn layers(manifest: &Bytes, reader: &Reader<'_>, looks: &Looks) -> Result<Self, &'static str> {
        let mut found = Self::default();
        let mut told = 0;
        each(manifest, "layers", |number, raw| {
            let text = raw.get().as_bytes();
            let layer = if text.len() < LEAST_BYTES { None } else { entry::read(text) };
            let read = layer.as_ref().and_then(|layer| Some((layer, reader.layer_of(layer).ok()?)));
            let (rank, named) = match read {
                Some((layer, read)) => {
                    let looks_right = looks.layer(layer, read.attached.certificate.is_some(), reader.wanted);
                    let rank = match looks_right {
                        true if reader.knows(&read.named.digest) => Rank::Known,
                        true => Rank::Likely,
                        false => Rank::Other,
                    };
                    (rank, Some(read.named))
                }
                None if told < TOLD => {
                    told += 1;
                    (Rank::Unreadable, None)
                }
                None => {
                    found.others += 1;
                    return;
                }
            };
            if rank != Rank::Unreadable && found.all.len() - told >= MAX_LAYERS {
                found.is_cut = true;
                return;
            }
            let size_bytes = named.as_ref().map_or(0, |named| named.size_bytes);
            let (text, digest) = (manifest.slice_ref(text), named.map(|named| named.digest));
            found.all.push(Candidate { number, text, digest, rank, size_bytes, is_again: false });
        })?;
        Ok(found.sorted())
    }

    /// The referrers in the index of a fallback tag, and how many entries that has.
    ///
    /// # Errors
    ///
    /// Why it isn't a list.
    pub(super) fn fallback(
        manifest: &Bytes,
        reader: &Reader<'_>,
        looks: &Looks,
    ) -> Result<(Self, usize), &'static str> {
        let mut found = Self::default();
        let mut count = 0;
        each(manifest, "manifests", |number, raw| {
            count = number;
            let text = raw.get().as_bytes();
            let descriptor = if text.len() < LEAST_BYTES { None } else { entry::read(text) };
            let Some(descriptor) = descriptor.filter(|descriptor| reader.may_be_wanted(descriptor)) else {
                return;
            };
            if found.all.len() >= MAX_REFERRERS {
                found.is_cut = true;
                return;
            }
            found.all.extend(looks.candidate(number, manifest.slice_ref(text), &descriptor));
        })?;
        Ok((found.sorted(), count))
    }

    /// The referrers that the API lists.
    pub(super) fn listed(listing: Listing, looks: &Looks) -> Self {
        let candidate = |(at, text): (usize, Bytes)| {
            let descriptor = entry::read(&text)?;
            looks.candidate(at + 1, text, &descriptor)
        };
        let all = listing.descriptors.into_iter().enumerate().filter_map(candidate).collect();
        Self { all, others: 0, is_cut: listing.is_cut }.sorted()
    }

    /// What another list of the same image need not bring again.
    pub(super) fn as_before(&self) -> Before {
        Before {
            digests: self.all.iter().filter_map(|one| one.digest.clone()).collect(),
            last: self.all.iter().map(|one| one.number).max().unwrap_or_default(),
        }
    }

    /// The entries that `before` lacks, numbered on from it.
    pub(super) fn beside(mut self, before: &Before) -> Self {
        self.all.retain(|one| one.digest.as_ref().is_none_or(|digest| !before.digests.contains(digest)));
        self.all.iter_mut().for_each(|one| one.number += before.last);
        self
    }

    /// The likely ones first, among them the small ones, and among those the newest; but each content before another entry for
    /// the same.
    fn sorted(mut self) -> Self {
        let order = |one: &Candidate| {
            let size = if one.size_bytes <= SMALL_BYTES { 0 } else { one.size_bytes };
            (one.rank == Rank::Unreadable, one.is_again, one.rank, size, Reverse(one.number))
        };
        self.all.sort_by_key(order);
        let mut seen = HashSet::new();
        for one in self.all.iter_mut().filter(|one| one.rank != Rank::Known) {
            one.is_again = one.digest.as_ref().is_some_and(|digest| !seen.insert(digest.clone()));
        }
        self.all.sort_by_key(order);
        self
    }

    /// The layers in the order in which they are read, together where one content is for several of them.
    pub(super) fn lots(self) -> Vec<Vec<Candidate>> {
        let mut lots: Vec<Vec<Candidate>> = Vec::new();
        let mut lot_of: HashMap<Digest, usize> = HashMap::new();
        for one in self.all {
            let of = one.digest.clone().filter(|_| one.is_again);
            let at = of.map(|digest| *lot_of.entry(digest).or_insert(lots.len()));
            match at.and_then(|at| lots.get_mut(at)) {
                Some(lot) => lot.push(one),
                None => lots.push(vec![one]),
            }
        }
        lots
    }
}

impl Looks {
    /// Whether a layer looks like what is asked for.
    fn layer(&self, layer: &Value, has_certificate: bool, kind: Wanted) -> bool {
        let signer = if has_certificate { self.certificates } else { self.keys };
        let states = || {
            let stated = wanted::annotation(layer, oci_tag::PREDICATE_ANNOTATION);
            stated.is_some_and(|stated| self.predicate_types.iter().any(|kind| kind == stated))
        };
        signer && (kind == Wanted::Signatures || states())
    }

    /// A referrer, if it names a manifest.
    fn candidate(&self, number: usize, text: Bytes, descriptor: &Value) -> Option<Candidate> {
        let digest = entry::digest_of(descriptor)?;
        let kind = descriptor.get("artifactType").and_then(Value::as_str);
        let stated = wanted::annotation(descriptor, bundle::PREDICATE_ANNOTATION);
        let states = match stated {
            None => false,
            Some(_) if self.predicate_types.is_empty() => true,
            Some(stated) => self.predicate_types.iter().any(|kind| kind == stated),
        };
        let is_list = |kind| SIGNATURE_LISTS.contains(&kind) || ATTESTATION_LISTS.contains(&kind);
        let likely = kind.is_some_and(|kind| is_list(kind) || (states && kind.starts_with(BUNDLE_TYPE)));
        let rank = if likely { Rank::Likely } else { Rank::Other };
        Some(Candidate { number, text, digest: Some(digest), rank, size_bytes: 0, is_again: false })
    }
}

/// Calls `one` with each entry of the list `field` and its number, counted from 1.
fn each<'a>(
    manifest: &'a Bytes,
    field: &str,
    mut one: impl FnMut(usize, &'a RawValue),
) -> Result<(), &'static str> {
    let list = list_in(manifest, field, |_, _| {})?;
    let (mut number, mut others) = (0, false);
    let read = elements(list, |raw| {
        number += 1;
        if raw.get().starts_with('{') {
            one(number, raw);
        } else {
            others = true;
        }
    });
    read.map_err(|_| NO_LIST)?;
    if others { Err(OTHER_THINGS) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use serde_json::json;

    use super::*;
    use crate::process::ProgramEnvironment;
    use crate::registry::client::{Client, ClientOptions};
    use crate::registry::credentials::{FileKeychain, Places};
    use crate::store::reader::{Fetched, by_digest};

    const MANIFEST_BYTES: usize = 4 * 1024 * 1024;

    /// Calls `look` with a reader that knows the payload "known".
    fn with_reader<T>(wanted: Wanted, look: impl FnOnce(&Reader<'_>) -> T) -> T {
        let keychain = FileKeychain::load(Places::explicit([]), ProgramEnvironment::default()).unwrap();
        let client = Client::new(ClientOptions::new(Instant::now()), Arc::new(keychain)).unwrap();
        look(&Reader {
            client: &client,
            repository: &"registry.example/app".parse().unwrap(),
            image: &Digest::of(b"image"),
            wanted,
            known: by_digest(&[Bytes::from_static(b"known")]),
            memory: None,
            limit_bytes: u64::MAX,
            fetched: Fetched::default(),
        })
    }

    fn keys() -> Looks {
        Looks { keys: true, ..Looks::default() }
    }

    fn layers(wanted: Wanted, looks: &Looks, manifest: String) -> Candidates {
        with_reader(wanted, |reader| Candidates::layers(&manifest.into(), reader, looks).unwrap())
    }

    fn numbers(candidates: &Candidates) -> Vec<usize> {
        candidates.all.iter().map(|one| one.number).collect()
    }

    fn layer(payload: &str, annotations: &Value) -> Value {
        let mut layer = json!({
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            "size": payload.len(), "digest": Digest::of(payload.as_bytes()).as_str(), "annotations": annotations,
        });
        layer["annotations"]["dev.cosignproject.cosign/signature"] = "".into();
        layer
    }

    #[test]
    fn what_is_likely_and_new_comes_first_and_each_content_before_its_copies() {
        let certificate = json!({ "dev.sigstore.cosign/certificate": "x" });
        let manifest = json!({ "layers": [
            layer("a", &json!({})),
            layer("known", &certificate),
            layer("known", &json!({})),
            {},
            layer("a", &json!({ "n": "2" })),
            layer("known", &json!({ "n": "2" })),
            layer("b", &json!({})),
            layer("c", &certificate),
        ]})
        .to_string();
        let by_key = layers(Wanted::Signatures, &keys(), manifest.clone());
        assert_eq!(numbers(&by_key), [6, 3, 7, 5, 8, 2, 1, 4]);
        let looks = Looks { certificates: true, ..Looks::default() };
        let by_certificate = layers(Wanted::Signatures, &looks, manifest);
        assert_eq!(numbers(&by_certificate)[..2], [2, 8]);
        assert_eq!((by_key.others, by_key.is_cut), (0, false));
    }

    #[test]
    fn attestations_of_the_wanted_type_come_first_and_none_is_left_out() {
        let envelope = |content: &str, kind: Option<&str>| {
            json!({
                "mediaType": "application/vnd.dsse.envelope.v1+json", "size": 1,
                "digest": Digest::of(content.as_bytes()).as_str(), "annotations": { "predicateType": kind },
            })
        };
        let list =
            json!({ "layers": [envelope("a", Some("x")), envelope("b", Some("y")), envelope("c", None)] });
        let looks = Looks { predicate_types: vec!["x".to_owned()], ..keys() };
        assert_eq!(numbers(&layers(Wanted::Attestations, &looks, list.to_string())), [1, 3, 2]);
    }

    /// Neither what can't be a signature nor what can is cut off, as far as a manifest has room for it.
    #[test]
    fn no_tag_has_more_layers_than_are_looked_at() {
        let fill = |entry: &str| {
            let count = (MANIFEST_BYTES - 13) / (entry.len() + 1);
            (count, format!(r#"{{"layers":[{}]}}"#, vec![entry; count].join(",")))
        };
        for entry in ["{}", r#"{"a":0}"#, r#"{"mediaType":"application/vnd.dsse.envelope.v1+json"}"#] {
            let (count, manifest) = fill(entry);
            let found = layers(Wanted::Attestations, &keys(), manifest);
            assert_eq!((found.all.len(), found.others, found.is_cut), (TOLD, count - TOLD, false), "{entry}");
        }
        let shortest = format!(
            r#"{{"mediaType":"application/vnd.dsse.envelope.v1+json","digest":"{}","size":1}}"#,
            Digest::of(b"x")
        );
        let (count, manifest) = fill(&shortest);
        let found = layers(Wanted::Attestations, &keys(), manifest);
        assert_eq!((found.all.len(), found.others, found.is_cut), (count, 0, false));
    }

    #[test]
    fn a_fallback_list_that_is_too_long_is_cut() {
        let entry = format!(r#"{{"digest":"{}","a":1}}"#, Digest::of(b"x"));
        for (count, is_cut) in [(MAX_REFERRERS, false), (MAX_REFERRERS + 1, true)] {
            let manifest = format!(r#"{{"manifests":[{}]}}"#, vec![entry.as_str(); count].join(","));
            let found = with_reader(Wanted::Signatures, |reader| {
                Candidates::fallback(&manifest.into(), reader, &keys()).unwrap()
            });
            assert_eq!((found.0.all.len(), found.0.is_cut, found.1), (MAX_REFERRERS, is_cut, count));
        }
    }

    #[test]
    fn what_is_not_a_list_of_descriptors_is_an_error() {
        for text in ["<html>", "[]", "{}", r#"{"layers":{}}"#, r#"{"layers":[1]}"#, r#"{"layers":[{},null]}"#]
        {
            let read = |reader: &Reader<'_>| Candidates::layers(&text.into(), reader, &keys()).map(drop);
            assert!(with_reader(Wanted::Signatures, read).is_err(), "{text}");
        }
    }
}
