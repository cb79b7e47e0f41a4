//! The values that stores and the check exchange: signatures that a search finds, and the verdicts on them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use serde_json::Value;

use crate::oci::Digest;

/// The most bytes fetched for one image: enough for thousands of signatures, or more than ten attestations of 64 MiB.
pub(crate) const MAX_FETCHED_BYTES: u64 = 1024 * 1024 * 1024;

/// A signature or attestation that a search found, not yet verified.
#[derive(Clone, Debug)]
pub struct SearchHit {
    /// Its location, for people.
    pub place: String,
    /// Its position among all entries, by which results are sorted. A search may find entries in another order.
    pub position: HitPosition,
    /// The content, or why it can't be read.
    pub content: Result<SignatureContent, UnreadableEntry>,
}

/// An entry's position in the lists beside an image: a tag's layers come before the referrers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HitPosition {
    /// Whether the entry is a referrer.
    pub is_referrer: bool,
    /// The entry's number in its list, counted from 1.
    pub number: usize,
    /// The layer's number in a referrer that lists signatures itself, counted from 1; 0 for the whole referrer.
    pub layer: usize,
}

/// Why an entry can't be read as a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct UnreadableEntry {
    /// The reason, as text for people.
    pub why: String,
    /// Whether the registry lists the entry but doesn't have its content. Shortly after a push, that may be temporary.
    pub absent: bool,
}

impl UnreadableEntry {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), absent: false }
    }

    pub(crate) fn absent(why: &str) -> Self {
        Self { why: why.to_owned(), absent: true }
    }
}

/// The content of one entry.
#[derive(Clone, Debug)]
pub enum SignatureContent {
    /// A layer of a `.sig` manifest.
    Simple {
        /// The bytes that the signature covers.
        payload: Bytes,
        /// The signature over the payload.
        signature: Vec<u8>,
        /// The layer's other cosign annotations.
        attached: Box<LayerAnnotations>,
    },
    /// A DSSE envelope in a layer of a `.att` manifest.
    Envelope(Bytes, Box<LayerAnnotations>),
    /// A Sigstore bundle, as JSON.
    Bundle(Bytes),
}

/// The annotations that cosign adds to a layer beside the signature; `None` if an annotation is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerAnnotations {
    /// The signer's certificate, PEM.
    pub certificate: Option<String>,
    /// The issuing certificates, PEM.
    pub chain: Option<String>,
    /// The transparency log entry, JSON.
    pub log: Option<String>,
    /// An RFC 3161 timestamp, JSON.
    pub timestamp: Option<String>,
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

pub(crate) fn annotation<'a>(layer: &'a Value, name: &str) -> Option<&'a str> {
    text(layer.get("annotations")?, name)
}

impl LayerAnnotations {
    pub(crate) fn of(layer: &Value) -> Self {
        let owned = |name| annotation(layer, name).filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            certificate: owned("dev.sigstore.cosign/certificate"),
            chain: owned("dev.sigstore.cosign/chain"),
            log: owned("dev.sigstore.cosign/bundle"),
            timestamp: owned("dev.sigstore.cosign/rfc3161timestamp"),
        }
    }
}

/// Receives the results of a search.
pub trait SearchSink: Send {
    /// Receives one result. The most promising results come first, not those with the lowest positions.
    fn see(&mut self, find: SearchHit);

    /// Receives another entry with the same content as an earlier result, at position `of`.
    fn copy(&mut self, _of: HitPosition, _place: String, _position: HitPosition) {}

    /// Receives the number of list entries that the search skipped because they can't match.
    fn others(&mut self, _count: usize) {}

    /// Whether the search may stop. A long search calls it from time to time.
    fn is_enough(&mut self) -> bool {
        false
    }
}

impl<F: FnMut(SearchHit) + Send> SearchSink for F {
    fn see(&mut self, find: SearchHit) {
        self(find);
    }
}

/// Why a search stopped before the end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchLimit {
    /// The results so far are sufficient, and many entries are left.
    Enough,
    /// A list has more entries than the limit.
    Entries {
        /// The list's location, for people.
        place: String,
    },
    /// The entries exceed the byte limit for one image.
    Bytes,
    /// The time limit of the run was reached.
    Time,
}

impl fmt::Display for SearchLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enough => f.write_str("the results so far are sufficient, and many entries are left"),
            Self::Entries { place } => write!(f, "the list at {place} has more entries than Stepseal reads"),
            Self::Bytes => write!(
                f,
                "the entries exceed {} MiB, the most that Stepseal fetches for one image",
                MAX_FETCHED_BYTES / 1024 / 1024
            ),
            Self::Time => f.write_str("the time limit of the run was reached"),
        }
    }
}

/// The verdict of a [`EntryJudge`] on an entry, which is `verify`'s verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EntryStatus {
    /// Not read: its descriptor says that another signer made it.
    #[default]
    Unread,
    /// The registry lists the entry but doesn't have its content, or doesn't have it yet.
    Absent,
    /// A valid signature by our key, of a payload with this digest.
    Counts(Digest),
    /// A valid signature by our key, of another statement about the image with the same predicate type.
    OtherStatement,
    /// Not a valid signature by our key, for this reason.
    Refused(String),
}

/// A future for a [`EntryJudge`]'s verdict, which may have to wait for the key.
pub(crate) type EntryStatusFuture<'a> = Pin<Box<dyn Future<Output = EntryStatus> + Send + 'a>>;

/// Decides which entries count as signatures by our key. Stores don't check signatures themselves, so that only `verify`'s
/// check decides.
pub trait EntryJudge: Send + Sync {
    /// The digests of the payloads whose signatures the store looks for.
    fn payloads(&self) -> &[Digest];

    /// The verdict on one entry.
    fn judge(&self, content: Result<SignatureContent, UnreadableEntry>) -> EntryStatusFuture<'_>;
}
