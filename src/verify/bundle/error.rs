//! Why a bundle is not accepted: which check, on what, what was found, and what to do about it.

mod certificate;
mod content;
mod format;
mod log;
mod timestamp;

use crate::explain::explain;
use crate::json_lines::LinesError;
use crate::known_format::WantedFormat;

pub use certificate::{CertificateError, SctError};
pub use content::ContentError;
pub use format::FormatError;
pub use log::LogError;
pub use timestamp::TimestampError;

/// Why a bundle is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The bytes are not a bundle, or the bundle is incomplete.
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
    #[error("the signature is by another signer: {what} is {found}, and must be {wanted}")]
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
    #[error("there is no entry of a transparency log")]
    NoLogEntry,
    /// A timestamp.
    #[error("the signed timestamp is not accepted")]
    Timestamp(#[source] TimestampError),
    /// Nothing says when it was signed.
    #[error("nothing proves when it was signed")]
    NoTime {
        /// Only a timestamp authority's would do.
        timestamp: bool,
    },
    /// Several bundles, none of which counts.
    #[error("none of the {} bundles in the file counts: {}", .0.len(), super::several::reasons(.0))]
    None(Vec<(usize, BundleError)>),
}

/// Where certificate authorities are from, unless flags give them.
pub(super) const OF_ROOT: &str = "the trusted root";

/// A bundle of the wrong kind for the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerMismatch {
    /// A key is given, and the bundle has a certificate.
    #[error("it is signed with a certificate, and the signature of a key is asked for")]
    Certificate,
    /// An identity is asked for, and the bundle names a key.
    #[error("it is signed with a key, so it proves no identity")]
    Key,
    /// An identity is asked for, and there is no certificate that could name it.
    #[error("there is no certificate with the signature, so it proves no identity")]
    NoCertificate,
}

impl BundleError {
    /// The check that failed, in a word or two for reports.
    pub fn check(&self) -> &'static str {
        match self {
            Self::Format(_) => "format",
            Self::Content(
                ContentError::Signature { .. }
                | ContentError::OtherKind { .. }
                | ContentError::Hash { .. }
                | ContentError::NeedsFile { .. },
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

explain! { BundleError,
    Self::None(refused) => ["bundle-none-counts", Failed, hint refused.iter().find_map(|(_, error)| error.hint())],
    Self::Format(FormatError::Other(known)) => ["bundle-other-format", Failed, text known.hint(WantedFormat::Bundle)],
    Self::Format(FormatError::Lines(LinesError::TooMany { .. })) => ["bundle-many", Failed, "give fewer bundles at a time"],
    Self::Format(FormatError::MediaType { .. }) => ["bundle-version", Failed, "sign again with a client that writes bundles 0.3"],
    Self::Format(FormatError::Chain) => ["bundle-chain", Failed,
        "give --allow-certificate-chain, if the signer's tool writes such bundles"],
    Self::Format(_) => ["bundle-malformed", Failed, "get the bundle again from where it was made"],
    Self::Content(ContentError::Hash { .. }) => ["blob-hash", Failed,
        "give --signature-digest-algorithm the hash that the signer uses, or leave it out"],
    Self::Content(ContentError::Signature { error, .. }) if error.is_by_key() => ["blob-signature", Failed,
        "see that the artifact is the very file that was signed, and signed over SHA-256, SHA-384 or SHA-512"],
    Self::Content(ContentError::Signature { tried, .. }) if tried.more() => ["blob-signature", Failed,
        "see that it is of the very file that was signed and by this key or certificate; give the file itself in place of its digest or \
         of standard input, to try other hashes"],
    Self::Content(ContentError::Signature { .. }) => ["blob-signature", Failed,
        "see that the artifact is the very file that was signed, and that the key or certificate is the signer's"],
    Self::Content(ContentError::OtherKind { .. }) => ["blob-key-kind", Failed,
        "give the key or certificate of the signer, and the signature that was made with it"],
    Self::Content(ContentError::NeedsFile { .. }) => ["blob-needs-file", Failed, "give the file instead of its digest"],
    Self::Content(ContentError::NoArtifact) => ["blob-needs-file", Failed, "give the file or its digest"],
    Self::Content(_) => ["blob-other", Failed, "see that the artifact is the very file that was signed"],
    Self::Signer(SignerMismatch::Certificate) => ["signer-mismatch", Failed,
        "say whose signature is accepted: --certificate-identity and --certificate-oidc-issuer in place of --key"],
    Self::Signer(SignerMismatch::NoCertificate) => ["signer-mismatch", Failed,
        "give the signer's certificate with --certificate, or the public key with --key in place of an identity"],
    Self::Signer(SignerMismatch::Key) => ["signer-mismatch", Failed, "give the signer's public key with --key, in place of an identity"],
    Self::Certificate(CertificateError::Chain { of, .. }) if *of != OF_ROOT => ["certificate-chain", Failed,
        "give the root of the authority that issued it, and every CA certificate between them"],
    Self::Certificate(CertificateError::NotNow { logged: true, .. }) => ["certificate-not-now", Failed,
        "leave out --insecure-ignore-tlog: the log's entry is there, and proves when it signed"],
    Self::Certificate(CertificateError::NotNow { logged: false, .. }) => ["signature-no-time", Failed,
        "sign again with a transparency log or a timestamp authority"],
    Self::Certificate(CertificateError::NoExtendedKeyUsage) => ["certificate-usage", Failed,
        "sign with a certificate that has the extended key usage codeSigning"],
    Self::Certificate(CertificateError::Chain { .. } | CertificateError::NoAuthority { .. })
    | Self::Sct(SctError::UnknownLog { .. } | SctError::Window { .. }) => ["trusted-root-lacks-authority", Failed,
        "give the trusted root of the Sigstore that was signed with (--trusted-root)"],
    Self::Sct(SctError::Missing) => ["certificate-no-sct", Failed,
        "give --insecure-ignore-sct, if this certificate authority has no transparency log"],
    Self::Certificate(_) | Self::Sct(_) => ["certificate-bad", Failed, "take no such signature"],
    Self::Identity { .. } => ["signer-other-identity", Failed, "take no such signature, unless you mean to trust that identity"],
    Self::Log { source, .. } => [of source],
    Self::NoLogEntry => ["log-no-entry", Failed, "give --insecure-ignore-tlog, if the signature was never meant to be logged"],
    Self::Timestamp(TimestampError::UnknownAuthority | TimestampError::Window { .. }) => ["timestamp-authority", Failed,
        "give the trusted root with this timestamp authority (--trusted-root)"],
    Self::Timestamp(_) => ["timestamp-bad", Failed, "take no such signature: the timestamp was changed, or is another signature's"],
    Self::NoTime { timestamp: true } => ["signature-no-time", Failed, "sign again with a timestamp authority"],
    Self::NoTime { timestamp: false } => ["signature-no-time", Failed, "sign again with a transparency log or a timestamp authority"],
}
