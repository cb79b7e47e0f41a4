//! What a bundle proves, once it is verified.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;

use super::format::{Bundle, Content};
use super::roots::Waived;

/// What a bundle proves.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Who signed.
    pub who: Who,
    /// Every time at which the signature is proven to have been there, earliest first; empty only for a key without log and timestamp.
    pub times: Vec<VerifiedTime>,
    /// The log entries; empty if they were not to be looked at.
    pub log_entries: Vec<LogEntry>,
    /// The timestamps that prove nothing, as the trusted root doesn't have their authorities.
    pub unknown_timestamps: Vec<UnknownTimestamp>,
    /// What is signed.
    pub content: Signed,
    /// What it lacks, which its trusted root doesn't demand; `None`: nothing.
    pub waived: Option<Waived>,
}

/// A timestamp by an authority that the trusted root doesn't have: its time is not attested, and was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTimestamp {
    /// The time in it.
    pub at: Timestamp,
    /// The authority that the timestamp itself names, escaped for display.
    pub by: String,
}

impl fmt::Display for UnknownTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, by } = self;
        write!(f, "the timestamp of {at} by {by} is not used: the trusted root does not have this authority")
    }
}

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The holder of the key.
    Key {
        /// The key's OpenSSH fingerprint.
        key_id: String,
        /// Base64 of the SHA-256 of its DER.
        hint: String,
    },
    /// An identity that an authority certified.
    Identity {
        /// `email`, `URI` or `name`.
        kind: &'static str,
        /// The name that the input has.
        name: String,
        /// The OIDC issuer, if the authority says.
        issuer: Option<String>,
        /// What else the authority says of the build, by the names of Fulcio's documentation.
        claims: BTreeMap<&'static str, String>,
    },
}

/// A time at which the signature was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedTime {
    /// The time.
    pub at: Timestamp,
    /// Who says so.
    pub by: TimeSource,
}

/// Who vouches for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// A transparency log of that name.
    Log(String),
    /// A timestamp authority of that name.
    Authority(String),
    /// Nobody: it is the time of the check.
    Now,
}

/// An entry of a transparency log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The log's name.
    pub log: String,
    /// The entry's index.
    pub index: u64,
    /// Its kind and version.
    pub kind: String,
    /// 1 or 2.
    pub rekor: u8,
    /// When the log says it took it; only Rekor 1 does.
    pub integrated: Option<Timestamp>,
    /// Whether its inclusion is proven, rather than promised.
    pub proven: bool,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// The artifact itself.
    Message,
    /// The payload of an envelope.
    Envelope {
        /// The payload's type.
        payload_type: String,
        /// The payload: an in-toto statement if it was checked against an artifact.
        payload: Bytes,
    },
}

impl LogEntry {
    pub(super) fn time(&self) -> Option<VerifiedTime> {
        self.integrated.map(|at| VerifiedTime { at, by: TimeSource::Log(self.log.clone()) })
    }
}

/// What `bundle` is of; only once all of it is verified.
pub(super) fn signed(bundle: &Bundle) -> Signed {
    match &bundle.content {
        Content::Message { .. } => Signed::Message,
        Content::Dsse(envelope) => Signed::Envelope {
            payload_type: envelope.payload_type().to_owned(),
            payload: Bytes::copy_from_slice(envelope.payload()),
        },
    }
}
