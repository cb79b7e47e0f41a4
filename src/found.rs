//! What stores find at an image, and what the check says of it: the values that the two exchange.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use serde_json::Value;

use crate::oci::Digest;

/// How many bytes are fetched for one image: thousands of signatures, or ten attestations of 64 MiB. More are not read.
pub(crate) const MAX_FETCHED_BYTES: u64 = 1024 * 1024 * 1024;

/// Something that was found. Nothing of it is verified.
#[derive(Clone, Debug)]
pub struct Find {
    /// Where it lies, for people.
    pub place: String,
    /// Where it stands among all that lies there, by which it is listed: it may be found in another order.
    pub position: Position,
    /// What it is, or why it can't be read.
    pub content: Result<Content, Unreadable>,
}

/// A place in the lists of what lies at an image: the tag's layers come before the referrers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Whether it is a referrer.
    pub is_referrer: bool,
    /// Its number in its list, counted from 1.
    pub number: usize,
    /// The number of the layer in a referrer that lists signatures itself, counted from 1; 0: it is the whole.
    pub layer: usize,
}

/// Why something that lies there can't be read for what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unreadable {
    /// The reason, for people.
    pub why: String,
    /// The registry lists it and doesn't hold it. Shortly after it was pushed, that may pass.
    pub absent: bool,
}

impl Unreadable {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), absent: false }
    }

    pub(crate) fn absent(why: &str) -> Self {
        Self { why: why.to_owned(), absent: true }
    }
}

/// What lies in one place.
#[derive(Clone, Debug)]
pub enum Content {
    /// A layer of a `.sig` manifest.
    Simple {
        /// The bytes that are signed.
        payload: Bytes,
        /// The signature.
        signature: Vec<u8>,
        /// The other annotations of cosign's.
        attached: Box<Attached>,
    },
    /// A DSSE envelope: a layer of a `.att` manifest.
    Envelope(Bytes, Box<Attached>),
    /// A Sigstore bundle.
    Bundle(Bytes),
}

/// What cosign hangs onto a layer beside the signature; `None`: it isn't there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// The signer's certificate, PEM.
    pub certificate: Option<String>,
    /// The certificates above it, PEM.
    pub chain: Option<String>,
    /// The entry of the transparency log, JSON.
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

impl Attached {
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

/// Gets what a search finds.
pub trait Found: Send {
    /// Gets one thing that was found. They come in the order in which they are worth looking at, not in that of their positions.
    fn see(&mut self, find: Find);

    /// Gets one more entry for the content of the one at `of`, which it was given before.
    fn copy(&mut self, _of: Position, _place: String, _position: Position) {}

    /// Gets how many entries of a list can't be what is looked for, beside those that it was given.
    fn others(&mut self, _count: usize) {}

    /// Whether nothing more is needed. It is asked now and then, where much is left to look at.
    fn is_enough(&mut self) -> bool {
        false
    }
}

impl<F: FnMut(Find) + Send> Found for F {
    fn see(&mut self, find: Find) {
        self(find);
    }
}

/// Why a search has not looked at everything that lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// What was found is enough, and there is much more.
    Enough,
    /// A list has more entries than are looked at.
    Entries {
        /// Where the list is, for people.
        place: String,
    },
    /// More bytes would have to be fetched than are for one image.
    Bytes,
    /// The time of the run was over.
    Time,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enough => f.write_str("what was found was enough, and there is much more"),
            Self::Entries { place } => write!(f, "the list at {place} has more entries than are looked at"),
            Self::Bytes => write!(
                f,
                "what is there has more than {} MiB, the most that is fetched for one image",
                MAX_FETCHED_BYTES / 1024 / 1024
            ),
            Self::Time => f.write_str("the time limit of the run came first"),
        }
    }
}

/// What an entry counts for: the verdict of a [`Judge`], which is that of `verify`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It was not read: it is somebody else's, as far as its descriptor says.
    #[default]
    Unread,
    /// It is listed, and the registry doesn't hold it, or not yet.
    Absent,
    /// It is a good signature by our key, and says what the payload with this digest says.
    Counts(Digest),
    /// It is a good signature by our key of a statement of the same predicate type about the image, and says something else.
    OtherStatement,
    /// It isn't, for this reason.
    Refused(String),
}

/// What a [`Judge`] decides, in its time: it may have to wait for the key.
pub(crate) type Judging<'a> = Pin<Box<dyn Future<Output = Standing> + Send + 'a>>;

/// Says what counts as ours of what a store reads. A store doesn't look at signatures itself, so that there is one look:
/// `verify`'s.
pub trait Judge: Send + Sync {
    /// The digests of the payloads of which signatures are looked for.
    fn payloads(&self) -> &[Digest];

    /// What this counts for.
    fn judge(&self, content: Result<Content, Unreadable>) -> Judging<'_>;
}
