//! Why a timestamp is not accepted.

use jiff::Timestamp;

/// Why a timestamp is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// Not one.
    #[error("it is not an RFC 3161 timestamp: {0}")]
    Malformed(&'static str),
    /// The authority said no.
    #[error("it is a refusal of the authority, status {status}")]
    Refused {
        /// The status.
        status: u8,
    },
    /// The authority is unknown.
    #[error("it is by an authority that the trusted root does not have")]
    UnknownAuthority,
    /// Of something else.
    #[error("it is of something else than this signature")]
    Imprint,
    /// An algorithm that isn't known.
    #[error("its {0} is not one that is known")]
    Algorithm(&'static str),
    /// It brings certificates, and not the authority's.
    #[error("it brings another certificate than that of the authority {authority}")]
    Certificate {
        /// The authority's name.
        authority: String,
    },
    /// Not signed by the authority.
    #[error("its signature is not by the authority {authority}")]
    Signature {
        /// The authority's name.
        authority: String,
    },
    /// The attributes don't fit.
    #[error("what the authority signed is not this timestamp: its {0} differs")]
    Attribute(&'static str),
    /// The certificate may not.
    #[error("the certificate of the authority {authority} is not one for timestamps at {at}: {reason}")]
    Chain {
        /// The authority's name.
        authority: String,
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// Outside the window of the authority.
    #[error("it is of {at}, when the authority {authority} was not valid")]
    Window {
        /// When.
        at: Timestamp,
        /// The authority's name.
        authority: String,
    },
}
