//! Why a trusted root can't be used.

use super::{MEMBERS, ROOTS, TRUST_BYTES};
use crate::explain::explain;
use crate::json_lines::LinesError;
use crate::known_format::{KnownFormat, WantedFormat};

/// Why a trusted root can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not one.
    #[error("this is not a trusted root: {0}")]
    Json(#[source] sigstore_trust_root::Error),
    /// Something else, which is known.
    #[error("this is {}, not a trusted root", .0.name())]
    Other(KnownFormat),
    /// The file isn't JSON, or exceeds a limit.
    #[error("this is not a trusted root: {0}")]
    Lines(LinesError),
    /// One of several, by the line that it begins on.
    #[error("line {line}: {source}")]
    Line {
        /// The line in the input, counted from 1.
        line: usize,
        /// What is wrong with it.
        source: Box<TrustError>,
    },
    /// Several files together exceed a limit.
    #[error(
        "these are more than {ROOTS} trusted roots, or more than {MEMBERS} logs or authorities of one kind"
    )]
    TooMany,
    /// Two roots have a log of one id, and different keys of it.
    #[error("the log {name} has one key in one trusted root and another key in another, under the same id")]
    TwoKeys {
        /// The log's name in the second.
        name: String,
    },
    /// No root has that authority.
    #[error("no certificate authority in it is at \"{wanted}\"; there are {}", if .there.is_empty() { "none" } else { .there })]
    NoAuthority {
        /// What is wanted.
        wanted: String,
        /// Those that are there.
        there: String,
    },
    /// What is not demanded must be said for one root.
    #[error("it holds {count} trusted roots, and nothing says of which of them less is demanded")]
    Which {
        /// How many there are.
        count: usize,
    },
    /// Without a demand for the log, nothing proves a time.
    #[error("it has no timestamp authority: without a log entry nothing proves when a signature was made")]
    NoStamps,
    /// Not text, or too large.
    #[error("this is not a trusted root: it is not text, or larger than {TRUST_BYTES} bytes")]
    Text,
    /// Another format.
    #[error("this is not a trusted root: its media type is \"{found}\"")]
    MediaType {
        /// The media type, made fit to be shown.
        found: String,
    },
    /// A list exceeds its limit.
    #[error("this is not a trusted root: it has more than {MEMBERS} logs or authorities of one kind")]
    Members,
    /// A window that ends before it begins, two logs of one id, a chain that is empty or no certificate.
    #[error("the trusted root cannot be used: {what} of {name}")]
    Member {
        /// What is wrong.
        what: &'static str,
        /// The name that the input has.
        name: String,
    },
}

explain! { TrustError,
    Self::Other(known) => ["trusted-root-other-format", Usage, text known.hint(WantedFormat::TrustedRoot)],
    Self::Line { source, .. } => [of source],
    Self::TwoKeys { .. } => ["trusted-root-two-keys", Usage, "find out which of them is right, and leave the other root out"],
    Self::NoAuthority { there, .. } if there.is_empty() => ["trusted-root-authority", Usage, "give the trusted root with that authority"],
    Self::NoAuthority { .. } => ["trusted-root-authority", Usage, "write one of them as authority"],
    Self::Which { .. } => ["trusted-root-authority", Usage,
        "add authority, with the host of that root's certificate authority, as fulcio.githubapp.com"],
    Self::NoStamps => ["trusted-root-no-timestamps", Usage, "leave out log: false, or add the timestamp authority to the root"],
    Self::TooMany => ["trusted-root-many", Usage, "leave out what no signature needs"],
    _ => ["trusted-root-malformed", Usage, text WantedFormat::TrustedRoot.hint()],
}
