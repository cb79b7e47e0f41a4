//! Why a certificate, or its proof of having been logged, is not accepted.

use jiff::Timestamp;

use crate::key::Malformed;

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
    /// It doesn't say what for it is.
    #[error("it has no extended key usage, which must say that it is meant for signing code")]
    NoExtendedKeyUsage,
    /// Not valid now, where nothing proves when it was used.
    #[error(
        "it was valid from {from} to {to}, and is checked as of now ({at:.0}): nothing proves when it signed"
    )]
    NotNow {
        /// Now.
        at: Timestamp,
        /// The beginning.
        from: Timestamp,
        /// The end.
        to: Timestamp,
        /// Whether a log entry is there, which isn't looked at.
        logged: bool,
    },
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
    #[error("it does not lead to a certificate authority of {of}: {reason}")]
    Chain {
        /// Where the authorities are from: the trusted root, or a flag.
        of: &'static str,
        /// What the path lacks.
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
