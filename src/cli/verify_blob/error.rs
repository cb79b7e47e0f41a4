//! Why a file is not verified, and what to do.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::explain::explain;
use crate::flow::trust::TrustFlagError;
use crate::foreign;
use crate::input::InputError;
use crate::key::Hash;
use crate::verify::attestation_type::TypeError;
use crate::verify::bundle::{BundleError, CertificateError, TrustError};
use crate::verify::detached::{DetachedError, PartsError};
use crate::verify::statement::StatementError;

/// The largest file that is hashed here: at a gigabyte in a second or two, this takes minutes. A sparse file can be far larger.
pub(in crate::cli) const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// How the signature is called.
pub(super) const SIGNATURE: &str = "the signature";
/// How the signer's certificate is called.
pub(super) const CERTIFICATE: &str = "the certificate";

/// A part that a flag gives and that the bundle has too.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Key,
    Signature,
    Certificate,
}

impl Part {
    /// What is said where the two differ.
    fn other(self) -> &'static str {
        match self {
            Self::Key => "its bundle was made with another key than --key gives",
            Self::Signature => "its bundle holds another signature than --signature gives",
            Self::Certificate => "its bundle holds another certificate than --certificate gives",
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Key => {
                "give the bundle that was made with this key; if you trust another signer, give that signer's key"
            }
            Self::Signature => "give the bundle that was made with this signature",
            Self::Certificate => "give the bundle that was made with this certificate",
        }
    }
}

/// Why a file is not verified.
#[derive(Debug, thiserror::Error)]
pub(super) enum BlobError {
    #[error(transparent)]
    Flags(#[from] TrustFlagError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot read the file {}: the time limit is over", foreign::escape_value(&.path.display().to_string(), 512))]
    TimedOut { path: PathBuf },
    #[error(transparent)]
    Type(#[from] TypeError),
    #[error("both --signature and --bundle are given")]
    SignatureAndBundle,
    #[error("neither --signature nor --bundle is given")]
    NoSignature,
    #[error("--signature alone is verified with a key, and none is given")]
    NoKey,
    #[error("both --{0} and --{1} are given")]
    Both(&'static str, &'static str),
    #[error("--{0} is given with a Sigstore bundle, which holds everything of its kind")]
    WithBundle(&'static str),
    #[error("--ca-intermediates is given without --ca-roots")]
    NoRoots,
    #[error("neither a file nor --digest with --digestAlg is given")]
    NoSubject,
    #[error("--digestAlg is \"{}\", which is not verified", foreign::escape(.0, 40))]
    DigestAlg(String),
    #[error("--digest is not a {hash} digest, which has {digits} hexadecimal digits", hash = .0, digits = .0.size() * 2)]
    Digest(Hash),
    #[error("--digestAlg is {hash}, and {place} is a digest by another hash", hash = .0, place = foreign::escape(.1, 200))]
    OtherAlg(Hash, String),
    #[error("{} is neither a file nor a whole digest", foreign::escape(.0, 200))]
    NotADigest(String),
    #[error("cannot read {what} {}", foreign::escape_value(&.path.display().to_string(), 512))]
    Read { what: &'static str, path: PathBuf, source: InputError },
    #[error("cannot use {what} {}", .place)]
    Form { what: &'static str, place: String, source: DetachedError },
    #[error("cannot use the certificates of {flag}")]
    Roots { flag: &'static str, source: TrustError },
    #[error("{} is not verified: its bundle holds no signature, and --signature is not given", foreign::escape(.artifact, 512))]
    BundleWithoutSignature { artifact: String },
    #[error("{} is not verified: {}", foreign::escape(.artifact, 512), .what.other())]
    Another { artifact: String, what: Part },
    #[error("{} is not verified: the signature is a DSSE envelope, an attestation of the type \"{kind}\", whose signature is not over the file", foreign::escape(.artifact, 512))]
    Envelope { artifact: String, kind: String },
    #[error("{} is not verified: it is signed, and an attestation is asked for", foreign::escape(.artifact, 512))]
    NotAnAttestation { artifact: String },
    #[error("{} is not verified: the envelope's payload is of the type \"{found}\", not an in-toto statement", foreign::escape(.artifact, 512))]
    PayloadType { artifact: String, found: String },
    #[error("{} is not verified: the attestation cannot be read", foreign::escape(.artifact, 512))]
    Statement { artifact: String, source: StatementError },
    #[error("{} is not verified: the attestation is of the type \"{found}\", and \"{wanted}\" is asked for", foreign::escape(.artifact, 512))]
    OtherType { artifact: String, found: String, wanted: String },
    #[error("{} is not verified: it is {found}, and --digest says {wanted}", foreign::escape(.artifact, 512))]
    OtherDigest { artifact: String, found: String, wanted: String },
    #[error("line {line}: {source}")]
    Line { line: usize, source: Box<BlobError> },
    #[error("{} is not verified", foreign::escape(.artifact, 512))]
    Parts { artifact: String, source: PartsError },
    #[error("{} is not verified (check: {}): a certificate alone does not prove when it signed", foreign::escape(.artifact, 512), .source.check())]
    CertificateAlone { artifact: String, source: BundleError },
    #[error("{} is not verified (check: {})", foreign::escape(.artifact, 512), .source.check())]
    Bundle { artifact: String, source: BundleError },
}

impl BlobError {
    /// A refusal of what is about `artifact`; `alone`: its certificate came without what proves a time.
    pub(super) fn refused(artifact: &str, source: BundleError, alone: bool) -> Self {
        let artifact = artifact.to_owned();
        let no_time = matches!(
            source,
            BundleError::NoLogEntry
                | BundleError::Certificate(
                    CertificateError::Validity { .. } | CertificateError::NotNow { logged: false, .. }
                )
        );
        match alone && no_time {
            true => Self::CertificateAlone { artifact, source },
            false => Self::Bundle { artifact, source },
        }
    }
}

explain! { BlobError,
    Self::Flags(error) => [of error],
    Self::Config(error) => [of error],
    Self::Type(error) => [of error],
    Self::Line { source, .. } => [of source, exit Failed],
    Self::Bundle { source, .. } | Self::Parts { source: PartsError::Bundle(source), .. } => [of source],
    Self::Form { source, .. } => [of source],
    Self::TimedOut { .. } => ["blob-slow", Failed, "raise --timeout"],
    Self::SignatureAndBundle => ["blob-flags", Usage, "give one of them: a bundle holds its signature"],
    Self::NoSignature => ["blob-flags", Usage, "give the bundle with --bundle, or the signature and its --key"],
    Self::NoKey => ["blob-flags", Usage, "give --key; for a signature by an identity --bundle, or --certificate"],
    Self::Both(..) => ["blob-flags", Usage, "give one of them"],
    Self::WithBundle(flag) => ["blob-flags", Usage, "leave out --{flag}: it goes with --signature or a bundle of cosign's old format"],
    Self::NoRoots => ["blob-flags", Usage, "give the roots as well, or --certificate-chain"],
    Self::NoSubject => ["blob-flags", Usage, "give the file that is attested, or its digest; --check-claims=false asks for neither"],
    Self::DigestAlg(_) => ["blob-digest", Usage, "give sha256, sha384 or sha512"],
    Self::Digest(_) => ["blob-digest", Usage, "give the whole digest, and its hash with --digestAlg: sha256sum FILE prints one of sha256"],
    Self::OtherAlg(..) => ["blob-digest", Usage, "give the file, or a digest by that hash"],
    Self::NotADigest(_) => ["blob-digest", Usage,
        "write a digest as sha256:, sha384: or sha512: and 64, 96 or 128 hexadecimal digits, or give a file that exists"],
    Self::Read { source: InputError::TooLarge { limit: MAX_FILE_BYTES }, .. } => ["blob-large", Usage,
        "give its digest in place of the file, as sha256:HEX: sha256sum prints it"],
    Self::Read { source, what: SIGNATURE, .. } if source.is_missing() => ["blob-unreadable", Usage,
        "give a file that exists, or the signature itself in base64"],
    Self::Read { source, what: CERTIFICATE, .. } if source.is_missing() => ["blob-unreadable", Usage,
        "give a file that exists, or the certificate itself in PEM or base64"],
    Self::Read { source, .. } => [of source, or "blob-unreadable", Usage, "give a file that can be read"],
    Self::Roots { .. } => ["blob-roots", Usage, "give CA certificates in PEM"],
    Self::BundleWithoutSignature { .. } => ["blob-bundle-unsigned", Failed, "give the signature with --signature"],
    Self::Another { what, .. } => ["blob-bundle-differs", Failed, text what.hint()],
    Self::Envelope { kind, .. } => ["blob-other-type", Failed,
        "verify it with stepseal verify-blob-attestation --type {kind}, or give --type; for a run of Tekton's use stepseal verify-run"],
    Self::NotAnAttestation { .. } => ["blob-other-type", Failed, "verify it with stepseal verify-blob, without --type"],
    Self::OtherType { found, .. } => ["blob-other-type", Failed, "give --type {found}, if that is the attestation that you mean to trust"],
    Self::OtherDigest { .. } => ["blob-other-digest", Failed, "see that the file is the very one that is attested"],
    Self::CertificateAlone { .. } => ["certificate-alone", Failed,
        "give the log's entry with --bundle (the file that cosign sign-blob --bundle wrote); for a signature that was never logged \
         --insecure-ignore-tlog with --rfc3161-timestamp, or without: then the certificate must be valid now"],
    Self::PayloadType { .. } | Self::Statement { .. } | Self::Parts { source: PartsError::Log, .. } => ["bundle-malformed", Failed,
        "get the bundle again from where it was made"],
}
