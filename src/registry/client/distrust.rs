//! Why a certificate is not trusted, in words, and what to do about it.

use std::fmt;

use rustls::{CertificateError, OtherError};

/// Why a certificate is not trusted, though it is for this host and this time.
///
/// Spec: <https://www.rfc-editor.org/rfc/rfc5280.html#section-6.1>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Distrust {
    /// No trusted root issued it.
    Issuer,
    /// It is a CA's, as `openssl req -x509` makes them, and not one of those that were given.
    Authority,
    /// It is for other uses than servers.
    Purpose,
    /// Its issuer's certificate is not a CA's.
    NoAuthority,
    /// A CA above it is limited to other names, or to a shorter chain.
    Limits,
    /// It, or one above it, has a critical extension that isn't known here.
    Extension,
    /// It, or one above it, is signed with SHA-1, MD5 or another algorithm that isn't accepted.
    Algorithm,
    /// It has been revoked.
    Revoked,
    /// Its chain is longer, or branches more, than is followed.
    Chain,
    /// It breaks the rules for its form.
    Form,
}

impl Distrust {
    /// The reason behind an error about a certificate; `None`: its time, its names or its version, which have errors of their own.
    pub(super) fn of(error: &CertificateError) -> Option<Self> {
        #[expect(deprecated, reason = "libraries may still make it")]
        Some(match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. } => return None,
            // A CA whose key isn't the one of the root with its name is another CA.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Issuer,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::Purpose
            }
            CertificateError::UnhandledCriticalExtension => Self::Extension,
            CertificateError::UnsupportedSignatureAlgorithm
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::Algorithm,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::Other(OtherError(other)) => match other.downcast_ref() {
                Some(webpki::Error::UnsupportedCertVersion) => return None,
                Some(error) => Self::by_webpki(error),
                None => Self::Form,
            },
            _ => Self::Form,
        })
    }

    fn by_webpki(error: &webpki::Error) -> Self {
        match error {
            webpki::Error::CaUsedAsEndEntity => Self::Authority,
            webpki::Error::EndEntityUsedAsCa => Self::NoAuthority,
            webpki::Error::EmptyEkuExtension => Self::Purpose,
            webpki::Error::NameConstraintViolation | webpki::Error::PathLenConstraintViolated => Self::Limits,
            webpki::Error::UnsupportedCriticalExtension => Self::Extension,
            webpki::Error::SignatureAlgorithmMismatch => Self::Algorithm,
            webpki::Error::CertDistrusted => Self::Revoked,
            webpki::Error::MaximumPathBuildCallsExceeded
            | webpki::Error::MaximumPathDepthExceeded
            | webpki::Error::MaximumSignatureChecksExceeded
            | webpki::Error::MaximumNameConstraintComparisonsExceeded => Self::Chain,
            _ => Self::Form,
        }
    }

    /// The next action about the certificate of `whose`: `the registry's`, `the proxy's`.
    pub(super) fn hint(self, whose: &str) -> String {
        match self {
            Self::Issuer => {
                format!(
                    "give the certificate of the CA that issued {whose} with --registry-ca FILE (one with CA:TRUE), or {whose} \
                     own certificate"
                )
            }
            Self::Authority => format!(
                "give {whose} certificate itself with --registry-ca FILE: it is then trusted for the names in it; or \
                 make one without CA:TRUE"
            ),
            Self::Purpose => format!(
                "make {whose} certificate anew for servers: extendedKeyUsage=serverAuth, or without that extension"
            ),
            Self::Revoked => format!("renew {whose} certificate"),
            // Given itself, a certificate needs no chain.
            Self::NoAuthority | Self::Limits | Self::Extension | Self::Algorithm | Self::Chain => format!(
                "give {whose} certificate itself with --registry-ca FILE, or have it issued anew by a CA that may issue it"
            ),
            Self::Form => format!("make {whose} certificate anew, with current tools"),
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Issuer => "no trusted CA issued it",
            Self::Authority => "it is marked as a CA's (CA:TRUE), and only servers' are accepted unless they are given themselves",
            Self::Purpose => "it is not for servers (its extended key usage lacks serverAuth)",
            Self::NoAuthority => "the certificate that issued it is not a CA's",
            Self::Limits => "a CA above it may not issue it (name constraints, or the length of the chain)",
            Self::Extension => "it, or one above it, has a critical extension that is not supported",
            Self::Algorithm => "it, or one above it, is signed with an algorithm that is not accepted, such as SHA-1",
            Self::Revoked => "it has been revoked",
            Self::Chain => "its chain is too long",
            Self::Form => "it, or one above it, is malformed",
        })
    }
}
