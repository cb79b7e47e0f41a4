//! Whether a server's certificate is trusted.
//!
//! Either a trusted root issued it, as rustls judges that; or it is itself, byte for byte, one of the certificates that were given.
//! The latter is how self-signed certificates are trusted: `openssl req -x509` marks them as a CA's, and webpki refuses each such
//! certificate as a server's. Trust in it goes no further: it counts for the names that it carries, while it is valid, for servers, and
//! the handshake must be signed with its key. Given are the certificates of the system's store too. That allows nothing new: who has a
//! root's key can issue a certificate for any name.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage};

use super::issuer::issuer_name;

/// What a certificate may be for: servers, or anything.
///
/// Spec: <https://www.rfc-editor.org/rfc/rfc5280.html#section-4.2.1.12>
const SERVER_USES: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"), ObjectIdentifier::new_unwrap("2.5.29.37.0")];

/// Certificates as they were given, to compare with a server's.
pub(super) type Given = HashSet<Vec<u8>>;

/// Checks certificates as rustls does, knows those that were given, and names the issuer of one that isn't trusted.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) webpki: Arc<WebPkiServerVerifier>,
    pub(super) given: Given,
}

/// A certificate whose issuer isn't trusted.
#[derive(Debug)]
pub(super) struct Untrusted {
    pub(super) issuer: Option<String>,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no trusted root issued the certificate")
    }
}

impl std::error::Error for Untrusted {}

/// Whether a certificate that was given is also trusted to issue others: a CA's, or one of X.509 version 1, which can't say.
pub(super) fn may_issue(certificate: &CertificateDer<'_>) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else { return true };
    let body = &certificate.tbs_certificate;
    body.version != x509_cert::Version::V3
        || matches!(body.get::<BasicConstraints>(), Ok(Some((_, BasicConstraints { ca: true, .. }))))
}

/// Whether a certificate that was given may be the one of the server `name` now.
fn check_given(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let bad = |_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding);
    let whole = Certificate::from_der(certificate).map_err(bad)?;
    let body = &whole.tbs_certificate;
    let time = |at: Duration| UnixTime::since_unix_epoch(at);
    let not_before = time(body.validity.not_before.to_unix_duration());
    let not_after = time(body.validity.not_after.to_unix_duration());
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    let uses = body.get::<ExtendedKeyUsage>().map_err(bad)?;
    if uses.is_some_and(|(_, uses)| !uses.0.iter().any(|one| SERVER_USES.contains(one))) {
        return Err(CertificateError::InvalidPurpose.into());
    }
    verify_server_name(&parsed, name)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.given.contains(end_entity.as_ref()) {
            return check_given(end_entity, server_name, now).map(|()| ServerCertVerified::assertion());
        }
        let checked =
            self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        checked.map_err(|error| match error {
            // A CA whose key isn't the one of the root with its name is another CA.
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => {
                // The last of the chain that was sent is the one whose issuer the reader lacks.
                let issuer = issuer_name(intermediates.last().unwrap_or(end_entity));
                let untrusted = OtherError(Arc::new(Untrusted { issuer }));
                rustls::Error::InvalidCertificate(CertificateError::Other(untrusted))
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}
