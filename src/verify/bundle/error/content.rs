//! Why a signature is not one of the artifact.

use super::super::signature::Tried;
use crate::key::{Algorithm, Hash, VerifyError};

/// Why the signature is not one of this artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Not by this key over these bytes.
    #[error("{error}{tried}")]
    Signature {
        /// What is wrong with it.
        error: VerifyError,
        /// Which hashes were tried, where the signature doesn't say which it is of.
        tried: Tried,
    },
    /// Of the form that another kind of key makes.
    #[error("it has the form of {found}, and the key is {key}")]
    OtherKind {
        /// The kind of key.
        key: Algorithm,
        /// What the signature looks like.
        found: &'static str,
    },
    /// The signature uses another hash than the accepted hash.
    #[error("it is over a {found} digest, and {wanted} alone is accepted")]
    Hash {
        /// What it is of.
        found: Hash,
        /// What is accepted.
        wanted: Hash,
    },
    /// The bundle's own digest differs.
    #[error("it is of {claimed}, and the artifact is {actual}")]
    Digest {
        /// What the bundle says.
        claimed: String,
        /// What it is.
        actual: String,
    },
    /// The digest alone doesn't do.
    #[error(
        "the digest that is given does not do for {algorithm}: {wants} is needed to verify the signature"
    )]
    NeedsFile {
        /// The kind of key.
        algorithm: Algorithm,
        /// What is needed.
        wants: &'static str,
    },
    /// A signature over an artifact, and no artifact.
    #[error("it is over the artifact itself, which is not given")]
    NoArtifact,
    /// Not a statement.
    #[error("its payload is \"{found}\", not an in-toto statement, so it is about no artifact")]
    PayloadType {
        /// The type, made fit to be shown.
        found: String,
    },
    /// A statement that can't be read.
    #[error("its payload is not an in-toto statement: {0}")]
    Statement(serde_json::Error),
    /// A statement of another kind.
    #[error("its payload is of type \"{found}\", not an in-toto statement")]
    StatementType {
        /// The type, made fit to be shown.
        found: String,
    },
    /// More subjects than are searched.
    #[error("its statement has more than {limit} digests")]
    TooManySubjects {
        /// The limit that is exceeded.
        limit: usize,
    },
    /// About something else.
    #[error("{}", about(.found, .wanted))]
    Subject {
        /// The artifact.
        wanted: String,
        /// The first subjects.
        found: Vec<String>,
    },
}

/// What a statement is about.
fn about(found: &[String], wanted: &str) -> String {
    match found {
        [] => format!("its statement has no digest of a subject, so it is not about {wanted}"),
        found => format!("its statement is about {}, not about {wanted}", found.join(", ")),
    }
}
