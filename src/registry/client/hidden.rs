//! What was sent is hidden in what came back: everything in an error that a registry, a token service or a proxy chose.
//!
//! Addresses too: a registry names them, for redirects, uploads, further pages and token services, and can put a login into their path or host.

use super::bad_answer::BadAnswer;
use super::error::RequestError;
use super::failure::Failure;
use super::refusal::{Refusal, Said};
use crate::foreign::UntrustedText;
use crate::mask::Mask;

/// Codes that decide what is done next: they stay as they are, even if a password has the same text.
///
/// Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>
const CODES: [&str; 16] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DENIED",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "NOT_FOUND",
    "SIZE_INVALID",
    "TAG_INVALID",
    "TOOMANYREQUESTS",
    "UNAUTHORIZED",
    "UNSUPPORTED",
];

impl RequestError {
    /// Hides what `mask` knows.
    pub(super) fn hide(&mut self, mask: &Mask) {
        mask.hide(&mut self.url);
        self.failure.hide(mask);
        self.without_login.iter_mut().for_each(|host| mask.hide(host));
        self.through.iter_mut().for_each(|proxy| mask.hide(&mut proxy.address));
    }
}

impl Failure {
    fn hide(&mut self, mask: &Mask) {
        match self {
            Self::UnknownHost { host }
            | Self::LookUp { host, .. }
            | Self::ConnectionRefused { host }
            | Self::LeftAlone { host, .. }
            | Self::CertificateName { host, .. } => mask.hide(host),
            Self::Untrusted { issuer: Some(issuer), .. } => mask.hide(issuer),
            Self::Refused(refusal) => refusal.hide(mask),
            Self::ProxyLogin { refusal, schemes, .. } => {
                refusal.hide(mask);
                schemes.iter_mut().for_each(|scheme| mask.hide(scheme));
            }
            Self::Proxy { address, failure, .. } => {
                mask.hide(address);
                failure.hide(mask);
            }
            Self::OtherHost { host, refusal, .. } => {
                mask.hide(host);
                refusal.hide(mask);
            }
            Self::InsecureTokenService { realm, host } => {
                mask.hide(realm);
                host.iter_mut().for_each(|host| mask.hide(host));
            }
            Self::TokenServiceRedirect { to } => mask.hide(to),
            Self::BadAnswer(bad) => bad.hide(mask),
            // Nothing of an answer is in these.
            Self::Untrusted { issuer: None, .. }
            | Self::ConnectionLost(_)
            | Self::Network(_)
            | Self::TimedOut { .. }
            | Self::Deadline
            | Self::CertificateTime(_)
            | Self::CertificateVersion
            | Self::ClientCertificate(_)
            | Self::Tls(_)
            | Self::NotHttps
            | Self::NotHttp
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::WrongBytes { .. }
            | Self::Outdated
            | Self::Schema1 { .. } => {}
        }
    }
}

impl BadAnswer {
    fn hide(&mut self, mask: &Mask) {
        match self {
            Self::Location(address)
            | Self::Encoded(address)
            | Self::ElsewherePage(address)
            | Self::EndlessPages(address)
            | Self::TokenService(address)
            | Self::WriteRedirect { to: address, .. }
            | Self::Downgrade(address) => mask.hide(address),
            Self::Html(Some(title)) => title.hide(mask),
            Self::Html(None)
            | Self::NoLocation
            | Self::EmptyLocation
            | Self::Redirects(_)
            | Self::NotA(_)
            | Self::Status(_)
            | Self::Address => {}
        }
    }
}

impl Refusal {
    /// Hides what `mask` knows.
    pub(super) fn hide(&mut self, mask: &Mask) {
        match &mut self.said {
            Said::Errors(errors) => {
                for error in errors {
                    hide_code(&mut error.code, mask);
                    error.message.hide(mask);
                    error.detail.hide(mask);
                }
            }
            Said::Html { title: Some(text) } | Said::Text(text) => text.hide(mask),
            Said::Html { title: None } | Said::Nothing => {}
        }
    }
}

fn hide_code(code: &mut UntrustedText, mask: &Mask) {
    if !CODES.contains(&code.raw()) {
        code.hide(mask);
    }
}
