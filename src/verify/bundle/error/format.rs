//! Why bytes are not a valid bundle.

use crate::formats::dsse::DsseError;
use crate::json_lines::LinesError;
use crate::known_format::KnownFormat;

/// Why bytes are not a valid bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Not the JSON of a bundle.
    #[error("its JSON is not that of a bundle: {0}")]
    Json(serde_json::Error),
    /// Something else, which is known.
    #[error("it is {}", .0.name())]
    Other(KnownFormat),
    /// Several documents that can't be read.
    #[error(transparent)]
    Lines(LinesError),
    /// Not an envelope that can be read.
    #[error(transparent)]
    Envelope(DsseError),
    /// Not a version that is known.
    #[error("its media type is \"{found}\"; versions 0.1 to 0.3 are known")]
    MediaType {
        /// The media type, made fit to be shown.
        found: String,
    },
    /// Larger than any bundle.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// The limit that is exceeded.
        limit: u64,
    },
    /// It holds more than any honest bundle.
    #[error("it has more than {limit} {field}")]
    TooMany {
        /// Which list.
        field: &'static str,
        /// The limit that is exceeded.
        limit: usize,
    },
    /// Larger than any that a signer, a log or an authority makes.
    #[error("its {field} is larger than {limit} bytes")]
    Part {
        /// Which field.
        field: &'static str,
        /// The limit that is exceeded.
        limit: usize,
    },
    /// Something is not there, or empty.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// Two of which there may be one.
    #[error("it has both {0} and {1}")]
    Both(&'static str, &'static str),
    /// The same twice.
    #[error("one of its {0} is there twice")]
    Duplicate(&'static str),
    /// A bundle 0.3 with a chain.
    #[error("it is of version 0.3 and has a certificate chain, where a certificate alone belongs")]
    Chain,
    /// A bundle 0.1 without the log's promise.
    #[error("it is of version 0.1 and has a log entry without the log's promise (signedEntryTimestamp)")]
    NoPromise,
    /// A later version of the bundle lacks the inclusion proof.
    #[error(
        "it has a log entry without a proof of inclusion and its checkpoint, which every version since 0.2 must have"
    )]
    NoProof,
    /// An envelope with none or several signatures.
    #[error("its envelope has {count} signatures, where one belongs")]
    Signatures {
        /// How many there are.
        count: usize,
    },
    /// A digest that isn't of the SHA-2 family.
    #[error("its digest is of the algorithm \"{found}\"; SHA2_256, SHA2_384 and SHA2_512 are known")]
    DigestAlgorithm {
        /// The name, made fit to be shown.
        found: String,
    },
    /// A hash of the proof.
    #[error("a hash of its proof of inclusion is not 32 bytes long")]
    HashLength,
}
