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
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use super::der::Parts;
use super::distrust::Distrust;
use super::issuer::issuer_name;

/// What a certificate may be for: servers, or anything.
///
/// Spec: <https://www.rfc-editor.org/rfc/rfc5280.html#section-4.2.1.12>
const SERVER_USES: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"), ObjectIdentifier::new_unwrap("2.5.29.37.0")];

/// Certificates as they were given, to compare with a server's.
pub(super) type Given = HashSet<Vec<u8>>;

/// Checks certificates as rustls does, knows those that were given, and says why one isn't trusted, and who issued it.
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None`: there is no root at all.
    webpki: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
    given: Given,
}

impl Verifier {
    pub(super) fn new(
        roots: RootCertStore,
        given: Given,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, rustls::Error> {
        let algorithms = provider.signature_verification_algorithms;
        // Where only servers' own certificates are given, nothing may issue others.
        let webpki = (!roots.is_empty()).then(|| {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))
        });
        Ok(Self { webpki: webpki.transpose()?, algorithms, given })
    }
}

/// A certificate that isn't trusted.
#[derive(Debug)]
pub(super) struct Untrusted {
    pub(super) issuer: Option<String>,
    pub(super) reason: Distrust,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the certificate is not trusted: {}", self.reason)
    }
}

impl std::error::Error for Untrusted {}

/// Whether a certificate that was given is also trusted to issue others: a CA's, or one of X.509 version 1, which can't say.
pub(super) fn may_issue(certificate: &CertificateDer<'_>) -> bool {
    Parts::read(certificate).is_some_and(|parts| parts.may_issue())
}

/// The error about a certificate, with the reason and the issuer where it isn't trusted.
fn explained(
    error: rustls::Error,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> rustls::Error {
    let rustls::Error::InvalidCertificate(certificate) = &error else { return error };
    let Some(reason) = Distrust::of(certificate) else { return error };
    // The last certificate of the sent chain is the certificate whose issuer is missing.
    let last = intermediates.last().filter(|_| reason == Distrust::Issuer).unwrap_or(end_entity);
    let untrusted = OtherError(Arc::new(Untrusted { issuer: issuer_name(last), reason }));
    rustls::Error::InvalidCertificate(CertificateError::Other(untrusted))
}

/// Whether a certificate that was given may be the one of the server `name` now.
fn check_given(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let bad = |_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding);
    // `Raw` takes serial numbers of more than 20 bytes too, which private CAs make, and which mean nothing here.
    let whole = CertificateInner::<Raw>::from_der(certificate).map_err(bad)?;
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
        let checked = match self.given.contains(end_entity.as_ref()) {
            true => check_given(end_entity, server_name, now).map(|()| ServerCertVerified::assertion()),
            false => match &self.webpki {
                Some(webpki) => {
                    webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                }
                None => Err(CertificateError::UnknownIssuer.into()),
            },
        };
        checked.map_err(|error| explained(error, end_entity, intermediates))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Takes every certificate, for as little as that says; the handshake must be signed with its key all the same.
#[derive(Debug)]
pub(super) struct Unchecked(WebPkiSupportedAlgorithms);

impl Unchecked {
    pub(super) fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
