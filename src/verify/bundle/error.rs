//! Why a bundle is not accepted: which check, on what, what was found, and what to do about it.

use jiff::Timestamp;

use super::signature::Tried;
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::json_lines::LinesError;
use crate::known_format::{Known, Wanted};
use crate::payload::dsse::DsseError;
use crate::sign::{Algorithm, Hash, Malformed, VerifyError};

/// Why a bundle is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It is no bundle, or not whole.
    #[error("this is no Sigstore bundle that can be verified")]
    Format(#[source] FormatError),
    /// The signature, or what it is of.
    #[error("the signature is not accepted")]
    Content(#[source] ContentError),
    /// The bundle is of a key where an identity is asked for, or the other way round.
    #[error("{0}")]
    Signer(SignerMismatch),
    /// The signer's certificate.
    #[error("the certificate of the signer is not accepted")]
    Certificate(#[source] CertificateError),
    /// The proof that the certificate is in a certificate transparency log.
    #[error("the certificate's proof of having been logged (SCT) is not accepted")]
    Sct(#[source] SctError),
    /// The identity in the certificate.
    #[error("the signature is by somebody else: {what} is {found}, and must be {wanted}")]
    Identity {
        /// The identity or the issuer.
        what: &'static str,
        /// What the certificate says.
        found: String,
        /// What is accepted.
        wanted: String,
    },
    /// An entry in a transparency log.
    #[error("entry {index} of the transparency log {log} is not accepted")]
    Log {
        /// The log's name, or its id where it isn't known.
        log: String,
        /// The entry's index.
        index: u64,
        /// What is wrong with it.
        source: LogError,
    },
    /// No entry at all.
    #[error("there is no entry of a transparency log in the bundle")]
    NoLogEntry,
    /// A timestamp.
    #[error("the signed timestamp is not accepted")]
    Timestamp(#[source] TimestampError),
    /// Nothing says when it was signed.
    #[error("nothing in the bundle proves when it was signed")]
    NoTime {
        /// Only a timestamp authority's would do.
        timestamp: bool,
    },
    /// Several bundles, none of which counts.
    #[error("none of the {} bundles in the file counts: {}", .0.len(), super::several::reasons(.0))]
    None(Vec<(usize, BundleError)>),
}

/// Why bytes are no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Not the JSON of a bundle.
    #[error("its JSON is not that of a bundle: {0}")]
    Json(serde_json::Error),
    /// Something else, which is known.
    #[error("it is {}", .0.name())]
    Other(Known),
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
        /// The limit.
        limit: u64,
    },
    /// More than anybody needs.
    #[error("it has more than {limit} {field}")]
    TooMany {
        /// Which list.
        field: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Larger than any that a signer, a log or an authority makes.
    #[error("its {field} is larger than {limit} bytes")]
    Part {
        /// Which field.
        field: &'static str,
        /// The limit.
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
    /// A later one without the proof.
    #[error(
        "it has a log entry without a proof of inclusion and its checkpoint, which every version since 0.2 must have"
    )]
    NoProof,
    /// An envelope with none or several signatures.
    #[error("its envelope has {count} signatures, where one belongs")]
    Signatures {
        /// How many.
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
    /// Of another hash than the one that is accepted.
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
        /// The limit.
        limit: usize,
    },
    /// About something else.
    #[error("its statement is about {}, not about {wanted}", .found.join(", "))]
    Subject {
        /// The artifact.
        wanted: String,
        /// The first subjects.
        found: Vec<String>,
    },
}

/// A bundle of the wrong kind for the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerMismatch {
    /// A key is given, and the bundle has a certificate.
    #[error("the bundle is signed with a certificate, and a key is what it should be verified with")]
    Certificate,
    /// An identity is asked for, and the bundle names a key.
    #[error("the bundle is signed with a key, so it proves no identity")]
    Key,
}

/// Why a certificate is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not a certificate.
    #[error("it is not an X.509 certificate: {0}")]
    Malformed(String),
    /// Its key is of a kind that can't be used.
    #[error("its key cannot be used")]
    Key(#[source] Malformed),
    /// It may not sign.
    #[error("it is not meant for signatures: its key usage is something else")]
    KeyUsage,
    /// It may not sign code, artifacts, anything of this kind.
    #[error("it is not meant for signing code: its extended key usage is something else")]
    ExtendedKeyUsage,
    /// Not valid when it was used.
    #[error("it was valid from {from} to {to}, and it signed at {at}")]
    Validity {
        /// When it signed.
        at: Timestamp,
        /// The beginning.
        from: Timestamp,
        /// The end.
        to: Timestamp,
    },
    /// No authority then.
    #[error("no certificate authority of the trusted root is valid at {at}, when it signed")]
    NoAuthority {
        /// When it signed.
        at: Timestamp,
    },
    /// No path to a root.
    #[error("it does not lead to a certificate authority of the trusted root: {reason}")]
    Chain {
        /// What the path builder says.
        reason: String,
    },
    /// An identity that can't be read.
    #[error("its {what} cannot be read")]
    Identity {
        /// Which part.
        what: &'static str,
    },
    /// The old and the new way to say the issuer differ.
    #[error("it names two issuers")]
    TwoIssuers,
}

/// Why no SCT is accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SctError {
    /// None.
    #[error("the certificate has none")]
    Missing,
    /// Not one.
    #[error("it is malformed")]
    Malformed,
    /// By a log that isn't known.
    #[error("it is by the log {log}, which the trusted root does not have")]
    UnknownLog {
        /// The log's id in hex.
        log: String,
    },
    /// Outside the log's validity.
    #[error("it is of {at}, when the log's key was not valid")]
    Window {
        /// The SCT's time.
        at: Timestamp,
    },
    /// The signature.
    #[error("its signature is not by that log over this certificate")]
    Signature,
}

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
    /// By nobody we know.
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

impl BundleError {
    /// The check that failed, in a word or two for reports.
    pub fn check(&self) -> &'static str {
        match self {
            Self::Format(_) => "format",
            Self::Content(
                ContentError::Signature { .. } | ContentError::Hash { .. } | ContentError::NeedsFile { .. },
            ) => "signature",
            Self::Content(_) => "artifact",
            Self::Signer(_) => "signer",
            Self::Certificate(_) => "certificate",
            Self::Sct(_) => "SCT",
            Self::Identity { .. } => "identity",
            Self::Log { source, .. } => source.check(),
            Self::NoLogEntry => "log entry",
            Self::Timestamp(_) => "timestamp",
            Self::NoTime { .. } => "time",
            Self::None(refused) => {
                let mut checks = refused.iter().map(|(_, error)| error.check());
                let first = checks.next().unwrap_or("format");
                if checks.all(|check| check == first) { first } else { "every bundle" }
            }
        }
    }
}

impl LogError {
    fn check(&self) -> &'static str {
        match self {
            Self::UnknownLog => "log",
            Self::Kind { .. } | Self::Body { .. } | Self::NotStored | Self::Mismatch(_) => "log entry",
            Self::Promise | Self::PromiseInV2 | Self::Future { .. } => "inclusion promise",
            Self::Window { .. } => "log validity",
            Self::Unproven | Self::Proof | Self::ProofIndex { .. } | Self::ProofLength { .. } => {
                "inclusion proof"
            }
            _ => "checkpoint",
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::UnknownLog => {
                "give the trusted root of the Sigstore that was signed with (--trusted-root), or --insecure-ignore-tlog for a \
                 signature by a key that is in no log"
            }
            Self::Kind { .. } => "sign again with a current client",
            Self::NotStored => {
                "verify the attestation where it is stored with the image (stepseal verify-attestation), or sign again with a \
                 current client"
            }
            Self::Window { .. } | Self::Future { .. } => {
                "take no such signature; if the clock here is right and the log's key is still used, get a newer trusted root"
            }
            _ => "take no such signature: the bundle was changed, or put together from several",
        }
    }
}

impl Explain for BundleError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::None(refused) => return refused.iter().find_map(|(_, error)| error.hint()),
            Self::Format(FormatError::Other(known)) => known.hint(Wanted::Bundle),
            Self::Format(FormatError::Lines(LinesError::TooMany { .. })) => "give fewer bundles at a time",
            Self::Format(FormatError::MediaType { .. }) => "sign again with a client that writes bundles 0.3",
            Self::Format(FormatError::Chain) => {
                "give --allow-certificate-chain, if the signer's tool writes such bundles"
            }
            Self::Format(_) => "get the bundle again from where it was made",
            Self::Content(ContentError::Hash { .. }) => {
                "give --signature-digest-algorithm the hash that the signer uses, or leave it out"
            }
            Self::Content(ContentError::Signature { error, .. }) if error.is_by_key() => {
                "see that the artifact is the very file that was signed, and signed over SHA-256, SHA-384 or SHA-512"
            }
            Self::Content(ContentError::Signature { tried, .. }) if tried.more() => {
                "see that it is of the very file that was signed and by this key or certificate; give the file itself in place of its digest or \
                 of standard input, to try other hashes"
            }
            Self::Content(ContentError::Signature { .. }) => {
                "see that the artifact is the very file that was signed, and that the key or certificate is the signer's"
            }
            Self::Content(ContentError::NeedsFile { .. }) => "give the file instead of its digest",
            Self::Content(ContentError::NoArtifact) => "give the file or its digest",
            Self::Content(_) => "see that the artifact is the very file that was signed",
            Self::Signer(SignerMismatch::Certificate) => {
                "say whose signature is accepted: --certificate-identity and --certificate-oidc-issuer in place of --key"
            }
            Self::Signer(SignerMismatch::Key) => {
                "give the signer's public key with --key, in place of an identity"
            }
            Self::Certificate(CertificateError::Chain { .. } | CertificateError::NoAuthority { .. })
            | Self::Sct(SctError::UnknownLog { .. } | SctError::Window { .. }) => {
                "give the trusted root of the Sigstore that was signed with (--trusted-root)"
            }
            Self::Sct(SctError::Missing) => {
                "give --insecure-ignore-sct, if this certificate authority has no transparency log"
            }
            Self::Certificate(_) | Self::Sct(_) => "take no such signature",
            Self::Identity { .. } => "take no such signature, unless you mean to trust that identity",
            Self::Log { source, .. } => source.hint(),
            Self::NoLogEntry => "give --insecure-ignore-tlog, if the signature was never meant to be logged",
            Self::Timestamp(TimestampError::UnknownAuthority | TimestampError::Window { .. }) => {
                "give the trusted root with this timestamp authority (--trusted-root)"
            }
            Self::Timestamp(_) => {
                "take no such signature: the timestamp was changed, or is another signature's"
            }
            Self::NoTime { timestamp: true } => "sign again with a timestamp authority",
            Self::NoTime { timestamp: false } => {
                "sign again with a transparency log or a timestamp authority"
            }
        };
        Some(hint.to_owned())
    }

    fn exit(&self) -> ExitCode {
        ExitCode::Failed
    }
}
