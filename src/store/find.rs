//! What a search finds, and the stores read: one thing that lies at an image.

use bytes::Bytes;
use serde_json::Value;

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
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), absent: false }
    }

    pub(super) fn absent(why: &str) -> Self {
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

pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

pub(super) fn annotation<'a>(layer: &'a Value, name: &str) -> Option<&'a str> {
    text(layer.get("annotations")?, name)
}

impl Attached {
    pub(super) fn of(layer: &Value) -> Self {
        let owned = |name| annotation(layer, name).filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            certificate: owned("dev.sigstore.cosign/certificate"),
            chain: owned("dev.sigstore.cosign/chain"),
            log: owned("dev.sigstore.cosign/bundle"),
            timestamp: owned("dev.sigstore.cosign/rfc3161timestamp"),
        }
    }
}
