//! Why an entry of a transparency log is not accepted.

use jiff::Timestamp;

use crate::explain::explain;

/// Why a log entry is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Not in the trusted root.
    #[error("the trusted root does not have this log")]
    UnknownLog,
    /// A kind that isn't known.
    #[error("it is of kind {kind} {version}; hashedrekord, dsse and intoto are known")]
    Kind {
        /// The kind.
        kind: String,
        /// Its version.
        version: String,
    },
    /// The body can't be read.
    #[error("what is logged cannot be read as {kind}: {reason}")]
    Body {
        /// The kind.
        kind: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry of bytes that a bundle doesn't keep.
    #[error(
        "it is of kind intoto 0.0.1, which holds the hash of an envelope as a registry stores it, and a bundle does not keep those bytes"
    )]
    NotStored,
    /// An entry that doesn't say which of several signatures it is of.
    #[error(
        "it is of kind intoto 0.0.1, which holds the hash of an envelope with one signature, and this envelope has several"
    )]
    SeveralSignatures,
    /// It is an entry of something else.
    #[error("it is the entry of something else: {0} logged there is not the bundle's")]
    Mismatch(&'static str),
    /// The promise.
    #[error("the log's promise (signedEntryTimestamp) is not signed by the log over this entry")]
    Promise,
    /// A promise where none can be.
    #[error("it has a promise or a time of integration, which entries of Rekor 2 do not have")]
    PromiseInV2,
    /// Later than now.
    #[error("it says it was integrated at {at}, which is in the future")]
    Future {
        /// When.
        at: Timestamp,
    },
    /// Outside the window of the log's key.
    #[error("the log's key was not valid at {at}")]
    Window {
        /// When.
        at: Timestamp,
    },
    /// Neither promise nor proof.
    #[error("it has neither a promise nor a proof")]
    Unproven,
    /// The proof's own numbers.
    #[error("the proof of inclusion does not lead to the root of the tree")]
    Proof,
    /// The proof's shape.
    #[error("the proof of inclusion is of a tree of {size} entries, which has no entry {index}")]
    ProofIndex {
        /// The index.
        index: u64,
        /// The size.
        size: u64,
    },
    /// The proof's length.
    #[error("the proof of inclusion has {found} hashes, and {wanted} lead to the root")]
    ProofLength {
        /// How many there are.
        found: usize,
        /// How many there must be.
        wanted: usize,
    },
    /// The checkpoint's text.
    #[error("the checkpoint cannot be read: {0}")]
    Checkpoint(&'static str),
    /// The checkpoint is of another tree.
    #[error("the checkpoint is of another tree: its {0} is not the proof's")]
    CheckpointMismatch(&'static str),
    /// Nobody known signed it.
    #[error("the checkpoint has no signature by this log's key")]
    CheckpointSigner,
    /// The log's key did not sign it.
    #[error("the checkpoint's signature by this log's key is wrong")]
    CheckpointSignature,
    /// A name that isn't the log's.
    #[error("the checkpoint is of \"{found}\"")]
    CheckpointOrigin {
        /// The name, made fit to be shown.
        found: String,
    },
}

impl LogError {
    pub(super) fn check(&self) -> &'static str {
        match self {
            Self::UnknownLog => "log",
            Self::Kind { .. }
            | Self::Body { .. }
            | Self::NotStored
            | Self::SeveralSignatures
            | Self::Mismatch(_) => "log entry",
            Self::Promise | Self::PromiseInV2 | Self::Future { .. } => "inclusion promise",
            Self::Window { .. } => "log validity",
            Self::Unproven | Self::Proof | Self::ProofIndex { .. } | Self::ProofLength { .. } => {
                "inclusion proof"
            }
            _ => "checkpoint",
        }
    }
}

explain! { LogError,
    Self::UnknownLog => ["trusted-root-lacks-log", Failed,
        "give the trusted root of the Sigstore that was signed with (--trusted-root), or --insecure-ignore-tlog for a \
         signature by a key that is in no log"],
    Self::Kind { .. } | Self::SeveralSignatures => ["log-entry-old", Failed, "sign again with a current client"],
    Self::NotStored => ["log-entry-of-attestation", Failed,
        "verify the attestation where it is stored with the image (stepseal verify-attestation), or sign again with a current client"],
    Self::Window { .. } | Self::Future { .. } => ["log-entry-time", Failed,
        "take no such signature; if the clock here is right and the log's key is still used, get a newer trusted root"],
    _ => ["log-entry-bad", Failed, "take no such signature: the bundle was changed, or put together from several"],
}
